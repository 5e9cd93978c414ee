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


@njit(cache=True, nogil=True)
def score_chains(gains: Any, bounds: Any, jump: float, scores: Any) -> None:
    """Fill in the scores of the best chains with each of some sequences, in blocks of columns.

    Args:
        gains: float32 `(n, m)`, as in `accumulate_chains`; no path leaves its block.
        bounds: int64 `(blocks + 1,)`, where each block begins, and the last ends.
        jump: what the beginning of a path costs.
        scores: float32 `(blocks,)`, to be filled.
    """
    n = gains.shape[0]
    for block in range(len(scores)):
        first, end = bounds[block], bounds[block + 1]
        two_above = np.full(end - first + 2, -np.inf, np.float32)
        above = np.full(end - first + 2, -np.inf, np.float32)
        here = np.full(end - first + 2, -np.inf, np.float32)
        best = np.float32(0.0)
        for i in range(n):
            _next_row(gains[i, first:end], np.float32(best - jump), above, two_above, here)
            best = max(best, _largest(here))
            two_above, above, here = above, here, two_above
        scores[block] = best


@njit(cache=True, nogil=True)
def _next_row(gains: Any, fresh: float, above: Any, two_above: Any, here: Any) -> None:
    """Best chains that end in the cells of a row; the other rows begin with a margin of two columns."""
    diagonal, two_rows, out = above[1:], two_above[1:], here[2:]
    for j in range(len(gains)):
        one = diagonal[j] if diagonal[j] > fresh else fresh
        other = above[j] if above[j] > two_rows[j] else two_rows[j]
        out[j] = (one if one > other else other) + gains[j]


@njit(cache=True, nogil=True)
def _largest(values: Any) -> float:
    """Four at a time: one alone waits for the one before."""
    a = b = c = d = values[0]
    for j in range(len(values) // 4):
        a, b = max(a, values[4 * j]), max(b, values[4 * j + 1])
        c, d = max(c, values[4 * j + 2]), max(d, values[4 * j + 3])
    for j in range(len(values) // 4 * 4, len(values)):
        a = max(a, values[j])
    return max(max(a, b), max(c, d))


@njit(cache=True, nogil=True)
def accumulate_turns(
    gains: Any, blocks: Any, groups: Any, costs: Any, pointers: Any, entered: Any, inside_ends: Any, ends: Any
) -> float:
    """Fill in the best successions of turns; gives the score of the best.

    Args:
        gains: float32 `(n, m)`, what a cell adds to a path, positive where it speaks for one.
        blocks: int64 `(m,)`, number of the sequence that a column is of; no path leaves its block.
        groups: int64 `(m,)`, number of the group that a column is of.
        costs: float32 `(3,)`: of the beginning of a path, of the beginning of a turn, of a row in a turn between paths.
        pointers: uint8 `(n, m)`, to be filled, as in `accumulate_chains`.
        entered: uint8 `(n, groups)`, to be filled: 1 where a path that begins at this row begins a turn of the group.
        inside_ends: int64 `(n + 1, groups)`, to be filled: column in which the best succession that lies in the rows
            before, and is in a turn of the group, ends if it ends in the row before, else -1.
        ends: int64 `(n + 1,)`, to be filled: the same of the best succession that is in no turn or at the end of one.
    """
    n, m = gains.shape
    jump, switch, idle = costs[0], costs[1], costs[2]
    lowest = np.float32(-np.inf)
    two_above = np.full(m, lowest, np.float32)
    above = np.full(m, lowest, np.float32)
    here = np.empty(m, np.float32)
    inside = np.full(entered.shape[1], lowest, np.float32)
    fresh = np.empty(entered.shape[1], np.float32)
    outside = np.float32(0.0)
    ends[0] = -1
    for i in range(n):
        for group in range(len(inside)):
            entered[i, group] = outside - switch >= inside[group]
            fresh[group] = max(outside - switch, inside[group]) - jump
            inside[group] -= idle
            inside_ends[i + 1, group] = -1
        ends[i + 1] = -1
        for j in range(m):
            group = groups[j]
            score, pointer = fresh[group], NEW
            if j > 0 and blocks[j - 1] == blocks[j]:
                if above[j - 1] > score:
                    score, pointer = above[j - 1], DIAGONAL
                if j > 1 and blocks[j - 2] == blocks[j] and above[j - 2] > score:
                    score, pointer = above[j - 2], TWO_COLUMNS
                if two_above[j - 1] > score:
                    score, pointer = two_above[j - 1], TWO_ROWS
            score += gains[i, j]
            here[j] = score
            pointers[i, j] = pointer
            if score > inside[group]:
                inside[group] = score
                inside_ends[i + 1, group] = j
            if score > outside:
                outside = score
                ends[i + 1] = j
        two_above, above, here = above, here, two_above
    return float(outside)
