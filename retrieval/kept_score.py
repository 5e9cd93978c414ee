"""Scores as the library keeps them, and back."""

from __future__ import annotations

import numpy as np

from alignment.heading import Heading, Movement, Part, title_of_stretch
from alignment.score import Beat, Score
from index.sheets import KeptMovement, KeptPart, KeptScore
from index.told_scores import ToldScore

__all__ = ["beat_position", "from_kept", "stretch_title", "to_kept"]


def to_kept(score: Score) -> KeptScore:
    """A score as the library keeps it."""
    return KeptScore(
        score.title or "",
        score.duration,
        score.notes,
        tuple((beat.seconds, beat.measure, beat.beat) for beat in score.beats),
        score.heading.title,
        score.heading.number,
        tuple(map(KeptPart._make, score.parts)),
        tuple(map(KeptMovement._make, score.movements)),
    )


def from_kept(kept: KeptScore, path: str) -> Score:
    """The score that was kept; its times are exact to 10 µs."""
    return Score(
        path,
        kept.title or None,
        kept.notes,
        tuple(map(Beat._make, kept.beats)),
        kept.duration,
        heading=Heading(kept.work_title, kept.work_number),
        movements=tuple(map(Movement._make, kept.movements)),
        parts=tuple(map(Part._make, kept.parts)),
    )


def beat_position(score: ToldScore, seconds: float) -> tuple[str, float]:
    """Measure and beat at a time of a score; see `Score.position`."""
    beats = score.beats
    if not len(beats.seconds):
        return "", 1.0
    index = max(int(np.searchsorted(beats.seconds, seconds, side="right")) - 1, 0)
    until = float(beats.seconds[index + 1]) if index + 1 < len(beats.seconds) else score.duration
    beat = Beat(float(beats.seconds[index]), beats.measure(index), float(beats.places[index]))
    return beat.measure, beat.reached(seconds, until)


def stretch_title(score: ToldScore, start: float, end: float) -> str | None:
    """The title of a stretch in seconds; see `Score.title_at`."""
    movements = [Movement(movement.number, movement.title, movement.start) for movement in score.movements]
    heading = Heading(score.work_title, score.work_number)
    return title_of_stretch(score.title or None, heading, movements, start, end)
