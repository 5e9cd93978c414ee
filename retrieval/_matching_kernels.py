"""Numba kernel of subsequence dynamic time warping: arrays in, arrays out, no validation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _row(
    cost: Any,
    left: Any,
    above: Any,
    both: Any,
    recording_ahead: Any,
    query_ahead: Any,
    both_start: Any,
    recording_ahead_start: Any,
    query_ahead_start: Any,
    total: Any,
    start: Any,
) -> None:
    """Fill a row from the two before it; all slices are shifted so that entry k belongs to one cell."""
    half = np.float32(0.5)
    for k in range(len(cost)):
        best, begun = both[k] + cost[k], both_start[k]
        value = recording_ahead[k] + half * (left[k] + cost[k])
        begun = recording_ahead_start[k] if value < best else begun
        best = value if value < best else best
        value = query_ahead[k] + above[k] + cost[k]
        begun = query_ahead_start[k] if value < best else begun
        best = value if value < best else best
        total[k] = best
        start[k] = begun


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
            costs[i, 1:],
            costs[i],
            costs[i - 1, 1:],
            totals[one, 2:],
            totals[one, 1:],
            totals[two, 2:],
            starts[one, 2:],
            starts[one, 1:],
            starts[two, 2:],
            totals[here, 3:],
            starts[here, 3:],
        )
    return (n - 1) % 3
