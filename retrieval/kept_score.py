"""Scores as the library keeps them, and back."""

from __future__ import annotations

from alignment.heading import Heading, Movement, Part
from alignment.score import Beat, Score
from index.sheets import KeptMovement, KeptPart, KeptScore

__all__ = ["from_kept", "to_kept"]


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
