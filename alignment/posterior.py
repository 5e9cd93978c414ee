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

from alignment._posterior_kernels import diagonal_moments
from alignment.dtw import SYMMETRIC_WEIGHTS, Corridor

__all__ = ["PathPosterior", "path_posterior"]

_PARITY = np.array([0.25, 0.5, 0.25])
"""A diagonal step skips an antidiagonal: neighbours are averaged so that each has its share of every path."""


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
    moments = np.zeros((3, n + m - 1))
    rows, columns = np.ascontiguousarray(x.T, np.float32), np.ascontiguousarray(y, np.float32)
    diagonal_moments(rows, columns, corridor.low, corridor.high, np.asarray(weights, np.float64), sharpness, moments)
    weight, first, second = (np.convolve(row, _PARITY)[1:-1] for row in moments)
    mean = first / weight
    mean[0], mean[-1] = 0.0, n - m
    deviation = np.sqrt(np.maximum(second / weight - np.square(mean), 0.0))
    along = np.arange(n + m - 1)
    return PathPosterior(
        np.maximum.accumulate(np.clip((along + mean) / 2.0, 0.0, n - 1.0)),
        np.maximum.accumulate(np.clip((along - mean) / 2.0, 0.0, m - 1.0)),
        deviation,
    )
