"""Numba kernels of the three-state alignment: arrays in, arrays out, no validation.

Cell `(i, j)` means that the first i frames of x and the first j of y are done with. A byte a cell holds where
each state was reached from: bits 0-2 the match, bit 3 x alone, bits 4-5 y alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from alignment._dtw_kernels import cost_row

MATCH, ONLY_X, ONLY_Y = 0, 1, 2
"""States; also where a match's diagonal step came from."""
UP, LEFT = 3, 4
"""Steps inside a match in which only x, only y advances."""


@njit(cache=True, nogil=True)
def accumulate_states(
    x: Any,
    y: Any,
    level_x: Any,
    level_y: Any,
    low: Any,
    high: Any,
    weights: Any,
    halt: float,
    gap: float,
    opening: float,
    start_edge: float,
    end_edge: float,
    pointers: Any,
) -> Any:
    """Fill the pointers; returns the costs of the three states at the last corner.

    Args:
        x: float32 `(n, d)`, frames in rows.
        y: float32 `(d, m)`, frames in columns.
        level_x, level_y: float64 `(n,)`, `(m,)`; a cell's cosine distance is divided by the sum of both.
        low, high: int64 `(n,)`; a frame of x matches only columns within.
        weights: float64 `(3,)`, of the steps (1, 1), (1, 0), (0, 1) inside a match.
        halt: cost of a step inside a match in which one side stands still, in addition.
        gap: cost of a frame that stands alone.
        opening: cost of the first such frame between two matches, in addition.
        start_edge, end_edge: the same before the first and after the last match.
        pointers: uint8 `(n + 1, m + 1)`.
    """
    n, m = x.shape[0], y.shape[1]
    match_above, x_above, y_above = np.full(m + 1, np.inf), np.full(m + 1, np.inf), np.full(m + 1, np.inf)
    match_here, x_here, y_here = np.full(m + 1, np.inf), np.full(m + 1, np.inf), np.full(m + 1, np.inf)
    costs = np.empty(m, np.float32)
    match_above[0] = 0.0
    for j in range(1, m + 1):
        y_above[j] = start_edge + j * gap
        pointers[0, j] = (ONLY_Y if j > 1 else MATCH) << 4
    for i in range(1, n + 1):
        cost_row(x[i - 1], y, 0, m, costs)
        level = level_x[i - 1]
        open_y = end_edge if i == n else opening
        first, end = low[i - 1], high[i - 1]
        match_here[0] = np.inf
        y_here[0] = np.inf
        x_here[0] = start_edge + i * gap
        pointers[i, 0] = 8 if i > 1 else 0
        for j in range(1, m + 1):
            cost = max(np.float64(costs[j - 1]), 0.0) / (level + level_y[j - 1])
            best, step = match_above[j - 1], MATCH
            if x_above[j - 1] < best:
                best, step = x_above[j - 1], ONLY_X
            if y_above[j - 1] < best:
                best, step = y_above[j - 1], ONLY_Y
            best += weights[0] * cost
            value = match_above[j] + weights[1] * cost + halt
            if value < best:
                best, step = value, UP
            value = match_here[j - 1] + weights[2] * cost + halt
            if value < best:
                best, step = value, LEFT
            match_here[j] = best if first < j <= end else np.inf
            opened = match_above[j] + (end_edge if j == m else opening)
            if x_above[j] <= opened:
                x_here[j] = x_above[j] + gap
                step |= 8
            else:
                x_here[j] = opened + gap
            best, source = match_here[j - 1] + open_y, MATCH
            if x_here[j - 1] < best:
                best, source = x_here[j - 1], ONLY_X
            if y_here[j - 1] <= best:
                best, source = y_here[j - 1], ONLY_Y
            y_here[j] = best + gap
            pointers[i, j] = step | source << 4
        match_above, match_here = match_here, match_above
        x_above, x_here = x_here, x_above
        y_above, y_here = y_here, y_above
    return np.array([match_above[m], x_above[m], y_above[m]])


@njit(cache=True, nogil=True)
def trace_states(pointers: Any, state: int, path: Any) -> int:
    """Follow the pointers from the last corner; fills `path` from its end with rows (i, j, state).

    A row of state MATCH means that frames i and j correspond; of ONLY_X (ONLY_Y) that frame i (j) stands
    alone. Returns the first row that is filled.
    """
    i, j = pointers.shape[0] - 1, pointers.shape[1] - 1
    k = path.shape[0]
    while i > 0 or j > 0:
        k -= 1
        path[k, 0], path[k, 1], path[k, 2] = i - 1, j - 1, state
        pointer = pointers[i, j]
        if state == MATCH:
            step = pointer & 7
            if step == UP:
                i -= 1
            elif step == LEFT:
                j -= 1
            else:
                i, j, state = i - 1, j - 1, step
        elif state == ONLY_X:
            if not pointer & 8:
                state = MATCH
            i -= 1
        else:
            state = pointer >> 4 & 3
            j -= 1
    return k
