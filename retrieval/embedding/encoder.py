"""Patches to vectors by the shipped ONNX model, on the CPU, without torch."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.runs import Model
from index.shards import VectorFormat
from retrieval.embedding.patches import patch_parameters
from retrieval.errors import ModelError

__all__ = ["MODEL_PATH", "Encoder"]

MODEL_PATH = Path(__file__).parent / "models" / "fingerprint.onnx"
_PATCHES_AT_ONCE = 64
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
        import onnxruntime

        onnxruntime.set_default_logger_severity(4)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        try:
            content = path.read_bytes()
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises classes of its own that share no base
            raise ModelError(f"{path}: cannot be loaded as a fingerprint model ({error})") from error
        dimensions = int(self._session.get_outputs()[0].shape[1])
        self.model = Model(
            name="fingerprint",
            hash=hashlib.sha256(content).hexdigest(),
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
