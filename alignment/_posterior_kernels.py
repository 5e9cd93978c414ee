"""Numba kernels of the forward-backward pass over warping paths: arrays in, arrays out, no validation.

As in `alignment._dtw_kernels`, cells are swept by antidiagonals, whose cells do not depend on each other; exponentials
and logarithms are series of a few terms, so that all inner loops take several cells at once.
"""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
from numba import njit

_GUARD = 2
_NEVER = -1e30
_NEGLIGIBLE = -40.0
_MIDDLE = 1.75
_LOG_MIDDLE = log(_MIDDLE)


@njit(cache=True, nogil=True, fastmath={"contract"})
def _exponential(x: float) -> float:
    """Of `x <= 0`, to nine digits: the series for the 1024th part, and ten squares."""
    t = max(x, _NEGLIGIBLE) * (1.0 / 1024.0)
    e = 1.0 + t * (1.0 + t * (1.0 / 2.0 + t * (1.0 / 6.0 + t * (1.0 / 24.0))))
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    return e


@njit(cache=True, nogil=True, fastmath={"contract"})
def _logarithm(x: float) -> float:
    """Of `1 <= x <= 3`, to nine digits: the series of the inverse hyperbolic tangent."""
    t = (x - _MIDDLE) / (x + _MIDDLE)
    q = t * t
    series = 1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q * (1.0 / 13.0)))
    return _LOG_MIDDLE + 2.0 * t * (1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * series)))


@njit(cache=True, nogil=True, fastmath={"contract"})
def _log_sums(a: Any, b: Any, c: Any, count: int, out: Any) -> None:
    """Logarithms of the sums of three exponentials."""
    for k in range(count):
        u, v, w = a[k], b[k], c[k]
        most = u if u > v else v
        most = w if w > most else most
        out[k] = most + _logarithm(_exponential(u - most) + _exponential(v - most) + _exponential(w - most))


@njit(cache=True, nogil=True, fastmath={"contract"})
def _less_costs(total: Any, costs: Any, weight: float, out: Any) -> None:
    for k in range(len(costs)):
        out[k] = total[k] - weight * costs[k]


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def _sum_posterior(forward: Any, backward: Any, total: float, across: int, out: Any) -> None:
    weight = first = second = 0.0
    for k in range(len(forward)):
        posterior = _exponential(forward[k] + backward[k] - total)
        at = float(across + 2 * k)
        weight += posterior
        first += posterior * at
        second += posterior * at * at
    out[0], out[1], out[2] = weight, first, second


@njit(cache=True, nogil=True)
def spread_costs(
    products: Any, start: int, left: int, low: Any, high: Any, first: Any, offsets: Any, costs: Any
) -> None:
    """Turn products of some frames of x with a stretch of y into the costs of the corridor's cells.

    Args:
        products: float32 `(rows, columns)`.
        start, left: the first frame of either.
        low, high: int64 `(n,)`, the columns of y that each frame of x may use.
        first: int64 `(n + m - 1,)`, the first row of each antidiagonal.
        offsets: int64 `(n + m,)`, where each antidiagonal's costs begin.
        costs: float32 `(offsets[-1],)`, antidiagonal by antidiagonal.
    """
    for row in range(len(products)):
        i, line = start + row, products[row]
        for j in range(low[i], high[i]):
            costs[offsets[i + j] + i - first[i + j]] = max(np.float32(1.0) - line[j - left], np.float32(0.0))


@njit(cache=True, nogil=True)
def diagonal_moments(costs: Any, first: Any, offsets: Any, weights: Any, moments: Any) -> None:
    """Sum the posterior of all cells of an antidiagonal, and its moments across it.

    A path has probability in proportion to `exp(-cost)`. With cells `(i, j)` of posterior p on
    the antidiagonal `i + j`, the sums are of p, `p * (i - j)` and `p * (i - j)**2`.

    Args:
        costs, first, offsets: as of `spread_costs`; from each antidiagonal to the next both the first and the last
            row rise by at most one.
        weights: float64 `(3,)`, by which a cell's cost is multiplied for the steps (1, 1), (1, 0), (0, 1).
        moments: float64 `(n + m - 1, 3)`, overwritten.
    """
    diagonals = len(first)
    widest = np.diff(offsets).max()
    forward, terms, sums = np.empty(len(costs)), np.empty((3, widest)), np.empty(widest)
    ring = np.full((3, first[-1] + 1 + 2 * _GUARD), _NEVER)
    for d in range(diagonals):
        at, cost = first[d] + _GUARD, costs[offsets[d] : offsets[d + 1]]
        count = len(cost)
        here, before = ring[d % 3], ring[(d + 2) % 3]
        _less_costs(ring[(d + 1) % 3, at - 1 :], cost, weights[0], terms[0])
        _less_costs(before[at - 1 :], cost, weights[1], terms[1])
        _less_costs(before[at:], cost, weights[2], terms[2])
        _log_sums(terms[0], terms[1], terms[2], count, here[at:])
        if d == 0:
            here[at] = 0.0
        here[at - 1] = here[at - 2] = here[at + count] = here[at + count + 1] = _NEVER
        forward[offsets[d] : offsets[d + 1]] = here[at : at + count]
    total = forward[-1]
    rings = np.full((3, 3, first[-1] + 1 + 2 * _GUARD), _NEVER)  # for each step: from where it leads to on, with it
    for d in range(diagonals - 1, -1, -1):
        at, cost = first[d] + _GUARD, costs[offsets[d] : offsets[d + 1]]
        count = len(cost)
        both, down, right = rings[0, (d + 2) % 3], rings[1, (d + 1) % 3], rings[2, (d + 1) % 3]
        _log_sums(both[at + 1 :], down[at + 1 :], right[at:], count, sums)
        if d == diagonals - 1:
            sums[0] = 0.0
        _sum_posterior(forward[offsets[d] : offsets[d + 1]], sums, total, 2 * first[d] - d, moments[d])
        for step in range(3):
            line = rings[step, d % 3]
            _less_costs(sums, cost, weights[step], line[at:])
            line[at - 1] = line[at - 2] = line[at + count] = line[at + count + 1] = _NEVER
