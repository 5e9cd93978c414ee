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

__all__ = ["OVERLAP", "Subsequences", "halved", "overlap", "stretched", "subsequences", "unit_rows"]

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


def halved(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every second frame, smoothed with its neighbours."""
    kept = np.float32(2.0) * features[::2]
    between = features[1::2]
    kept[: len(between)] += between
    kept[1:] += between[: len(kept) - 1]
    return unit_rows(kept)


def stretched(features: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """The frames of the same music so many times as long; interpolated linearly."""
    places = np.minimum(np.arange(max(round(len(features) * factor), 1)) / factor, len(features) - 1)
    before = places.astype(np.int64)
    share = (places - before).astype(np.float32)[:, None]
    after = np.minimum(before + 1, len(features) - 1)
    return unit_rows((1.0 - share) * features[before] + share * features[after])


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors of unit length, or zero."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-6)
