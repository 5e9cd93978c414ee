"""The mean warping path, and how far paths nearly as good stray from it.

Viterbi's path, which `dtw` finds, is the one of least cost; the mean over all paths, each weighted by
`exp(-sharpness * cost)`, lies between frames where the evidence does, and its spread says how sure it is.
Forward-backward recursion as in hidden Markov models (Rabiner 1989, section III), over the steps of
dynamic time warping.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alignment._posterior_kernels import diagonal_moments, spread_costs
from alignment.dtw import SYMMETRIC_WEIGHTS, Corridor, antidiagonals

__all__ = ["PathPosterior", "path_posterior"]

_PARITY = np.array([0.25, 0.5, 0.25])
"""A diagonal step skips an antidiagonal: neighbours are averaged so that each has its share of every path."""


_ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class PathPosterior:
    """The mean path in fractional frames.

    Attributes:
        x, y: float64, shape `(points,)`, never falling, from the first frame to the last.
        deviation: standard deviation of `x - y` among the paths, in frames, shape `(points,)`.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    deviation: NDArray[np.float64]


def path_posterior(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    corridor: Corridor,
    *,
    sharpness: float,
    weights: tuple[float, float, float] = SYMMETRIC_WEIGHTS,
) -> PathPosterior:
    """Mean of all warping paths inside a corridor; exchanging x and y exchanges the result.

    Args:
        x, y: unit columns, shapes `(d, n)` and `(d, m)`.
        corridor: the cells that count; best narrow, around the path of least cost.
        sharpness: the larger, the nearer to the path of least cost.
        weights: of the steps (1, 1), (1, 0), (0, 1).
    """
    n, m = x.shape[1], y.shape[1]
    moments = np.empty((n + m - 1, 3))
    diagonal_moments(*_costs(x, y, corridor), sharpness * np.asarray(weights, np.float64), moments)
    weight, first, second = (np.convolve(column, _PARITY)[1:-1] for column in moments.T)
    mean = first / weight
    mean[0], mean[-1] = 0.0, n - m
    deviation = np.sqrt(np.maximum(second / weight - np.square(mean), 0.0))
    along = np.arange(n + m - 1)
    return PathPosterior(
        np.maximum.accumulate(np.clip((along + mean) / 2.0, 0.0, n - 1.0)),
        np.maximum.accumulate(np.clip((along - mean) / 2.0, 0.0, m - 1.0)),
        deviation,
    )


def _costs(
    x: NDArray[np.float32], y: NDArray[np.float32], corridor: Corridor
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Cosine distances of a corridor's cells by antidiagonals, the first row of each, and where each begins.

    Products of some frames with all that they may meet take a quarter of the time of single ones.
    """
    x, y = np.ascontiguousarray(x, np.float32), np.ascontiguousarray(y, np.float32)
    first, end = antidiagonals(corridor, x.shape[1], y.shape[1])
    offsets = np.concatenate([[0], np.cumsum(end - first)])
    costs = np.empty(offsets[-1], np.float32)
    for start in range(0, x.shape[1], _ROWS_AT_ONCE):
        stop = min(start + _ROWS_AT_ONCE, x.shape[1])
        left, right = corridor.low[start], corridor.high[stop - 1]
        products = x[:, start:stop].T @ y[:, left:right]
        spread_costs(products, start, left, corridor.low, corridor.high, first, offsets, costs)
    return costs, first, offsets
