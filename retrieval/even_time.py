"""Even time: a score's seconds as they would run without its tempo changes.

Every beat lasts as long as the median beat. A pattern that occurs on both sides of a tempo mark is then the same
pattern. Where the length of a beat leaps by a power of two, the time signature counts another note value, or a
measure ends within a beat: the tempo is taken to stay. Notes played to no click stand in a file of one tempo, whose
even time is its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alignment.score import Beat

__all__ = ["even_time"]

_LEAP = 0.01
"""Octaves of tempo: so close to a power of two, a leap is one of the note value."""


def even_time(seconds: NDArray[np.float64], beats: Sequence[Beat]) -> NDArray[np.float64]:
    """Even time of moments of a score, strictly rising with them.

    Args:
        seconds: any shape.
        beats: of the score; with fewer than three the seconds are given back.
    """
    times: list[float] = []
    first: list[float] = []
    for beat in beats:
        if not times or beat.seconds > times[-1]:
            times.append(beat.seconds)
            first.append(beat.beat)
    if len(times) < 3:
        return seconds
    at = np.array(times)
    share = np.array([math.floor(beat) + 1.0 - beat for beat in first[:-1]])
    level = np.log2(np.diff(at) / share)
    leaps = np.diff(level)
    whole = np.round(leaps)
    leaps = np.where((whole != 0.0) & (np.abs(leaps - whole) < _LEAP), 0.0, leaps)
    level = np.concatenate([[0.0], np.cumsum(leaps)])
    slope = np.exp2(np.median(level) - level)
    even = at[0] + np.concatenate([[0.0], np.cumsum(np.diff(at) * slope)])
    section = np.clip(np.searchsorted(at, seconds, "right") - 1, 0, len(slope) - 1)
    return np.asarray(even[section] + (seconds - at[section]) * slope[section])
