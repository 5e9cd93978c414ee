"""Windows of sonority to vectors by the shipped ONNX model, on the CPU, without torch.

A score has a vector every second, of the five seconds around it; a clip's windows are embedded as it is played.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.runs import Model
from index.shards import VectorFormat
from retrieval.embedding.onnx_model import load_onnx
from retrieval.embedding.score_windows import windows
from retrieval.embedding.sonority import SCORE_SONORITY, SONORITY_RATE

__all__ = ["SCORE_MODEL_PATH", "WINDOW_HOP_SECONDS", "ScoreEncoder"]

SCORE_MODEL_PATH = Path(__file__).parent / "models" / "scores.onnx"

WINDOW_HOP_SECONDS = 1.0
_AT_ONCE = 512
_SCALE = 254.0
"""Unit vectors of 64 components rarely have one beyond 0.5."""


class ScoreEncoder:
    """Runs a score network; safe to use from several threads.

    Args:
        path: an ONNX file written by `retrieval.embedding.checkpoint.save_score_network`.

    Raises:
        ModelError: it cannot be loaded.
    """

    def __init__(self, path: Path = SCORE_MODEL_PATH) -> None:
        self._session, digest = load_onnx(path, "a score model")
        dimensions = int(self._session.get_outputs()[0].shape[1])
        self.model = Model(
            "score-windows",
            hashlib.sha256(f"{digest} {SCORE_SONORITY.hash}".encode()).hexdigest(),
            VectorFormat(dimensions, "int8", _SCALE),
            parameters=SCORE_SONORITY.parameters,
            kind="score",
        )

    def encode(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit vectors `(n, 64)` of windows `(n, 50, 32)`, `n` at least 1."""
        return np.concatenate([self._run(patches[at : at + _AT_ONCE]) for at in range(0, len(patches), _AT_ONCE)])

    def encode_score(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit vectors of a score, one every second from 0, from its sonority `(frames, 32)`."""
        centres = np.arange(0.0, len(frames) / SONORITY_RATE, WINDOW_HOP_SECONDS)
        found = [np.zeros((0, self.model.format.dimensions), np.float32)]
        for start in range(0, len(centres), _AT_ONCE):
            found.append(self._run(windows(frames, centres[start : start + _AT_ONCE])))
        return np.concatenate(found)

    def _run(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = self._session.run(["vectors"], {"windows": patches})[0]
        return vectors
