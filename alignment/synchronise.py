"""Synchronisation of two performances: coarse to fine dynamic time warping.

1. Silence at the ends is set aside and the tuning of both sides estimated.
2. The transposition is the one of twelve at which CENS, once a second, warp most cheaply.
3. CENS at 5 frames a second are warped exactly; the path, widened by two seconds, is a corridor
4. in which chroma and onsets at 50 frames a second are warped exactly.
5. Whether it is the same music at all is judged against the other recording played backwards: it has the
   same tones and density, but not the same course.

Multi-scale DTW: Müller, Mattes and Kurth (ISMIR 2006); onset features beside chroma: Ewert, Müller and
Grosche (ICASSP 2009).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from alignment.audio import ANALYSIS_RATE, Audio
from alignment.dtw import SYMMETRIC_WEIGHTS, WarpingPathFrames, corridor_around, dtw
from alignment.errors import FeatureError
from alignment.features.frames import FEATURE_RATE, HOP, frames_to_seconds
from alignment.features.sync import COARSE_DOWNSAMPLING, SyncFeatures, sync_features
from alignment.features.tuning import estimate_tuning
from alignment.path import WarpingPath
from alignment.segments import Segment, Synchronisation

__all__ = ["synchronise"]

_CORRIDOR_SECONDS = 2.0
_SILENCE_DECIBELS = -60.0
_SILENCE_PEAK = 1e-4
_SHORTEST_SECONDS = 0.2
_SHORTEST_ALONE_SECONDS = 0.1
_LOCAL_SECONDS = 4.0
# Logistic of two numbers, set on piano pairs and national anthems, right and wrong ones: the coarse path's
# cost over that against the reversed recording (right .28-.83, wrong .86-1.1), and the share of its steps
# that advance on both sides (right .47-.79, wrong .09-.39).
_REVERSED_CENTRE, _REVERSED_SLOPE = 0.78, -12.0
_DIAGONAL_CENTRE, _DIAGONAL_SLOPE = 0.43, 20.0
_ACCEPTED = 0.5


def synchronise(ref: Audio, other: Audio) -> Synchronisation:
    """Find the corresponding times of two recordings of the same music.

    Recordings without sound, or of unlike music, are not accepted, and both then stand alone.

    Raises:
        FeatureError: one is not at the analysis rate.
    """
    for audio in (ref, other):
        if audio.rate != ANALYSIS_RATE:
            raise FeatureError(
                f"Both recordings must be at {ANALYSIS_RATE} samples a second. Got {audio.rate} instead."
            )
    sounding = [_sounding(audio) for audio in (ref, other)]
    if any(end - start < _SHORTEST_SECONDS for start, end in sounding):
        return _unrelated(ref, other, 0.0)
    excerpts = [
        audio.samples[round(start * audio.rate) : round(end * audio.rate)]
        for audio, (start, end) in zip((ref, other), sounding, strict=True)
    ]
    tunings = [estimate_tuning(excerpt, ref.rate) for excerpt in excerpts]
    features = [sync_features(excerpt, ref.rate, tuning) for excerpt, tuning in zip(excerpts, tunings, strict=True)]
    transposition = _transposition(features[0].coarse, features[1].coarse)
    if transposition:
        features[1] = sync_features(excerpts[1], ref.rate, tunings[1] - 100.0 * transposition)
    warped = _warp(features[0], features[1])
    if warped.confidence < _ACCEPTED:
        return _unrelated(ref, other, warped.confidence)
    seconds = frames_to_seconds(warped.frames)
    (ref_start, _), (other_start, _) = sounding
    path = WarpingPath(seconds[:, 0] + ref_start, seconds[:, 1] + other_start).monotone()
    similarity = np.interp(path.ref - ref_start, seconds[:, 0], warped.similarity)
    local = warped.confidence * np.clip(similarity / max(float(similarity.mean()), 1e-6), 0.0, 1.0)
    interval = tunings[1] - tunings[0] - 100.0 * transposition
    whole = round(interval / 100.0)
    return Synchronisation(
        _segments(path, local, ref, other),
        True,
        warped.confidence,
        -whole,
        interval - 100.0 * whole,
    )


class _Warped(NamedTuple):
    """A path in frames, the smoothed similarity at its points, and how sure it is the same music."""

    frames: NDArray[np.int64]
    similarity: NDArray[np.float64]
    confidence: float


def _warp(ref: SyncFeatures, other: SyncFeatures) -> _Warped:
    coarse = dtw(ref.coarse, other.coarse, weights=SYMMETRIC_WEIGHTS)
    backwards = dtw(ref.coarse, other.coarse[:, ::-1], weights=SYMMETRIC_WEIGHTS)
    corridor = corridor_around(
        coarse.path,
        COARSE_DOWNSAMPLING,
        round(_CORRIDOR_SECONDS * FEATURE_RATE),
        ref.fine.shape[1],
        other.fine.shape[1],
    )
    path = dtw(ref.fine, other.fine, weights=SYMMETRIC_WEIGHTS, corridor=corridor).path
    agreement = np.einsum("dp,dp->p", ref.fine[:, path[:, 0]], other.fine[:, path[:, 1]]).astype(np.float64)
    smoothed = uniform_filter1d(agreement, round(_LOCAL_SECONDS * FEATURE_RATE), mode="nearest")
    return _Warped(path, smoothed, _probability_of_same_music(coarse, backwards))


def _probability_of_same_music(forwards: WarpingPathFrames, backwards: WarpingPathFrames) -> float:
    advances = np.diff(forwards.path, axis=0)
    diagonal = float((advances == 1).all(axis=1).mean()) if len(advances) else 1.0
    ratio = forwards.cost / max(backwards.cost, 1e-6)
    logit = _REVERSED_SLOPE * (ratio - _REVERSED_CENTRE) + _DIAGONAL_SLOPE * (diagonal - _DIAGONAL_CENTRE)
    return float(1.0 / (1.0 + np.exp(-logit)))


def _transposition(ref: NDArray[np.float32], other: NDArray[np.float32]) -> int:
    """Semitones, -5 to 6, to add to the other; CENS are compared once a second, and 0 wins a near tie."""
    once_a_second = round(FEATURE_RATE / COARSE_DOWNSAMPLING)
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


def _unrelated(ref: Audio, other: Audio, confidence: float) -> Synchronisation:
    alone = (_alone("only_ref", 0.0, ref.duration), _alone("only_other", 0.0, other.duration))
    return Synchronisation(tuple(part for part in alone if part is not None), False, confidence, 0, 0.0)


def _segments(path: WarpingPath, confidence: NDArray[np.float64], ref: Audio, other: Audio) -> tuple[Segment, ...]:
    """The match, with what stands alone before and after it on either side."""
    ref_span = (float(path.ref[0]), float(path.ref[-1]))
    other_span = (float(path.other[0]), float(path.other[-1]))
    parts = (
        _alone("only_ref", 0.0, ref_span[0]),
        _alone("only_other", 0.0, other_span[0]),
        Segment("match", ref_span, other_span, path, confidence),
        _alone("only_ref", ref_span[1], ref.duration),
        _alone("only_other", other_span[1], other.duration),
    )
    return tuple(part for part in parts if part is not None)


def _alone(kind: str, start: float, end: float) -> Segment | None:
    if end - start < _SHORTEST_ALONE_SECONDS:
        return None
    span = (start, end)
    none = np.zeros(0)
    return Segment(kind, span, None, None, none) if kind == "only_ref" else Segment(kind, None, span, None, none)
