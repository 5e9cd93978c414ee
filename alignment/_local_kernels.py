"""Numba kernel of local alignment: arrays in, arrays out, no validation.

A byte a cell tells where the best chain that ends there came from: 0 nowhere (a path begins), 1 (i - 1, j - 1),
2 (i - 1, j - 2), 3 (i - 2, j - 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

NEW, DIAGONAL, TWO_COLUMNS, TWO_ROWS = 0, 1, 2, 3


@njit(cache=True, nogil=True)
def accumulate_chains(gains: Any, jump: float, pointers: Any, before: Any, ends: Any) -> float:
    """Fill in the best chains of paths; gives the score of the best.

    Args:
        gains: float32 `(n, m)`, what a cell adds to a path, positive where it speaks for one.
        jump: what the beginning of a path costs.
        pointers: uint8 `(n, m)`, to be filled.
        before: float32 `(n + 1,)`, to be filled: score of the best chain that lies in the rows before each.
        ends: int64 `(n + 1,)`, to be filled: column in which that chain ends if it ends in the row before, else -1.
    """
    n, m = gains.shape
    two_above = np.full(m, -np.inf, np.float32)
    above = np.full(m, -np.inf, np.float32)
    here = np.empty(m, np.float32)
    before[0] = 0.0
    ends[0] = -1
    for i in range(n):
        fresh = np.float32(before[i] - jump)
        best, column = before[i], -1
        for j in range(m):
            score, pointer = fresh, NEW
            if j > 0 and above[j - 1] > score:
                score, pointer = above[j - 1], DIAGONAL
            if j > 1 and above[j - 2] > score:
                score, pointer = above[j - 2], TWO_COLUMNS
            if j > 0 and two_above[j - 1] > score:
                score, pointer = two_above[j - 1], TWO_ROWS
            score += gains[i, j]
            here[j] = score
            pointers[i, j] = pointer
            if score > best:
                best, column = score, j
        before[i + 1] = best
        ends[i + 1] = column
        two_above, above, here = above, here, two_above
    return before[n]
