"""Times of one recording carried to the other, through the segments of their alignment.

All times are seconds. What lies in a part that stands alone has no counterpart. A sliver of up to a quarter of
a second that belongs to no segment counts as the end of the match beside it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alignment.path import WarpingPath
from alignment.segments import SLIVER_SECONDS, Segment, Synchronisation
from alignment.transposition import nearest_transposition

__all__ = ["carry_span", "carry_spans", "carry_times", "inverted", "place_in_other"]

_CUT = 0.05
"""Seconds: cuts are not placed more finely."""

_ROUNDING = 1e-6
_KINDS = {"match": "match", "only_ref": "only_other", "only_other": "only_ref"}


def carry_times(seconds: ArrayLike, alignment: Synchronisation) -> NDArray[np.float64]:
    """Times of the other recording that correspond to times of the reference; NaN where there is none.

    Where one match ends and the next begins at the same time, the next is taken.
    """
    times = np.asarray(seconds, np.float64)
    carried = np.full(times.shape, np.nan)
    alone = np.zeros(times.shape, bool)
    for segment in alignment.segments:
        if segment.kind == "only_ref" and segment.ref is not None:
            alone |= (times > segment.ref[0]) & (times < segment.ref[1])
    paths = _paths(alignment)
    for slack, allowed in ((SLIVER_SECONDS, ~alone), (_ROUNDING, np.ones(times.shape, bool))):
        for path in paths:
            inside = allowed & (times >= path.ref[0] - slack) & (times <= path.ref[-1] + slack)
            carried[inside] = np.interp(times[inside], path.ref, path.other)
    return carried


def carry_span(start: float, end: float, alignment: Synchronisation) -> list[tuple[float, float]]:
    """What corresponds in the other recording to a span of the reference, in the reference's order.

    The span is clipped to the matches. Their parts are one span where nothing, or only what stands alone,
    lies between them in the other recording, and several spans where sections are in another order, of which slivers
    are left out: where a section ends is not known as finely.
    """
    paths = _paths(alignment)
    spans: list[tuple[float, float]] = []
    for path in paths:
        first, last = max(start, float(path.ref[0])), min(end, float(path.ref[-1]))
        if last <= first:
            continue
        begin, stop = (float(value) for value in np.interp([first, last], path.ref, path.other))
        if spans and _adjoin(spans[-1][1], begin, paths):
            spans[-1] = (spans[-1][0], stop)
        else:
            spans.append((begin, stop))
    return [span for span in spans if span[1] - span[0] >= SLIVER_SECONDS] or spans[:1]


def carry_spans(starts: ArrayLike, ends: ArrayLike, alignment: Synchronisation) -> NDArray[np.float64]:
    """Where each of many spans of the reference begins and ends in the other recording, shape `(n, 2)`.

    A span belongs to the match in which it begins, as `carry_times` says, and is cut off at its end. NaN where it
    begins in none, or so shortly before the end of one that it is taken for what comes after the cut.
    """
    begins, stops = np.asarray(starts, np.float64), np.asarray(ends, np.float64)
    carried = np.full((len(begins), 2), np.nan)
    first = carry_times(begins, alignment)
    for path in _paths(alignment):
        here = (begins >= path.ref[0] - SLIVER_SECONDS) & (begins <= path.ref[-1] + SLIVER_SECONDS)
        here &= np.interp(begins, path.ref, path.other) == first
        here &= (stops <= path.ref[-1]) | (begins <= path.ref[-1] - _CUT)
        carried[here, 0] = first[here]
        carried[here, 1] = np.maximum(np.interp(stops[here], path.ref, path.other), first[here])
    return carried


def place_in_other(segment: Segment, alignment: Synchronisation) -> float:
    """Time in the other recording at which a segment stands; for what it leaves out, where the cut is."""
    if segment.other is not None:
        return segment.other[0]
    here = segment.ref[0] if segment.ref is not None else 0.0
    paths = _paths(alignment)
    before = [float(path.other[-1]) for path in paths if path.ref[-1] <= here + SLIVER_SECONDS]
    after = [float(path.other[0]) for path in paths if path.ref[0] > here]
    return before[-1] if before else after[0] if after else 0.0


def inverted(alignment: Synchronisation) -> Synchronisation:
    """The same alignment with the sides exchanged."""
    segments = sorted(alignment.segments, key=lambda segment: place_in_other(segment, alignment))
    return Synchronisation(
        tuple(
            Segment(
                _KINDS[segment.kind],
                segment.other,
                segment.ref,
                None if segment.path is None else segment.path.invert(),
                segment.confidence,
                _in_reference(segment),
            )
            for segment in segments
        ),
        alignment.accepted,
        alignment.confidence,
        nearest_transposition(-alignment.transposition),
        -alignment.tuning_cents,
    )


def _in_reference(segment: Segment) -> NDArray[np.float64]:
    """The interval of a segment's points, in seconds of the reference: as far as its path takes either end."""
    if segment.path is None or not len(segment.interval):
        return segment.interval
    ref, other = segment.path.ref, segment.path.other
    ends = np.interp([other - segment.interval, other + segment.interval], other, ref)
    return np.asarray(np.abs(ends - ref).max(axis=0))


def _paths(alignment: Synchronisation) -> list[WarpingPath]:
    """The paths of the matches, in the order of the reference."""
    paths = [segment.path for segment in alignment.segments if segment.path is not None]
    return sorted(paths, key=lambda path: float(path.ref[0]))


def _adjoin(end: float, begin: float, paths: list[WarpingPath]) -> bool:
    """Whether nothing that corresponds to another part of the reference lies from `end` to `begin`."""
    if begin < end - _ROUNDING or not math.isfinite(begin):
        return False
    return not any(path.other[0] < begin - _ROUNDING and path.other[-1] > end + _ROUNDING for path in paths)
