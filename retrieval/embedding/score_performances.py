"""Scores and how they sound when somebody plays them, to train the embedding of scores on.

A score is rendered twice: plainly, as the library renders it (`alignment.score_sound`), and as a performance by other
instruments, at a tempo that wanders, in a room, through a microphone. Of both the
sonority is kept, and of each frame of the performance the place in the score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from alignment.audio import ANALYSIS_RATE
from alignment.errors import ScoreError
from alignment.features import estimate_tuning
from alignment.score import Score, read_score
from alignment.score_sound import score_sound
from retrieval.embedding import degradation
from retrieval.embedding.additive import additive_sound
from retrieval.embedding.degradation import coloured_noise
from retrieval.embedding.fluidsynth import fluidsynth_sound
from retrieval.embedding.microphone import degraded
from retrieval.embedding.notes import played, score_notes, wandering_steps
from retrieval.embedding.npz import save_npz
from retrieval.embedding.processes import spread
from retrieval.embedding.sonority import SONORITY_RATE, sonority

__all__ = ["ScorePerformance", "perform_score", "perform_scores"]

_MIDI = (".mid", ".midi")
_LONGEST_SECONDS = 150.0
_FEWEST_NOTES = 100
_STEP = 0.5
_LEAD_SECONDS = 0.5
_SLOWEST, _FASTEST = 60.0, 160.0
_TEMPO_SPREAD = 0.3
_HELD_CHANCE = 0.02
_ADDITIVE_CHANCE = 0.15

Notes = NDArray[np.float64]


@dataclass(frozen=True)
class ScorePerformance:
    """The sonority of a score and of a performance of it.

    Attributes:
        score: float16, shape `(m, 32)`, ten a second.
        performance: float16, shape `(n, 32)`, ten a second.
        moments: float32, shape `(n,)`: seconds of the score that are heard at each frame of the performance;
            not a number before its beginning and after its end.
    """

    score: NDArray[np.float16]
    performance: NDArray[np.float16]
    moments: NDArray[np.float32]

    def save(self, path: Path) -> None:
        """Write an npz file, whole or not at all."""
        save_npz(path, score=self.score, performance=self.performance, moments=self.moments)

    @classmethod
    def load(cls, path: Path) -> ScorePerformance:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as parts:
            return cls(parts["score"], parts["performance"], parts["moments"])


def perform_scores(
    scores: Sequence[Path],
    folder: Path,
    fonts: Sequence[Path],
    progress: Callable[[str, int, int], None],
    *,
    performances: int = 1,
    seed: int = 0,
    jobs: int = 1,
) -> tuple[list[list[Path]], list[str]]:
    """Perform each score so many times; performances that are in the folder already are kept.

    Args:
        scores: to be performed.
        folder: where the performances go.
        fonts: see `perform_score`.
        progress: is told the stage, how many are done, and of how many.
        performances: of each score.
        seed: of all that is random.
        jobs: processes.

    Returns:
        the files of each score's performances, and why others could not be made.

    Raises:
        RenderError: FluidSynth cannot play.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [
        (score, [seed, number, turn], folder / f"{seed}-{number:05d}-{turn}.npz")
        for turn in range(performances)
        for number, score in enumerate(scores)
    ]
    missing = [what for what in wanted if not what[2].exists()]
    told = spread(partial(_perform, fonts), missing, jobs, partial(progress, "performances"))
    failures = [failure for failure in told if failure]
    made: dict[Path, list[Path]] = {}
    for score, _, place in wanted:
        if place.exists():
            made.setdefault(score, []).append(place)
    return list(made.values()), failures


def _perform(fonts: Sequence[Path], what: tuple[Path, Sequence[int], Path]) -> str | None:
    """Perform a score; gives why it could not be done."""
    score, seed, place = what
    try:
        perform_score(score, np.random.default_rng(seed), fonts).save(place)
    except ScoreError as error:
        return str(error)
    return None


def perform_score(path: Path, rng: Generator, fonts: Sequence[Path]) -> ScorePerformance:
    """Perform a passage of a score, of two and a half minutes at most; repeats as written.

    Args:
        path: a score that partitura reads, or a MIDI file.
        rng: source of all randomness.
        fonts: sound fonts for FluidSynth; without any, tones are added up from partials.

    Raises:
        ScoreError: the score cannot be read or has hardly any notes.
        RenderError: FluidSynth cannot play.
    """
    notes = _quarters(path)
    quarters = np.arange(0.0, notes[:, 1].max() + 2.0, _STEP)
    tempo = float(np.exp(rng.uniform(np.log(_SLOWEST), np.log(_FASTEST))))
    steps = wandering_steps(len(quarters), tempo * float(np.exp(rng.normal(0, _TEMPO_SPREAD))), rng)
    steps *= np.where(rng.random(len(steps)) < _HELD_CHANCE, rng.uniform(1.3, 2.5, len(steps)), 1.0)
    seconds = np.concatenate([[0.0], np.cumsum(steps)])[:-1]
    first, last = _passage(seconds, rng)
    inside = (notes[:, 0] >= quarters[first]) & (notes[:, 0] < quarters[last])
    if np.count_nonzero(inside) < _FEWEST_NOTES:
        raise ScoreError(str(path), "has hardly any notes")
    notes = notes[inside] - [quarters[first], quarters[first], 0.0, 0.0]
    quarters, seconds = quarters[first:] - quarters[first], seconds[first:] - seconds[first] + _LEAD_SECONDS
    sound = _performance(notes, quarters, seconds, rng, fonts)
    frames = sonority(sound, ANALYSIS_RATE, estimate_tuning(sound, ANALYSIS_RATE))
    times = np.arange(len(frames)) / SONORITY_RATE
    moments = np.interp(times, seconds, quarters) * 60.0 / tempo
    end = float(np.interp(notes[:, 1].max(), quarters, seconds))
    moments[(times < _LEAD_SECONDS) | (times > end)] = np.nan
    plain = _plain(notes, tempo)
    return ScorePerformance(plain.astype(np.float16), frames.astype(np.float16), moments.astype(np.float32))


def _quarters(path: Path) -> Notes:
    """Onset and offset in quarters, pitch and part of each note; of MIDI files seconds count as at tempo 120."""
    if path.suffix.lower() in _MIDI:
        notes = read_score(path).notes
        return np.column_stack([notes[:, :2] * 2.0, notes[:, 2], np.zeros(len(notes))])
    written = score_notes(path)
    return np.column_stack([written[:, 0], written[:, :2].sum(axis=1), written[:, 2:]])


def _passage(seconds: NDArray[np.float64], rng: Generator) -> tuple[int, int]:
    """Places of the grid at which a passage begins and ends."""
    latest = max(float(seconds[-1]) - _LONGEST_SECONDS, 0.0)
    start = rng.uniform(0.0, latest) if latest and rng.random() < 0.8 else 0.0
    first, last = np.searchsorted(seconds, [start, start + _LONGEST_SECONDS])
    return int(first), min(int(last), len(seconds) - 1)


def _performance(
    notes: Notes,
    quarters: NDArray[np.float64],
    seconds: NDArray[np.float64],
    rng: Generator,
    fonts: Sequence[Path],
) -> NDArray[np.float32]:
    times = np.interp(notes[:, :2], quarters, seconds)
    performance = played(np.column_stack([times, notes[:, 2:]]), rng)
    if not fonts or rng.random() < _ADDITIVE_CHANCE:
        sound = additive_sound(performance, rng)[0]
    else:
        sound = fluidsynth_sound(performance, rng, fonts)[0]
    if rng.random() < 0.5:
        return degraded(sound, rng)
    return degradation.degraded(sound, rng, lambda rng, count: coloured_noise(count, rng))


def _plain(notes: Notes, tempo: float) -> NDArray[np.float32]:
    """The sonority of the score at one tempo."""
    seconds = notes[:, :2] * 60.0 / tempo
    sounding = np.column_stack([seconds, notes[:, 2], np.full(len(notes), 0.6)])
    score = Score("", None, sounding, (), float(seconds.max()))
    sound = score_sound(score)
    return sonority(sound.samples, sound.rate, 0.0)
