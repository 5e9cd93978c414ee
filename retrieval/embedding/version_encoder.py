"""Spectrograms to local and segment vectors by the shipped ONNX model, on the CPU, without torch.

Local vectors describe some seconds around moments .8 s apart; segment vectors 20 s, one every 8 s. Components are
numbered channel by channel, twelve pitch classes each: `rolled` brings a vector to another key.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.runs import Model
from index.shards import VectorFormat
from retrieval.embedding.onnx_model import load_onnx
from retrieval.embedding.version_patches import FRAME_SECONDS, SEMITONES, version_parameters

__all__ = [
    "LOCAL_HOP_SECONDS",
    "SEGMENT_HOP_SECONDS",
    "VERSION_MODEL_PATH",
    "VersionEncoder",
    "rolled",
]

VERSION_MODEL_PATH = Path(__file__).parent / "models" / "versions.onnx"

_FRAMES_A_VECTOR = 4
LOCAL_HOP_SECONDS = _FRAMES_A_VECTOR * FRAME_SECONDS
_SEGMENT_VECTORS, _SEGMENT_HOP = 25, 10
SEGMENT_HOP_SECONDS = _SEGMENT_HOP * LOCAL_HOP_SECONDS
_CHUNK_FRAMES = 3000
_MARGIN_FRAMES = 80
_FEWEST_FRAMES = 16
_SCALE = 254.0
"""Unit vectors of 72 or 144 components rarely have one beyond 0.5."""


class VersionEncoder:
    """Runs a version network; safe to use from several threads.

    Args:
        path: an ONNX file written by `retrieval.embedding.checkpoint.save_version_network`.

    Raises:
        ModelError: it cannot be loaded.
    """

    def __init__(self, path: Path = VERSION_MODEL_PATH) -> None:
        self._session, digest = load_onnx(path, "a version model")
        local, segment = (12 * int(output.shape[1]) for output in self._session.get_outputs())
        parameters = version_parameters()
        self.local = Model("version-local", digest, VectorFormat(local, "int8", _SCALE), parameters=parameters)
        self.segments = Model("version-segments", digest, VectorFormat(segment, "int8", _SCALE), parameters=parameters)

    def encode(self, spectrogram: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Unit vectors of a recording.

        Args:
            spectrogram: as `version_patches` gives it, shape `(84, frames)`.

        Returns:
            local vectors, one every .8 s, and segment vectors, one every 8 s, both of shape `(count, dimensions)`.
        """
        frames = max(_FEWEST_FRAMES, math.ceil(spectrogram.shape[1] / _FRAMES_A_VECTOR) * _FRAMES_A_VECTOR)
        padded = np.zeros((SEMITONES, frames), np.float32)
        padded[:, : spectrogram.shape[1]] = spectrogram
        local: list[NDArray[np.float32]] = []
        contributions: list[NDArray[np.float32]] = []
        for start in range(0, frames, _CHUNK_FRAMES):
            end = min(frames, start + _CHUNK_FRAMES)
            low, high = max(0, start - _MARGIN_FRAMES), min(frames, end + _MARGIN_FRAMES)
            inside = slice((start - low) // _FRAMES_A_VECTOR, (end - low) // _FRAMES_A_VECTOR)
            outputs = self._session.run(["local", "contributions"], {"spectrograms": padded[None, :, low:high]})
            for parts, output in zip((local, contributions), outputs, strict=True):
                parts.append(output[0].reshape(-1, output.shape[-1])[:, inside].T)
        return np.ascontiguousarray(np.concatenate(local)), segment_vectors(np.concatenate(contributions))


def segment_vectors(contributions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums of 20 s of contributions `(count, dimensions)`, one every 8 s, brought to unit length."""
    count = 1 + max(0, math.ceil((len(contributions) - _SEGMENT_VECTORS) / _SEGMENT_HOP))
    starts = _SEGMENT_HOP * np.arange(count)
    sums = np.concatenate([np.zeros((1, contributions.shape[1])), np.cumsum(contributions, axis=0, dtype=np.float64)])
    found = sums[np.minimum(starts + _SEGMENT_VECTORS, len(contributions))] - sums[starts]
    return np.asarray(found / (np.linalg.norm(found, axis=1, keepdims=True) + 1e-9), np.float32)


def rolled(vectors: NDArray[np.float32], semitones: int) -> NDArray[np.float32]:
    """Vectors `(count, 12 * channels)` as those of the same music so many semitones higher."""
    pitch_classes = vectors.reshape(len(vectors), -1, 12)
    return np.ascontiguousarray(np.roll(pitch_classes, semitones, axis=2).reshape(vectors.shape))
