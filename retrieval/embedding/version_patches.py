"""What the version network sees of a signal: a semitone spectrogram five times a second.

Levels are compressed against the surroundings of half a minute, so that neither the loudness of a recording nor
its slow changes count.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from alignment.audio import ANALYSIS_RATE
from alignment.features.chroma import PITCHES
from alignment.features.spectrum import log_frequency_spectrogram

__all__ = [
    "FRAME_HOP",
    "FRAME_SECONDS",
    "QUICKER",
    "SEMITONES",
    "compressed",
    "halved",
    "quicker",
    "version_parameters",
    "version_spectrogram",
]

SEMITONES = PITCHES.bins
_HALF_HOP = 2205
FRAME_HOP = 2 * _HALF_HOP
"""Samples from frame to frame, at the analysis rate."""

FRAME_SECONDS = FRAME_HOP / ANALYSIS_RATE

QUICKER = math.sqrt(2.0)
"""By how much what is heard quicker is: as far from its own tempo as from twice that."""

_SURROUNDINGS_FRAMES = 151
_FLOOR = 0.02
_SCALE = 0.4


def version_spectrogram(samples: NDArray[np.float32], rate: int, tuning: float) -> NDArray[np.float32]:
    """Compressed semitone magnitudes of a signal, shape `(84, frames)`.

    Args:
        samples: mono, shape `(n,)`.
        rate: samples a second.
        tuning: cents above A4 = 440 Hz.
    """
    return compressed(halved(log_frequency_spectrogram(samples, rate, PITCHES, tuning, _HALF_HOP)))


def halved(magnitudes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Root mean squares of pairs of frames of a spectrogram ten times a second."""
    frames = magnitudes.shape[1] // 2
    pairs = np.square(magnitudes[:, : 2 * frames]).reshape(len(magnitudes), frames, 2)
    return np.asarray(np.sqrt(pairs.mean(axis=2)), np.float32)


def compressed(magnitudes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logarithm of magnitudes over a floor two hundredths of the loudest semitones around, shape as given."""
    loudest = magnitudes.max(axis=0, initial=0.0)
    around = uniform_filter1d(loudest, _SURROUNDINGS_FRAMES, mode="nearest") if len(loudest) else loudest
    out = np.log1p(magnitudes / (_FLOOR * around + 1e-7)) * np.float32(_SCALE)
    return np.asarray(out, np.float32)


def quicker(spectrogram: NDArray[np.float32]) -> NDArray[np.float32]:
    """A spectrogram as of the same music played `QUICKER` times as fast, between its frames."""
    places = np.arange(0.0, spectrogram.shape[1], QUICKER)
    below = places.astype(np.int64)
    above = np.minimum(below + 1, spectrogram.shape[1] - 1)
    share = (places - below).astype(np.float32)
    return np.asarray((1 - share) * spectrogram[:, below] + share * spectrogram[:, above], np.float32)


def version_parameters() -> dict[str, float]:
    """Every number that the spectrograms depend on, for the row that describes a model in a library."""
    return {
        "hop": FRAME_HOP,
        "lowest": PITCHES.lowest,
        "bins": PITCHES.bins,
        "surroundings": _SURROUNDINGS_FRAMES,
        "floor": _FLOOR,
        "scale": _SCALE,
        "quicker": QUICKER,
    }
