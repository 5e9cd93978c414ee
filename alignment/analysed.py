"""What synchronising needs of one recording: where it sounds, its tuning and its features."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from alignment.audio import ANALYSIS_RATE, Audio
from alignment.errors import FeatureError
from alignment.features.frames import HOP, frame_count, frames_to_seconds
from alignment.features.sync import SyncFeatures, noise_around, sync_features, sync_spectrum
from alignment.features.tuning import estimate_tuning

__all__ = ["Analysed", "analyse", "retuned"]

_log = logging.getLogger(__name__)

_SILENCE_DECIBELS = -60.0
_SILENCE_PEAK = 1e-4
_SHORTEST_SECONDS = 0.2
_REST_FRAMES = 25
_LEVEL_FRAMES = 5
_LEAST_POWER = 1e-10


@dataclass(frozen=True)
class Analysed:
    """All that synchronising needs of a recording; `analyse` makes it once for many others.

    Attributes:
        duration: of the recording, in seconds.
        start, end: what the features are of, in seconds: the music without silence and steady noise around it, but
            with half a second of rest on either side, beyond the recording where it has none.
        level: decibels of every 20 ms of the recording, smoothed over 100 ms, float32.
        tuning: cents above A4 = 440 Hz that the features are tuned to.
        features: None where there is nothing but silence.
        onsets, measures: of a score, as `Audio` has them; of a recording none.
    """

    duration: float
    start: float
    end: float
    level: NDArray[np.float32]
    tuning: float
    features: SyncFeatures | None
    onsets: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    measures: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))

    @property
    def music(self) -> tuple[float, float]:
        """Seconds at which the music begins and ends, where it is not silent."""
        rest = float(frames_to_seconds(_REST_FRAMES))
        return self.start + rest, self.end - rest


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
    tuning = estimate_tuning(_part_of(audio, start, end), audio.rate)
    rest = float(frames_to_seconds(_REST_FRAMES))
    spectrum = sync_spectrum(_part_of(audio, start - rest, end + rest), audio.rate, tuning)
    frames = spectrum.shape[1]
    before, after = noise_around(spectrum[:, _REST_FRAMES : frames - _REST_FRAMES])
    features = sync_features(spectrum[:, before : frames - after])
    start += float(frames_to_seconds(before)) - rest
    end += rest - float(frames_to_seconds(after))
    _log.info("features from %.2f to %.2f s, tuned %+.0f cents", start, end, tuning)
    level = _level(audio.samples)
    return Analysed(audio.duration, start, end, level, tuning, features, audio.onsets, audio.measures)


def retuned(audio: Audio, side: Analysed, tuning: float) -> Analysed:
    """The same recording with features of another tuning in cents; whole hundreds transpose."""
    features = sync_features(sync_spectrum(_part_of(audio, side.start, side.end), audio.rate, tuning))
    return replace(side, tuning=tuning, features=features)


def _part_of(audio: Audio, start: float, end: float) -> NDArray[np.float32]:
    """The samples between two times, silence beyond the recording."""
    low, high = round(start * audio.rate), round(end * audio.rate)
    inside = audio.samples[max(low, 0) : max(high, 0)]
    if low >= 0 and high <= len(audio.samples):
        return inside
    return np.pad(inside, (max(-low, 0), max(high - len(audio.samples), 0)))


def _level(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Decibels of the blocks from frame to frame."""
    whole = len(samples) // HOP
    blocks = samples[: whole * HOP].reshape(whole, HOP)
    power = np.zeros(frame_count(len(samples)))
    power[:whole] = np.einsum("ij,ij->i", blocks, blocks)
    power[whole:] = np.square(samples[whole * HOP :]).sum()
    power = uniform_filter1d(power / HOP, _LEVEL_FRAMES)
    return (10.0 * np.log10(np.maximum(power, _LEAST_POWER))).astype(np.float32)


def _sounding(audio: Audio) -> tuple[float, float]:
    """Start and end, in seconds, of what is not silence; equal where there is nothing else."""
    blocks = len(audio.samples) // HOP
    if not blocks:
        return 0.0, 0.0
    samples = audio.samples[: blocks * HOP].reshape(blocks, HOP)
    level = np.maximum(samples.max(axis=1), -samples.min(axis=1))
    threshold = max(float(level.max()) * 10.0 ** (_SILENCE_DECIBELS / 20.0), _SILENCE_PEAK)
    loud = np.flatnonzero(level > threshold)
    if not len(loud):
        return 0.0, 0.0
    return float(frames_to_seconds(loud[0])), min(float(frames_to_seconds(loud[-1] + 1)), audio.duration)
