"""The path through a section: exact warping of fine features in a corridor, and the mean of the paths near it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from alignment.dtw import SYMMETRIC_WEIGHTS, Corridor, corridor_around, dtw
from alignment.features.frames import FEATURE_RATE, frames_to_seconds
from alignment.features.sync import fine_onset_strength
from alignment.pair import Pair, anchor_frames, band_around, part_of_band
from alignment.path import WarpingPath
from alignment.posterior import path_posterior
from alignment.sections import Section

__all__ = ["MeanPath", "mean_path_near", "mean_path_of"]

_CORRIDOR_SECONDS = 1.2
_POSTERIOR_FRAMES = 15
_SHARPNESS = 8.0
_BLUNT_FRAMES = 25
_FEWEST_FRAMES = 4
_BLUNT_SHARPNESS = 3.0
_ONSET_FRAMES = 11
_BLOCK_SECONDS, _OVERLAP_SECONDS = 240.0, 16.0


@dataclass(frozen=True)
class MeanPath:
    """A section's path, about a hundred points a second.

    Attributes:
        ref, other: seconds from where the sound of either side begins, never falling, shape `(points,)`.
        deviation: of the posterior, in seconds.
        blunt_deviation: of one less sharp, in a wider corridor.
        similarity: cosine similarity of the fine features at the point.
        onset: how strongly something begins within a tenth of a second, on the side on which less does.
    """

    ref: NDArray[np.float64]
    other: NDArray[np.float64]
    deviation: NDArray[np.float64]
    blunt_deviation: NDArray[np.float64]
    similarity: NDArray[np.float64]
    onset: NDArray[np.float64]


def mean_path_of(pair: Pair, section: Section) -> MeanPath:
    """Warp a section, piece by piece between anchors and in blocks that overlap."""
    fixed = [anchor for anchor in pair.anchors if _holds(section, anchor)]
    allowed = None
    if pair.band is not None:
        radius = pair.band * FEATURE_RATE
        line = [(0, 0), *map(anchor_frames, pair.anchors), pair.frames]
        allowed = band_around(line, (radius, radius))
    corners = [section.start]
    for corner in map(anchor_frames, fixed):
        if _apart(corners[-1], corner) and _apart(corner, section.end):
            corners.append(corner)
    corners.append(section.end)
    pieces = [
        _warped(pair, block_start, block_end, section.points, allowed)
        for start, end in pairwise(corners)
        for block_start, block_end in _blocks(start, end, section.points)
    ]
    return _chained(pieces)


def mean_path_near(pair: Pair, path: WarpingPath) -> MeanPath:
    """The mean of the paths near a path, in blocks that overlap."""
    ref, other = (path.ref - pair.left.start) * FEATURE_RATE, (path.other - pair.right.start) * FEATURE_RATE
    points = np.unique(np.rint(np.column_stack([ref, other])).astype(np.int64), axis=0)
    points = points[(points >= 0).all(axis=1) & (points < pair.frames).all(axis=1)]
    (i, j), (k, m) = points[0], points[-1] + 1
    pieces = []
    for start, end in _blocks((int(i), int(j)), (int(k), int(m)), points):
        x, y = pair.x.fine[:, start[0] : end[0]], pair.y.fine[:, start[1] : end[1]]
        inner = points[(points >= start).all(axis=1) & (points < end).all(axis=1)] - np.array(start)
        pieces.append(_mean_path(x.astype(np.float32), y.astype(np.float32), inner, start, end, None))
    return _chained(pieces)


def _apart(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Whether there is enough between two corners to be warped."""
    return all(b - a >= _FEWEST_FRAMES for a, b in zip(first, second, strict=True))


def _holds(section: Section, point: tuple[float, float]) -> bool:
    frame = anchor_frames(point)
    return all(section.start[side] < frame[side] < section.end[side] for side in (0, 1))


def _blocks(
    start: tuple[int, int], end: tuple[int, int], points: NDArray[np.int64]
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Corners of blocks along the coarse path, short enough that an hour fits into memory; they overlap."""
    inside = points[(points > start).all(axis=1) & (points < end).all(axis=1)]
    block, overlap = round(_BLOCK_SECONDS * FEATURE_RATE), round(_OVERLAP_SECONDS * FEATURE_RATE)
    while len(inside) and end[0] - start[0] > block + overlap:
        stop = inside[np.searchsorted(inside[:, 0], start[0] + block)]
        yield start, (int(stop[0]), int(stop[1]))
        back = inside[np.searchsorted(inside[:, 0], stop[0] - overlap)]
        start = int(back[0]), int(back[1])
    yield start, end


def _warped(
    pair: Pair,
    start: tuple[int, int],
    end: tuple[int, int],
    points: NDArray[np.int64],
    allowed: Corridor | None,
) -> MeanPath:
    """The mean path from corner to corner, near the coarse one."""
    x = pair.x.fine[:, start[0] : end[0]].astype(np.float32)
    y = pair.y.fine[:, start[1] : end[1]].astype(np.float32)
    n, m = x.shape[1], y.shape[1]
    inner = points - np.array(start)
    inner = inner[(inner > 0).all(axis=1) & (inner < (n - 1, m - 1)).all(axis=1)]
    coarse = np.concatenate([[[0, 0]], inner, [[n - 1, m - 1]]])
    radius = round(_CORRIDOR_SECONDS * FEATURE_RATE)
    corridor = _within(corridor_around(coarse, 1, radius, n, m), allowed, start, end)
    path = dtw(x, y, weights=SYMMETRIC_WEIGHTS, corridor=corridor).path
    return _mean_path(x, y, path, start, end, allowed)


def _mean_path(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    path: NDArray[np.int64],
    start: tuple[int, int],
    end: tuple[int, int],
    allowed: Corridor | None,
) -> MeanPath:
    """The posterior mean around a path, and how far a blunt posterior strays in a wider corridor."""
    near = _within(corridor_around(path, 1, _POSTERIOR_FRAMES, x.shape[1], y.shape[1]), allowed, start, end)
    mean = path_posterior(x, y, near, sharpness=_SHARPNESS)
    # Every second frame will do for the blunt one.
    sparse_x, sparse_y = x[:, ::2], y[:, ::2]
    wide = corridor_around(path // 2, 1, _BLUNT_FRAMES, sparse_x.shape[1], sparse_y.shape[1])
    blunt = path_posterior(sparse_x, sparse_y, wide, sharpness=_BLUNT_SHARPNESS)
    i, j = np.rint(mean.x).astype(np.int64), np.rint(mean.y).astype(np.int64)
    begins = [maximum_filter1d(fine_onset_strength(side), _ONSET_FRAMES) for side in (x, y)]
    return MeanPath(
        frames_to_seconds(mean.x + start[0]),
        frames_to_seconds(mean.y + start[1]),
        frames_to_seconds(mean.deviation),
        frames_to_seconds(2.0 * np.interp(mean.x + mean.y, 2.0 * (blunt.x + blunt.y), blunt.deviation)),
        np.einsum("dp,dp->p", x[:, i], y[:, j]).astype(np.float64),
        np.minimum(begins[0][i], begins[1][j]).astype(np.float64),
    )


def _within(corridor: Corridor, allowed: Corridor | None, start: tuple[int, int], end: tuple[int, int]) -> Corridor:
    """What of a corridor lies in the user's band, and the corners."""
    if allowed is None:
        return corridor
    part = part_of_band(allowed, *start, *end)
    m = end[1] - start[1]
    low, high = np.maximum(corridor.low, part.low), np.minimum(corridor.high, part.high)
    apart = low >= high  # there the band alone counts
    low = np.clip(np.where(apart, part.low, low), 0, m - 1)
    high = np.clip(np.where(apart, part.high, high), low + 1, m)
    low[0], high[-1] = 0, m
    low = np.maximum.accumulate(low)
    high[:-1] = np.maximum(high[:-1], low[1:])  # each row touches the next
    return Corridor(low, np.maximum.accumulate(high))


def _chained(pieces: Sequence[MeanPath]) -> MeanPath:
    """One path; pieces that overlap meet in the middle of it."""
    ends = [piece.ref[-1] for piece in pieces]
    starts = [piece.ref[0] for piece in pieces]
    meeting = [-np.inf, *((end + start) / 2.0 for end, start in zip(ends[:-1], starts[1:], strict=True)), np.inf]
    kept = [
        (piece.ref >= low) & (piece.ref < high) for piece, (low, high) in zip(pieces, pairwise(meeting), strict=True)
    ]
    ref, other, *rest = (
        np.concatenate([getattr(piece, field.name)[keep] for piece, keep in zip(pieces, kept, strict=True)])
        for field in fields(MeanPath)
    )
    return MeanPath(ref, np.maximum.accumulate(other), *rest)
