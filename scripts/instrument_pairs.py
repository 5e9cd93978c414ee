"""Pairs of performances in which one instrument plays all notes of either side, and chords spread as under hands.

What `calibrate_alignment.py` judges confidence by: lieder that the encoder was not trained on and songs of POP909,
half the ones, half the others. The notes of a chord begin some milliseconds apart, and the highest comes first; the
seconds of the chord are the middle of these onsets. Each note is then struck some milliseconds off (5.5 in root mean
square), which these seconds do not know, as annotations of performances are no more exact either: intervals fitted
without it are too narrow for those. Tempo is as players have it: it wanders, no beat is as long as
the next, and now and then one lingers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
import soundfile
from numpy.random import Generator
from numpy.typing import NDArray
from train_sync import held_out_lieder
from train_versions import left_out_songs

from alignment.audio import ANALYSIS_RATE
from alignment.errors import ScoreError
from retrieval.embedding.fluidsynth import play_together
from retrieval.embedding.microphone import degraded
from retrieval.embedding.notes import ONSET, PART, PITCH, played, score_notes
from retrieval.embedding.songs import pop_song

INSTRUMENTS = (
    range(0, 6),  # pianos
    range(8, 15),  # mallets and bells
    range(16, 22),  # organs
    range(24, 29),  # guitars
    range(40, 44),  # single strings
    range(48, 54),  # ensembles and choirs
    range(56, 62),  # brass
    range(64, 76),  # reeds and pipes
)
"""General MIDI programs, of which a side has one; in every third pair both sides are pianos."""

DURATION = 1
"""Column of notes as `score_notes` gives them, in place of their offset."""

_SEED = 600_000
_CHORD = 0.06
_LEFT_OUT = 500
"""Of a thousand chords, those that are not judged: neighbours tell much the same."""

_FEWEST_NOTES = 60
_PIANOS = 8


def works(data: Path) -> list[Path]:
    """Scores and songs by turns, in a fixed order; no song of the versions' bed."""
    lieder = held_out_lieder()
    left_out = set(left_out_songs(data))
    songs = [folder for folder in sorted((data / "pop909").iterdir()) if folder.is_dir() and folder not in left_out]
    shuffled = [
        [names[number] for number in np.random.default_rng(seed).permutation(len(names))]
        for seed, names in ((131, lieder), (132, songs))
    ]
    return [work for both in zip_longest(*shuffled) for work in both if work]


def render(folder: Path, count: int, fonts: Sequence[Path]) -> list[tuple[Path, str]]:
    """Folders with `a.wav`, `b.wav` and `truth.csv` (seconds of half the chords in both), and the names of the works.

    Those that lack are rendered.
    """
    names = works(Path(os.environ["INCIPIT_DATA"]))[:count]
    for number, work in enumerate(names):
        place = folder / f"{number:03d}"
        if not (place / "truth.csv").exists():
            try:
                _render_pair(place, number, work, fonts)
            except ScoreError as error:
                print(f"left out: {error}")
    kept = [path.parent for path in sorted(folder.glob("*/truth.csv"))]
    return [(place, names[int(place.name)].name) for place in kept if int(place.name) < count]


def _performed_times(rng: Generator, quarters: NDArray[np.float64], tempo: float) -> NDArray[np.float64]:
    """Seconds of quarters as played: tempo wanders, each half quarter has its own, and now and then one lingers."""
    walk = np.cumsum(rng.normal(0, 0.04, len(quarters)))
    walk -= np.linspace(walk[0], walk[-1], len(quarters))
    own = rng.normal(0, rng.uniform(0.03, 0.12), len(quarters))
    lingers = rng.uniform(0.2, 0.9, len(quarters)) * (rng.random(len(quarters)) < 0.04)
    steps = 0.5 * 60 / tempo * np.exp(np.clip(walk, -0.4, 0.4) + own + lingers)
    return np.concatenate([[0], np.cumsum(steps)])[: len(quarters)]


def _render_pair(place: Path, number: int, work: Path, fonts: Sequence[Path]) -> None:
    rng = np.random.default_rng(_SEED + number)
    notes = _song_notes(work) if work.is_dir() else score_notes(work)
    notes[:, ONSET] -= notes[0, ONSET]
    tempo = rng.uniform(60, 130)
    notes = _passage(notes, tempo, rng)
    if len(notes) < _FEWEST_NOTES:
        return
    chord = np.cumsum(np.diff(notes[:, ONSET], prepend=0) > _CHORD)
    chords = chord[-1] + 1
    judged = rng.integers(0, 1000, chords) >= _LEFT_OUT
    families = rng.permutation(len(INSTRUMENTS)) if number % 3 else np.array([0, 0])
    if number % 3 and rng.random() < 0.2:
        families[1] = families[0]
    programs = [int(rng.choice(list(INSTRUMENTS[family]))) for family in families[:2]]
    noisy = rng.random() < 0.5
    place.mkdir(parents=True, exist_ok=True)
    truth = []
    for side, program in zip("ab", programs, strict=True):
        quarters = np.arange(0, (notes[:, ONSET] + notes[:, DURATION]).max() + 1, 0.5)
        times = _performed_times(rng, quarters, tempo * np.exp(rng.normal(0, 0.12))) + rng.uniform(0.3, 1.5)
        spread = _spread(notes, chord, np.interp(notes[:, :2].cumsum(axis=1), quarters, times), rng)
        middles = np.array([np.median(spread[chord == one, ONSET]) for one in range(chords)])
        truth.append(middles[judged])
        performance = played(spread, rng)
        if program < _PIANOS and rng.random() < 0.6:
            performance = _pedalled(performance, rng)
        sound = play_together([(program, performance[:, [0, 1, 2, 4]], False)], rng, fonts)
        if noisy:
            sound = degraded(sound, rng)
        soundfile.write(place / f"{side}.wav", 0.7 * sound / np.abs(sound).max(), ANALYSIS_RATE)
    rising = _rising(np.column_stack(truth))
    np.savetxt(place / "truth.csv", rising, "%.6f", ",", header="time_a,time_b", comments="")


def _song_notes(folder: Path) -> NDArray[np.float64]:
    """Notes of a POP909 song as `score_notes` gives them, a beat for a quarter."""
    song = pop_song(folder)
    parts = [
        np.column_stack([part[:, 0], part[:, 1] - part[:, 0], part[:, 2], np.full(len(part), number)])
        for number, part in enumerate([song.melody, *song.accompaniment])
    ]
    notes = np.concatenate(parts)
    return notes[np.lexsort(notes.T[::-1])]


def _passage(notes: NDArray[np.float64], tempo: float, rng: Generator) -> NDArray[np.float64]:
    """A minute or so of the notes, which begins at 0."""
    seconds = notes[:, ONSET] * 60 / tempo
    length = rng.uniform(50, 90)
    start = rng.uniform(0, max(0, seconds.max() - length))
    kept = notes[(seconds >= start) & (seconds < start + length)]
    kept = kept[np.argsort(kept[:, ONSET])]
    kept[:, ONSET] -= kept[0, ONSET] if len(kept) else 0
    return kept


def _spread(
    notes: NDArray[np.float64], chord: NDArray[np.int64], seconds: NDArray[np.float64], rng: Generator
) -> NDArray[np.float64]:
    """The notes with their seconds (onset, offset) in place of quarters; those of a chord apart, its highest first."""
    on, off = seconds.T
    first = np.zeros(len(notes), bool)
    for number in np.unique(chord):
        members = np.flatnonzero(chord == number)
        first[members[np.argmax(notes[members, PITCH])]] = len(members) > 1
    on = on + rng.normal(0, rng.uniform(0, 0.015), len(on)) - rng.uniform(0, 0.03) * first
    return np.column_stack([on, np.maximum(off, on + 0.05), notes[:, PITCH], notes[:, PART]])


def _pedalled(performance: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """The performance with notes held until the pedal is lifted, every half to three seconds."""
    lifts = np.cumsum(rng.uniform(0.5, 3, 1 + int(performance[:, 1].max() / 0.5)))
    out = performance.copy()
    out[:, 1] = np.maximum(out[:, 1], lifts[np.minimum(np.searchsorted(lifts, out[:, 1]), len(lifts) - 1)])
    return out


def _rising(truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows that lie behind all before them on both sides."""
    truth = truth[np.argsort(truth[:, 0])]
    kept = [0]
    for row in range(1, len(truth)):
        if (truth[row] > truth[kept[-1]]).all():
            kept.append(row)
    return truth[kept]
