"""Spectrograms to local and segment vectors by the shipped ONNX model, on the CPU, without torch.

Local vectors describe some seconds around moments .8 s apart; segment vectors 20 s, one every 8 s. Quick vectors are
the local ones of the same music played quicker: the network hears a tempo, and what is quicker elsewhere is more alike
to them. Components are numbered channel by channel, twelve pitch classes each: `rolled` brings a vector to another key.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from index.runs import Model, Vectors
from index.shards import VectorFormat
from retrieval.embedding.onnx_model import load_onnx
from retrieval.embedding.version_patches import FRAME_SECONDS, QUICKER, SEMITONES, quicker, version_parameters

__all__ = [
    "LOCAL_HOP_SECONDS",
    "QUICK_HOP_SECONDS",
    "SEGMENT_HOP_SECONDS",
    "VERSION_MODEL_PATH",
    "VersionEncoder",
    "VersionVectors",
    "rolled",
]

VERSION_MODEL_PATH = Path(__file__).parent / "models" / "versions.onnx"

_FRAMES_A_VECTOR = 4
LOCAL_HOP_SECONDS = _FRAMES_A_VECTOR * FRAME_SECONDS
QUICK_HOP_SECONDS = QUICKER * LOCAL_HOP_SECONDS
_SEGMENT_VECTORS, _SEGMENT_HOP = 25, 10
SEGMENT_HOP_SECONDS = _SEGMENT_HOP * LOCAL_HOP_SECONDS
_CHUNK_FRAMES = 3000
_MARGIN_FRAMES = 80
_FEWEST_FRAMES = 16
_SCALE = 254.0
"""Unit vectors of 72 or 144 components rarely have one beyond 0.5."""


class VersionVectors(NamedTuple):
    """Unit vectors of a recording, each of shape `(count, dimensions)`.

    Attributes:
        local: one every .8 s.
        quick: local ones of the recording played `QUICKER` times as fast, one every 1.13 s.
        segments: one every 8 s.
    """

    local: NDArray[np.float32]
    quick: NDArray[np.float32]
    segments: NDArray[np.float32]


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
        self.quick = Model("version-quick", digest, VectorFormat(local, "int8", _SCALE), parameters=parameters)
        self.segments = Model("version-segments", digest, VectorFormat(segment, "int8", _SCALE), parameters=parameters)

    @property
    def kinds(self) -> tuple[tuple[Model, float], ...]:
        """The model of each part of `VersionVectors`, and the seconds from vector to vector."""
        return (
            (self.local, LOCAL_HOP_SECONDS),
            (self.quick, QUICK_HOP_SECONDS),
            (self.segments, SEGMENT_HOP_SECONDS),
        )

    def stored(self, vectors: VersionVectors) -> list[Vectors]:
        """The vectors of a recording, as a library takes them in."""
        return [Vectors(model, part, hop) for (model, hop), part in zip(self.kinds, vectors, strict=True)]

    def encode(self, spectrogram: NDArray[np.float32]) -> VersionVectors:
        """The vectors of a recording whose spectrogram `version_patches` gave, shape `(84, frames)`."""
        local, contributions = self._run(spectrogram)
        quick, _ = self._run(quicker(spectrogram))
        return VersionVectors(local, quick, segment_vectors(contributions))

    def _run(self, spectrogram: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Local vectors, and what segment vectors are summed from, both of shape `(count, dimensions)`."""
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
        return np.ascontiguousarray(np.concatenate(local)), np.concatenate(contributions)


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
