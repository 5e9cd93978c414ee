"""What corresponds between two recordings, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alignment.path import WarpingPath

__all__ = ["SLIVER_SECONDS", "Segment", "Synchronisation"]

SLIVER_SECONDS = 0.25
"""Cuts are not placed more finely: what is shorter belongs to the match beside it."""

_ROUNDING = 1e-6
"""Seconds by which neighbours may overlap."""


@dataclass(frozen=True)
class Segment:
    """A stretch of both recordings that corresponds, or of one that stands alone.

    Attributes:
        kind: "match", "only_ref" or "only_other".
        ref, other: start and end in seconds; None on the side that has nothing.
        path: of a match, strictly rising on both sides; else None.
        confidence: of a match, for each point of the path, the probability that it is within 100 ms; else empty.
        interval: of a match, for each point of the path, the seconds to either side in `other` within which
            the true time lies nine times in ten; else empty.
    """

    kind: str
    ref: tuple[float, float] | None
    other: tuple[float, float] | None
    path: WarpingPath | None
    confidence: NDArray[np.float64]
    interval: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def alone(cls, kind: str, start: float, end: float) -> Segment:
        """A stretch of seconds of one side, "only_ref" or "only_other"."""
        span, none = (start, end), np.zeros(0)
        return cls(kind, span, None, None, none) if kind == "only_ref" else cls(kind, None, span, None, none)


@dataclass(frozen=True)
class Synchronisation:
    """How two recordings correspond.

    Attributes:
        segments: in the order of the reference.
        accepted: whether they are taken for performances of the same music.
        confidence: in 0..1, how sure that is.
        transposition: semitones that make the other sound like the reference.
        tuning_cents: cents by which the other is tuned above the reference, beyond whole semitones.
    """

    segments: tuple[Segment, ...]
    accepted: bool
    confidence: float
    transposition: int
    tuning_cents: float

    @property
    def path(self) -> WarpingPath | None:
        """The path of the longest match, or None."""
        matches = [segment.path for segment in self.segments if segment.path is not None]
        return max(matches, key=lambda path: float(path.ref[-1] - path.ref[0]), default=None)

    def chain(self) -> tuple[Segment, ...]:
        """The matches, rising on both sides, that cover most of the reference.

        Where sections are swapped, this is what can be read as one path from beginning to end.
        """
        matches = [segment for segment in self.segments if segment.path is not None]
        matches.sort(key=lambda segment: segment.path.ref[0] if segment.path is not None else 0.0)
        best: list[tuple[float, tuple[Segment, ...]]] = []
        for last in matches:
            before = [(covered, chain) for covered, chain in best if _precedes(chain[-1], last)]
            covered, chain = max(before, key=lambda entry: entry[0], default=(0.0, ()))
            best.append((covered + _covered(last), (*chain, last)))
        return max(best, key=lambda entry: entry[0], default=(0.0, ()))[1]


def _precedes(first: Segment, second: Segment) -> bool:
    sides = ((first.ref, second.ref), (first.other, second.other))
    return all(a is not None and b is not None and a[1] <= b[0] + _ROUNDING for a, b in sides)


def _covered(segment: Segment) -> float:
    return segment.ref[1] - segment.ref[0] if segment.ref is not None else 0.0
