"""Numba kernels of dynamic time warping: arrays in, arrays out, no validation.

The cost of a cell is `1 - x[i] . y[:, j]`, computed as the cell is reached. Row `i` holds the columns
`low[i] <= j < high[i]`. Back-pointers take two bits a cell: four cells share a byte, counted from the
first column of their row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

DIAGONAL, DOWN, RIGHT, START = 0, 1, 2, 3
"""Where a cell was reached from: both sides advance, only x does, only y does, nowhere."""


@njit(cache=True, nogil=True)
def cost_row(row: Any, y: Any, low: int, high: int, out: Any) -> None:
    """Cosine distances of one frame to the columns `low..high` of y, written to `out[: high - low]`."""
    width = high - low
    for j in range(width):
        out[j] = np.float32(1.0)
    for d in range(row.shape[0]):
        scale = row[d]
        if scale != 0.0:
            line = y[d, low:high]
            for j in range(width):
                out[j] -= scale * line[j]


@njit(cache=True, nogil=True)
def accumulate(x: Any, y: Any, low: Any, high: Any, weights: Any, subsequence: bool, pointers: Any, last: Any) -> None:
    """Fill back-pointers and the accumulated costs of the last row.

    Args:
        x: float32 `(n, d)`, frames in rows.
        y: float32 `(d, m)`, frames in columns.
        low, high: int64 `(n,)`, the columns of each row; both never fall from row to row.
        weights: float64 `(3,)`, by which a cell's cost is multiplied for DIAGONAL, DOWN, RIGHT.
        subsequence: the path may begin at any column of the first row.
        pointers: uint8 `(n, ceil(widest / 4))`, zeros.
        last: float64 `(m,)`, receives the last row, infinity outside it.
    """
    n, m = x.shape[0], y.shape[1]
    above = np.full(m + 1, np.inf)
    here = np.full(m + 1, np.inf)
    costs = np.empty(m, np.float32)
    diagonal, down, right = weights[0], weights[1], weights[2]
    for i in range(n):
        first, end = low[i], high[i]
        cost_row(x[i], y, first, end, costs)
        here[first] = np.inf
        for j in range(first, end):
            cost = max(np.float64(costs[j - first]), 0.0)
            if i == 0 and (subsequence or j == 0):
                best, step = cost, START
            else:
                best, step = above[j] + diagonal * cost, DIAGONAL
                from_above = above[j + 1] + down * cost
                if from_above < best:
                    best, step = from_above, DOWN
                from_left = here[j] + right * cost
                if from_left < best:
                    best, step = from_left, RIGHT
            here[j + 1] = best
            place = j - first
            pointers[i, place >> 2] |= np.uint8(step << ((place & 3) * 2))
        if i:
            above[low[i - 1] : first + 1] = np.inf
        if i + 1 < n:
            here[end + 1 : high[i + 1] + 1] = np.inf
        above, here = here, above
    last[:] = np.inf
    last[low[n - 1] : high[n - 1]] = above[low[n - 1] + 1 : high[n - 1] + 1]


@njit(cache=True, nogil=True)
def trace_back(pointers: Any, low: Any, end: int, path: Any) -> int:
    """Follow the pointers from the last row's column `end`; fills `path` from its end, returns its first row."""
    i, j = pointers.shape[0] - 1, end
    k = path.shape[0]
    while True:
        k -= 1
        path[k, 0] = i
        path[k, 1] = j
        place = j - low[i]
        step = (pointers[i, place >> 2] >> ((place & 3) * 2)) & 3
        if step == START or k == 0:
            return k
        if step != RIGHT:
            i -= 1
        if step != DOWN:
            j -= 1
