"""A room and a microphone: what they make of a sound that is played."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft, signal

from alignment.audio import ANALYSIS_RATE

__all__ = ["LOUD", "NOW_AND_THEN", "Noise", "degraded"]

Samples = NDArray[np.float32]


class Noise(NamedTuple):
    """How often there is noise, and the least and the most decibels that it is below the sound."""

    chance: float
    least: float
    most: float


NOW_AND_THEN = Noise(0.55, 12.0, 45.0)
LOUD = Noise(0.9, 2.0, 15.0)


def degraded(samples: Samples, rng: Generator, noise: Noise = NOW_AND_THEN) -> Samples:
    """What a microphone makes of a sound: now and then a room and an equaliser, and coloured noise; of equal length."""
    out = samples / (np.abs(samples).max() + 1e-9)
    if rng.random() < 0.45:
        out = _in_a_room(out, rng)
    if rng.random() < 0.6:
        out = _equalised(out, rng)
    if rng.random() < noise.chance:
        out = _with_noise(out, rng, noise)
    return out.astype(np.float32)


def _in_a_room(samples: Samples, rng: Generator) -> Samples:
    """Direct sound, and noise that falls by 60 dB in .2 to 1.6 s."""
    length = int(rng.uniform(0.2, 1.6) * ANALYSIS_RATE)
    response = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    response *= rng.uniform(0.15, 0.7) / np.sqrt(np.square(response).sum())
    response[0] += 1
    return signal.fftconvolve(samples, response.astype(np.float32))[: len(samples)]


def _equalised(samples: Samples, rng: Generator) -> Samples:
    """A tilt of -4 to 3 dB an octave, and a few dB up and down along it."""
    spectrum = fft.rfft(samples)
    octaves = np.log2(np.maximum(np.linspace(0, ANALYSIS_RATE / 2, len(spectrum)), 40) / 1000)
    gain = rng.uniform(-4, 3) * octaves
    gain += np.interp(octaves, np.linspace(-5, 4, 8), rng.normal(0, 3, 8))
    spectrum *= 10 ** (np.clip(gain, -40, 25) / 20)
    return fft.irfft(spectrum, len(samples))


def _with_noise(samples: Samples, rng: Generator, kind: Noise) -> NDArray[np.float64]:
    """White, pink or brown noise."""
    spectrum = fft.rfft(rng.standard_normal(len(samples)))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** rng.choice([0.5, 0.5, 0, 1])
    noise = fft.irfft(spectrum, len(samples))
    ratio = np.sqrt(np.square(samples).mean() / (np.square(noise).mean() + 1e-12))
    return samples + noise * ratio * 10 ** (-rng.uniform(kind.least, kind.most) / 20)
