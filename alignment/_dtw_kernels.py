"""Numba kernels of dynamic time warping: arrays in, arrays out, no validation.

The cost of a cell is `1 - x[:, i] . y[:, j]`, never below zero, computed as the cell is reached. Cells are
swept by antidiagonals `i + j`, whose cells do not depend on each other, so that all inner loops run over
contiguous slices; y is stored backwards to that end. Accumulated costs are float32, kept small by taking
the least of them off now and then. Back-pointers take two bits a cell: an antidiagonal of `count` cells has
`quarter = ceil(count / 4)` bytes, and byte k holds the cells k, k + quarter, k + 2 quarter, k + 3 quarter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

START = 3
"""Pointer of a cell where a path begins; 0, 1 and 2 are the steps in the order of the table of steps."""
_GUARD = 2
_REBASE_EVERY = 64


@njit(cache=True, nogil=True)
def cost_row(row: Any, y: Any, low: int, high: int, out: Any) -> None:
    """Cosine distances of one frame to the columns `low..high` of y (not backwards), to `out[: high - low]`."""
    width = high - low
    for j in range(width):
        out[j] = np.float32(1.0)
    for d in range(row.shape[0]):
        scale = row[d]
        if scale != 0.0:
            line = y[d, low:high]
            for j in range(width):
                out[j] -= scale * line[j]


@njit(cache=True, nogil=True, fastmath={"contract"})
def _costs(x: Any, backwards: Any, first: int, shift: int, count: int, out: Any) -> None:
    """Costs of the cells of an antidiagonal from row `first` on."""
    for k in range(count):
        out[k] = np.float32(1.0)
    dims = x.shape[0]
    d = 0
    while d + 4 <= dims:
        x0, x1, x2, x3 = x[d, first:], x[d + 1, first:], x[d + 2, first:], x[d + 3, first:]
        y0, y1, y2, y3 = (
            backwards[d, shift:],
            backwards[d + 1, shift:],
            backwards[d + 2, shift:],
            backwards[d + 3, shift:],
        )
        for k in range(count):
            out[k] -= x0[k] * y0[k] + x1[k] * y1[k] + x2[k] * y2[k] + x3[k] * y3[k]
        d += 4
    while d < dims:
        x0, y0 = x[d, first:], backwards[d, shift:]
        for k in range(count):
            out[k] -= x0[k] * y0[k]
        d += 1


@njit(cache=True, nogil=True)
def _relax(a: Any, b: Any, c: Any, costs: Any, weights: Any, count: int, out: Any, steps: Any) -> None:
    """Least accumulated cost of each cell, from the three cells before it, and the step that gives it."""
    zero = np.float32(0.0)
    w0, w1, w2 = weights[0], weights[1], weights[2]
    for k in range(count):
        cost = costs[k] if costs[k] > zero else zero
        best, step = a[k] + w0 * cost, np.int32(0)
        value = b[k] + w1 * cost
        step = np.int32(1) if value < best else step
        best = value if value < best else best
        value = c[k] + w2 * cost
        step = np.int32(2) if value < best else step
        best = value if value < best else best
        out[k] = best
        steps[k] = step


@njit(cache=True, nogil=True)
def _relax_to_end(a: Any, b: Any, c: Any, count: int, out: Any, steps: Any) -> None:
    """As `_relax`, for costs to the end, which hold the cost of the cell that each step leads to already."""
    for k in range(count):
        best, step = a[k], np.int32(0)
        step = np.int32(1) if b[k] < best else step
        best = b[k] if b[k] < best else best
        step = np.int32(2) if c[k] < best else step
        best = c[k] if c[k] < best else best
        out[k] = best
        steps[k] = step


@njit(cache=True, nogil=True)
def _weighted(total: Any, costs: Any, weight: Any, count: int, out: Any) -> None:
    zero = np.float32(0.0)
    for k in range(count):
        out[k] = total[k] + weight * (costs[k] if costs[k] > zero else zero)


@njit(cache=True, nogil=True)
def _pack(steps: Any, count: int, out: Any) -> None:
    quarter = (count + 3) // 4
    s0, s1, s2, s3 = steps[:quarter], steps[quarter:], steps[2 * quarter :], steps[3 * quarter :]
    for k in range(quarter):
        out[k] = np.uint8(s0[k] | (s1[k] << 2) | (s2[k] << 4) | (s3[k] << 6))


@njit(cache=True, nogil=True)
def accumulate_from_start(
    x: Any,
    backwards: Any,
    first: Any,
    end: Any,
    offsets: Any,
    steps: Any,
    weights: Any,
    subsequence: bool,
    until: int,
    pointers: Any,
    ring: Any,
    last: Any,
) -> float:
    """Sweep the antidiagonals before `until`: fill their back-pointers, and the last row's accumulated costs.

    Args:
        x: float32 `(d, n)`.
        backwards: float32 `(d, m)`, y with its last frame first.
        first, end: int64 `(n + m - 1,)`; the antidiagonal holds the rows `first <= i < end`. Both rise by at
            most one from each to the next.
        offsets: int64 `(n + m,)`, where each antidiagonal's pointers begin.
        steps: int64 `(3, 2)`, how far x and y advance, at most 2.
        weights: float32 `(3,)`, by which a cell's cost is multiplied for each step.
        subsequence: a path may begin at any column of the first row.
        until: number of antidiagonals.
        pointers: uint8 `(offsets[-1],)`.
        ring: float32 `(4, n + 4)`, infinity; keeps the costs of the last antidiagonals, row i at `i + 2`.
        last: float64 `(m,)`, infinity; receives the last row where it is reached.

    Returns:
        what was taken off the costs in `ring`.
    """
    n, m = x.shape[1], backwards.shape[1]
    infinity = np.float32(np.inf)
    widest = (end - first).max()
    costs = np.empty(widest, np.float32)
    chosen = np.zeros(2 * widest + 8, np.int32)
    lag = steps[:, 0] + steps[:, 1]
    taken_off = 0.0
    for d in range(until):
        top, bottom = first[d], end[d]
        count = bottom - top
        here = ring[d & 3]
        _costs(x, backwards, top, m - 1 - d + top, count, costs)
        at = top + _GUARD
        _relax(
            ring[(d - lag[0]) & 3, at - steps[0, 0] :],
            ring[(d - lag[1]) & 3, at - steps[1, 0] :],
            ring[(d - lag[2]) & 3, at - steps[2, 0] :],
            costs,
            weights,
            count,
            here[at:],
            chosen,
        )
        if count and top == 0 and (d == 0 or subsequence):
            here[_GUARD] = max(costs[0], np.float32(0.0)) - np.float32(taken_off)
            chosen[0] = START
        here[at - 1] = here[at - 2] = infinity
        here[at + count] = here[at + count + 1] = infinity
        chosen[count : count + 4] = 0
        _pack(chosen, count, pointers[offsets[d] : offsets[d + 1]])
        if count and bottom == n:
            last[d - n + 1] = here[n - 1 + _GUARD] + taken_off
        if d % _REBASE_EVERY == _REBASE_EVERY - 1:
            taken_off += _rebase(ring, here[at : at + count])
    return taken_off


@njit(cache=True, nogil=True)
def accumulate_to_end(
    x: Any,
    backwards: Any,
    first: Any,
    end: Any,
    offsets: Any,
    steps: Any,
    weights: Any,
    subsequence: bool,
    down_to: int,
    pointers: Any,
    rings: Any,
    opening: Any,
) -> float:
    """Sweep the antidiagonals from the last to `down_to`: least costs from each cell to the end.

    Pointers name the step by which the best path leaves a cell, `START` where it ends. Arguments as in
    `accumulate_from_start`, but for

    Args:
        subsequence: a path may end at any column of the last row.
        rings: float32 `(3, 4, n + 4)`, infinity; keeps, for each step, the cost to the end of what the step
            leads to, with that cell's own.
        opening: float64 `(m,)`, infinity; receives, for the first row, the cost of a path that begins there.

    Returns:
        what was taken off the costs in `rings`.
    """
    n, m = x.shape[1], backwards.shape[1]
    infinity = np.float32(np.inf)
    widest = (end - first).max()
    costs = np.empty(widest, np.float32)
    total = np.empty(widest, np.float32)
    chosen = np.zeros(2 * widest + 8, np.int32)
    lag = steps[:, 0] + steps[:, 1]
    taken_off = 0.0
    for d in range(n + m - 2, down_to - 1, -1):
        top, bottom = first[d], end[d]
        count = bottom - top
        _costs(x, backwards, top, m - 1 - d + top, count, costs)
        at = top + _GUARD
        _relax_to_end(
            rings[0, (d + lag[0]) & 3, at + steps[0, 0] :],
            rings[1, (d + lag[1]) & 3, at + steps[1, 0] :],
            rings[2, (d + lag[2]) & 3, at + steps[2, 0] :],
            count,
            total,
            chosen,
        )
        if count and bottom == n and (d == n + m - 2 or subsequence):
            total[count - 1] = -np.float32(taken_off)
            chosen[count - 1] = START
        if count and top == 0 and d < m:
            opening[d] = total[0] + max(costs[0], np.float32(0.0)) + taken_off
        for s in range(3):
            here = rings[s, d & 3]
            _weighted(total, costs, weights[s], count, here[at:])
            here[at - 1] = here[at - 2] = infinity
            here[at + count] = here[at + count + 1] = infinity
        chosen[count : count + 4] = 0
        _pack(chosen, count, pointers[offsets[d] : offsets[d + 1]])
        if d % _REBASE_EVERY == 0:
            taken_off += _rebase(rings, total[:count])
    return taken_off


@njit(cache=True, nogil=True)
def _rebase(ring: Any, here: Any) -> float:
    """Take the least of an antidiagonal's costs off all that are kept, so that float32 resolves them."""
    if not len(here):
        return 0.0
    least = here.min()
    if not np.isfinite(least):
        return 0.0
    ring -= least
    return float(least)


@njit(cache=True, nogil=True)
def _pointer(pointers: Any, offsets: Any, first: Any, i: int, j: int) -> int:
    quarter = offsets[i + j + 1] - offsets[i + j]
    place = i - first[i + j]
    return (pointers[offsets[i + j] + place % quarter] >> (2 * (place // quarter))) & 3


@njit(cache=True, nogil=True)
def trace_back(pointers: Any, offsets: Any, first: Any, steps: Any, i: int, j: int, path: Any) -> int:
    """Follow the pointers from cell `(i, j)` to the start; fills `path` from its end, returns its first row."""
    k = path.shape[0]
    while True:
        k -= 1
        path[k, 0] = i
        path[k, 1] = j
        step = _pointer(pointers, offsets, first, i, j)
        if step == START or k == 0:
            return k
        i -= steps[step, 0]
        j -= steps[step, 1]


@njit(cache=True, nogil=True)
def trace_forward(pointers: Any, offsets: Any, first: Any, steps: Any, i: int, j: int, path: Any) -> int:
    """Follow the pointers of `accumulate_to_end` from cell `(i, j)`; returns how many rows of `path` it fills."""
    k = 0
    while True:
        path[k, 0] = i
        path[k, 1] = j
        k += 1
        step = _pointer(pointers, offsets, first, i, j)
        if step == START or k == path.shape[0]:
            return k
        i += steps[step, 0]
        j += steps[step, 1]
