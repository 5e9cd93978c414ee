"""Fingerprints: the vectors of a recording's or a clip's seconds.

Recordings are embedded every half second, clips every tenth: whatever the clip's offset, some of its
windows then lie within 50 ms of those in the library.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alignment.audio import ANALYSIS_RATE, Audio
from alignment.errors import FeatureError
from alignment.features import FEATURE_RATE
from retrieval.embedding.encoder import Encoder
from retrieval.embedding.patches import PATCH_FRAMES, cut_patches, patch_spectrogram

__all__ = ["QUERY_HOP_FRAMES", "RECORDING_HOP_FRAMES", "RECORDING_HOP_SECONDS", "Fingerprint", "fingerprint"]

RECORDING_HOP_FRAMES = 25
RECORDING_HOP_SECONDS = RECORDING_HOP_FRAMES / FEATURE_RATE
QUERY_HOP_FRAMES = 5

_SILENCE = 1e-4
_SILENCE_BELOW_LOUDEST = 1e-3
_PATCHES_AT_ONCE = 512


@dataclass(frozen=True)
class Fingerprint:
    """Vectors of a signal's windows.

    Attributes:
        vectors: float32, shape `(windows, dimensions)`; zero where nothing sounds.
        audible: bool, shape `(windows,)`.
        hop: seconds from window to window.
    """

    vectors: NDArray[np.float32]
    audible: NDArray[np.bool_]
    hop: float


def fingerprint(audio: Audio, encoder: Encoder, hop_frames: int) -> Fingerprint:
    """Embed the windows of a signal, one every `hop_frames` frames; shorter than one window gives none."""
    if audio.rate != ANALYSIS_RATE:
        raise FeatureError(f"Sound must be at {ANALYSIS_RATE} samples a second. Got {audio.rate} instead.")
    spectrogram = patch_spectrogram(audio.samples, audio.rate)
    starts = np.arange(0, spectrogram.shape[1] - PATCH_FRAMES + 1, hop_frames)
    vectors = np.zeros((len(starts), encoder.model.format.dimensions), np.float32)
    audible = _audible(spectrogram, starts)
    heard = np.flatnonzero(audible)
    for first in range(0, len(heard), _PATCHES_AT_ONCE):
        rows = heard[first : first + _PATCHES_AT_ONCE]
        vectors[rows] = encoder.encode(cut_patches(spectrogram, starts[rows]))
    return Fingerprint(vectors, audible, hop_frames / FEATURE_RATE)


def _audible(spectrogram: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Windows whose loudest bin is neither absolutely silent nor 60 dB below the loudest of the signal."""
    if not len(starts):
        return np.zeros(0, bool)
    peaks = spectrogram.max(axis=0)
    windows = np.lib.stride_tricks.sliding_window_view(peaks, PATCH_FRAMES)[starts].max(axis=1)
    return np.asarray(windows > max(_SILENCE, _SILENCE_BELOW_LOUDEST * float(windows.max())))
