"""Patches to vectors by the shipped ONNX model, on the CPU, without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.runs import Model
from index.shards import VectorFormat
from retrieval.embedding.onnx_model import load_onnx
from retrieval.embedding.patches import patch_parameters

__all__ = ["MODEL_PATH", "Encoder"]

MODEL_PATH = Path(__file__).parent / "models" / "fingerprint.onnx"
_PATCHES_AT_ONCE = 16
_SCALE = 256.0
"""A unit vector of 128 components rarely has one beyond 0.5, so 1/256 uses eight bits well."""


class Encoder:
    """Runs a fingerprint network; safe to use from several threads.

    Args:
        path: an ONNX file written by `retrieval.embedding.checkpoint.save_network`.

    Raises:
        ModelError: it cannot be loaded.
    """

    def __init__(self, path: Path = MODEL_PATH) -> None:
        self._session, digest = load_onnx(path, "a fingerprint model")
        dimensions = int(self._session.get_outputs()[0].shape[1])
        self.model = Model(
            name="fingerprint",
            hash=digest,
            format=VectorFormat(dimensions, "int8", _SCALE),
            parameters=patch_parameters(),
        )

    def encode(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit vectors `(n, dimensions)` of patches `(n, 1, 120, 50)`."""
        parts = [
            self._session.run(None, {"patches": patches[first : first + _PATCHES_AT_ONCE]})[0]
            for first in range(0, len(patches), _PATCHES_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self.model.format.dimensions), np.float32)
