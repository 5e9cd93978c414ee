"""Where a score's repeat that only the score has is cut: at its bar lines, and as late as it may be.

Whether the first or the second playing of what is repeated is left out, or the end of the one and the beginning of the
other, sounds the same. The first stays as far as both go on alike, and so to all who leave the repeat out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from alignment.analysed import Analysed
from alignment.features.frames import FEATURE_RATE
from alignment.pair import Pair
from alignment.sections import Section

__all__ = ["cut_at_repeats"]

_MISPLACED_SECONDS = 1.5
"""By so much a cut may miss the length of what is repeated; what the other plays meanwhile is no more."""

_FEWEST_FRAMES = 5


def cut_at_repeats(pair: Pair, sections: Sequence[Section]) -> list[Section]:
    """The sections, cut at the end of the first where a score has twice what the other has once; anchors stay."""
    out = list(sections)
    for number in range(0 if pair.anchors else len(out) - 1):
        for side, analysed in enumerate((pair.left, pair.right)):
            before, after = out[number : number + 2]
            gap = after.start[1 - side] - before.end[1 - side]
            if len(analysed.measures) and 0 <= gap <= _MISPLACED_SECONDS * FEATURE_RATE:
                cut = _at_repeat(analysed, before.end[side], after.start[side])
                moved = _moved(before, after, side, *cut) if cut else None
                if moved:
                    out[number : number + 2] = moved
    return out


def _at_repeat(score: Analysed, end: int, start: int) -> tuple[int, int] | None:
    """For a cut between two frames of a score, the one at bar lines that is as good, or None."""
    times, written = score.measures[:, 0], score.measures[:, 1]
    low, high = (frame / FEATURE_RATE + score.start for frame in (end, start))
    around = [[at + step for step in (-1, 0, 1)] for at in (np.searchsorted(times, (low, high), "right") - 1)]
    alike = [
        (abs(times[q] - times[p] - (high - low)), p, q)
        for p, q in product(*around)
        if 0 <= p < q < len(times) and written[p] == written[q]
    ]
    if not alike or min(alike)[0] > _MISPLACED_SECONDS:
        return None
    _, p, q = min(alike)
    while q < len(times) and written[p] == written[q]:
        p, q = p + 1, q + 1
    if q == len(times):
        return None
    first, last = (round((times[at] - score.start) * FEATURE_RATE) for at in (p, q))
    return first, last


def _moved(before: Section, after: Section, side: int, end: int, start: int) -> tuple[Section, Section] | None:
    """Two sections with the cut between them moved to other frames of one side, and closed on the other."""
    lag = start - end
    first = np.concatenate([before.points, [np.subtract(before.end, 1)]])
    second = np.concatenate([[after.start], after.points, [np.subtract(after.end, 1)]])
    towards = np.zeros(2, np.int64)
    towards[side] = lag
    if end >= before.end[side]:
        first = _rising(np.concatenate([first, second[second[:, side] < start] - towards]))
        second = second[second[:, side] >= start]
    else:
        second = _rising(np.concatenate([first[first[:, side] >= end] + towards, second]))
        first = first[first[:, side] < end]
    if not len(first) or not len(second):
        return None
    meeting = (int(first[-1, 1 - side]) + int(second[0, 1 - side])) // 2
    corners = [(end, meeting), (start, meeting)] if side == 0 else [(meeting, end), (meeting, start)]
    first, second = first[(first < corners[0]).all(axis=1)], second[(second >= corners[1]).all(axis=1)]
    long = all(
        min(np.subtract(b, a)) >= _FEWEST_FRAMES for a, b in ((before.start, corners[0]), (corners[1], after.end))
    )
    if not long or not len(first) or not len(second):
        return None
    return replace(before, end=corners[0], points=first), replace(after, start=corners[1], points=second)


def _rising(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """The points without those that fall behind one before them."""
    highest = np.maximum.accumulate(points, axis=0)
    return points[(points == highest).all(axis=1)]
