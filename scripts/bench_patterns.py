"""Measure the search for note patterns on the scores of ASAP and of OpenScore Lieder.

    INCIPIT_DATA=DIR python scripts/bench_patterns.py [--lieder 200] [--patterns 100] [--cache DIR]

DIR holds `asap` (the score MIDI files are read) and `lieder`. Patterns are cut from random scores at random onsets:
melodies (the highest note of each onset; in songs that may be voice or piano) and all notes, of 8, 12 and 20; as
written, and as played by hand in another key: onsets off by 20 ms (standard deviation), at 0.8 to 1.25 times the
tempo, one note wrong in the longer two (a chord's notes
8 ms from each other). In any rhythm, the durations between onsets are drawn anew.

Prints, for each kind: patterns whose own place, or one where all is the same, is among those with the greatest share;
the same among accepted places (at most 0.01 expected by chance in the library); patterns of which a place is accepted
outside the folder of their score's group of works; milliseconds of one thread for a thousand scores.
"""

from __future__ import annotations

import argparse
import os
import pickle
import time
from pathlib import Path

import numpy as np

from alignment.errors import ScoreError
from alignment.score import Score, read_score
from retrieval.note_patterns import Pattern, PatternPlace, SearchedNotes, chance_places, pattern_places

_ACCEPTED = 0.01
_NEAR = 0.1
_CHORD = 0.04


def main() -> None:
    """Read, cut, seek, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lieder", type=int, default=200)
    parser.add_argument("--patterns", type=int, default=100)
    parser.add_argument("--cache", type=Path, help="folder that keeps the scores as they were read")
    arguments = parser.parse_args()
    scores = _scores(Path(os.environ["INCIPIT_DATA"]), arguments.lieder, arguments.cache)
    started = time.process_time()
    library = [SearchedNotes(score) for score in scores]
    taken = time.process_time() - started
    onsets = sum(notes.onsets for notes in library)
    notes = sum(len(score.notes) for score in scores)
    print(
        f"{len(scores)} scores, {notes} notes, {onsets} onsets; made ready in {1e6 * taken / len(scores):.0f} ms a 1000"
    )
    for any_rhythm in (False, True):  # compiles
        pattern_places(Pattern(scores[0]), library[0], any_rhythm=any_rhythm)
    print("pattern             search           first  accepted  outsiders  ms/1000 scores")
    for length in (8, 12, 20):
        for kind in ("melody", "all notes"):
            for by_hand in (False, True):
                for any_rhythm in (False, True):
                    for any_key in (False, True):
                        if by_hand and not any_key:
                            continue
                        _measure(
                            scores, library, onsets, length, kind, by_hand, any_key, any_rhythm, arguments.patterns
                        )


def _measure(
    scores: list[Score],
    library: list[SearchedNotes],
    onsets: int,
    length: int,
    kind: str,
    by_hand: bool,
    any_key: bool,
    any_rhythm: bool,
    patterns: int,
) -> None:
    rng = np.random.default_rng(length)
    first = accepted = outsiders = 0
    taken = 0.0
    for _ in range(patterns):
        number, cut = _cut(scores, rng, length, kind)
        query = _played(cut, rng, length) if by_hand else cut
        query = _other_rhythm(query, rng) if any_rhythm else query
        pattern = Pattern(query)
        started = time.process_time()
        found = [
            (place, owner)
            for owner, notes in enumerate(library)
            for place in pattern_places(pattern, notes, any_key=any_key, any_rhythm=any_rhythm)
        ]
        taken += time.process_time() - started
        found.sort(key=lambda item: (-item[0].share, -item[0].surprise))
        sure = [item for item in found if chance_places(item[0].surprise, onsets, any_key=any_key) <= _ACCEPTED]
        begun = float(cut.notes[0, 0])
        first += _own(found, number, begun)
        accepted += _own(sure, number, begun)
        outsiders += any(_folder(scores[owner]) != _folder(scores[number]) for _, owner in sure)
    name = f"{length} {kind}{', by hand' if by_hand else ''}"
    search = ("any key " if any_key else "") + ("any rhythm" if any_rhythm else "")
    milliseconds = 1e6 * taken / patterns / len(scores)
    print(
        f"{name:22s}{search or 'exact':19s}{100 * first / patterns:4.0f} %{100 * accepted / patterns:7.0f} %"
        f"{100 * outsiders / patterns:9.0f} %{milliseconds:12.0f}",
        flush=True,
    )


def _own(found: list[tuple[PatternPlace, int]], number: int, begun: float) -> bool:
    """Whether the first place, or one with as great a share, is where the pattern is from."""
    return any(
        (owner == number and abs(place.start - begun) < _NEAR) or place.share == 1.0
        for place, owner in found
        if place.share >= found[0][0].share
    )


def _folder(score: Score) -> str:
    return str(Path(score.path).parent.parent)


def _cut(scores: list[Score], rng: np.random.Generator, length: int, kind: str) -> tuple[int, Score]:
    while True:
        number = int(rng.integers(len(scores)))
        notes = scores[number].notes
        if kind == "melody":
            last = np.append(np.flatnonzero(np.diff(notes[:, 0]) > _CHORD), len(notes) - 1)
            notes = notes[last]
        at = int(rng.integers(max(len(notes) - length, 1)))
        while at and notes[at, 0] - notes[at - 1, 0] < _CHORD:
            at -= 1
        chosen = notes[at : at + length].copy()
        whole = len(chosen) == length and np.count_nonzero(np.diff(chosen[:, 0]) > 0.1) > 1
        if whole and len(np.unique(chosen[:, 2])) > 2 and chosen[-1, 0] - chosen[0, 0] < 30:
            return number, Score("pattern", None, chosen, scores[number].beats, scores[number].duration)


def _played(cut: Score, rng: np.random.Generator, length: int) -> Score:
    notes = cut.notes.copy()
    notes[:, :2] = (notes[:, :2] - notes[0, 0]) * rng.uniform(0.8, 1.25)
    chord = np.concatenate([[0], np.cumsum(np.diff(notes[:, 0]) > _CHORD)])
    off = rng.normal(0.0, 0.02, chord[-1] + 1)[chord] + rng.normal(0.0, 0.008, len(notes))
    notes[:, 0] += np.clip(off, -0.05, 0.05)
    notes[:, 1] = np.maximum(notes[:, 1], notes[:, 0] + 0.05)
    notes[:, 2] += rng.choice([-5, -3, 2, 4])
    if length > 8:
        notes[int(rng.integers(length)), 2] += rng.choice([-1, 1])
    return Score("pattern", None, notes[np.argsort(notes[:, 0])], (), float(notes[:, 1].max()))


def _other_rhythm(cut: Score, rng: np.random.Generator) -> Score:
    notes = cut.notes.copy()
    chord = np.concatenate([[0], np.cumsum(np.diff(notes[:, 0]) > _CHORD)])
    onsets = np.cumsum(rng.choice([0.25, 0.5, 0.75, 1.0], chord[-1] + 1))
    notes[:, 0] = onsets[chord]
    notes[:, 1] = notes[:, 0] + 0.2
    return Score("pattern", None, notes[np.lexsort((notes[:, 2], notes[:, 0]))], (), float(notes[:, 1].max()))


def _scores(data: Path, lieder: int, cache: Path | None) -> list[Score]:
    kept = cache / f"scores-{lieder}.pickle" if cache else None
    if kept and kept.exists():
        return list(pickle.loads(kept.read_bytes()))
    songs = sorted((data / "lieder").rglob("*.mxl"))
    chosen = np.random.default_rng(0).permutation(len(songs))[:lieder]
    scores = []
    for path in [*sorted((data / "asap").rglob("midi_score.mid")), *(songs[n] for n in chosen)]:
        try:
            scores.append(read_score(path))
        except ScoreError as error:
            print(error)
    if kept:
        kept.write_bytes(pickle.dumps(scores))
    return scores


if __name__ == "__main__":
    main()
