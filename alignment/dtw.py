"""Exact dynamic time warping of feature sequences, full or subsequence, whole or inside a corridor.

Features are float32 of shape `(dims, frames)` whose columns have unit length; the cost of two frames is
their cosine distance, in [0, 2]. Paths are integer arrays of shape `(points, 2)`, frames of x and of y.
Müller, Fundamentals of Music Processing (2015), sections 3.2 and 7.2.2.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from alignment._dtw_kernels import accumulate_from_start, accumulate_to_end, trace_back, trace_forward
from alignment.errors import FeatureError

__all__ = ["SYMMETRIC_WEIGHTS", "Corridor", "Steps", "WarpingPathFrames", "antidiagonals", "corridor_around", "dtw"]

SYMMETRIC_WEIGHTS = (2.0, 1.5, 1.5)
"""Weights of the steps (both, x alone, y alone) that favour neither staircases nor the diagonal much."""


class Steps(Enum):
    """How far x and y advance from a cell to the next, in the order of their weights."""

    SINGLE = ((1, 1), (1, 0), (0, 1))
    """Every frame of both sides is on the path."""
    HALF_TO_DOUBLE = ((1, 1), (1, 2), (2, 1))
    """The slope stays within half and double; a side that takes two frames leaves one of them out."""


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
    steps: Steps = Steps.SINGLE,
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
    subsequence: bool = False,
    corridor: Corridor | None = None,
    threads: int = 1,
) -> WarpingPathFrames:
    """Find the warping path of least cost.

    Takes a quarter of a byte a cell beside the features. Two threads sweep from both ends and meet in the
    middle (the idea of Hirschberg 1975, as Tralie and Dempsey, ISMIR 2020, use it to save memory).

    Args:
        x, y: unit columns, shapes `(d, n)` and `(d, m)`.
        steps: allowed steps.
        weights: of the steps.
        subsequence: all of x against the best part of y.
        corridor: cells that may be used; all when None.
        threads: 1 or 2.

    Raises:
        FeatureError: shapes do not fit, a side is empty, values are not finite, or no path stays inside
            the corridor.
    """
    _validate(x, y)
    if threads not in (1, 2):
        raise FeatureError(f"The 'threads' parameter of dtw must be 1 or 2. Got {threads} instead.")
    n, m = x.shape[1], y.shape[1]
    if corridor is None:
        corridor = Corridor(np.zeros(n, np.int64), np.full(n, m, np.int64))
    _validate_corridor(corridor, n, m)
    sweep = _Sweep(x, y, corridor, steps, weights, subsequence)
    found = sweep.from_start() if threads == 1 or n + m < 4 else sweep.from_both_ends()
    if found is None:
        raise FeatureError("No warping path stays inside the corridor and keeps to the steps.")
    return found


class _Sweep:
    """What both directions share: features laid out for antidiagonals, and room for the pointers."""

    def __init__(
        self,
        x: NDArray[np.float32],
        y: NDArray[np.float32],
        corridor: Corridor,
        steps: Steps,
        weights: tuple[float, float, float],
        subsequence: bool,
    ):
        self.n, self.m = x.shape[1], y.shape[1]
        self.first, self.end = antidiagonals(corridor, self.n, self.m)
        self.offsets = np.concatenate([[0], np.cumsum((self.end - self.first + 3) // 4)])
        self.pointers = np.empty(self.offsets[-1], np.uint8)
        self.steps = np.array(steps.value, np.int64)
        self.weights = np.asarray(weights, np.float32)
        self.subsequence = subsequence
        self.layout = (
            np.ascontiguousarray(x, np.float32),
            np.ascontiguousarray(y[:, ::-1], np.float32),
            self.first,
            self.end,
            self.offsets,
            self.steps,
            self.weights,
            subsequence,
        )
        self.last = np.full(self.m, np.inf)

    def from_start(self) -> WarpingPathFrames | None:
        accumulate_from_start(*self.layout, self.n + self.m - 1, self.pointers, self._ring(), self.last)
        column = int(np.argmin(self.last)) if self.subsequence else self.m - 1
        if not np.isfinite(self.last[column]):
            return None
        return WarpingPathFrames(self._traced_back(self.n - 1, column), float(self.last[column]))

    def from_both_ends(self) -> WarpingPathFrames | None:
        # Antidiagonals before `middle` are swept from the start, the others from the end.
        middle = int(np.searchsorted(self.offsets, self.offsets[-1] // 2))
        middle = min(max(middle, 2), self.n + self.m - 2)
        ring, rings, opening = self._ring(), np.stack([self._ring()] * 3), np.full(self.m, np.inf)
        with ThreadPoolExecutor(1) as pool:
            to_end = pool.submit(lambda: accumulate_to_end(*self.layout, middle, self.pointers, rings, opening))
            taken_off = accumulate_from_start(*self.layout, middle, self.pointers, ring, self.last)
            taken_off += to_end.result()
        best, i, j, down, right = np.inf, 0, 0, 0, 0
        for step, (rows_on, columns_on) in enumerate(self.steps.tolist()):
            for before in range(max(0, middle - rows_on - columns_on), middle):
                rows = np.arange(self.first[before], self.end[before])
                if not len(rows):
                    continue
                totals = (
                    ring[before & 3, rows + 2] + rings[step, (before + rows_on + columns_on) & 3, rows + rows_on + 2]
                )
                at = int(np.argmin(totals))
                if totals[at] + taken_off < best:
                    best, down, right = float(totals[at]) + taken_off, rows_on, columns_on
                    i, j = int(rows[at]), before - int(rows[at])
        halves = min(self.last.min(), opening.min()) if self.subsequence else np.inf
        if not np.isfinite(min(best, halves)):
            return None
        if halves <= best:  # all in one half
            if self.last.min() <= opening.min():
                column = int(np.argmin(self.last))
                return WarpingPathFrames(self._traced_back(self.n - 1, column), float(self.last[column]))
            column = int(np.argmin(opening))
            return WarpingPathFrames(self._traced_forward(0, column), float(opening[column]))
        path = np.concatenate([self._traced_back(i, j), self._traced_forward(i + down, j + right)])
        return WarpingPathFrames(path, best)

    def _ring(self) -> NDArray[np.float32]:
        return np.full((4, self.n + 4), np.inf, np.float32)

    def _traced_back(self, i: int, j: int) -> NDArray[np.int64]:
        path = np.empty((self.n + self.m, 2), np.int64)
        return path[trace_back(self.pointers, self.offsets, self.first, self.steps, i, j, path) :].copy()

    def _traced_forward(self, i: int, j: int) -> NDArray[np.int64]:
        path = np.empty((self.n + self.m, 2), np.int64)
        return path[: trace_forward(self.pointers, self.offsets, self.first, self.steps, i, j, path)].copy()


def antidiagonals(corridor: Corridor, n: int, m: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows `first <= i < end` of the corridor on each antidiagonal, shape `(n + m - 1,)` each."""
    rows = np.arange(n)
    along = np.arange(n + m - 1)
    first = np.searchsorted(rows + corridor.high, along, side="right")
    end = np.searchsorted(rows + corridor.low, along, side="right")
    return first, end


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
