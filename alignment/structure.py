"""Which sections of two recordings correspond, and which stand alone.

One exact dynamic programme has three states: both recordings go on together, only the first does, only the
second does. A frame that stands alone costs a fixed share of what a frame costs that is matched with unlike
music, and the first of a run costs more, so that only longer stretches are left out (affine gaps, as in Grachten,
Gasser, Arzt and Widmer, Automatic Alignment of Music Performances with Structural Differences, ISMIR 2013).
Sections in another order are found by aligning again what was left over on both sides (repeated local
alignment, as in Müller and Appelt, ICASSP 2008).

Other music in the place of a passage is rare; the same music that sounds unlike is not: what stands alone on both
sides at once is matched all the same, unless that costs much (`bridged`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment._structure_kernels import MATCH, accumulate_states, trace_states
from alignment.dtw import SYMMETRIC_WEIGHTS, Corridor

__all__ = [
    "Correspondence",
    "Gaps",
    "bridged",
    "corresponding_sections",
    "longest_cut",
    "sharpen",
    "without_noise",
]

_LEAST_LEVEL = 0.05

_AROUND_FRAMES, _AROUND_SHARE, _UNLIKE_SHARE = 10, 0.25, 0.6
"""Of what the cheaper quarter of the cells around a path costs, noise costs .8 along it, music less than half."""

_INTO_MUSIC = 4
"""Points before applause at the end that are given up with it: where it rises, the music is to have ended."""

_LEAST_LEFT = 10
"""Fine frames within reach of a cut, of one match or the other, that have to match."""

_LONG_NOISE, _STEEP = 15, 4
"""Coarse frames of noise on one side, and how many times as many they are as those that go by on the other."""

_CLEARLY_UNLIKE = 1.0
"""Sum in coarse frames; three seconds of applause have as much."""

_MOST_UNEVEN = 2
"""Where a passage takes one side more than so many times as long as the other, they do not play the same in it."""


@dataclass(frozen=True)
class Gaps:
    """What it costs that frames stand alone, where 1 is the cost of matching a frame with unlike music.

    Attributes:
        each: of a frame.
        halt: what it costs in a match, in addition, that one side stands still while a frame of the other passes.
        opening: of the first of a run between two matches, in addition.
        exchange: of both sides at once between two matches, in addition: the same music, heard badly, is likelier
            there than other music in its place.
        start, end: of the first of a run before the first or after the last match, in addition; infinity
            where the sequences are known to correspond there.
        least_gain: what a match must save over leaving all of it alone.
    """

    each: float
    halt: float
    opening: float
    exchange: float
    start: float
    end: float
    least_gain: float


@dataclass(frozen=True)
class Correspondence:
    """A section of both recordings that corresponds.

    Attributes:
        path: frames of x and of y, int64, shape `(points, 2)`; never falling, each step at most 1.
        gain: what the match saves over leaving its frames alone, in costs of a frame matched with unlike music.
    """

    path: NDArray[np.int64]
    gain: float

    @property
    def x(self) -> tuple[int, int]:
        """First frame of x and the one after the last."""
        return int(self.path[0, 0]), int(self.path[-1, 0]) + 1

    @property
    def y(self) -> tuple[int, int]:
        """First frame of y and the one after the last."""
        return int(self.path[0, 1]), int(self.path[-1, 1]) + 1


def corresponding_sections(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    gaps: Gaps,
    shortest: int,
    band: Corridor | None = None,
) -> list[Correspondence]:
    """Find the sections that correspond, in the order of x; those of y may come in another order.

    Args:
        x, y: unit columns, shapes `(d, n)` and `(d, m)`.
        gaps: costs.
        shortest: frames on either side that a section out of order has at least.
        band: cells that may be matched; then sections keep their order.
    """
    sides = _Sides.of(x, y, band)
    found = _aligned(sides, gaps)
    while band is None:
        more = _out_of_order(sides, found, gaps, shortest)
        if more is None:
            break
        found.append(more)
    return sorted(found, key=lambda match: match.x)


def bridged(
    x: NDArray[np.float32], y: NDArray[np.float32], found: Sequence[Correspondence], gaps: Gaps
) -> list[Correspondence]:
    """The matches, with what both sides play between two of them, where matching it costs no more than an exchange.

    Args:
        x, y: unit columns.
        found: in the order of x.
        gaps: costs.
    """
    sides = _Sides.of(x, y)
    whole = replace(gaps, opening=np.inf, start=np.inf, end=np.inf, least_gain=-gaps.opening - gaps.exchange)
    out = list(found)
    for before, after in pairwise(found):
        (low, high), (left, right) = (before.x[1], after.x[0]), (before.y[1], after.y[0])
        alike = 0 < max(high - low, right - left) <= _MOST_UNEVEN * min(high - low, right - left)
        if alike and not any(left <= match.y[0] < right for match in found):
            matches = _aligned(sides.part(slice(low, high), slice(left, right)), whole)
            out += [Correspondence(match.path + np.array([low, left]), match.gain) for match in matches]
    return sorted(out, key=lambda match: match.x)


def without_noise(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    found: Sequence[Correspondence],
    noise: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> list[Correspondence]:
    """The matches without the noise at either end that is hardly more alike along the path than beside it.

    Without that which one side has while the other all but stands still, too: applause is taken for a note held longer.

    Args:
        x, y: unit columns.
        found: the matches.
        noise: for each frame of x and y whether it may be noise, to two seconds; drums, too, are without pitch.
    """
    sides = _Sides.of(x, y)
    out = []
    for match in found:
        i, j = match.path.T
        in_x, in_y = noise[0][i], noise[1][j]
        both = in_x & in_y
        first, last = _points_of_noise(sides, match.path, both), _points_of_noise(sides, match.path[::-1], both[::-1])
        last += _INTO_MUSIC if last else 0
        first = max(first, _points_of_one_sided_noise(match.path, (in_x, in_y)))
        last = max(last, _points_of_one_sided_noise(match.path[::-1], (in_x[::-1], in_y[::-1])))
        if first + last < len(match.path):
            out.append(replace(match, path=match.path[first : len(match.path) - last]))
    return out


def _points_of_noise(sides: _Sides, path: NDArray[np.int64], noise: NDArray[np.bool_]) -> int:
    """How many of the first points of a path, which may be noise, are unlike; none unless clearly."""
    total = most = 0.0
    count = 0
    length = int(np.argmin(np.append(noise, False)))
    for at, (i, j) in enumerate(path[: length + _AROUND_FRAMES if length else 0].tolist(), start=1):
        rows, columns = (slice(max(frame - _AROUND_FRAMES, 0), frame + _AROUND_FRAMES + 1) for frame in (i, j))
        around = np.quantile(sides.part(rows, columns).costs(), _AROUND_SHARE)
        along = sides.part(slice(i, i + 1), slice(j, j + 1)).costs()
        total += float(along[0, 0] - _UNLIKE_SHARE * around)
        if total > most:
            most, count = total, at
    return count if most > _CLEARLY_UNLIKE else 0


def _points_of_one_sided_noise(path: NDArray[np.int64], noise: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> int:
    """How many of the first points of a path are of noise on one side that the other passes over; `noise` of each."""
    most = 0
    for side in (0, 1):
        count = int(np.argmin(np.append(noise[side], False)))
        if count:
            lengths = np.abs(path[count - 1] - path[0]) + 1
            if lengths[side] >= max(_LONG_NOISE, _STEEP * lengths[1 - side]):
                most = max(most, count)
    return most


def sharpen(
    x: NDArray[np.float16],
    y: NDArray[np.float16],
    before: tuple[int, int],
    after: tuple[int, int],
    reach: int,
    gaps: Gaps,
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Place a cut anew: where the match before it ends and where the one after it begins.

    Args:
        x, y: unit columns.
        before: frames of x and y at which the earlier match ends (exclusive).
        after: frames of x and y at which the later match begins.
        reach: how far the ends may move; so far inside both matches the path stays as it was.
        gaps: costs.
    """
    rows = _around(before[0], after[0], reach, x.shape[1])
    columns = _around(before[1], after[1], reach, y.shape[1])
    cut = longest_cut(x[:, rows], y[:, columns], gaps)
    if cut is None:
        return before, after
    (i, j), (k, m) = cut
    end, start = (int(rows[i - 1]) + 1, int(columns[j - 1]) + 1), (int(rows[k]), int(columns[m]))
    # A match must not run over the middle that was left out, and where both sides would lose all within reach there is
    # nothing to tell the place by.
    near = all(end[side] <= before[side] + reach and start[side] >= after[side] - reach for side in (0, 1))
    lost = min(start[side] - after[side] + before[side] - end[side] for side in (0, 1))
    return (end, start) if near and lost < reach - _LEAST_LEFT else (before, after)


def longest_cut(
    x: NDArray[np.float16], y: NDArray[np.float16], gaps: Gaps
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Where what corresponds ends, and where it goes on, around the longest run of frames that stand alone.

    Args:
        x, y: unit columns of stretches that correspond at both ends.
        gaps: costs.

    Returns:
        Frames of x and y, the first pair exclusive; None where all corresponds.
    """
    states = _states(_Sides.of(x.astype(np.float32), y.astype(np.float32)), gaps)
    alone = np.flatnonzero(states[:, 2] != MATCH)
    if not len(alone):
        return None
    run = max(np.split(alone, np.flatnonzero(np.diff(alone) > 1) + 1), key=len)
    if run[0] == 0 or run[-1] == len(states) - 1:
        return None
    i, j, _ = states[run[0] - 1]
    k, m, _ = states[run[-1] + 1]
    return (int(i) + 1, int(j) + 1), (int(k), int(m))


def _around(end: int, start: int, reach: int, frames: int) -> NDArray[np.int64]:
    """Frames within `reach` of a cut, without the middle of what is left out."""
    inside = np.arange(max(0, end - reach), min(frames, start + reach))
    return inside[(inside < end + reach) | (inside >= start - reach)]


class _Sides(NamedTuple):
    """Both sequences, half of each frame's mean distance to all frames, and the cells that may match."""

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    level_x: NDArray[np.float64]
    level_y: NDArray[np.float64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]

    @classmethod
    def of(cls, x: NDArray[np.float32], y: NDArray[np.float32], band: Corridor | None = None) -> _Sides:
        n, m = x.shape[1], y.shape[1]
        mean = (x.sum(axis=1) + y.sum(axis=1)) / (n + m)
        level_x, level_y = 1.0 - x.T @ mean, 1.0 - y.T @ mean
        return cls(
            x,
            y,
            np.maximum(level_x.astype(np.float64), _LEAST_LEVEL) / 2.0,
            np.maximum(level_y.astype(np.float64), _LEAST_LEVEL) / 2.0,
            np.zeros(n, np.int64) if band is None else band.low,
            np.full(n, m, np.int64) if band is None else band.high,
        )

    def part(self, rows: slice, columns: slice) -> _Sides:
        """Only these frames of x and of y, all cells allowed."""
        x, y = self.x[:, rows], self.y[:, columns]
        n, m = x.shape[1], y.shape[1]
        return _Sides(x, y, self.level_x[rows], self.level_y[columns], np.zeros(n, np.int64), np.full(n, m, np.int64))

    def costs(self) -> NDArray[np.float64]:
        """Of all cells."""
        return np.asarray((1.0 - self.x.T @ self.y) / (self.level_x[:, None] + self.level_y), np.float64)


def _states(sides: _Sides, gaps: Gaps) -> NDArray[np.int64]:
    """Rows (frame of x, frame of y, state) of the best path, in order."""
    n, m = sides.x.shape[1], sides.y.shape[1]
    pointers = np.empty((n + 1, m + 1), np.uint8)
    totals = accumulate_states(
        np.ascontiguousarray(sides.x.T, np.float32),
        np.ascontiguousarray(sides.y, np.float32),
        sides.level_x,
        sides.level_y,
        sides.low,
        sides.high,
        np.asarray(SYMMETRIC_WEIGHTS, np.float64),
        gaps.halt,
        gaps.each,
        gaps.opening,
        gaps.start,
        gaps.end,
        pointers,
    )
    if np.isinf(gaps.end):
        totals[MATCH + 1 :] = np.inf  # the last frames of both sides correspond
    if not np.isfinite(totals).any():  # what is asked of the ends cannot be had within the band
        return np.empty((0, 3), np.int64)
    path = np.empty((n + m + 1, 3), np.int64)
    return path[trace_states(pointers, int(np.argmin(totals)), path) :]


def _aligned(sides: _Sides, gaps: Gaps) -> list[Correspondence]:
    """The matches of the best path that are worth it."""
    found = []
    for state, rows in groupby(_states(sides, gaps).tolist(), key=lambda row: row[2]):
        if state == MATCH:
            path = np.array(list(rows), np.int64)[:, :2]
            gain = _gain(sides, path, gaps)
            if gain >= gaps.least_gain:
                found.append(Correspondence(path, gain))
    return found


def _gain(sides: _Sides, path: NDArray[np.int64], gaps: Gaps) -> float:
    i, j = path.T
    distances = np.maximum(1.0 - np.einsum("dp,dp->p", sides.x[:, i], sides.y[:, j]), 0.0)
    both = np.concatenate([[True], (np.diff(path, axis=0) == 1).all(axis=1)])
    weights = np.where(both, SYMMETRIC_WEIGHTS[0], SYMMETRIC_WEIGHTS[1])
    alone = gaps.each * (i[-1] - i[0] + 1 + j[-1] - j[0] + 1)
    matched = (weights * distances / (sides.level_x[i] + sides.level_y[j])).sum() + gaps.halt * (~both).sum()
    return float(alone - matched)


def _out_of_order(sides: _Sides, found: list[Correspondence], gaps: Gaps, shortest: int) -> Correspondence | None:
    """The best match among what is left over on both sides, or None."""
    local = replace(gaps, start=0.0, end=0.0)
    best: Correspondence | None = None
    for low, high in _left_over([match.x for match in found], sides.x.shape[1], shortest):
        for left, right in _left_over([match.y for match in found], sides.y.shape[1], shortest):
            for match in _aligned(sides.part(slice(low, high), slice(left, right)), local):
                lengths = np.ptp(match.path, axis=0) + 1
                if lengths.min() >= shortest and (best is None or match.gain > best.gain):
                    best = Correspondence(match.path + np.array([low, left]), match.gain)
    return best


def _left_over(spans: Sequence[tuple[int, int]], frames: int, shortest: int = 1) -> list[tuple[int, int]]:
    """Stretches of at least `shortest` frames that no span covers."""
    edges = [(0, 0), *sorted(spans), (frames, frames)]
    return [(end, start) for (_, end), (start, _) in pairwise(edges) if start - end >= shortest]
