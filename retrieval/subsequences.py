"""Subsequences: where in a recording a query fits best, by dynamic time warping.

Features are float32 of shape `(frames, dimensions)`, rows of unit length or zero. The cost of two frames is one less
their cosine similarity; that of a subsequence is the mean over the query's frames.
Müller, Fundamentals of Music Processing (2015), section 7.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval._matching_kernels import sweep

__all__ = ["OVERLAP", "Subsequences", "overlap", "subsequences"]

OVERLAP = 0.3
"""Share of the shorter of two places that they may have in common and still be two."""


@dataclass(frozen=True)
class Subsequences:
    """The best subsequence that ends at each frame of a recording.

    Attributes:
        costs: float32, shape `(frames,)`; infinity where none ends.
        starts: int32, shape `(frames,)`; the frame where it begins.
    """

    costs: NDArray[np.float32]
    starts: NDArray[np.int32]

    def minima(self) -> NDArray[np.int64]:
        """Frames whose cost is finite and no higher than its neighbours', in their order."""
        padded = np.pad(self.costs, 1, constant_values=np.inf)
        lowest = (padded[1:-1] <= padded[:-2]) & (padded[1:-1] < padded[2:])
        return np.flatnonzero(lowest)


def subsequences(query: NDArray[np.float32], recording: NDArray[np.float32]) -> Subsequences:
    """Lay a query along every part of a recording, between half and double its tempo.

    Args:
        query: shape `(n, dimensions)`, at least one frame.
        recording: shape `(m, dimensions)`.
    """
    frames = len(recording)
    if not frames:
        return Subsequences(np.zeros(0, np.float32), np.zeros(0, np.int32))
    totals = np.empty((3, frames + 2), np.float32)
    starts = np.empty((3, frames + 2), np.int32)
    last = sweep(-query @ recording.T, totals, starts)
    return Subsequences(1.0 + totals[last, 2:] / np.float32(len(query)), starts[last, 2:])


def overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two stretches, given by start and end, are the same place."""
    common = min(one[1], other[1]) - max(one[0], other[0])
    return common > OVERLAP * min(one[1] - one[0], other[1] - other[0])
