"""Synchronisation of two performances: which sections correspond, and moment by moment how.

1. Silence at the ends is set aside and the tuning of both sides estimated.
2. The transposition is the one of twelve at which CENS, once a second, warp most cheaply.
3. Embeddings at 5 frames a second tell which sections correspond and which stand alone (`alignment.structure`),
   and whether it is the same music at all (`alignment.acceptance`).
4. Cuts are placed anew at 50 frames a second.
5. Inside a corridor around each section's coarse path, fine features are warped exactly; the mean over all
   paths near that one (`alignment.posterior`) is the result, and their spread tells how sure it is.

Multi-scale DTW: Müller, Mattes and Kurth (ISMIR 2006); onset features beside chroma: Ewert, Müller and
Grosche (ICASSP 2009).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from alignment.acceptance import evidence_of_same_music, probability_of_same_music
from alignment.audio import ANALYSIS_RATE, Audio
from alignment.confidence import point_confidence, point_interval
from alignment.dtw import SYMMETRIC_WEIGHTS, Corridor, corridor_around, dtw
from alignment.errors import FeatureError
from alignment.features.chroma import normalise_columns
from alignment.features.frames import FEATURE_RATE, HOP, frames_to_seconds
from alignment.features.sync import COARSE_DOWNSAMPLING, SyncFeatures, sync_features
from alignment.features.tuning import estimate_tuning
from alignment.path import WarpingPath
from alignment.posterior import path_posterior
from alignment.segments import Segment, Synchronisation
from alignment.structure import Correspondence, Gaps, corresponding_sections, sharpen

__all__ = ["Analysed", "analyse", "refined", "synchronise", "synchronise_analysed"]

_SILENCE_DECIBELS = -60.0
_SILENCE_PEAK = 1e-4
_SHORTEST_SECONDS = 0.2
_SHORTEST_ALONE_SECONDS = 0.5
_SURROUNDINGS_SECONDS = 4.0
_AT_THE_EDGE_SECONDS = 0.1
_SILENCE_ALIKE_SECONDS = 2.0
_COARSE_RATE = FEATURE_RATE / COARSE_DOWNSAMPLING
_MOST_COARSE_CELLS = 90_000_000
"""A programme of an hour against an hour takes every second coarse frame."""
_GAPS = Gaps(each=0.6, opening=10.0, start=8.0, end=8.0, least_gain=15.0)
_SHARPENING_GAPS = Gaps(each=0.6, opening=25.0, start=np.inf, end=np.inf, least_gain=0.0)
_SHARPENING_REACH_SECONDS = 4.0
_SHORTEST_SECTION_SECONDS = 5.0
_CORRIDOR_SECONDS = 1.2
_POSTERIOR_FRAMES = 15
_SHARPNESS = 8.0
_BLOCK_SECONDS, _OVERLAP_SECONDS = 240.0, 16.0
_ACCEPTED = 0.5


@dataclass(frozen=True)
class Analysed:
    """All that synchronising needs of a recording; `analyse` makes it once for many others.

    Attributes:
        duration: of the recording, in seconds.
        start, end: what is not silence, in seconds; the features are of this part.
        tuning: cents above A4 = 440 Hz that the features are tuned to.
        features: None where there is nothing but silence.
    """

    duration: float
    start: float
    end: float
    tuning: float
    features: SyncFeatures | None


@dataclass(frozen=True)
class _Match:
    """A section's path in seconds of the two excerpts, and the posterior's deviation at its points."""

    ref: NDArray[np.float64]
    other: NDArray[np.float64]
    deviation: NDArray[np.float64]
    similarity: NDArray[np.float64]


def analyse(audio: Audio) -> Analysed:
    """Compute the features of a recording.

    Raises:
        FeatureError: it is not at the analysis rate.
    """
    if audio.rate != ANALYSIS_RATE:
        raise FeatureError(f"A recording must be at {ANALYSIS_RATE} samples a second. Got {audio.rate} instead.")
    start, end = _sounding(audio)
    if end - start < _SHORTEST_SECONDS:
        return Analysed(audio.duration, start, end, 0.0, None)
    samples = _part_of(audio, start, end)
    tuning = estimate_tuning(samples, audio.rate)
    return Analysed(audio.duration, start, end, tuning, sync_features(samples, audio.rate, tuning))


def synchronise(
    ref: Audio | Analysed, other: Audio, *, band: float | None = None, anchors: Sequence[tuple[float, float]] = ()
) -> Synchronisation:
    """Find the corresponding times of two recordings of the same music.

    Recordings without sound, or of unlike music, are not accepted, and both then stand alone.

    Args:
        ref, other: at the analysis rate.
        band: seconds by which the path may stray from the straight line between the ends and anchors.
        anchors: corresponding times `(ref, other)` in seconds, rising on both sides, that the path goes through.

    Raises:
        FeatureError: one is not at the analysis rate.
    """
    return synchronise_analysed(analyse(ref) if isinstance(ref, Audio) else ref, other, band=band, anchors=anchors)[0]


def synchronise_analysed(
    left: Analysed, other: Audio, *, band: float | None = None, anchors: Sequence[tuple[float, float]] = ()
) -> tuple[Synchronisation, Analysed]:
    """As `synchronise`; gives too what was computed of the other, transposed to the reference."""
    right = analyse(other)
    if left.features is None or right.features is None:
        return _unrelated(left, right, 0.0), right
    transposition = _transposition(left.features.harmony, right.features.harmony)
    if transposition:
        right = _retuned(other, right, right.tuning - 100.0 * transposition)
    pair = _Pair.of(left, right, band, anchors)
    sections, confidence = _sections(pair)
    if confidence < _ACCEPTED or not sections:
        return _unrelated(left, right, min(confidence, 1.0 - _ACCEPTED)), right
    matches = [_segment(pair, _match(pair, section), confidence) for section in _sharpened(pair, sections)]
    interval = right.tuning - left.tuning
    whole = round(interval / 100.0)
    segments = _segments(_over_silence(matches, left, right), left, right)
    return Synchronisation(segments, True, confidence, -whole, interval - 100.0 * whole), right


def refined(left: Analysed, fine: NDArray[np.float32], right: Analysed, alignment: Synchronisation) -> Synchronisation:
    """An alignment whose paths are found anew, near where they are, with other features of the reference.

    Args:
        left, right: of the reference, and of the other as `synchronise_analysed` gave it.
        fine: in place of the reference's, unit columns, shape as there.
        alignment: accepted.
    """
    assert left.features is not None, "what is accepted has sound"
    pair = _Pair.of(replace(left, features=replace(left.features, fine=fine.astype(np.float16))), right, None, ())
    matches = [
        _segment(pair, _near(pair, segment.path), alignment.confidence)
        for segment in alignment.segments
        if segment.path is not None
    ]
    return replace(alignment, segments=_segments(_over_silence(matches, left, right), left, right))


def _near(pair: _Pair, path: WarpingPath) -> _Match:
    """The mean of the paths near a path."""
    ref, other = (path.ref - pair.left.start) * FEATURE_RATE, (path.other - pair.right.start) * FEATURE_RATE
    points = np.unique(np.rint(np.column_stack([ref, other])).astype(np.int64), axis=0)
    points = points[(points >= 0).all(axis=1) & (points < pair.frames).all(axis=1)]
    (i, j), (k, m) = points[0], points[-1] + 1
    x, y = pair.x.fine[:, i:k].astype(np.float32), pair.y.fine[:, j:m].astype(np.float32)
    return _mean_path(
        x, y, points - (i, j), (int(i), int(j)), corridor_around(points - (i, j), 1, _POSTERIOR_FRAMES, k - i, m - j)
    )


def _part_of(audio: Audio, start: float, end: float) -> NDArray[np.float32]:
    return audio.samples[round(start * audio.rate) : round(end * audio.rate)]


def _retuned(audio: Audio, side: Analysed, tuning: float) -> Analysed:
    features = sync_features(_part_of(audio, side.start, side.end), audio.rate, tuning)
    return replace(side, tuning=tuning, features=features)


@dataclass(frozen=True)
class _Pair:
    """Both sides, and what the user said of them, in seconds from where their sound begins."""

    left: Analysed
    right: Analysed
    x: SyncFeatures
    y: SyncFeatures
    band: float | None
    anchors: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, left: Analysed, right: Analysed, band: float | None, anchors: Sequence[tuple[float, float]]) -> _Pair:
        assert left.features is not None, "the reference has sound"
        assert right.features is not None, "the other has sound"
        inside = tuple(
            (ref - left.start, other - right.start)
            for ref, other in anchors
            if left.start < ref < left.end and right.start < other < right.end
        )
        return cls(left, right, left.features, right.features, band, inside)

    @property
    def frames(self) -> tuple[int, int]:
        """Fine frames of both sides."""
        return self.x.fine.shape[1], self.y.fine.shape[1]


def _transposition(ref: NDArray[np.float32], other: NDArray[np.float32]) -> int:
    """Semitones, -5 to 6, to add to the other; CENS are compared once a second, and 0 wins a near tie."""
    once_a_second = round(_COARSE_RATE)
    x, y = ref[:, ::once_a_second], other[:, ::once_a_second]
    costs = {shift: dtw(x, np.roll(y, shift, axis=0), weights=SYMMETRIC_WEIGHTS).cost for shift in range(-5, 7)}
    best = min(costs, key=lambda shift: costs[shift])
    return best if costs[best] < 0.97 * costs[0] else 0


def _sounding(audio: Audio) -> tuple[float, float]:
    """Start and end, in seconds, of what is not silence; equal where there is nothing else."""
    blocks = len(audio.samples) // HOP
    if not blocks:
        return 0.0, 0.0
    level = np.abs(audio.samples[: blocks * HOP]).reshape(blocks, HOP).max(axis=1)
    threshold = max(float(level.max()) * 10.0 ** (_SILENCE_DECIBELS / 20.0), _SILENCE_PEAK)
    loud = np.flatnonzero(level > threshold)
    if not len(loud):
        return 0.0, 0.0
    return float(frames_to_seconds(loud[0])), min(float(frames_to_seconds(loud[-1] + 1)), audio.duration)


@dataclass(frozen=True)
class _Section:
    """A section that corresponds, in fine frames of the excerpts: corners, and points of the coarse path between.

    `start` and `end` (exclusive) are `(ref, other)`; `points` has shape `(points, 2)`.
    """

    start: tuple[int, int]
    end: tuple[int, int]
    points: NDArray[np.int64]


def _sections(pair: _Pair) -> tuple[list[_Section], float]:
    """Sections that correspond, in the order of the reference, and the probability that it is the same music."""
    x, y = pair.x.coarse, pair.y.coarse
    pooled = int(np.ceil(np.sqrt(x.shape[1] * y.shape[1] / _MOST_COARSE_CELLS)))
    x, y = _pooled(x, pooled), _pooled(y, pooled)
    gaps = replace(
        _GAPS,
        opening=_GAPS.opening / pooled,
        start=_GAPS.start / pooled,
        end=_GAPS.end / pooled,
        least_gain=_GAPS.least_gain / pooled,
    )
    scale = pooled * COARSE_DOWNSAMPLING
    fixed = [(round(i / scale), round(j / scale)) for i, j in map(_frames, pair.anchors)]
    line = [(0, 0), *fixed, (x.shape[1], y.shape[1])]
    allowed = None if pair.band is None else _band(line, pair.band * FEATURE_RATE / scale)
    shortest = round(_SHORTEST_SECTION_SECONDS * FEATURE_RATE / scale)
    found: list[Correspondence] = []
    for number, ((i, j), (k, m)) in enumerate(pairwise(line)):
        if k <= i or m <= j:
            continue
        part = _between_anchors(gaps, bool(number), number < len(fixed))
        within = None if allowed is None else _part(allowed, i, j, k, m)
        matches = corresponding_sections(x[:, i:k], y[:, j:m], part, shortest, within)
        found += [Correspondence(match.path + np.array([i, j]), match.gain) for match in matches]
    if not found:
        return [], 0.0
    confidence = probability_of_same_music(evidence_of_same_music(x, y, found, gaps))
    return [_section(match, scale, pair.frames) for match in _joined(found)], confidence


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


def _band(line: Sequence[tuple[int, int]], radius: float) -> Corridor:
    """Cells within `radius` columns of a line through the given points."""
    rows, columns = np.array(line, np.float64).T
    middle = np.interp(np.arange(int(rows[-1])), rows, columns)
    low = np.clip(np.floor(middle - radius), 0, columns[-1] - 1).astype(np.int64)
    high = np.clip(np.ceil(middle + radius) + 1, 1, columns[-1]).astype(np.int64)
    return Corridor(low, high)


def _part(band: Corridor, i: int, j: int, k: int, m: int) -> Corridor:
    return Corridor(np.clip(band.low[i:k] - j, 0, m - j), np.clip(band.high[i:k] - j, 0, m - j))


def _joined(found: Sequence[Correspondence]) -> list[Correspondence]:
    """Sections that meet on both sides are one."""
    out: list[Correspondence] = []
    for match in found:
        if out and out[-1].x[1] == match.x[0] and out[-1].y[1] == match.y[0]:
            last = out.pop()
            match = Correspondence(np.concatenate([last.path, match.path]), last.gain + match.gain)
        out.append(match)
    return out


def _section(match: Correspondence, scale: int, frames: tuple[int, int]) -> _Section:
    (x_start, x_end), (y_start, y_end) = match.x, match.y
    end = min(x_end * scale, frames[0]), min(y_end * scale, frames[1])
    return _Section((x_start * scale, y_start * scale), end, match.path * scale)


def _sharpened(pair: _Pair, sections: Sequence[_Section]) -> list[_Section]:
    """The sections with the cuts between neighbours placed anew."""
    out = list(sections)
    reach = round(_SHARPENING_REACH_SECONDS * FEATURE_RATE)
    for k, (before, after) in enumerate(pairwise(sections)):
        between = [s for s in sections if before.end[1] <= s.start[1] < after.start[1]]
        if before.end[1] > after.start[1] or between:
            continue
        end, start = sharpen(pair.x.fine, pair.y.fine, before.end, after.start, reach, _SHARPENING_GAPS)
        if (
            end[0] > out[k].start[0]
            and end[1] > out[k].start[1]
            and start[0] < after.end[0]
            and start[1] < after.end[1]
        ):
            out[k] = replace(out[k], end=end)
            out[k + 1] = replace(after, start=start)
    return out


def _match(pair: _Pair, section: _Section) -> _Match:
    """Warp a section, piece by piece between anchors and in blocks that overlap."""
    fixed = [anchor for anchor in pair.anchors if _holds(section, anchor)]
    allowed = None
    if pair.band is not None:
        allowed = _band([(0, 0), *map(_frames, pair.anchors), pair.frames], pair.band * FEATURE_RATE)
    corners = [section.start, *map(_frames, fixed), section.end]
    pieces = [
        _warped(pair, block_start, block_end, section.points, allowed)
        for start, end in pairwise(corners)
        for block_start, block_end in _blocks(start, end, section.points)
    ]
    return _chained(pieces)


def _frames(point: tuple[float, float]) -> tuple[int, int]:
    return round(point[0] * FEATURE_RATE), round(point[1] * FEATURE_RATE)


def _holds(section: _Section, point: tuple[float, float]) -> bool:
    frame = _frames(point)
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
    pair: _Pair,
    start: tuple[int, int],
    end: tuple[int, int],
    points: NDArray[np.int64],
    allowed: Corridor | None,
) -> _Match:
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
    near = _within(corridor_around(path, 1, _POSTERIOR_FRAMES, n, m), allowed, start, end)
    return _mean_path(x, y, path, start, near)


def _mean_path(
    x: NDArray[np.float32], y: NDArray[np.float32], path: NDArray[np.int64], start: tuple[int, int], near: Corridor
) -> _Match:
    """The posterior mean inside a corridor around a path, whose similarity it takes over."""
    mean = path_posterior(x, y, near, sharpness=_SHARPNESS)
    agreement = np.einsum("dp,dp->p", x[:, path[:, 0]], y[:, path[:, 1]]).astype(np.float64)
    smoothed = uniform_filter1d(agreement, round(_SURROUNDINGS_SECONDS * FEATURE_RATE), mode="nearest")
    along = np.interp(mean.x + mean.y, path.sum(axis=1), smoothed)
    return _Match(
        frames_to_seconds(mean.x + start[0]),
        frames_to_seconds(mean.y + start[1]),
        frames_to_seconds(mean.deviation),
        along,
    )


def _within(corridor: Corridor, allowed: Corridor | None, start: tuple[int, int], end: tuple[int, int]) -> Corridor:
    """What of a corridor lies in the user's band, and the corners."""
    if allowed is None:
        return corridor
    part = _part(allowed, *start, *end)
    m = end[1] - start[1]
    low = np.clip(np.maximum(corridor.low, part.low), 0, m - 1)
    high = np.clip(np.minimum(corridor.high, part.high), low + 1, m)
    low[0], high[-1] = 0, m
    return Corridor(np.maximum.accumulate(low), np.maximum.accumulate(high))


def _chained(pieces: Sequence[_Match]) -> _Match:
    """One path; pieces that overlap meet in the middle of it."""
    ends = [piece.ref[-1] for piece in pieces]
    starts = [piece.ref[0] for piece in pieces]
    meeting = [-np.inf, *((end + start) / 2.0 for end, start in zip(ends[:-1], starts[1:], strict=True)), np.inf]
    kept = [
        (piece.ref >= low) & (piece.ref < high) for piece, (low, high) in zip(pieces, pairwise(meeting), strict=True)
    ]
    ref, other, deviation, similarity = (
        np.concatenate([getattr(piece, name)[keep] for piece, keep in zip(pieces, kept, strict=True)])
        for name in ("ref", "other", "deviation", "similarity")
    )
    return _Match(ref, np.maximum.accumulate(other), deviation, similarity)


def _segment(pair: _Pair, match: _Match, confidence: float) -> Segment:
    path = WarpingPath(match.ref, match.other).monotone()
    for anchor in pair.anchors:
        path = _through(path, *anchor)
    path = WarpingPath(path.ref + pair.left.start, path.other + pair.right.start)
    at = path.ref - pair.left.start
    deviation = np.interp(at, match.ref, match.deviation)
    similarity = np.interp(at, match.ref, match.similarity)
    return Segment(
        "match",
        (float(path.ref[0]), float(path.ref[-1])),
        (float(path.other[0]), float(path.other[-1])),
        path,
        confidence * point_confidence(deviation, similarity),
        point_interval(deviation, similarity),
    )


def _through(path: WarpingPath, ref: float, other: float) -> WarpingPath:
    """The path with one more point in place of those that contradict it, if the point is within the path."""
    if not (path.ref[0] < ref < path.ref[-1] and path.other[0] < other < path.other[-1]):
        return path
    before, after = (path.ref < ref) & (path.other < other), (path.ref > ref) & (path.other > other)
    return WarpingPath(
        np.concatenate([path.ref[before], [ref], path.ref[after]]),
        np.concatenate([path.other[before], [other], path.other[after]]),
    )


def _unrelated(left: Analysed, right: Analysed, confidence: float) -> Synchronisation:
    return Synchronisation(_segments([], left, right), False, confidence, 0, 0.0)


def _segments(matches: list[Segment], left: Analysed, right: Analysed) -> tuple[Segment, ...]:
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


def _over_silence(matches: list[Segment], left: Analysed, right: Analysed) -> list[Segment]:
    """Let the matches at the ends of the music reach over the silence beyond, as far as both sides have it.

    Silence that one side has much more of stands alone.
    """
    out = list(matches)
    starts, ends = np.array([left.start, right.start]), np.array([left.end, right.end])
    durations = np.array([left.duration, right.duration])
    for at, edge, silence in ((0, starts, starts), (-1, ends, durations - ends)):
        path = out[at].path if out else None
        if path is None or silence.min() < 1.0 / FEATURE_RATE:
            continue
        if np.abs(np.array([path.ref[at], path.other[at]]) - edge).max() > _AT_THE_EDGE_SECONDS:
            continue
        shared = silence if np.ptp(silence) <= _SILENCE_ALIKE_SECONDS else np.full(2, silence.min())
        beyond = edge + shared if at else edge - shared
        out[at] = _extended(out[at], path, float(beyond[0]), float(beyond[1]), at)
    return out


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


def _alone(spans: Sequence[tuple[float, float] | None], duration: float) -> list[tuple[float, float]]:
    edges = [(0.0, 0.0), *sorted(span for span in spans if span is not None), (duration, duration)]
    gaps = [(end, start) for (_, end), (start, _) in pairwise(edges)]
    return [(start, end) for start, end in gaps if end - start >= _SHORTEST_ALONE_SECONDS]
