"""Lieder as two performers would play them, each in their own tempo, with the seconds of every quarter note.

What `calibrate_matching.py` asks for and looks in. Repeats are as written, songs end after two minutes and a half.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from numpy.random import Generator
from numpy.typing import NDArray
from train_sync import planned, sound_fonts

from alignment.audio import ANALYSIS_RATE
from alignment.errors import ScoreError
from retrieval.embedding.additive import additive_sound
from retrieval.embedding.fluidsynth import fluidsynth_sound, play_together
from retrieval.embedding.microphone import degraded
from retrieval.embedding.notes import played, score_notes, wandering_steps

PERFORMANCES = 2
_LONGEST_SECONDS = 150.0
_FEWEST_NOTES = 200
_STEP = 0.5
_GRID = 12
_VOICES = (52, 53, 54)
_PIANO = 0


@dataclass(frozen=True)
class Song:
    """A song and where its performances lie.

    Attributes:
        score: name of its file, without the ending.
        paths: of the performances.
        quarters: places in the score, ascending.
        seconds: of those places in each performance, shape `(performances, quarters)`.
        content: float64, shape `(n, 2)`: onset in quarters and MIDI pitch of each note.
    """

    score: str
    paths: tuple[Path, ...]
    quarters: NDArray[np.float64]
    seconds: NDArray[np.float64]
    content: NDArray[np.float64]

    @classmethod
    def load(cls, place: Path) -> Song:
        """Read what `perform` wrote."""
        with np.load(place) as stored:
            paths = tuple(place.with_name(f"{place.stem}-{number}.flac") for number in range(PERFORMANCES))
            return cls(str(stored["score"]), paths, stored["quarters"], stored["seconds"], stored["content"])

    def places(self, start: int, quarters: int) -> list[tuple[int, float]]:
        """Every quarter at which so long a passage lies inside, and how much its notes are those from `start` on.

        How much is the share of the notes of both that are common to both, on a grid of twelfths of a quarter.
        """
        wanted = self._notes(start, quarters)
        found = []
        for other in range(int(self.quarters[-1]) - quarters):
            notes = self._notes(other, quarters)
            found.append((other, len(wanted & notes) / max(len(wanted | notes), 1)))
        return found

    def time(self, performance: int, quarter: float) -> float:
        """Seconds at which a place of the score is reached in a performance."""
        return float(np.interp(quarter, self.quarters, self.seconds[performance]))

    def _notes(self, start: int, quarters: int) -> set[tuple[int, int]]:
        first, last = np.searchsorted(self.content[:, 0], [start - 1e-6, start + quarters - 1e-6])
        return {(round(_GRID * (onset - start)), int(pitch)) for onset, pitch in self.content[first:last]}


def perform(
    folder: Path, count: int, jobs: int, scores: Sequence[Path], fonts: Sequence[Path] = (), *, sung: bool = False
) -> list[Song]:
    """Render so many songs; what is in the folder already is kept.

    Args:
        folder: where they go.
        count: how many.
        jobs: processes.
        scores: what is performed.
        fonts: sound fonts, those of training if none are given.
        sung: by voices and a piano, as they are written; else by any instruments.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plan = planned(scores, count)
    places = [folder / f"{seed:05d}.npz" for seed in range(count)]
    missing = [(plan[seed], seed, place) for seed, place in enumerate(places) if not place.exists()]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(partial(_perform, sound_fonts(fonts), sung), missing))
    return [Song.load(place) for place in places if place.exists()]


def _perform(fonts: Sequence[Path], sung: bool, what: tuple[Path, int, Path]) -> None:
    score, seed, place = what
    rng = np.random.default_rng(seed)
    try:
        notes = score_notes(score)
    except ScoreError:
        return
    tempo = rng.uniform(60, 140)
    quarters = np.arange(0, notes[:, 0].max() + 5, _STEP)
    seconds = np.stack(
        [_clock(len(quarters), tempo * np.exp(rng.uniform(-0.25, 0.25)), rng) for _ in range(PERFORMANCES)]
    )
    kept = notes[np.interp(notes[:, 0], quarters, seconds.max(axis=0)) < _LONGEST_SECONDS]
    if len(kept) < _FEWEST_NOTES:
        return
    for number, times in enumerate(seconds):
        on, off = np.interp(kept[:, 0], quarters, times), np.interp(kept[:, :2].sum(axis=1), quarters, times)
        performance = played(np.column_stack([on, off, kept[:, 2:]]), rng)
        if sung:
            sound = _sung(performance, rng, fonts)
        elif rng.random() < 0.15:
            sound = additive_sound(performance, rng)[0]
        else:
            sound = fluidsynth_sound(performance, rng, fonts)[0]
        sound = degraded(sound, rng)
        path = place.with_name(f"{place.stem}-{number}.flac")
        soundfile.write(path, 0.5 * sound / (np.abs(sound).max() + 1e-9), ANALYSIS_RATE, format="FLAC")
    inside = quarters <= kept[:, 0].max()
    unfinished = place.with_suffix(".part.npz")
    np.savez(
        unfinished, score=score.stem, quarters=quarters[inside], seconds=seconds[:, inside], content=kept[:, [0, 2]]
    )
    unfinished.replace(place)


def _sung(performance: NDArray[np.float64], rng: Generator, fonts: Sequence[Path]) -> NDArray[np.float32]:
    """The first part by a voice, the others by a piano."""
    voice = performance[:, 3] == performance[:, 3].min()
    columns = [0, 1, 2, 4]
    singer = int(rng.choice(_VOICES))
    return play_together(
        [(singer, performance[voice][:, columns], False), (_PIANO, performance[~voice][:, columns], False)], rng, fonts
    )


def _clock(steps: int, tempo: float, rng: Generator) -> NDArray[np.float64]:
    """Seconds of every half quarter at a tempo that wanders; the first is half a second in."""
    lengths = wandering_steps(steps, tempo, rng)
    return 0.5 + np.concatenate([[0], np.cumsum(lengths)])[:steps]
