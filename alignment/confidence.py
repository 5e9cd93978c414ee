"""How sure each point of a path is.

It is told by how far the paths nearly as good stray (`alignment.posterior`), there and within half a second, by how
alike the two sides are around it, by whether something begins there on both, and by how far the tempo there is from
that of the seconds around: performers slow down and hurry, but a path that has lost its way leaps. The weights are
fitted by `scripts/calibrate_alignment.py`.
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
    "blunt deviation",
    "largest blunt deviation",
    "similarity around",
    "unsteadiness .25 s",
    "unsteadiness .5 s",
    "onset on both sides",
)
"""Rows of `path_evidence`."""

_WITHIN_100_MS = (-14.11, -0.47, -1.04, -2.47, 4.15, -0.38, -1.46, 3.58)
"""Logistic of the inputs, intercept first."""

_NINE_TENTHS = (4.045, 0.571, 0.493, 0.465, -0.975, 0.177, 0.221, -1.507)
"""Logarithm of the error in seconds that nine points in ten stay below, of the inputs, intercept first."""

_POINTS_A_SECOND = 100
_AROUND_SECONDS = 4.0
_NEAR_SECONDS = 0.5
_STEP_SECONDS = 0.02


def path_evidence(path: MeanPath) -> NDArray[np.float64]:
    """What the confidence of each point of a path follows from, shape `(7, points)`, rows as in `INPUTS`."""
    near = maximum_filter1d(path.blunt_deviation, round(_NEAR_SECONDS * _POINTS_A_SECOND), mode="nearest")
    return np.stack(
        [
            *(np.log(deviation + 1e-3) for deviation in (path.deviation, path.blunt_deviation, near)),
            uniform_filter1d(path.similarity, round(_AROUND_SECONDS * _POINTS_A_SECOND), mode="nearest"),
            _unsteadiness(path, 0.25, 3.0),
            _unsteadiness(path, 0.5, 4.0),
            path.onset,
        ]
    )


def point_confidence(evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that each point is within 100 ms, where it is the same music, shape `(points,)`."""
    return np.asarray(expit(_weighed(_WITHIN_100_MS, evidence)))


def point_interval(evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half width in seconds of the interval that holds the true time nine times in ten, shape `(points,)`."""
    return np.exp(_weighed(_NINE_TENTHS, evidence))


def _unsteadiness(path: MeanPath, near: float, far: float) -> NDArray[np.float64]:
    """Logarithm of the tempo ratio within `near` seconds over that within `far`, without its sign."""
    grid = np.arange(path.ref[0], path.ref[-1] + _STEP_SECONDS, _STEP_SECONDS)

    def ratio(reach: float) -> NDArray[np.float64]:
        after, before = (np.interp(grid + side * reach, path.ref, path.other) for side in (1.0, -1.0))
        return (after - before) / (2.0 * reach)

    leap = np.abs(np.log(np.clip(ratio(near) / np.clip(ratio(far), 0.1, 10.0), 0.05, 20.0)))
    return np.interp(path.ref, grid, leap)


def _weighed(weights: tuple[float, ...], evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(weights[0] + np.array(weights[1:]) @ evidence)
