"""Features by which two performances are synchronised: harmony says where, onsets say when.

`coarse` is CENS at 5 frames a second, for the whole picture. `fine` is one unit vector for each 20 ms: chroma
of log-compressed semitones beside the spectral flux of every semitone, seen through three window lengths.
A flux vector's length says how strongly something begins there, compared with the second around it; what
is missing to unit length goes to a component of its own, so that "nothing begins" is alike on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from alignment.features.chroma import PITCHES, cens, fold_to_chroma, normalise_columns
from alignment.features.frames import FEATURE_RATE
from alignment.features.onsets import pitch_flux
from alignment.features.spectrum import LogFrequency, log_frequency_spectrogram

__all__ = ["COARSE_DOWNSAMPLING", "SyncFeatures", "sync_features"]

COARSE_DOWNSAMPLING = 10
_COARSE_SMOOTHING = 41
_ONSET_SHARE = 0.5
_ONSET_BANDS = tuple(
    LogFrequency(lowest=lowest, bins=bins, bins_per_octave=12, shortest_window=window, longest_window=window)
    for lowest, bins, window in ((33.0, 40, 4096), (45.0, 52, 2048), (57.0, 45, 1024))
)
_CHROMA_COMPRESSION = 1000.0
_SURROUNDINGS_SECONDS = 2.0
_SATURATION = 1.5
"""Flux this many times its surroundings' rms counts as a full onset."""


@dataclass(frozen=True)
class SyncFeatures:
    """Features of one recording for synchronisation; all columns have unit length.

    Attributes:
        coarse: CENS, float32, shape `(12, frames / 10)`, 5 a second.
        fine: chroma and flux, float32, shape `(150, frames)`, 50 a second.
    """

    coarse: NDArray[np.float32]
    fine: NDArray[np.float32]


def sync_features(samples: NDArray[np.float32], rate: int, tuning: float) -> SyncFeatures:
    """Compute both resolutions.

    Args:
        samples: mono at `rate`, shape `(n,)`, not silent.
        rate: samples a second.
        tuning: cents above A4 = 440 Hz; add whole hundreds to transpose.
    """
    pitches = log_frequency_spectrogram(samples, rate, PITCHES, tuning)
    loudest = pitches.max(initial=0.0) + 1e-12
    plain = normalise_columns(fold_to_chroma(pitches, PITCHES))
    compressed = np.log1p(np.float32(_CHROMA_COMPRESSION / loudest) * pitches)
    harmony = _unit_or_even(fold_to_chroma(compressed, PITCHES))
    flux = np.concatenate([pitch_flux(log_frequency_spectrogram(samples, rate, band, tuning)) for band in _ONSET_BANDS])
    onsets = _saturated(flux)
    fine = np.concatenate([np.sqrt(1.0 - _ONSET_SHARE) * harmony, np.sqrt(_ONSET_SHARE) * onsets])
    coarse = _unit_or_even(cens(plain, _COARSE_SMOOTHING, COARSE_DOWNSAMPLING))
    return SyncFeatures(coarse, np.asarray(fine, np.float32))


def _saturated(flux: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vectors of which the flux takes the share that its strength deserves, and a last component the rest."""
    power = np.square(flux).sum(axis=0)
    surroundings = uniform_filter1d(power.astype(np.float64), round(_SURROUNDINGS_SECONDS * FEATURE_RATE) + 1)
    strength = np.sqrt(power) / (np.sqrt(np.maximum(surroundings, 0.0)) + 1e-3)
    share = np.minimum(strength / _SATURATION, 1.0)
    direction = normalise_columns(flux) * np.sqrt(share)
    rest = np.sqrt(np.maximum(0.0, 1.0 - np.square(direction).sum(axis=0, keepdims=True)))
    return np.concatenate([direction, rest]).astype(np.float32)


def _unit_or_even(chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit columns; silent ones become even over the pitch classes, near to no harmony and alike to each other."""
    unit = normalise_columns(chroma)
    unit[:, ~unit.any(axis=0)] = np.float32(12.0**-0.5)
    return unit
