"""The similarity matrix of two recordings, small enough to be sent and drawn."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.comparison import VersionLikeness

__all__ = ["matrix_document"]

_MOST_MOMENTS = 400
_DARKEST, _BRIGHTEST = 20.0, 99.5
"""Percentiles of the cosines that become 0 and 255."""


def matrix_document(likeness: VersionLikeness) -> dict[str, Any]:
    """How alike two recordings are moment by moment, and the paths along which they correspond.

    Where a matrix has more moments than can be shown, the most alike of some neighbours stands for them, for that
    keeps paths whole.
    """
    cosines = _thinned(_thinned(likeness.similarities).T).T
    low, high = np.percentile(cosines, (_DARKEST, _BRIGHTEST)) if cosines.size else (0.0, 1.0)
    levels = np.clip((cosines - low) / max(high - low, 1e-3), 0.0, 1.0)
    rows, columns = cosines.shape
    return {
        "rows": rows,
        "columns": columns,
        "values": base64.b64encode(np.round(255 * levels).astype(np.uint8).tobytes()).decode("ascii"),
        "spans": likeness.spans,
        "paths": [np.round(path, 3).tolist() for path in likeness.paths],
    }


def _thinned(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most so many rows; the last stands for fewer than the others."""
    step = math.ceil(len(matrix) / _MOST_MOMENTS)
    if step <= 1:
        return matrix
    return np.maximum.reduceat(matrix, np.arange(0, len(matrix), step), axis=0)
