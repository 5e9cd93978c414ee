"""Exact dynamic time warping of feature sequences, full or subsequence, whole or inside a corridor.

Features are float32 of shape `(dims, frames)` whose columns have unit length; the cost of two frames is
their cosine distance, in [0, 2]. Paths are integer arrays of shape `(points, 2)`, frames of x and of y.
Müller, Fundamentals of Music Processing (2015), sections 3.2 and 7.2.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alignment._dtw_kernels import accumulate, trace_back
from alignment.errors import FeatureError

__all__ = ["SYMMETRIC_WEIGHTS", "Corridor", "WarpingPathFrames", "corridor_around", "dtw"]

SYMMETRIC_WEIGHTS = (2.0, 1.5, 1.5)
"""Weights of the steps (both, x alone, y alone) that favour neither staircases nor the diagonal much."""


@dataclass(frozen=True)
class Corridor:
    """Columns `low[i] <= j < high[i]` that row `i` may use; int64, shape `(frames of x,)`, never falling."""

    low: NDArray[np.int64]
    high: NDArray[np.int64]


@dataclass(frozen=True)
class WarpingPathFrames:
    """The best path and its accumulated cost.

    Attributes:
        path: int64, shape `(points, 2)`, from the first frame to the last.
        cost: sum over the path of weight times cosine distance.
    """

    path: NDArray[np.int64]
    cost: float


def dtw(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    *,
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
    subsequence: bool = False,
    corridor: Corridor | None = None,
) -> WarpingPathFrames:
    """Find the warping path of least cost.

    Args:
        x, y: unit columns, shapes `(d, n)` and `(d, m)`.
        weights: of the steps (1, 1), (1, 0), (0, 1).
        subsequence: all of x against the best part of y.
        corridor: cells that may be used; all when None.

    Raises:
        FeatureError: shapes do not fit, a side is empty, values are not finite, or no path stays inside
            the corridor.
    """
    _validate(x, y)
    n, m = x.shape[1], y.shape[1]
    if corridor is None:
        corridor = Corridor(np.zeros(n, np.int64), np.full(n, m, np.int64))
    _validate_corridor(corridor, n, m)
    widest = int((corridor.high - corridor.low).max())
    pointers = np.zeros((n, (widest + 3) // 4), np.uint8)
    last = np.empty(m, np.float64)
    rows = np.ascontiguousarray(x.T, np.float32)
    columns = np.ascontiguousarray(y, np.float32)
    accumulate(rows, columns, corridor.low, corridor.high, np.asarray(weights, np.float64), subsequence, pointers, last)
    end = int(np.argmin(last)) if subsequence else m - 1
    if not np.isfinite(last[end]):
        raise FeatureError("No warping path stays inside the corridor.")
    path = np.empty((n + m, 2), np.int64)
    first = trace_back(pointers, corridor.low, end, path)
    return WarpingPathFrames(path[first:].copy(), float(last[end]))


def corridor_around(path: NDArray[np.int64], scale: int, radius: int, n: int, m: int) -> Corridor:
    """Corridor at a finer resolution around a path found at a coarser one.

    Args:
        path: coarse path, shape `(points, 2)`.
        scale: fine frames a coarse frame.
        radius: how far the corridor reaches on either side and in either direction, in fine frames.
        n, m: fine frames of x and of y.
    """
    rows, first = np.unique(path[:, 0], return_index=True)
    lowest = path[first, 1]
    highest = path[np.append(first[1:], len(path)) - 1, 1]
    at = np.arange(n)
    low = np.interp(at - radius, rows * scale, lowest * scale) - radius
    high = np.interp(at + radius, rows * scale, (highest + 1) * scale) + radius
    low = np.clip(np.floor(low), 0, m - 1).astype(np.int64)
    high = np.clip(np.ceil(high), 1, m).astype(np.int64)
    low[0], high[-1] = 0, m
    return Corridor(np.maximum.accumulate(low), np.maximum.accumulate(high))


def _validate(x: NDArray[np.float32], y: NDArray[np.float32]) -> None:
    for name, features in (("x", x), ("y", y)):
        if features.ndim != 2 or not features.shape[1]:
            raise FeatureError(
                f"The '{name}' parameter of dtw must have shape (dims, frames) with at least one frame. "
                f"Got shape {features.shape} instead."
            )
        if not np.isfinite(features).all():
            raise FeatureError(f"The '{name}' parameter of dtw must be finite. Got NaN or infinity instead.")
    if x.shape[0] != y.shape[0]:
        raise FeatureError(
            f"The two sequences must have the same dimension. Got {x.shape[0]} and {y.shape[0]}; are they transposed?"
        )


def _validate_corridor(corridor: Corridor, n: int, m: int) -> None:
    low, high = corridor.low, corridor.high
    if low.shape != (n,) or high.shape != (n,):
        raise FeatureError(f"The corridor must have one row for each of the {n} frames of x.")
    if (low < 0).any() or (high > m).any() or (low >= high).any():
        raise FeatureError(f"Every row of the corridor must hold columns within 0..{m}.")
    if (np.diff(low) < 0).any() or (np.diff(high) < 0).any() or (low[1:] > high[:-1]).any():
        raise FeatureError("The corridor's limits must never fall, and each row must touch the next.")
