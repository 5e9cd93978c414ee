"""How straight a path is: the same performance in another mix goes along a line, another performance wanders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alignment.path import WarpingPath

__all__ = ["Straightness", "straightness"]

_STEP_SECONDS = 0.1
_ROUNDS = 20
_SMALLEST = 1e-3
"""Seconds of deviation below which a point counts no more for the line."""


@dataclass(frozen=True)
class Straightness:
    """How a path lies along its line.

    Attributes:
        seconds: of the reference that it spans.
        tempo_ratio: of the line, seconds of the other a second of the reference.
        median: deviation from the line, in seconds, of half the points.
        most: of four in five.
    """

    seconds: float
    tempo_ratio: float
    median: float
    most: float


def straightness(path: WarpingPath) -> Straightness:
    """Lay the line of least absolute deviation along a path, points evenly spaced in the reference."""
    seconds = float(path.ref[-1] - path.ref[0])
    if seconds < 2 * _STEP_SECONDS:
        return Straightness(seconds, 1.0, 0.0, 0.0)
    times = np.arange(float(path.ref[0]), float(path.ref[-1]), _STEP_SECONDS)
    others = path.map(times)
    design = np.column_stack([np.ones_like(times), times - times.mean()])
    weights = np.ones_like(times)
    for _ in range(_ROUNDS):
        root = np.sqrt(weights)
        line, *_ = np.linalg.lstsq(design * root[:, None], others * root, rcond=None)
        deviations = np.abs(others - design @ line)
        weights = 1.0 / np.maximum(deviations, _SMALLEST)
    median, most = np.quantile(deviations, (0.5, 0.8))
    return Straightness(seconds, float(line[1]), float(median), float(most))
