"""What synchronising needs of one recording: where it sounds, its tuning and its features."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from alignment.audio import ANALYSIS_RATE, Audio
from alignment.errors import FeatureError
from alignment.features.frames import HOP, frame_count, frames_to_seconds
from alignment.features.sync import SyncFeatures, sync_features
from alignment.features.tuning import estimate_tuning

__all__ = ["Analysed", "analyse", "retuned"]

_SILENCE_DECIBELS = -60.0
_SILENCE_PEAK = 1e-4
_SHORTEST_SECONDS = 0.2
_LEVEL_FRAMES = 5
_LEAST_POWER = 1e-10


@dataclass(frozen=True)
class Analysed:
    """All that synchronising needs of a recording; `analyse` makes it once for many others.

    Attributes:
        duration: of the recording, in seconds.
        start, end: what is not silence, in seconds; the features are of this part.
        level: decibels of every 20 ms of the recording, smoothed over 100 ms, float32.
        tuning: cents above A4 = 440 Hz that the features are tuned to.
        features: None where there is nothing but silence.
        onsets: of a score, the seconds at which notes begin, rising; of a recording none.
    """

    duration: float
    start: float
    end: float
    level: NDArray[np.float32]
    tuning: float
    features: SyncFeatures | None
    onsets: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


def analyse(audio: Audio) -> Analysed:
    """Compute the features of a recording.

    Raises:
        FeatureError: it is not at the analysis rate.
    """
    if audio.rate != ANALYSIS_RATE:
        raise FeatureError(f"A recording must be at {ANALYSIS_RATE} samples a second. Got {audio.rate} instead.")
    start, end = _sounding(audio)
    if end - start < _SHORTEST_SECONDS:
        return Analysed(audio.duration, start, end, _level(audio.samples), 0.0, None)
    samples = _part_of(audio, start, end)
    tuning = estimate_tuning(samples, audio.rate)
    features = sync_features(samples, audio.rate, tuning)
    return Analysed(audio.duration, start, end, _level(audio.samples), tuning, features, audio.onsets)


def retuned(audio: Audio, side: Analysed, tuning: float) -> Analysed:
    """The same recording with features of another tuning in cents; whole hundreds transpose."""
    features = sync_features(_part_of(audio, side.start, side.end), audio.rate, tuning)
    return replace(side, tuning=tuning, features=features)


def _part_of(audio: Audio, start: float, end: float) -> NDArray[np.float32]:
    return audio.samples[round(start * audio.rate) : round(end * audio.rate)]


def _level(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Decibels of the blocks from frame to frame."""
    blocks = np.zeros(frame_count(len(samples)) * HOP, np.float32)
    blocks[: len(samples)] = samples
    power = uniform_filter1d(np.square(blocks.reshape(-1, HOP)).mean(axis=1, dtype=np.float64), _LEVEL_FRAMES)
    return (10.0 * np.log10(np.maximum(power, _LEAST_POWER))).astype(np.float32)


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
