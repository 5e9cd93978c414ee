"""Scores as the library keeps them, and back."""

from __future__ import annotations

import numpy as np

from alignment.score import Beat, Score
from index.sheets import KeptBeats, KeptScore

__all__ = ["from_kept", "position", "to_kept"]


def to_kept(score: Score) -> KeptScore:
    """A score as the library keeps it."""
    return KeptScore(
        score.title or "",
        score.duration,
        score.notes,
        tuple((beat.seconds, beat.measure, beat.beat) for beat in score.beats),
    )


def from_kept(kept: KeptScore, path: str) -> Score:
    """The score that was kept; its times are exact to 10 µs."""
    return Score(path, kept.title or None, kept.notes, tuple(map(Beat._make, kept.beats)), kept.duration)


def position(beats: KeptBeats, duration: float, seconds: float) -> tuple[str, float]:
    """Measure and beat at a time of a score of which only the beats were unpacked; see `Score.position`."""
    if not len(beats.seconds):
        return "", 1.0
    index = max(int(np.searchsorted(beats.seconds, seconds, side="right")) - 1, 0)
    until = float(beats.seconds[index + 1]) if index + 1 < len(beats.seconds) else duration
    beat = Beat(float(beats.seconds[index]), beats.measures[index], beats.places[index])
    return beat.measure, beat.reached(seconds, until)
