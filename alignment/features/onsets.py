"""Onset strength by spectral flux.

The novelty curve follows four steps: logarithmic compression, differentiation in time, half-wave
rectification, subtraction of the local average (Müller, Fundamentals of Music Processing, section
6.1.2). `pitch_flux` keeps the flux of each semitone; `onset_strength` sums it to one curve.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from alignment.features.frames import FEATURE_RATE, HOP
from alignment.features.spectrum import LogFrequency, log_frequency_spectrogram

__all__ = ["ONSET_PITCHES", "onset_strength", "pitch_flux"]

ONSET_PITCHES = LogFrequency(lowest=36.0, bins=84, bins_per_octave=12, shortest_window=1024, longest_window=2048)
"""Semitone layout whose windows are short enough to date an onset."""

_COMPRESSION = 100.0
_AVERAGE_SECONDS = 0.5


def onset_strength(samples: NDArray[np.float32], rate: int, hop: int = HOP) -> NDArray[np.float32]:
    """Onset strength of a signal: spectral flux over all semitones, scaled to a maximum of 1.

    Silence gives zeros. Because magnitudes are first related to the loudest of the signal, a gain
    changes nothing.

    Returns:
        shape `(frame_count(n, hop),)`, in [0, 1].
    """
    flux = pitch_flux(log_frequency_spectrogram(samples, rate, ONSET_PITCHES, hop=hop)).sum(axis=0)
    average = uniform_filter1d(flux, max(1, round(_AVERAGE_SECONDS * FEATURE_RATE * HOP / hop)), mode="nearest")
    novelty = np.maximum(flux - average, 0.0)
    peak = novelty.max(initial=0.0)
    return np.asarray(novelty / peak if peak > 0 else novelty, dtype=np.float32)


def pitch_flux(pitches: NDArray[np.float32], compression: float = _COMPRESSION) -> NDArray[np.float32]:
    """Half-wave rectified rise of each bin's compressed magnitude, shape as given.

    Args:
        pitches: magnitudes, shape `(bins, frames)`.
        compression: factor inside `log(1 + factor * magnitude / loudest)`.
    """
    loudest = pitches.max(initial=0.0)
    if not loudest > 0:
        return np.zeros_like(pitches)
    compressed = np.log1p(np.float32(compression / loudest) * pitches)
    return np.maximum(np.diff(compressed, axis=1, prepend=compressed[:, :1]), 0.0)
