"""Numba kernels of subsequence dynamic time warping: arrays in, arrays out, no validation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_SILENT = 1e-6


@njit(cache=True, nogil=True)
def _row(
    costs: Any, costs_before: Any, one: Any, two: Any, one_start: Any, two_start: Any, total: Any, start: Any
) -> None:
    """Fill a row from the two before it, all from the first column on; the first is not filled.

    Whatever a step begins with is read before it is chosen: only so do compilers fill several cells at once.
    """
    half = np.float32(0.5)
    for k in range(len(costs) - 1):
        both, recording_ahead, query_ahead = one_start[k + 1], one_start[k], two_start[k + 1]
        value = one[k + 1] + costs[k + 1]
        other = one[k] + half * (costs[k] + costs[k + 1])
        begun = recording_ahead if other < value else both
        value = other if other < value else value
        other = two[k + 1] + costs_before[k + 1] + costs[k + 1]
        start[k] = query_ahead if other < value else begun
        total[k] = other if other < value else value


@njit(cache=True, nogil=True)
def sweep(costs: Any, totals: Any, starts: Any) -> int:
    """Accumulate the costs of a query laid along any part of a recording.

    To cell `(i, j)` a path comes by one of three steps, each of which charges every frame of the query once:

        (1, 1)   costs[i, j]
        (1, 2)   the mean of costs[i, j - 1] and costs[i, j]
        (2, 1)   costs[i - 1, j] + costs[i, j]

    so that what is accumulated is the query's length times a mean, at any tempo between half and double. No step
    stays in a row, so rows are filled one after the other by loops over contiguous slices. The steps are those of
    Müller, Fundamentals of Music Processing (2015), section 7.2.3.

    Args:
        costs: float32 `(n, m)`, of frame i of the query and frame j of the recording; neither is none.
        totals: float32 `(3, m + 2)`, working space; keeps the last three rows, column j at `j + 2`.
        starts: int32 `(3, m + 2)`, working space; the column where each cell's best path begins.

    Returns:
        the row of `totals` and `starts` that holds the last frame of the query; infinity where no path ends.
    """
    n, m = costs.shape
    infinity = np.float32(np.inf)
    totals[:] = infinity
    starts[:] = 0
    for j in range(m):
        totals[0, j + 2] = costs[0, j]
        starts[0, j + 2] = j
    for i in range(1, n):
        here, one, two = i % 3, (i - 1) % 3, (i - 2) % 3
        totals[here, 2] = infinity
        _row(
            costs[i],
            costs[i - 1],
            totals[one, 1:],
            totals[two, 1:],
            starts[one, 1:],
            starts[two, 1:],
            totals[here, 3:],
            starts[here, 3:],
        )
    return (n - 1) % 3


@njit(cache=True, nogil=True)
def follow(costs: Any, charges: Any, columns: Any) -> bool:
    """The best path of a query laid along any part of a recording, by the steps of `sweep`.

    Args:
        costs: float32 `(n, m)`, of frame i of the query and frame j of the recording; neither is none.
        charges: float32 `(n,)`, filled: what each frame of the query is charged; in sum what `sweep` accumulates.
        columns: float32 `(n,)`, filled: where in the recording it lies, between two frames where a step skips one.

    Returns:
        whether there is a path; if not, nothing is filled.
    """
    n, m = costs.shape
    infinity, half = np.float32(np.inf), np.float32(0.5)
    totals = np.full((n, m + 2), infinity, np.float32)
    steps = np.zeros((n, m), np.int8)
    totals[0, 2:] = costs[0]
    for i in range(1, n):
        for j in range(m):
            value, step = totals[i - 1, j + 1] + costs[i, j], 0
            if j > 0:
                other = totals[i - 1, j] + half * (costs[i, j - 1] + costs[i, j])
                if other < value:
                    value, step = other, 1
            if i > 1:
                other = totals[i - 2, j + 1] + costs[i - 1, j] + costs[i, j]
                if other < value:
                    value, step = other, 2
            totals[i, j + 2], steps[i, j] = value, step
    i, j = n - 1, int(np.argmin(totals[n - 1, 2:]))
    if not np.isfinite(totals[i, j + 2]):
        return False
    while i > 0:
        columns[i], charges[i] = j, costs[i, j]
        if steps[i, j] == 1:
            columns[i], charges[i] = j - half, half * (costs[i, j - 1] + costs[i, j])
            j -= 1
        elif steps[i, j] == 2:
            i -= 1
            columns[i], charges[i] = j, costs[i, j]
        i, j = i - 1, j - 1
    columns[0], charges[0] = j, costs[0, j]
    return True


@njit(cache=True, nogil=True)
def sweep_each(costs: Any, bounds: Any, best: Any, starts: Any, ends: Any) -> None:
    """The least that is accumulated in each of several recordings, see `sweep`, and where that path lies.

    Args:
        costs: float32 `(n, m)`, the recordings side by side.
        bounds: int64 `(recordings + 1,)`, the column where each begins and the last ends; each has some.
        best: float32 `(recordings,)`, filled; infinity where no path ends.
        starts, ends: int64 `(recordings,)`, filled: the columns of that path's beginning and end in its recording.
    """
    longest = 0
    for number in range(len(best)):
        longest = max(longest, bounds[number + 1] - bounds[number])
    totals, begun = np.empty((3, longest + 2), np.float32), np.empty((3, longest + 2), np.int32)
    for number in range(len(best)):
        low, high = bounds[number], bounds[number + 1]
        last = sweep(costs[:, low:high], totals[:, : high - low + 2], begun[:, : high - low + 2])
        end = np.argmin(totals[last, 2 : high - low + 2])
        best[number], starts[number], ends[number] = totals[last, end + 2], begun[last, end + 2], end


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def halve_each(frames: Any, bounds: Any, out: Any) -> None:
    """Every second frame of several recordings, smoothed with its neighbours and scaled to unit length.

    Args:
        frames: `(n, dimensions)`, the recordings one after the other, of any type and scale.
        bounds: int64 `(recordings + 1,)`, where each begins and the last ends.
        out: float32 `(frames, dimensions)`, filled: of each recording the half, rounded up; zero where nothing is.
    """
    two = np.float32(2.0)
    row = 0
    for number in range(len(bounds) - 1):
        low, high = bounds[number], bounds[number + 1]
        for middle in range(low, high, 2):
            line = out[row]
            for d in range(len(line)):
                line[d] = two * np.float32(frames[middle, d])
            if middle > low:
                for d in range(len(line)):
                    line[d] += np.float32(frames[middle - 1, d])
            if middle + 1 < high:
                for d in range(len(line)):
                    line[d] += np.float32(frames[middle + 1, d])
            power = np.float32(0.0)
            for d in range(len(line)):
                power += line[d] * line[d]
            length = np.sqrt(power)
            scale = np.float32(1.0) / length if length > _SILENT else np.float32(0.0)
            for d in range(len(line)):
                line[d] *= scale
            row += 1
