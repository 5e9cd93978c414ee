"""The sections of a pair that correspond, and what speaks for the same music.

Embeddings at 5 frames a second tell them (`alignment.structure`, `alignment.pace`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, median_filter

from alignment.acceptance import Evidence, evidence_of_same_music
from alignment.analysed import Analysed
from alignment.features.frames import FEATURE_RATE
from alignment.features.sync import COARSE_DOWNSAMPLING, SyncFeatures
from alignment.pace import SHORTEST_SECTION_SECONDS, AtPace, at_best_pace
from alignment.pair import Pair, anchor_frames
from alignment.structure import Correspondence, bridged, without_noise

__all__ = ["Matching", "Section", "matching_sections"]

Mask = NDArray[np.bool_]

_QUIET_DECIBELS = -50.0
_QUIET_SHARE = 0.12

_EVEN_FRAMES, _EVEN = 15, 0.93
"""Cosine of CENS to that of white noise: applause and rain have .97 and more for seconds, music .86 at its ends."""


@dataclass(frozen=True)
class Section:
    """A section that corresponds, in fine frames of the excerpts: corners, and points of the coarse path between.

    `start` and `end` (exclusive) are `(ref, other)`; `points` has shape `(points, 2)`.
    """

    start: tuple[int, int]
    end: tuple[int, int]
    points: NDArray[np.int64]


class Matching(NamedTuple):
    """What corresponds in a pair.

    Attributes:
        sections: in the order of the reference.
        found: the sections as they were found.
    """

    sections: list[Section]
    found: AtPace

    @property
    def gain(self) -> float:
        """What the sections save over leaving all alone, in coarse frames."""
        return self.found.gain * self.found.pooled

    def evidence(self) -> Evidence | None:
        """What speaks for the same music, if anything does."""
        found = self.found
        return evidence_of_same_music(found.x, found.y, found.matches, found.gaps, found.pooled)


def matching_sections(pair: Pair) -> Matching:
    """The sections that correspond."""
    x, y = _with_quiet(pair.x.coarse, pair.left), _with_quiet(pair.y.coarse, pair.right)
    band = None if pair.band is None else pair.band * FEATURE_RATE
    found = at_best_pace(x, y, list(map(anchor_frames, pair.anchors)), band)
    if not found.matches:
        return Matching([], found)
    noise = _may_be_noise(pair.x), _may_be_noise(pair.y)
    matches = _without_noise(found, noise)
    matches = bridged(found.x, found.y, matches, found.gaps) if band is None else matches
    sections = [_section(match, found.scale, (0, 0), pair.frames) for match in matches]
    if band is None and not pair.anchors:
        sections = _filled(x, y, sections, pair.frames, noise)
    return Matching(_joined(sections), found)


def _filled(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    sections: Sequence[Section],
    frames: tuple[int, int],
    noise: tuple[Mask, Mask],
) -> list[Section]:
    """The sections, and those that correspond at a pace of their own where both sides stand alone.

    Scores go on as before where performers play a cadenza or small notes four times as fast.
    """
    out = list(sections)
    starts, ends = [section.start for section in sections], [section.end for section in sections]
    for start, end in zip([(0, 0), *ends], [*starts, frames], strict=True):
        (i, j), (k, m) = ([frame // COARSE_DOWNSAMPLING for frame in corner] for corner in (start, end))
        long = min(k - i, m - j) >= SHORTEST_SECTION_SECONDS * FEATURE_RATE / COARSE_DOWNSAMPLING
        if long and not any(start[1] <= other[1] < end[1] for other in starts):
            found = at_best_pace(x[:, i:k], y[:, j:m])
            matches = _without_noise(found, (noise[0][i:k], noise[1][j:m]))
            out += [_section(match, found.scale, start, end) for match in matches]
    return sorted(out, key=lambda section: section.start)


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


def _without_quiet(coarse: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit columns as before `_with_quiet`."""
    return np.asarray(coarse[:-1] / np.sqrt(1.0 - _QUIET_SHARE), np.float32)


def _may_be_noise(features: SyncFeatures) -> Mask:
    """Whether, for some seconds around each of the coarse frames, all pitch classes sound alike."""
    evenness = features.harmony.sum(axis=0) / np.sqrt(len(features.harmony))
    return np.asarray(median_filter(evenness, _EVEN_FRAMES, mode="reflect") > _EVEN, np.bool_)


def _without_noise(found: AtPace, noise: tuple[Mask, Mask]) -> list[Correspondence]:
    """What was found, without noise at the ends; `noise` is of the coarse frames in which it was sought."""
    x, y = _without_quiet(found.x), _without_quiet(found.y)
    in_x, in_y = (
        coarse[np.arange(side.shape[1]) * len(coarse) // side.shape[1]]
        for side, coarse in zip((x, y), noise, strict=True)
    )
    return without_noise(x, y, found.matches, (in_x, in_y))


def _section(
    match: Correspondence, scale: tuple[float, float], start: tuple[int, int], end: tuple[int, int]
) -> Section:
    """A match found between two corners."""
    points = np.rint(match.path * scale).astype(np.int64) + start
    last = np.minimum(np.rint((match.path[-1] + 1) * scale).astype(np.int64) + start, end)
    return Section((int(points[0, 0]), int(points[0, 1])), (int(last[0]), int(last[1])), points)


def _joined(sections: Sequence[Section]) -> list[Section]:
    """Sections that meet on both sides are one."""
    out: list[Section] = []
    for section in sections:
        if out and out[-1].end == section.start:
            last = out.pop()
            section = Section(last.start, section.end, np.concatenate([last.points, section.points]))
        out.append(section)
    return out
