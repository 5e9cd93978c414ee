"""Numba kernels of chroma: arrays in, arrays out, no validation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def smooth_rows(features: Any, window: Any, step: int, out: Any) -> None:
    """The mean of each row under a window centred on every so many frames; beyond the ends there is nothing.

    Args:
        features: float32 `(dims, frames)`.
        window: float32, weights.
        step: frames from one mean to the next.
        out: float32 `(dims, ceil(frames / step))`, overwritten.
    """
    dims, frames = features.shape
    half = len(window) // 2
    for row in range(dims):
        line = features[row]
        for kept in range(out.shape[1]):
            start = kept * step - half
            low, high = max(start, 0), min(start + len(window), frames)
            mean = np.float32(0.0)
            for frame in range(low, high):
                mean += line[frame] * window[frame - start]
            out[row, kept] = mean
