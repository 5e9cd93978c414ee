"""Measure whole recordings against scores, both ways, on a bed of performances with their scores.

    python scripts/bench_movements.py BED --library DIR [--scores FOLDER]... [--jobs 2]

BED holds folders `NAME/{score.mid, b.wav}`, as for `bench_score_alignment.py`; the scores at and below each FOLDER go
into the library (in DIR; it is filled where it is not) beside those of BED, the recordings into another, in DIR/sound.
Each recording is asked for as a whole by the task scores, with its score in the library and with that and all scores
that hold the same notes left out; each score of BED is asked for by the task versions. Prints how often the first hit
is right and accepted, how often another is accepted, and the time. Wants the `dev` extra.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from bench_matching import processor

from alignment.audio import read_audio
from alignment.score import read_score
from index.library import Library
from retrieval.collection import Collection
from retrieval.embedding.score_encoder import ScoreEncoder
from retrieval.hits import Hit, Wanted
from retrieval.kept_score import from_kept
from retrieval.movement_search import MovementSearch
from retrieval.note_patterns import Pattern, SearchedNotes, pattern_places
from retrieval.plausibility import Plausibility
from retrieval.score_search import SCORE_PLAUSIBILITY_PATH, ScoreSearch

_SAME_NOTES = 24
_EXCERPTS = (0.2, 0.5, 0.8)


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bed", type=Path)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--scores", type=Path, action="append", default=[])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    pairs = sorted(path for path in arguments.bed.absolute().iterdir() if (path / "score.mid").exists())
    written, played = [pair / "score.mid" for pair in pairs], [pair / "b.wav" for pair in pairs]
    Collection(arguments.library).add(*arguments.scores, *written, jobs=arguments.jobs, works=False)
    sounding = Collection(arguments.library / "sound")
    sounding.add(*played, jobs=arguments.jobs, works=False)
    print(f"{processor()}, Python {platform.python_version()}")
    with Library(arguments.library) as library:
        print(f"{library.count('score')} scores, {len(pairs)} recordings")
        same = {pair: _same_notes(library, pair / "score.mid") for pair in pairs}
        _print_scores(library, pairs, same)
    first = accepted = wrong = 0
    for pair, score in zip(pairs, written, strict=True):
        hits = sounding.query(score, "versions", top=5)
        right = bool(hits) and Path(hits[0].path).parent == pair
        first, accepted = first + right, accepted + (right and hits[0].accepted)
        wrong += any(hit.accepted and not _alike(Path(hit.path).parent, pair) for hit in hits)
    print(f"versions of a score: first {_share(first, pairs)}, first and accepted {_share(accepted, pairs)}", end="")
    print(f", another work accepted {_share(wrong, pairs)}")


def _print_scores(library: Library, pairs: Sequence[Path], same: dict[Path, frozenset[int]]) -> None:
    for inside in (True, False):
        first = accepted = wrong = 0
        seconds = []
        for pair in pairs:
            audio = read_audio(pair / "b.wav")
            without = frozenset() if inside else same[pair]
            encoder, plausibility = ScoreEncoder(), Plausibility.load(SCORE_PLAUSIBILITY_PATH)
            search = MovementSearch(library, ScoreSearch(library, encoder, plausibility, without))
            started = time.process_time()
            hits = search.search(audio, Wanted(top=5))
            seconds.append(time.process_time() - started)
            rights = [_number(library, hit) in same[pair] for hit in hits]
            first += bool(rights) and rights[0]
            accepted += bool(rights) and rights[0] and hits[0].accepted
            wrong += any(hit.accepted and not right for hit, right in zip(hits, rights, strict=True))
        if inside:
            print(f"scores of a recording: first {_share(first, pairs)}, accepted {_share(accepted, pairs)}", end="")
            print(f", another accepted {_share(wrong, pairs)}, {np.mean(seconds):.1f} s of CPU")
        else:
            print(f"its score left out: another accepted {_share(wrong, pairs)}")


def _number(library: Library, hit: Hit) -> int:
    item = library.item(hit.id)
    return -1 if item is None else item.id


def _same_notes(library: Library, score: Path) -> frozenset[int]:
    """The scores of a library that hold passages of a score, note for note."""
    notes = read_score(score)
    starts = [int(share * (len(notes.notes) - _SAME_NOTES)) for share in _EXCERPTS]
    patterns = [Pattern(replace(notes, notes=notes.notes[start : start + _SAME_NOTES])) for start in starts]
    found = set()
    for row in library.scores():
        sheet = library.score_sheet(row.id)
        if sheet is not None:
            searched = SearchedNotes(from_kept(sheet, row.path))
            if sum(bool(pattern_places(pattern, searched)) for pattern in patterns) >= 2:
                found.add(row.id)
    return frozenset(found)


def _alike(one: Path, other: Path) -> bool:
    """Whether two pairs are of one work under several names."""
    return one.name.split("_no_")[0] == other.name.split("_no_")[0]


def _share(count: int, pairs: Sequence[Path]) -> str:
    return f"{count} of {len(pairs)}"


if __name__ == "__main__":
    main()
