"""How far an instrument is tuned from A4 = 440 Hz, in cents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alignment.features.spectrum import stft_magnitude

__all__ = ["estimate_tuning"]

_WINDOW = 8192
_HOP = 4096
_LONGEST_SECONDS = 120
_LOWEST_HERTZ, _HIGHEST_HERTZ = 100.0, 3000.0


def estimate_tuning(samples: NDArray[np.float32], rate: int) -> float:
    """Tuning in cents, in [-50, 50), of the pitches that sound.

    Spectral peaks are placed between FFT bins by a parabola through the log magnitudes; the tuning is
    the angle of the magnitude-weighted mean of their deviations from equal temperament, taken as points
    on a circle of 100 cents. Music without peaks (silence, noise too short) gives 0.

    Args:
        samples: mono, shape `(n,)`; of long signals the middle two minutes are used.
        rate: samples a second.
    """
    longest = _LONGEST_SECONDS * rate
    if len(samples) > longest:
        start = (len(samples) - longest) // 2
        samples = samples[start : start + longest]
    low, high = (int(hertz * _WINDOW / rate) for hertz in (_LOWEST_HERTZ, min(_HIGHEST_HERTZ, 0.45 * rate)))
    magnitude = stft_magnitude(samples, _WINDOW, _HOP, slice(low - 1, high + 1))
    inner = magnitude[1:-1]
    if not inner.size or not inner.max() > 0:
        return 0.0
    log = np.log(magnitude + 1e-9)
    below, centre, above = log[:-2], log[1:-1], log[2:]
    floor = np.maximum(0.05 * inner.max(axis=0, keepdims=True), 0.01 * inner.max())
    bins, frames = np.nonzero((centre > below) & (centre >= above) & (inner > floor))
    if not len(bins):
        return 0.0
    left, mid, right = (part[bins, frames] for part in (below, centre, above))
    shift = 0.5 * (left - right) / np.minimum(left - 2 * mid + right, -1e-9)
    hertz = (bins + low + shift) * rate / _WINDOW
    deviation = 12.0 * np.log2(hertz / 440.0)
    weight = np.sqrt(inner[bins, frames])
    centre_of_mass = np.sum(weight * np.exp(2j * np.pi * deviation))
    cents = 100.0 * float(np.angle(centre_of_mass)) / (2.0 * np.pi)
    return -50.0 if cents >= 50.0 else cents
