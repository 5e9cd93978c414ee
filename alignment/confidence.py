"""How sure each point of a path is.

It is told by how far the paths nearly as good stray (`alignment.posterior`), there and, bluntly, within half a second,
by how far their mean moves as the posterior becomes blunter, by how alike the two sides are around it, and by whether
something begins there on both. The weights are fitted by `scripts/calibrate_alignment.py`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d
from scipy.special import expit

from alignment.warping import MeanPath

__all__ = ["INPUTS", "path_evidence", "point_confidence", "point_interval"]

INPUTS = (
    "deviation",
    "largest blunt deviation",
    "shift",
    "blunt shift",
    "similarity around",
    "onset on both sides",
)
"""Rows of `path_evidence`."""

_WITHIN_100_MS = (-14.06, -0.61, -2.3, -0.78, -0.54, 0.98, 3.42)
"""Logistic of the inputs, intercept first."""

_NINE_TENTHS = (3.397, 0.586, 0.647, 0.185, 0.067, -0.585, -0.793)
"""Logarithm of the error in seconds that nine points in ten stay below, of the inputs, intercept first."""

_POINTS_A_SECOND = 100
_AROUND_SECONDS = 4.0
_NEAR_SECONDS = 0.5


def path_evidence(path: MeanPath) -> NDArray[np.float64]:
    """What the confidence of each point of a path follows from, shape `(6, points)`, rows as in `INPUTS`."""
    near = maximum_filter1d(path.blunt_deviation, round(_NEAR_SECONDS * _POINTS_A_SECOND), mode="nearest")
    distances = path.deviation, near, path.shift, path.blunt_shift
    return np.stack(
        [
            *(np.log(distance + 1e-3) for distance in distances),
            uniform_filter1d(path.similarity, round(_AROUND_SECONDS * _POINTS_A_SECOND), mode="nearest"),
            path.onset,
        ]
    )


def point_confidence(evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that each point is within 100 ms, where it is the same music, shape `(points,)`."""
    return np.asarray(expit(_weighed(_WITHIN_100_MS, evidence)))


def point_interval(evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half width in seconds of the interval that holds the true time nine times in ten, shape `(points,)`."""
    return np.exp(_weighed(_NINE_TENTHS, evidence))


def _weighed(weights: tuple[float, ...], evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(weights[0] + np.array(weights[1:]) @ evidence)
