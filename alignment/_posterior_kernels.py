"""Numba kernels of the forward-backward pass over warping paths: arrays in, arrays out, no validation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from alignment._dtw_kernels import cost_row

_NEVER = -1e30
_NEGLIGIBLE = -16.0


@njit(cache=True, nogil=True)
def _log_sum(a: float, b: float, c: float) -> float:
    """Logarithm of the sum of three exponentials; those that do not matter are not computed."""
    if a < b:
        a, b = b, a
    if a < c:
        a, c = c, a
    if a <= _NEVER:
        return _NEVER
    rest = 0.0
    if b - a > _NEGLIGIBLE:
        rest += np.exp(b - a)
    if c - a > _NEGLIGIBLE:
        rest += np.exp(c - a)
    return a + np.log1p(rest) if rest > 0.0 else a


@njit(cache=True, nogil=True)
def diagonal_moments(x: Any, y: Any, low: Any, high: Any, weights: Any, sharpness: float, moments: Any) -> None:
    """Sum the posterior of all cells of an antidiagonal, and its moments across it.

    A path has probability in proportion to `exp(-sharpness * cost)`. With cells `(i, j)` of posterior p on
    the antidiagonal `i + j`, the sums are of p, `p * (i - j)` and `p * (i - j)**2`.

    Args:
        x: float32 `(n, d)`, frames in rows.
        y: float32 `(d, m)`, frames in columns.
        low, high: int64 `(n,)`, the corridor's columns of each row; both never fall.
        weights: float64 `(3,)`, of the steps (1, 1), (1, 0), (0, 1).
        sharpness: inverse temperature.
        moments: float64 `(3, n + m - 1)`, zeros.
    """
    n, m = x.shape[0], y.shape[1]
    width = (high - low).max()
    forward = np.full((n, width + 2), _NEVER)  # one column of "never" on either side
    costs = np.zeros((n, width + 2), np.float32)
    row = np.empty(m, np.float32)
    for i in range(n):
        first, end = low[i], high[i]
        cost_row(x[i], y, first, end, row)
        shift = first - low[i - 1] if i else 0
        before = high[i - 1] - low[i - 1] if i else 0
        for k in range(1, end - first + 1):
            cost = sharpness * max(row[k - 1], np.float32(0.0))
            costs[i, k] = cost
            if i == 0 and k == 1:
                forward[i, k] = 0.0
                continue
            up = diagonal = _NEVER
            if i:
                if k + shift <= before:
                    up = forward[i - 1, k + shift] - weights[1] * cost
                if k + shift - 1 <= before:
                    diagonal = forward[i - 1, k + shift - 1] - weights[0] * cost
            forward[i, k] = _log_sum(diagonal, up, forward[i, k - 1] - weights[2] * cost)
    total = forward[n - 1, m - low[n - 1]]
    after = np.full(width + 2, _NEVER)
    here = np.full(width + 2, _NEVER)
    for i in range(n - 1, -1, -1):
        first, end = low[i], high[i]
        here[:] = _NEVER
        shift = first - low[i + 1] if i + 1 < n else 0
        for k in range(end - first, 0, -1):
            if i == n - 1 and k == end - first:
                value = 0.0
            else:
                down = diagonal = _NEVER
                if i + 1 < n:
                    below = k + shift
                    if below >= 1:
                        down = after[below] - weights[1] * costs[i + 1, below]
                    if below >= 0:
                        diagonal = after[below + 1] - weights[0] * costs[i + 1, below + 1]
                value = _log_sum(diagonal, down, here[k + 1] - weights[2] * costs[i, k + 1])
            here[k] = value
            log_posterior = value + forward[i, k] - total
            if log_posterior > _NEGLIGIBLE:
                posterior = np.exp(log_posterior)
                across = 2 * i - (i + first + k - 1)
                moments[0, i + first + k - 1] += posterior
                moments[1, i + first + k - 1] += posterior * across
                moments[2, i + first + k - 1] += posterior * across * across
        after, here = here, after
