"""Chroma and CENS.

Arrays are float32 of shape `(12, frames)`; row 0 is pitch class C.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from alignment.features._chroma_kernels import smooth_rows
from alignment.features.frames import HOP
from alignment.features.spectrum import LogFrequency, log_frequency_spectrogram

__all__ = ["PITCHES", "cens", "chroma", "fold_to_chroma", "normalise_columns", "smooth_and_downsample"]

PITCHES = LogFrequency(lowest=24.0, bins=84, bins_per_octave=12, shortest_window=2048, longest_window=16384)
"""Semitone layout from C1 to B7, from which chroma is folded."""

_QUANTISATION_STEPS = (0.05, 0.1, 0.2, 0.4)


def chroma(samples: NDArray[np.float32], rate: int, tuning: float = 0.0, hop: int = HOP) -> NDArray[np.float32]:
    """Chroma of a signal: semitone magnitudes folded to pitch classes, columns of unit length.

    Silent frames are zero columns. Müller, Fundamentals of Music Processing (2015), section 3.1.

    Args:
        samples: mono, shape `(n,)`.
        rate: samples a second.
        tuning: cents above A4 = 440 Hz.
        hop: samples from frame to frame.

    Returns:
        shape `(12, frame_count(n, hop))`.
    """
    pitches = log_frequency_spectrogram(samples, rate, PITCHES, tuning, hop)
    return normalise_columns(fold_to_chroma(pitches, round(PITCHES.lowest)))


def fold_to_chroma(pitches: NDArray[np.float32], lowest: int) -> NDArray[np.float32]:
    """Sum the rows of a semitone spectrogram that share a pitch class, shape `(12, frames)`.

    Args:
        pitches: shape `(semitones, frames)`.
        lowest: MIDI number of the first row.
    """
    out = np.zeros((12, pitches.shape[1]), np.float32)
    for pitch, row in enumerate(pitches, lowest):
        out[pitch % 12] += row
    return out


def cens(chroma: NDArray[np.float32], smoothing: int = 41, downsampling: int = 10) -> NDArray[np.float32]:
    """Chroma energy normalised statistics.

    Each column is scaled to sum 1 and quantised (how many of the thresholds .05, .1, .2, .4 it passes),
    then rows are smoothed by a Hann window, decimated, and columns scaled to unit length. Müller and
    Ewert, Chroma Toolbox (ISMIR 2011), section 3.

    Args:
        chroma: non-negative, shape `(12, frames)`.
        smoothing: window length in frames.
        downsampling: every how many frames one is kept.

    Returns:
        shape `(12, ceil(frames / downsampling))`.
    """
    total = np.abs(chroma).sum(axis=0, keepdims=True)
    share = np.divide(chroma, total, out=np.zeros_like(chroma), where=total > 0)
    quantised = sum((share > step).astype(np.float32) for step in _QUANTISATION_STEPS)
    return normalise_columns(smooth_and_downsample(np.asarray(quantised, np.float32), smoothing, downsampling))


def smooth_and_downsample(features: NDArray[np.float32], smoothing: int, downsampling: int) -> NDArray[np.float32]:
    """Average rows under a centred Hann window of `smoothing` frames and keep every `downsampling`-th frame."""
    if not features.shape[1]:
        return features.astype(np.float32, copy=False)
    out = np.empty((len(features), -(-features.shape[1] // downsampling)), np.float32)
    smooth_rows(np.ascontiguousarray(features, np.float32), _smoothing(smoothing), downsampling, out)
    return out


@lru_cache(maxsize=16)
def _smoothing(frames: int) -> NDArray[np.float32]:
    """A Hann window whose weights add up to 1; not to be written to."""
    window = np.hanning(frames + 2)[1:-1]
    return np.asarray(window / window.sum(), np.float32)


def normalise_columns(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each column to unit Euclidean length; columns that are (nearly) zero become zero."""
    length = np.sqrt(np.square(features).sum(axis=0, keepdims=True))
    return np.divide(features, length, out=np.zeros_like(features), where=length > 1e-6)
