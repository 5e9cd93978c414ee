"""Mean paths of sections arranged to segments: in seconds, with what stands alone before, between and after them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from alignment.analysed import Analysed
from alignment.confidence import path_evidence, point_confidence, point_interval
from alignment.pair import Pair
from alignment.path import WarpingPath
from alignment.segments import SLIVER_SECONDS, Segment
from alignment.warping import MeanPath

__all__ = ["all_segments", "match_segment"]

_LEAST_STEP_SECONDS = 0.001
_STANDSTILLS = (0.02, 0.12), (0.05, 0.2), (0.1, 0.4)
"""Seconds of one side in which it stands still if more than so many of the other pass."""


def match_segment(pair: Pair, match: MeanPath, confidence: float) -> Segment:
    """The segment of a section: strictly rising, through the anchors and straight between the notes of a score.

    Args:
        pair: both sides.
        match: path of the section.
        confidence: that it is the same music at all.
    """
    moving = _moving(match)
    path = WarpingPath(match.ref[moving], match.other[moving]).monotone().spaced(_LEAST_STEP_SECONDS)
    for anchor in pair.anchors:
        path = _through(path, *anchor)
    path = _straight_between_onsets(WarpingPath(path.ref + pair.left.start, path.other + pair.right.start), pair)
    at = path.ref - pair.left.start
    along = path_evidence(match)
    evidence = np.stack([np.interp(at, match.ref, row) for row in along])
    return Segment(
        "match",
        (float(path.ref[0]), float(path.ref[-1])),
        (float(path.other[0]), float(path.other[-1])),
        path,
        confidence * point_confidence(evidence),
        point_interval(evidence),
    )


def _moving(match: MeanPath) -> slice:
    """The points without those at either end at which one side stands still while the other goes on."""
    first, last = 0, len(match.ref) - 1
    for one, two in ((match.ref, match.other), (match.other, match.ref)):
        for still, waiting in _STANDSTILLS:
            stop = int(np.searchsorted(one, one[0] + still, side="right")) - 1
            if two[stop] - two[0] > waiting:
                first = max(first, stop)
            start = int(np.searchsorted(one, one[-1] - still, side="left"))
            if two[-1] - two[start] > waiting:
                last = min(last, start)
    return slice(first, last + 1) if last - first > 1 else slice(None)


def _through(path: WarpingPath, ref: float, other: float) -> WarpingPath:
    """The path with one more point in place of those that contradict it, if the point is within the path."""
    if not (path.ref[0] < ref < path.ref[-1] and path.other[0] < other < path.other[-1]):
        return path
    step = _LEAST_STEP_SECONDS
    before = (path.ref < ref - step) & (path.other < other - step)
    after = (path.ref > ref + step) & (path.other > other + step)
    return WarpingPath(
        np.concatenate([path.ref[before], [ref], path.ref[after]]),
        np.concatenate([path.other[before], [other], path.other[after]]),
    )


def _straight_between_onsets(path: WarpingPath, pair: Pair) -> WarpingPath:
    """The path with the tempo of a score between the onsets of its notes, and the anchors.

    What is held or rests there tells no time: without this, beats that no note strikes stray.
    """
    onsets = np.concatenate([pair.left.onsets, path.invert().map(_inside(pair.right.onsets, path.other))])
    if not len(onsets):
        return path
    anchors = np.array([ref + pair.left.start for ref, _ in pair.anchors])
    knots = np.unique(np.concatenate([path.ref[[0, -1]], _inside(onsets, path.ref), _inside(anchors, path.ref)]))
    ref = np.union1d(path.ref, knots)
    return WarpingPath(ref, np.interp(ref, knots, path.map(knots))).spaced(_LEAST_STEP_SECONDS)


def _inside(times: NDArray[np.float64], side: NDArray[np.float64]) -> NDArray[np.float64]:
    return times[(times > side[0]) & (times < side[-1])]


def all_segments(matches: list[Segment], left: Analysed, right: Analysed) -> tuple[Segment, ...]:
    """The matches in the order of the reference, and what stands alone before, between and after them."""
    ordered: list[tuple[float, int, Segment]] = []
    for match in matches:
        assert match.ref is not None, "a match has both sides"
        ordered.append((match.ref[0], 1, match))
    for start, end in _alone([match.ref for match in matches], left.duration):
        ordered.append((start, 0, Segment.alone("only_ref", start, end)))
    for start, end in _alone([match.other for match in matches], right.duration):
        earlier = [match for match in matches if match.other is not None and match.other[1] <= start + 1e-6]
        place = max(earlier, key=lambda match: match.other or (0.0, 0.0)).ref if earlier else (0.0, 0.0)
        assert place is not None, "a match has both sides"
        ordered.append((place[1], 0, Segment.alone("only_other", start, end)))
    return tuple(segment for _, _, segment in sorted(ordered, key=lambda item: item[:2]))


def _alone(spans: Sequence[tuple[float, float] | None], duration: float) -> list[tuple[float, float]]:
    edges = [(0.0, 0.0), *sorted(span for span in spans if span is not None), (duration, duration)]
    gaps = [(end, start) for (_, end), (start, _) in pairwise(edges)]
    return [(start, end) for start, end in gaps if end - start >= SLIVER_SECONDS]
