"""Two recordings under synchronisation, and what the user said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alignment.analysed import Analysed
from alignment.dtw import Corridor
from alignment.features.frames import FEATURE_RATE
from alignment.features.sync import SyncFeatures

__all__ = ["Pair", "anchor_frames", "band_around", "part_of_band"]


@dataclass(frozen=True)
class Pair:
    """Both sides, and what the user said of them, in seconds from where their sound begins."""

    left: Analysed
    right: Analysed
    x: SyncFeatures
    y: SyncFeatures
    band: float | None
    anchors: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, left: Analysed, right: Analysed, band: float | None, anchors: Sequence[tuple[float, float]]) -> Pair:
        """Of two recordings that have sound, and anchors in seconds of the recordings."""
        assert left.features is not None, "the reference has sound"
        assert right.features is not None, "the other has sound"
        inside = tuple(
            (ref - left.start, other - right.start)
            for ref, other in anchors
            if left.start < ref < left.end and right.start < other < right.end
        )
        return cls(left, right, left.features, right.features, band, inside)

    @property
    def frames(self) -> tuple[int, int]:
        """Fine frames of both sides."""
        return self.x.fine.shape[1], self.y.fine.shape[1]


def anchor_frames(point: tuple[float, float]) -> tuple[int, int]:
    """The fine frames nearest to an anchor of a `Pair`."""
    return round(point[0] * FEATURE_RATE), round(point[1] * FEATURE_RATE)


def band_around(line: Sequence[tuple[int, int]], radii: tuple[float, float]) -> Corridor:
    """Cells within so many rows and so many columns of a line through the given points, which rise."""
    rows, columns = np.array(line, np.float64).T
    at = np.arange(int(rows[-1]))
    middle = np.interp(at, rows, columns)
    slope = (np.diff(columns) / np.maximum(np.diff(rows), 1.0))[np.searchsorted(rows, at, side="right") - 1]
    radius = np.minimum(slope * radii[0], radii[1])
    low = np.clip(np.floor(middle - radius), 0, columns[-1] - 1).astype(np.int64)
    high = np.clip(np.ceil(middle + radius) + 1, 1, columns[-1]).astype(np.int64)
    return Corridor(low, high)


def part_of_band(band: Corridor, i: int, j: int, k: int, m: int) -> Corridor:
    """The rows `i..k` of a band, with columns counted from j and cut off at m."""
    return Corridor(np.clip(band.low[i:k] - j, 0, m - j), np.clip(band.high[i:k] - j, 0, m - j))
