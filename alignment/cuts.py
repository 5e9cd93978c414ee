"""Where sections are cut, to 20 ms: between neighbours, and where one runs over what does not correspond.

At 5 frames a second a cut of some seconds costs no less than a path in which one side all but stands still. Such
stretches are looked at again: where only one side has something, as loud as the music around, the section is cut. What
only dies away, as a note that is held longer, is no cut, nor is a passage that both sides have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from alignment.analysed import Analysed
from alignment.dtw import SYMMETRIC_WEIGHTS, dtw
from alignment.features.chroma import normalise_columns
from alignment.features.frames import FEATURE_RATE
from alignment.features.sync import COARSE_DOWNSAMPLING, SyncFeatures
from alignment.pace import GAPS
from alignment.pair import Pair, anchor_frames
from alignment.sections import Section
from alignment.structure import Gaps, longest_cut, sharpen

__all__ = ["parted", "sharpened"]

_GAPS = replace(GAPS, opening=25.0, exchange=0.0, start=np.inf, end=np.inf, least_gain=0.0)
_REACH_SECONDS = 4.0
_SAMPLED_SECONDS = 15.0
_FEWEST_FRAMES = 5

_STEEP_SECONDS, _STEEP = 1.5, 4.0
"""Where one side goes on for so long while the other takes less than its share by so many times."""

_UNNOTICED_OPENING = 40.0
"""A cut within a section has to save more than one that is known to be there."""

_SHORTEST_SECONDS = 1.0
_ONE_SIDED = 0.1
"""Of a cut, what the side that has less has at most."""

_SOFTER_DECIBELS, _SURROUNDINGS_SECONDS = 6.0, 10.0

_HELD, _JUST_BEFORE_FRAMES = 0.76, 3
"""Cosine of coarse frames to those before; of nineteen passages that had been cut out, one had more."""


def sharpened(pair: Pair, sections: Sequence[Section]) -> list[Section]:
    """The sections with the cuts between neighbours placed anew."""
    out = list(sections)
    reach = round(_REACH_SECONDS * FEATURE_RATE)
    fixed = [anchor_frames(anchor) for anchor in pair.anchors]
    for k, (before, after) in enumerate(pairwise(sections)):
        between = [s for s in sections if before.end[1] <= s.start[1] < after.start[1]]
        if before.end[1] > after.start[1] or between:
            continue
        gaps = _gaps_between(max(_cost_of_matching(pair, section) for section in (before, after)))
        end, start = sharpen(pair.x.fine, pair.y.fine, before.end, after.start, reach, gaps)
        left_whole = all(end[side] > out[k].start[side] and start[side] < after.end[side] for side in (0, 1))
        if left_whole and not any(_loses(frames, before, end, after, start) for frames in fixed):
            out[k] = replace(out[k], end=end)
            out[k + 1] = replace(after, start=start)
    return [section for section in out if min(np.subtract(section.end, section.start)) >= _FEWEST_FRAMES]


def parted(pair: Pair, sections: Sequence[Section]) -> list[Section]:
    """The sections, cut where they run over what only one side has, and without such at their ends."""
    out: list[Section] = []
    for section in _ended(pair, sections) if pair.band is None and not pair.anchors else sections:
        steep = [] if pair.band is not None else list(_steep_stretches(section.points))
        like = _cost_of_matching(pair, section) if steep else 0.0
        for first, last in steep:
            cut = _cut_around(pair, section, first, last, replace(_gaps_between(like), opening=_UNNOTICED_OPENING))
            if cut is not None:
                out.append(replace(section, end=cut[0]))
                section = replace(section, start=cut[1])
        out.append(section)
    return out


def _ended(pair: Pair, sections: Sequence[Section]) -> list[Section]:
    """Without what one side goes on to play before the first section or after the last while the other stands still.

    That is where an excerpt breaks off: what is silent there was matched with what is silent at an end of the whole.
    """
    out = list(sections)
    if out and (beyond := _points_beyond(pair, out[0].points[::-1])):
        points = out[0].points[beyond:]
        out[0] = replace(out[0], start=(int(points[0, 0]), int(points[0, 1])), points=points)
    if out and (beyond := _points_beyond(pair, out[-1].points)):
        points = out[-1].points[:-beyond]
        out[-1] = replace(out[-1], end=(int(points[-1, 0]) + 1, int(points[-1, 1]) + 1), points=points)
    return [section for section in out if len(section.points) >= _FEWEST_FRAMES]


def _points_beyond(pair: Pair, points: NDArray[np.int64]) -> int:
    """How many of the last points of a path, which may run backwards, lead over what only one side plays."""
    ways = np.abs(points[-1] - points)
    if ways[0].min() <= 0:
        return 0
    for side in (0, 1):
        passed, other = ways[:, side], ways[:, 1 - side] * ways[0, side] / ways[0, 1 - side]
        knee = int(np.argmax(passed - _STEEP * other))
        if passed[knee] < _STEEP_SECONDS * FEATURE_RATE:
            continue
        first, last = sorted((int(points[knee, side]), int(points[-1, side])))
        played, features = (pair.left, pair.right)[side], (pair.x, pair.y)[side]
        if _plays(played, first, last) and not _holds(features, first, last):
            return len(points) - 1 - knee
    return 0


def _steep_stretches(points: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """First and last of the points between which one side all but stands still, for the pace of the whole."""
    least = _STEEP_SECONDS * FEATURE_RATE
    steep = np.zeros(len(points), bool)
    for one, two in (points.T, points.T[::-1]):
        pace = max(one[-1] - one[0], 1) / max(two[-1] - two[0], 1)
        stops = np.searchsorted(one, one + least)
        for start in np.flatnonzero(stops < len(points)):
            stop = stops[start]
            if (two[stop] - two[start]) * pace * _STEEP <= one[stop] - one[start]:
                steep[start : stop + 1] = True
    marked = np.flatnonzero(steep)
    for run in np.split(marked, np.flatnonzero(np.diff(marked) > 1) + 1):
        if len(run):
            yield int(run[0]), int(run[-1])


def _cut_around(
    pair: Pair, section: Section, first: int, last: int, gaps: Gaps
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Where a section ends and goes on, around a stretch between two of its points; None where all corresponds."""
    along = section.points.sum(axis=1)
    around = 2.0 * _REACH_SECONDS * FEATURE_RATE
    low = section.points[max(int(np.searchsorted(along, along[first] - around)) - 1, 0)]
    high = section.points[min(int(np.searchsorted(along, along[last] + around)), len(along) - 1)]
    start, end = np.maximum(low, section.start), np.minimum(high + 1, section.end)
    if min(end - start) < 2 * _FEWEST_FRAMES:
        return None
    cut = longest_cut(pair.x.fine[:, start[0] : end[0]], pair.y.fine[:, start[1] : end[1]], gaps)
    if cut is None:
        return None
    before, after = ((int(start[0]) + i, int(start[1]) + j) for i, j in cut)
    lengths = np.subtract(after, before)
    side = int(lengths.argmax())
    shorter = lengths[1 - side] > _ONE_SIDED * lengths[side]
    if lengths[side] < _SHORTEST_SECONDS * FEATURE_RATE or shorter:
        return None
    if min(*np.subtract(before, section.start), *np.subtract(section.end, after)) < _FEWEST_FRAMES:
        return None
    if any(_within_cut(anchor_frames(anchor), before, after) for anchor in pair.anchors):
        return None
    played, features = (pair.left, pair.right)[side], (pair.x, pair.y)[side]
    if not _plays(played, before[side], after[side]) or _holds(features, before[side], after[side]):
        return None
    return before, after


def _within_cut(anchor: tuple[int, int], before: tuple[int, int], after: tuple[int, int]) -> bool:
    return any(before[side] - _FEWEST_FRAMES <= anchor[side] < after[side] + _FEWEST_FRAMES for side in (0, 1))


def _plays(side: Analysed, first: int, last: int) -> bool:
    """Whether something sounds between two frames of the features about as loud as what is around."""
    start = round(side.start * FEATURE_RATE)
    around = round(_SURROUNDINGS_SECONDS * FEATURE_RATE)
    inside = side.level[max(start + first, 0) : start + last]
    surroundings = side.level[max(start + first - around, 0) : start + last + around]
    return bool(np.median(inside) > np.median(surroundings) - _SOFTER_DECIBELS)


def _holds(features: SyncFeatures, first: int, last: int) -> bool:
    """Whether what sounds between two frames is what sounded just before: a note or chord that is held longer."""
    unit = normalise_columns(features.coarse.astype(np.float32))
    at = first // COARSE_DOWNSAMPLING
    before = unit[:, max(at - _JUST_BEFORE_FRAMES, 0) : at + 1].mean(axis=1)
    stretch = unit[:, at : max(last // COARSE_DOWNSAMPLING, at + 1)]
    return bool((before @ stretch).mean() > _HELD * np.linalg.norm(before))


def _gaps_between(like: float) -> Gaps:
    """What matches costs more the less the two sides sound alike: a gap costs half way from there to unlike music."""
    return replace(_GAPS, each=float(np.clip((like + 1.0) / 2.0, _GAPS.each, 0.95)))


def _loses(
    anchor: tuple[int, int], before: Section, end: tuple[int, int], after: Section, start: tuple[int, int]
) -> bool:
    """Whether an anchor in one of two neighbours would no more be within, were the cut between them there."""
    sides = (0, 1)
    in_first = all(before.start[side] < anchor[side] <= before.end[side] for side in sides)
    in_second = all(after.start[side] <= anchor[side] < after.end[side] for side in sides)
    kept_first = all(anchor[side] < end[side] - _FEWEST_FRAMES for side in sides)
    kept_second = all(anchor[side] >= start[side] + _FEWEST_FRAMES for side in sides)
    return (in_first and not kept_first) or (in_second and not kept_second)


def _cost_of_matching(pair: Pair, section: Section) -> float:
    """Cost of a frame in the middle of a section, where that of a frame matched with unlike music is 1."""
    along = section.points.sum(axis=1)
    points = section.points[np.abs(along - along[len(along) // 2]) <= _SAMPLED_SECONDS * FEATURE_RATE]
    (i, j), (k, m) = points[0], points[-1] + 1
    x, y = pair.x.fine[:, i:k].astype(np.float32), pair.y.fine[:, j:m].astype(np.float32)
    cost = dtw(x, y, weights=SYMMETRIC_WEIGHTS).cost / (x.shape[1] + y.shape[1])
    unlike = 1.0 - float(x.mean(axis=1) @ y.mean(axis=1))
    return cost / max(unlike, 1e-3)
