"""Subsequences: where in a recording a query fits best, by dynamic time warping.

Features are float32 of shape `(frames, dimensions)`, rows of unit length or zero. The cost of two frames is one less
their cosine similarity; that of a subsequence is the mean over the query's frames.
Müller, Fundamentals of Music Processing (2015), section 7.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval._matching_kernels import follow, halve_each, sweep, sweep_each

__all__ = [
    "OVERLAP",
    "Course",
    "Subsequences",
    "best_subsequences",
    "course",
    "halved",
    "overlap",
    "stretched",
    "subsequences",
    "unit_rows",
]

OVERLAP = 0.3
"""Share of the shorter of two places that they may have in common and still be two."""

_TEMPO_FRAMES = 5
_CELLS_AT_ONCE = 1 << 18
"""Costs of a query beside recordings that are held at once; so many stay near the processor."""


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


@dataclass(frozen=True)
class Course:
    """The path of a query through a recording.

    Attributes:
        costs: float32, shape `(n,)`: of each frame of the query where it lies; their mean is the subsequence's.
        places: float32, shape `(n,)`, ascending: the frame of the recording where each lies, halves included.
    """

    costs: NDArray[np.float32]
    places: NDArray[np.float32]

    def cost(self, weights: NDArray[np.float32]) -> float:
        """The mean cost of the query's frames, each of some weight."""
        return float(np.average(self.costs, weights=weights))

    @property
    def unevenness(self) -> float:
        """The standard deviation of the tempo, in octaves; it is taken over five frames of the query or a few more.

        So many last two frames of the recording at the least.
        """
        steps = np.diff(self.places)
        if len(steps) < _TEMPO_FRAMES:
            return 0.0
        tempi = [part.mean() for part in np.array_split(steps, len(steps) // _TEMPO_FRAMES)]
        return float(np.std(np.log2(tempi)))


def course(query: NDArray[np.float32], recording: NDArray[np.float32]) -> Course | None:
    """The path of the best subsequence; None where there is none.

    Args:
        query: shape `(n, dimensions)`, at least one frame.
        recording: shape `(m, dimensions)`.
    """
    if not len(recording):
        return None
    costs, places = np.empty(len(query), np.float32), np.empty(len(query), np.float32)
    found = follow(np.float32(1.0) - query @ recording.T, costs, places)
    return Course(costs, places) if found else None


def best_subsequences(
    query: NDArray[np.float32], recordings: Sequence[NDArray[Any]]
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Lay a query along several recordings, of which every second frame is taken, as `halved` does.

    Args:
        query: shape `(n, dimensions)`, at least one frame, halved already.
        recordings: each of shape `(m, dimensions)`, with some frames, of one type and scale.

    Returns:
        the cost of the best subsequence of each, infinity where there is none, and its first and last frame, halved.
    """
    lengths = np.array([len(recording) for recording in recordings], np.int64)
    bounds = _bounds((lengths + 1) // 2)
    frames = np.empty((bounds[-1], query.shape[1]), np.float32)
    halve_each(np.concatenate(recordings), _bounds(lengths), frames)
    costs = np.empty(len(lengths), np.float32)
    starts, ends = np.empty(len(lengths), np.int64), np.empty(len(lengths), np.int64)
    negative = -query
    first = 0
    while first < len(lengths):
        room = bounds[first] + _CELLS_AT_ONCE // len(query)
        last = max(int(np.searchsorted(bounds, room, side="right")) - 1, first + 1)
        block = slice(first, last)
        distances = negative @ frames[bounds[first] : bounds[last]].T
        sweep_each(distances, bounds[first : last + 1] - bounds[first], costs[block], starts[block], ends[block])
        first = last
    return np.float32(1.0) + costs / np.float32(len(query)), starts, ends


def _bounds(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each begins, and where the last ends."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


def overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two stretches, given by start and end, are the same place."""
    common = min(one[1], other[1]) - max(one[0], other[0])
    return common > OVERLAP * min(one[1] - one[0], other[1] - other[0])


def halved(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every second frame, smoothed with its neighbours."""
    kept = np.empty(((len(features) + 1) // 2, features.shape[1]), np.float32)
    halve_each(features, np.array([0, len(features)]), kept)
    return kept


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
