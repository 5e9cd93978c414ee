"""The warping path between two recordings, in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alignment.errors import FeatureError

__all__ = ["WarpingPath"]


@dataclass(frozen=True)
class WarpingPath:
    """Corresponding times of a reference and another recording.

    Attributes:
        ref: seconds in the reference, float64, shape `(points,)`, never falling.
        other: seconds in the other recording, likewise.

    Raises:
        FeatureError: the arrays do not fit, are empty, fall somewhere, or hold NaN.
    """

    ref: NDArray[np.float64]
    other: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.ref.shape != self.other.shape or self.ref.ndim != 1 or not len(self.ref):
            raise FeatureError(
                f"A path needs two arrays of one length. Got shapes {self.ref.shape} and {self.other.shape} instead."
            )
        for side, times in (("ref", self.ref), ("other", self.other)):
            if not np.isfinite(times).all() or (np.diff(times) < 0).any():
                raise FeatureError(f"The times of '{side}' must be finite and never fall.")

    def __len__(self) -> int:
        return len(self.ref)

    def map(self, seconds: ArrayLike) -> NDArray[np.float64]:
        """Carry times of the reference over to the other recording, by linear interpolation.

        Where the path stands still in the reference, the middle of what passes in the other is taken;
        times beyond the ends give the ends.
        """
        times, inverse, count = np.unique(self.ref, return_inverse=True, return_counts=True)
        means = np.bincount(inverse.ravel(), self.other) / count
        return np.asarray(np.interp(np.asarray(seconds, np.float64), times, means), np.float64)

    def invert(self) -> WarpingPath:
        """The same path with the sides exchanged."""
        return WarpingPath(self.other, self.ref)

    @property
    def is_strictly_monotone(self) -> bool:
        """Whether both sides rise from every point to the next."""
        return bool((np.diff(self.ref) > 0).all() and (np.diff(self.other) > 0).all())

    def monotone(self) -> WarpingPath:
        """The path without standstills: strictly rising on both sides, so that it can be inverted exactly.

        Runs in which one side stands still are replaced by their middle; the first and last point stay.
        """
        if len(self) == 1:
            return self
        ref, other = _means_of_runs(self.ref, self.other)
        other, ref = _means_of_runs(other, ref)
        first, last = (self.ref[0], self.other[0]), (self.ref[-1], self.other[-1])
        inside = (ref > first[0]) & (ref < last[0]) & (other > first[1]) & (other < last[1])
        ref = np.concatenate([[first[0]], ref[inside], [last[0]]])
        other = np.concatenate([[first[1]], other[inside], [last[1]]])
        if ref[0] == ref[-1] or other[0] == other[-1]:
            return WarpingPath(ref[:1], other[:1])
        return WarpingPath(ref, other)

    def spaced(self, least: float) -> WarpingPath:
        """The path without points that are less than `least` seconds beyond the one before on either side.

        The first and the last point stay.
        """
        keep, end = [0], len(self) - 1
        at, still = float(self.ref[0]), float(self.other[0])
        between = zip(self.ref[1:-1].tolist(), self.other[1:-1].tolist(), strict=True)
        for point, (ref, other) in enumerate(between, 1):
            if ref - at >= least and other - still >= least:
                keep.append(point)
                at, still = ref, other
        while len(keep) > 1 and min(self.ref[end] - self.ref[keep[-1]], self.other[end] - self.other[keep[-1]]) < least:
            keep.pop()
        if end > 0:
            keep.append(end)
        return WarpingPath(self.ref[keep], self.other[keep])

    def thin(self, tolerance: float = 0.001) -> NDArray[np.int64]:
        """Indices of the points that linear interpolation needs to stay within `tolerance` seconds.

        Ramer-Douglas-Peucker on the difference from a straight line, measured in the other recording.
        """
        keep = np.zeros(len(self), bool)
        keep[[0, -1]] = True
        stack = [(0, len(self) - 1)]
        while stack:
            first, last = stack.pop()
            if last - first < 2:
                continue
            span = self.ref[last] - self.ref[first]
            part = (self.ref[first + 1 : last] - self.ref[first]) / (span if span > 0 else 1.0)
            line = self.other[first] + part * (self.other[last] - self.other[first])
            error = np.abs(self.other[first + 1 : last] - line)
            worst = int(np.argmax(error))
            if error[worst] > tolerance:
                middle = first + 1 + worst
                keep[middle] = True
                stack += [(first, middle), (middle, last)]
        return np.flatnonzero(keep)


def _means_of_runs(
    key: NDArray[np.float64], value: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    keys, inverse, count = np.unique(key, return_inverse=True, return_counts=True)
    return keys, np.bincount(inverse.ravel(), value) / count
