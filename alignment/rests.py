"""Where the music of a pair begins and ends, when other sound or silence surrounds it.

A last chord dies away, and before the first note there is a breath: nothing in it tells whether two recordings
correspond, so the sections end before the one and begin after the other. It belongs to the music all the same, up to
where something else begins to sound, applause for instance: where the level rises again, or is as high as that of music
for longer than a chord may last that dies away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from alignment.analysed import Analysed
from alignment.features.frames import FEATURE_RATE, frames_to_seconds, seconds_to_frames
from alignment.pair import Pair
from alignment.path import WarpingPath
from alignment.sections import Section
from alignment.segments import Segment
from alignment.warping import MeanPath

__all__ = ["matches_over_rests", "path_of_music", "sections_over_rests"]

_LONGEST_SECONDS = 10.0
_SOUNDING_ON_FRAMES = 25
"""The edge of a section is as coarse as that: a rise within them may be the music's."""

_RISE_DECIBELS = 6.0
_FLOOR_DECIBELS = -60.0
"""Below the loudest; what is quieter than that is all the same."""

_SOFTER_DECIBELS = 10.0
"""Below what is usual, music is no softer for long."""

_NOISE, _NOISE_DECIBELS = 0.02, 3.0
"""Share of a recording that is taken to be noise, and by how much it may be louder elsewhere."""

_PLAYING_FRAMES, _PLAYING_SHARE = 50, 0.8
"""Of so many frames, the share that is as loud as music where something plays."""

_OF_ONE_RECORDING_DECIBELS = 0.5
_EDGE_FRAMES = 3
"""By so many an edge may be off; what is shorter is like anything."""

_ALIKE_SECONDS = 1.5
_ALIKE_RATIO = 2.0
_LEAST_SECONDS = 0.001


def path_of_music(pair: Pair, path: MeanPath) -> MeanPath | None:
    """A path without what either side spends before its music begins or after it has ended; None if nothing is left.

    Nothing tells there how the two correspond. From the first point that is left the path runs straight to where the
    music of one side begins, and from the last to where that of one side ends.
    """
    (start, end), (other_start, other_end) = (
        (side.music[0] - side.start, side.music[1] - side.start) for side in (pair.left, pair.right)
    )
    within = (path.ref >= start) & (path.ref <= end) & (path.other >= other_start) & (path.other <= other_end)
    kept = np.flatnonzero(within)
    if len(kept) < 2:
        return None
    low, high = kept[0], kept[-1]
    moved = np.zeros(len(kept) + 2)
    if low > 0:
        moved[0] = -min(path.ref[low] - start, path.other[low] - other_start)
    if high < len(path.ref) - 1:
        moved[-1] = min(end - path.ref[high], other_end - path.other[high])
    taken = np.concatenate([[low], kept, [high]])
    longer = MeanPath(*(getattr(path, field.name)[taken] for field in fields(MeanPath)))
    return replace(longer, ref=longer.ref + moved, other=longer.other + moved)


def sections_over_rests(pair: Pair, sections: Sequence[Section]) -> list[Section]:
    """Let the section that is first on both sides begin earlier, and the one that is last end later, over the rests.

    No further than there may be notes that the section has missed, which the warping that follows is to find.
    """
    out = list(sections)
    if out and all(section.start[1] >= out[0].start[1] for section in out):
        start = out[0].start
        i, j = _near(_shared(pair, _rests(pair, start, _rest_before)), start)
        out[0] = replace(out[0], start=(start[0] - i, start[1] - j))
    if out and all(section.end[1] <= out[-1].end[1] for section in out):
        end, (n, m) = out[-1].end, pair.frames
        i, j = _near(_shared(pair, _rests(pair, end, _rest_after)), (n - end[0], m - end[1]))
        out[-1] = replace(out[-1], end=(end[0] + i, end[1] + j))
    return out


def matches_over_rests(pair: Pair, matches: Sequence[Segment]) -> list[Segment]:
    """Let the match that is first on both sides, and the one that is last, reach over what is left of the rests.

    A rest that one side has much more of stands alone; what is shorter than a frame at a recording's edge does not.
    """
    out = list(matches)
    for at, rest_beyond in ((0, _rest_before), (-1, _rest_after)):
        path = out[at].path if out else None
        if path is None or not _outermost(out, at):
            continue
        edge = float(path.ref[at]), float(path.other[at])
        rests = [rest_beyond(side, time) for side, time in zip((pair.left, pair.right), edge, strict=True)]
        shared = np.maximum(_shared(pair, rests), _of_one_recording(pair, edge, at))
        if shared.min() < _LEAST_SECONDS:
            shared = np.zeros(2)
        limits = np.array([pair.left.duration, pair.right.duration]) if at else np.zeros(2)
        beyond = edge + shared if at else np.maximum(edge - shared, 0.0)
        beyond = np.where(np.abs(limits - beyond) < 1.0 / FEATURE_RATE, limits, beyond)
        if shared.any():
            out[at] = _extended(out[at], path, float(beyond[0]), float(beyond[1]), at)
        elif len(path) > 1:
            out[at] = _moved(out[at], path, float(beyond[0]), float(beyond[1]), at)
    return out


def _outermost(matches: Sequence[Segment], at: int) -> bool:
    """Whether the match that is first (`at` 0) or last (-1) in the reference is so in the other, too."""
    edges = [match.other[at] for match in matches if match.other is not None]
    return edges[at] == (max(edges) if at else min(edges))


def _rests(pair: Pair, frames: tuple[int, int], rest_beyond: Callable[[Analysed, float], float]) -> tuple[float, float]:
    """Seconds of both sides' rests beyond frames of the excerpts."""
    left, right = (
        rest_beyond(side, float(np.clip(side.start + frame / FEATURE_RATE, 0.0, side.duration)))
        for side, frame in zip((pair.left, pair.right), frames, strict=True)
    )
    return left, right


def _rest_before(side: Analysed, time: float) -> float:
    """Seconds of rest that end at a time."""
    return min(_rest(side.level[: int(np.ceil(time * FEATURE_RATE))][::-1], side.level), time)


def _rest_after(side: Analysed, time: float) -> float:
    """Seconds of rest that begin at a time."""
    return min(_rest(side.level[int(time * FEATURE_RATE) :], side.level), side.duration - time)


def _rest(level: NDArray[np.float32], whole: NDArray[np.float32]) -> float:
    """Seconds up to where the level rises for good or is that of music; all of it where neither is so."""
    level = np.maximum(level[: round(_LONGEST_SECONDS * FEATURE_RATE)], whole.max() + _FLOOR_DECIBELS)
    high = level > np.minimum.accumulate(level) + _RISE_DECIBELS
    late = np.flatnonzero(high[_SOUNDING_ON_FRAMES:])
    # The first frame is no higher than itself.
    rest = np.flatnonzero(~high[: _SOUNDING_ON_FRAMES + late[0]])[-1] if len(late) else len(level)
    return float(frames_to_seconds(min(rest, _playing_from(level > _loudness_of_music(whole)))))


def _playing_from(loud: NDArray[np.bool_]) -> int:
    """The frame from which most are loud; behind the last where none is such."""
    sums = np.cumsum(np.pad(loud, (1, 0)))
    playing = np.flatnonzero(sums[_PLAYING_FRAMES:] - sums[:-_PLAYING_FRAMES] >= _PLAYING_SHARE * _PLAYING_FRAMES)
    return int(playing[0] + np.argmax(loud[playing[0] :])) if len(playing) else len(loud)


def _loudness_of_music(level: NDArray[np.float32]) -> float:
    """Decibels above which a recording plays; above its noise, where that is all but as loud."""
    heard = level[level > level.max() + _FLOOR_DECIBELS]
    return max(float(np.median(heard)) - _SOFTER_DECIBELS, float(np.quantile(level, _NOISE)) + _NOISE_DECIBELS)


def _shared(pair: Pair, rests: Sequence[float]) -> NDArray[np.float64]:
    """What both sides have, or all of both where that is much alike and no band forbids it."""
    unlike = max(rests) > min(min(rests) + _ALIKE_SECONDS, _ALIKE_RATIO * min(rests))
    if unlike or pair.band is not None:
        return np.full(2, min(rests))
    return np.array(rests)


def _of_one_recording(pair: Pair, edge: tuple[float, float], at: int) -> float:
    """Seconds beyond the first (`at` 0) or last (-1) times that both have, if their level goes alike; else none.

    Noise rises and falls, but never twice in the same way.
    """
    left, right = (
        side.level[: int(np.ceil(time * FEATURE_RATE))][::-1] if at == 0 else side.level[int(time * FEATURE_RATE) :]
        for side, time in zip((pair.left, pair.right), edge, strict=True)
    )
    lags = [(max(lag, 0), max(-lag, 0)) for lag in range(-_EDGE_FRAMES, _EDGE_FRAMES + 1)]
    if min(_unlikeness(left[i:], right[j:]) for i, j in lags) > _OF_ONE_RECORDING_DECIBELS:
        return 0.0
    return min(edge) if at == 0 else min(pair.left.duration - edge[0], pair.right.duration - edge[1])


def _unlikeness(level: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Decibels by which two levels differ in the mean, but for their loudness; infinite where either is short."""
    frames = min(len(level), len(other))
    if frames < _EDGE_FRAMES:
        return np.inf
    apart = level[:frames] - other[:frames]
    return float(np.abs(apart - np.median(apart)).mean())


def _near(rests: NDArray[np.float64], sounding: tuple[int, int]) -> tuple[int, int]:
    """The frames of the rests in which there may be music yet, no more than either side has sound."""
    i, j = np.minimum(np.minimum(seconds_to_frames(rests), sounding), _SOUNDING_ON_FRAMES).tolist()
    return i, j


def _moved(segment: Segment, path: WarpingPath, ref: float, other: float, at: int) -> Segment:
    """With its first (`at` 0) or last (-1) point moved outwards."""
    moved = WarpingPath(path.ref.copy(), path.other.copy())
    moved.ref[at], moved.other[at] = ref, other
    spans = (float(moved.ref[0]), float(moved.ref[-1])), (float(moved.other[0]), float(moved.other[-1]))
    return replace(segment, ref=spans[0], other=spans[1], path=moved)


def _extended(segment: Segment, path: WarpingPath, ref: float, other: float, at: int) -> Segment:
    """With one more point, at the start (`at` 0) or at the end (-1)."""
    place = 0 if at == 0 else len(path)
    longer = WarpingPath(np.insert(path.ref, place, ref), np.insert(path.other, place, other))
    return Segment(
        segment.kind,
        (float(longer.ref[0]), float(longer.ref[-1])),
        (float(longer.other[0]), float(longer.other[-1])),
        longer,
        np.insert(segment.confidence, place, segment.confidence[at]),
        np.insert(segment.interval, place, segment.interval[at]),
    )
