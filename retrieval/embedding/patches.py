"""Patches: the log-frequency windows that the fingerprint network sees.

A patch is one second of a log-frequency spectrogram, shape `(bins, frames)` = (120, 50), float32. Its
magnitudes are compressed by a logarithm relative to the patch's own level and standardised to mean 0 and
deviation 1, so that neither gain nor the level of the rest of the recording changes it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from alignment.features import HOP, LogFrequency, log_frequency_spectrogram

__all__ = [
    "COMPRESSION_FLOOR",
    "MOST_SHIFT",
    "PATCH_FRAMES",
    "PATCH_LAYOUT",
    "cut_patches",
    "patch_parameters",
    "patch_spectrogram",
    "standardise",
]

PATCH_LAYOUT = LogFrequency(lowest=57.0, bins=120, bins_per_octave=24, shortest_window=2048, longest_window=2048)
"""Quarter tones over five octaves from 220 Hz, where telephones and small loudspeakers still carry sound."""

MOST_SHIFT = 4
"""Quarter tones by which patches can be moved to meet music in another key."""

_WIDER = replace(PATCH_LAYOUT, lowest=PATCH_LAYOUT.lowest - MOST_SHIFT / 2, bins=PATCH_LAYOUT.bins + 2 * MOST_SHIFT)

_MIRRORED = 3
"""Frames over which a window can reach beyond the ends."""

PATCH_FRAMES = 50
COMPRESSION_FLOOR = 0.03
"""Magnitudes are compressed as log(1 + magnitude / (floor * rms magnitude of the patch))."""


def patch_spectrogram(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Magnitudes from which patches are cut, shape `(128, frames)`, 50 frames a second.

    There are `MOST_SHIFT` bins more below and above than a patch has. The sound is mirrored at its ends, so that a
    clip's first and last frames are not half silent.
    """
    if len(samples) <= _MIRRORED * HOP:
        return log_frequency_spectrogram(samples, rate, _WIDER)
    mirrored = np.pad(samples, _MIRRORED * HOP, "reflect")
    return log_frequency_spectrogram(mirrored, rate, _WIDER)[:, _MIRRORED:-_MIRRORED]


def cut_patches(spectrogram: NDArray[np.float32], starts: NDArray[np.int64], shift: int = 0) -> NDArray[np.float32]:
    """Cut and standardise the patches that begin at these frames, shape `(n, 1, 120, 50)`.

    Args:
        spectrogram: as `patch_spectrogram` gives it.
        starts: frames, shape `(n,)`.
        shift: quarter tones by which the music is moved down, at most `MOST_SHIFT` either way.
    """
    inside = spectrogram[MOST_SHIFT + shift : MOST_SHIFT + shift + PATCH_LAYOUT.bins]
    views = np.lib.stride_tricks.sliding_window_view(inside, PATCH_FRAMES, axis=1)
    patches = np.ascontiguousarray(views[:, starts].transpose(1, 0, 2))
    return standardise(patches)[:, None]


def standardise(patches: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compress relative to each patch's level, then bring it to mean 0 and deviation 1, shape as given."""
    rms = np.sqrt(np.mean(np.square(patches), axis=(1, 2), keepdims=True))
    compressed = np.log1p(patches / (COMPRESSION_FLOOR * rms + 1e-9))
    compressed -= compressed.mean(axis=(1, 2), keepdims=True)
    deviation = np.sqrt(np.mean(np.square(compressed), axis=(1, 2), keepdims=True))
    return np.asarray(compressed / (deviation + 1e-3), dtype=np.float32)


def patch_parameters() -> dict[str, float]:
    """Every number that the patches depend on, for the row that describes a model in a library."""
    return {
        "hop": HOP,
        "frames": PATCH_FRAMES,
        "lowest": PATCH_LAYOUT.lowest,
        "bins": PATCH_LAYOUT.bins,
        "bins_per_octave": PATCH_LAYOUT.bins_per_octave,
        "window": PATCH_LAYOUT.longest_window,
        "compression_floor": COMPRESSION_FLOOR,
    }
