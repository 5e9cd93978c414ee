"""How sure each point of a path is.

Two numbers tell it: how far the paths nearly as good stray (`alignment.posterior`), and how alike the two
sides are around the point.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["point_confidence", "point_interval"]

_INTERCEPT, _DEVIATION, _SIMILARITY = 0.0, -1.0, 4.0


def point_confidence(deviation: NDArray[np.float64], similarity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that each point is within 100 ms, shape `(points,)`.

    Args:
        deviation: of the posterior, in seconds, shape `(points,)`.
        similarity: mean cosine similarity of the fine features around the points, shape `(points,)`.
    """
    logit = _INTERCEPT + _DEVIATION * np.log(deviation + 1e-3) + _SIMILARITY * similarity
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def point_interval(deviation: NDArray[np.float64], similarity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half width in seconds of the interval that holds the true time nine times in ten, shape `(points,)`."""
    return np.maximum(0.01, 2.0 * deviation + 0.0 * similarity)
