"""What readers of scores hand over: music in quarters, in the order in which it is played.

Times are in quarters from the beginning. Notes have the shape `(n, 4)`, float64: onset, offset, MIDI
pitch as it sounds, velocity in 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.heading import Heading, Movement, Part

__all__ = [
    "COMMON_TIME",
    "DEFAULT_TEMPO",
    "GRACE_QUARTERS",
    "PLAIN_VELOCITY",
    "Head",
    "Measure",
    "Metre",
    "ReadError",
    "Sheet",
    "as_notes",
]

DEFAULT_TEMPO = 120.0
"""Quarters a minute where a score names no tempo."""

GRACE_QUARTERS = 0.125
"""How long a grace note of MusicXML sounds, before its main note."""

PLAIN_VELOCITY = 80 / 127
"""Velocity of notes whose format has none."""


class ReadError(Exception):
    """A reader gives up; the text is the cause, without the file's name."""


class Metre(NamedTuple):
    """A time signature: beats in a measure, and the part of a whole note that is a beat."""

    beats: int
    beat_type: int

    @property
    def beat(self) -> float:
        """Quarters in a beat."""
        return 4.0 / self.beat_type

    @property
    def length(self) -> float:
        """Quarters in a measure."""
        return self.beats * self.beat


COMMON_TIME = Metre(4, 4)


class Measure(NamedTuple):
    """A measure as played: label, start and end in quarters, quarters in a beat, and the beat at its start.

    `written` counts the measures as printed, from 0, in the order of the document.
    """

    label: str
    start: float
    end: float
    beat: float
    first: float
    written: int


class Head(NamedTuple):
    """A note head as printed.

    Attributes:
        id: of its element in the engraving.
        measure: counts the measures as printed, from 0.
        onset: quarters after the start of the measure; negative where a grace note sounds before it.
        duration: quarters of this head alone, without those tied to it.
        pitch: MIDI pitch as it sounds; None where it has none.
    """

    id: str
    measure: int
    onset: float
    duration: float
    pitch: int | None


class Sheet(NamedTuple):
    """A whole score, unfolded.

    Attributes:
        notes: see the module; in no particular order.
        measures: in time order, without gaps.
        tempi: `(from when, quarters a minute)`, in time order; before the first, `DEFAULT_TEMPO`.
        heading: what the file says of the work.
        movements: those that the file tells, in time order; none where it tells of none.
        parts: from the top.
    """

    notes: NDArray[np.float64]
    measures: Sequence[Measure]
    tempi: Sequence[tuple[float, float]]
    heading: Heading = Heading()
    movements: Sequence[Movement] = ()
    parts: Sequence[Part] = ()


def as_notes(rows: Sequence[tuple[float, float, float, float]]) -> NDArray[np.float64]:
    """Rows of onset, offset, pitch, velocity as an array `(n, 4)`, also where there are none."""
    return np.array(rows, np.float64).reshape(-1, 4)
