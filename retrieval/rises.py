"""Rises: when which band of the spectrum becomes louder, a hundred times a second.

They date what happens in a sound to some milliseconds, whatever its timbre, room or noise. The library keeps their
signs, two bytes for each hundredth of a second: 0.72 MB an hour. Signs of energy differences as a description of sound
are those of Haitsma and Kalker, "A highly robust audio fingerprinting system" (ISMIR 2002); here they follow the
fingerprint, and tell performances of the same music apart (`retrieval.timing`).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from alignment.audio import ANALYSIS_RATE
from alignment.features import frame_count, spectrum
from index.runs import Model
from index.shards import VectorFormat

__all__ = [
    "PHASES",
    "RISES",
    "RISES_HOP",
    "RISES_RATE",
    "band_magnitudes",
    "packed_rises",
    "rises",
    "rises_in_phases",
    "unpacked_rises",
]

RISES_HOP = 220
RISES_RATE = ANALYSIS_RATE / RISES_HOP
"""Frames a second."""

PHASES = 4
"""In which the rises of clips are taken."""

_WINDOW = 512
_BANDS = 16
_LOWEST, _HIGHEST = 250.0, 5000.0
_FLOOR = 0.05
"""Of a band's mean magnitude around a frame: what lies below it is as good as silent."""

_AROUND_FRAMES = 201

RISES = Model(
    name="rises",
    hash="signs-of-log-rises-of-16-bands-100hz-1",
    format=VectorFormat(_BANDS // 8, "uint8", 1.0),
    parameters={"hop": RISES_HOP},
)
"""Whether each band of a recording rises or falls, eight to a byte, so that a file need not be decoded again."""


def rises(samples: NDArray[np.float32], quarter_tones: int = 0, phases: int = 1) -> NDArray[np.float32]:
    """How much louder each band of a signal becomes, in units of its rms over two seconds.

    Args:
        samples: mono at the analysis rate, shape `(n,)`.
        quarter_tones: how much higher the signal is than what it is compared with; its bands lie higher by as much.
        phases: a divisor of 220: how many frames there are where otherwise is one, evenly spaced from it on. The frames
            of two recordings of the same sound rarely lie together; of several phases one does nearly.

    Returns:
        shape `(phases * frames, 16)`, a hundred times as many as phases a second; frame `i` is centred on sample
        `220 / phases * i`.
    """
    magnitudes = band_magnitudes(samples, quarter_tones, phases)
    if len(magnitudes) < 3 * phases:
        return np.zeros_like(magnitudes)
    around = (_AROUND_FRAMES - 1) * phases + 1
    floor = _FLOOR * uniform_filter1d(magnitudes, around, axis=0, mode="nearest")
    levels = np.log(magnitudes + floor + np.float32(1e-7))
    out = np.zeros_like(levels)
    out[phases:-phases] = levels[2 * phases :] - levels[: -2 * phases]
    power = uniform_filter1d(np.square(out), around, axis=0, mode="nearest")
    return out / np.sqrt(np.maximum(power, 1e-6))


def rises_in_phases(samples: NDArray[np.float32], quarter_tones: int = 0) -> NDArray[np.float32]:
    """As `rises` in `PHASES` phases; every second is taken from the sound, those between by cubic interpolation."""
    taken = rises(samples, quarter_tones, PHASES // 2)
    if not len(taken):
        return taken
    around = np.pad(taken, ((1, 2), (0, 0)), mode="edge")
    out = np.empty((2 * len(taken), taken.shape[1]), np.float32)
    out[::2] = taken
    out[1::2] = (9 * (around[1:-2] + around[2:-1]) - around[:-3] - around[3:]) / 16
    return out


def band_magnitudes(samples: NDArray[np.float32], quarter_tones: int, phases: int = 1) -> NDArray[np.float32]:
    """Root mean power of each band of a signal, shape `(phases * frames, 16)`; arguments and frames as of `rises`."""
    frames = phases * frame_count(len(samples), RISES_HOP)
    found = spectrum.band_magnitudes(samples, _WINDOW, RISES_HOP // phases, _bands(quarter_tones), frames)
    return np.ascontiguousarray(found.T)


@lru_cache(maxsize=16)
def _bands(quarter_tones: int) -> spectrum.Bands:
    """Triangles evenly spaced in log frequency, none of them empty, for magnitudes under a Hann window of height 1."""
    edges = np.geomspace(_LOWEST, _HIGHEST, _BANDS + 2)[:, None] * 2.0 ** (quarter_tones / 24)
    bins = np.arange(_WINDOW // 2 + 1) * ANALYSIS_RATE / _WINDOW
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)).clip(0.0)
    weights *= (_WINDOW / 4) ** 2 / weights.sum(axis=1, keepdims=True)
    return spectrum.Bands.of(weights.astype(np.float32))


def packed_rises(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The signs of rises, eight to a byte: whole numbers to 255, shape `(frames, 2)`."""
    return np.packbits(values > 0, axis=1).astype(np.float32)


def unpacked_rises(stored: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What `packed_rises` made, 1 where a band rises and -1 where it falls, shape `(frames, 16)`."""
    return 2 * np.unpackbits(stored, axis=1).astype(np.float32) - 1
