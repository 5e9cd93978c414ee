"""The sections of a pair that correspond, and whether it is the same music.

Embeddings at 5 frames a second tell the sections (`alignment.structure`); cuts between them are placed anew
at 50 frames a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from alignment.acceptance import Evidence, evidence_of_same_music
from alignment.analysed import Analysed
from alignment.dtw import SYMMETRIC_WEIGHTS, dtw
from alignment.features.chroma import normalise_columns
from alignment.features.frames import FEATURE_RATE
from alignment.features.sync import COARSE_DOWNSAMPLING
from alignment.pair import Pair, anchor_frames, band_around, part_of_band
from alignment.structure import Correspondence, Gaps, bridged, corresponding_sections, sharpen

__all__ = ["Section", "matching_sections", "sharpened"]

_MOST_COARSE_CELLS = 90_000_000
"""A programme of an hour against an hour takes every second coarse frame."""

_QUIET_DECIBELS = -50.0
_QUIET_SHARE = 0.12
_HALT = 0.25
_GAPS = Gaps(each=0.6, halt=_HALT, opening=10.0, exchange=20.0, start=8.0, end=8.0, least_gain=10.0)
_SHARPENING_GAPS = Gaps(each=0.6, halt=_HALT, opening=25.0, exchange=0.0, start=np.inf, end=np.inf, least_gain=0.0)
_SHARPENING_REACH_SECONDS = 4.0
_SHORTEST_SECTION_SECONDS = 5.0
_SAMPLED_SECONDS = 15.0
_FEWEST_FRAMES = 5


@dataclass(frozen=True)
class Section:
    """A section that corresponds, in fine frames of the excerpts: corners, and points of the coarse path between.

    `start` and `end` (exclusive) are `(ref, other)`; `points` has shape `(points, 2)`.
    """

    start: tuple[int, int]
    end: tuple[int, int]
    points: NDArray[np.int64]


def matching_sections(pair: Pair) -> tuple[list[Section], Evidence | None]:
    """Sections that correspond, in the order of the reference, and what speaks for the same music, if anything."""
    x, y = _with_quiet(pair.x.coarse, pair.left), _with_quiet(pair.y.coarse, pair.right)
    pooled = int(np.ceil(np.sqrt(x.shape[1] * y.shape[1] / _MOST_COARSE_CELLS)))
    x, y = _pooled(x, pooled), _pooled(y, pooled)
    gaps = replace(
        _GAPS,
        opening=_GAPS.opening / pooled,
        exchange=_GAPS.exchange / pooled,
        start=_GAPS.start / pooled,
        end=_GAPS.end / pooled,
        least_gain=_GAPS.least_gain / pooled,
    )
    scale = pooled * COARSE_DOWNSAMPLING
    fixed = [(round(i / scale), round(j / scale)) for i, j in map(anchor_frames, pair.anchors)]
    line = _rising([(0, 0), *fixed, (x.shape[1], y.shape[1])])
    allowed = None if pair.band is None else band_around(line, pair.band * FEATURE_RATE / scale)
    shortest = round(_SHORTEST_SECTION_SECONDS * FEATURE_RATE / scale)
    found: list[Correspondence] = []
    for number, ((i, j), (k, m)) in enumerate(pairwise(line)):
        part = _between_anchors(gaps, bool(number), number < len(line) - 2)
        within = None if allowed is None else part_of_band(allowed, i, j, k, m)
        matches = corresponding_sections(x[:, i:k], y[:, j:m], part, shortest, within)
        found += [Correspondence(match.path + np.array([i, j]), match.gain) for match in matches]
    if not found:
        return [], None
    evidence = evidence_of_same_music(x, y, found, gaps, pooled)
    if allowed is None:
        found = bridged(x, y, found, gaps)
    return [_section(match, scale, pair.frames) for match in _joined(found)], evidence


def _with_quiet(coarse: NDArray[np.float32], side: Analysed) -> NDArray[np.float32]:
    """Unit columns with one more component, which sets what is near to silence apart from what sounds.

    Embeddings do not tell them apart by level: applause is to them what hiss is before the first note.
    """
    first = round(side.start * FEATURE_RATE)
    at = first + COARSE_DOWNSAMPLING * np.arange(coarse.shape[1])
    within = (at >= 0) & (at < len(side.level))
    level = maximum_filter1d(side.level, COARSE_DOWNSAMPLING)[np.clip(at, 0, len(side.level) - 1)]
    sounds = within & (level > side.level.max() + _QUIET_DECIBELS)
    sign = np.where(sounds, 1.0, -1.0)
    return np.concatenate([np.sqrt(1.0 - _QUIET_SHARE) * coarse, np.sqrt(_QUIET_SHARE) * sign[None]]).astype(np.float32)


def _rising(line: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The first and the last point, and of those between, what rises on both sides."""
    first, *between, last = line
    out = [first]
    for point in between:
        if all(a < b < c for a, b, c in zip(out[-1], point, last, strict=True)):
            out.append(point)
    return [*out, last]


def _between_anchors(gaps: Gaps, from_anchor: bool, to_anchor: bool) -> Gaps:
    """The costs of a stretch that begins or ends at an anchor, where it corresponds whatever that costs."""
    if not from_anchor and not to_anchor:
        return gaps
    return replace(
        gaps,
        start=np.inf if from_anchor else gaps.start,
        end=np.inf if to_anchor else gaps.end,
        least_gain=-np.inf,
    )


def _pooled(features: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Unit means of `count` frames each."""
    if count == 1:
        return features
    starts = np.arange(0, features.shape[1], count)
    return normalise_columns(np.add.reduceat(features, starts, axis=1))


def _joined(found: Sequence[Correspondence]) -> list[Correspondence]:
    """Sections that meet on both sides are one."""
    out: list[Correspondence] = []
    for match in found:
        if out and out[-1].x[1] == match.x[0] and out[-1].y[1] == match.y[0]:
            last = out.pop()
            match = Correspondence(np.concatenate([last.path, match.path]), last.gain + match.gain)
        out.append(match)
    return out


def _section(match: Correspondence, scale: int, frames: tuple[int, int]) -> Section:
    (x_start, x_end), (y_start, y_end) = match.x, match.y
    end = min(x_end * scale, frames[0]), min(y_end * scale, frames[1])
    return Section((x_start * scale, y_start * scale), end, match.path * scale)


def sharpened(pair: Pair, sections: Sequence[Section]) -> list[Section]:
    """The sections with the cuts between neighbours placed anew."""
    out = list(sections)
    reach = round(_SHARPENING_REACH_SECONDS * FEATURE_RATE)
    fixed = [anchor_frames(anchor) for anchor in pair.anchors]
    for k, (before, after) in enumerate(pairwise(sections)):
        between = [s for s in sections if before.end[1] <= s.start[1] < after.start[1]]
        if before.end[1] > after.start[1] or between:
            continue
        # What matches costs more the less the two sides sound alike: a gap costs half way from there to unlike music.
        like = max(_cost_of_matching(pair, section) for section in (before, after))
        gaps = replace(_SHARPENING_GAPS, each=float(np.clip((like + 1.0) / 2.0, _SHARPENING_GAPS.each, 0.95)))
        end, start = sharpen(pair.x.fine, pair.y.fine, before.end, after.start, reach, gaps)
        left_whole = all(end[side] > out[k].start[side] and start[side] < after.end[side] for side in (0, 1))
        if left_whole and not any(_loses(frames, before, end, after, start) for frames in fixed):
            out[k] = replace(out[k], end=end)
            out[k + 1] = replace(after, start=start)
    return [section for section in out if min(np.subtract(section.end, section.start)) >= _FEWEST_FRAMES]


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
    half = round(_SAMPLED_SECONDS * FEATURE_RATE / 2)
    middle = section.points[len(section.points) // 2, 0]
    points = section.points[np.abs(section.points[:, 0] - middle) <= half]
    (i, j), (k, m) = points[0], points[-1] + 1
    x, y = pair.x.fine[:, i:k].astype(np.float32), pair.y.fine[:, j:m].astype(np.float32)
    cost = dtw(x, y, weights=SYMMETRIC_WEIGHTS).cost / (x.shape[1] + y.shape[1])
    unlike = 1.0 - float(x.mean(axis=1) @ y.mean(axis=1))
    return cost / max(unlike, 1e-3)
