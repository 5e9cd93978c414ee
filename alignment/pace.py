"""Sections that correspond, found at the pace of the two sides.

Where one side is twice as slow, every second of its frames would be matched while the other stands still, which costs;
so it is made as quick as the other first. The sound of a score may well be three times as fast as a performance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.features.chroma import normalise_columns
from alignment.features.frames import FEATURE_RATE
from alignment.features.sync import COARSE_DOWNSAMPLING
from alignment.pair import band_around, part_of_band
from alignment.structure import Correspondence, Gaps, corresponding_sections

__all__ = ["GAPS", "SHORTEST_SECTION_SECONDS", "AtPace", "at_best_pace"]

GAPS = Gaps(each=0.6, halt=0.25, opening=10.0, exchange=20.0, start=8.0, end=8.0, least_gain=10.0)
"""What it costs that coarse frames stand alone."""

SHORTEST_SECTION_SECONDS = 5.0
"""Of one out of order, or at a pace of its own."""

_MOST_COARSE_CELLS = 90_000_000
"""A programme of an hour against an hour takes every second coarse frame."""

_QUICKEST = 6.0
_ANOTHER = 1.3
"""A pace is another one if it is so many times as fast."""

_OTHERS = (0.5, 2.0)
"""Paces from which others are found, where nothing is at 1, as in excerpts."""

_ROUNDING = 1e-6


class AtPace(NamedTuple):
    """Sections found at a pace.

    Attributes:
        pace: seconds of y that are heard as one of x.
        x, y: unit columns, those of the slower side so many in one as it is slower.
        scale: fine frames of a column of x and of y.
        pooled: how many coarse frames a column of the quicker side stands for.
        gaps: costs.
        matches: in the order of x.
    """

    pace: float
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    scale: tuple[float, float]
    pooled: int
    gaps: Gaps
    matches: list[Correspondence]

    @property
    def gain(self) -> float:
        """What all matches save."""
        return sum(match.gain for match in self.matches)

    @property
    def pace_of_matches(self) -> float:
        """Seconds of y that correspond to one of x, on the mean; where nothing does, the pace."""
        if not self.matches:
            return self.pace
        columns = np.sum([np.ptp(match.path, axis=0) + 1 for match in self.matches], axis=0)
        return float(columns[1] * self.scale[1] / (columns[0] * self.scale[0]))


def at_best_pace(
    x: NDArray[np.float32], y: NDArray[np.float32], anchors: Sequence[tuple[int, int]] = (), band: float | None = None
) -> AtPace:
    """Find the sections at the pace at which most is saved: 1, that which makes both as long, or what these tell.

    Args:
        x, y: unit columns, 5 a second.
        anchors: fine frames `(x, y)` that the path goes through, rising on both sides.
        band: fine frames by which it may stray from the straight line between the ends and anchors.
    """
    best = _at_pace(1.0, x, y, anchors, band)
    usual = () if best.matches else _OTHERS
    tried, paces = [best.pace], [*usual, y.shape[1] / x.shape[1], best.pace_of_matches]
    while paces:
        pace = paces.pop()
        if not 1.0 / _QUICKEST <= pace <= _QUICKEST or any(_near(pace, known) for known in tried):
            continue
        tried.append(pace)
        found = _at_pace(pace, x, y, anchors, band)
        if found.gain > best.gain:
            best = found
            paces.append(best.pace_of_matches)
    return best


def _near(pace: float, other: float) -> bool:
    return 1.0 / _ANOTHER < pace / other < _ANOTHER


def _at_pace(
    pace: float, x: NDArray[np.float32], y: NDArray[np.float32], anchors: Sequence[tuple[int, int]], band: float | None
) -> AtPace:
    """Find the sections while the slower side is heard as quick as the other."""
    slow_x, slow_y = max(1.0, 1.0 / pace), max(1.0, pace)
    pooled = int(np.ceil(np.sqrt(x.shape[1] / slow_x * y.shape[1] / slow_y / _MOST_COARSE_CELLS)))
    x, y = _pooled(x, pooled * slow_x), _pooled(y, pooled * slow_y)
    gaps = replace(
        GAPS,
        opening=GAPS.opening / pooled,
        exchange=GAPS.exchange / pooled,
        start=GAPS.start / pooled,
        end=GAPS.end / pooled,
        least_gain=GAPS.least_gain / pooled,
    )
    scale = pooled * slow_x * COARSE_DOWNSAMPLING, pooled * slow_y * COARSE_DOWNSAMPLING
    fixed = [(round(i / scale[0]), round(j / scale[1])) for i, j in anchors]
    line = _rising([(0, 0), *fixed, (x.shape[1], y.shape[1])])
    allowed = None if band is None else band_around(line, (band / scale[0], band / scale[1]))
    shortest = round(SHORTEST_SECTION_SECONDS * FEATURE_RATE / (pooled * COARSE_DOWNSAMPLING))
    found: list[Correspondence] = []
    for number, ((i, j), (k, m)) in enumerate(pairwise(line)):
        part = _between_anchors(gaps, bool(number), number < len(line) - 2)
        within = None if allowed is None else part_of_band(allowed, i, j, k, m)
        matches = corresponding_sections(x[:, i:k], y[:, j:m], part, shortest, within)
        found += [Correspondence(match.path + np.array([i, j]), match.gain) for match in matches]
    return AtPace(pace, x, y, scale, pooled, gaps, found)


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


def _pooled(features: NDArray[np.float32], count: float) -> NDArray[np.float32]:
    """Unit means of `count` frames each, the last of what is left; a frame on an edge belongs to both sides in part."""
    if count == 1:
        return features
    frames = features.shape[1]
    columns = int(np.ceil(frames / count - _ROUNDING))
    edges = np.append(count * np.arange(columns), frames)
    sums = np.concatenate([np.zeros((len(features), 1)), np.cumsum(features, axis=1, dtype=np.float64)], axis=1)
    whole = np.minimum(edges.astype(np.int64), frames - 1)
    until = sums[:, whole] + (edges - whole) * features[:, whole]
    return normalise_columns(np.diff(until, axis=1).astype(np.float32))
