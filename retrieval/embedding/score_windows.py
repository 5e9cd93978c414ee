"""Windows of sonority: five seconds of a score, and what a performance plays in five seconds at a score's tempo.

Both are what the embedding of scores sees: 50 frames of 32 components, zero where there is no music.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding.sonority import SONORITY, SONORITY_RATE

__all__ = ["COMPONENTS", "WINDOW_FRAMES", "WINDOW_SECONDS", "windows"]

WINDOW_FRAMES = 50
WINDOW_SECONDS = WINDOW_FRAMES / SONORITY_RATE
COMPONENTS = SONORITY.format.dimensions


def windows(
    frames: NDArray[np.float32], centres: NDArray[np.float64], ratios: NDArray[np.float64] | float = 1.0
) -> NDArray[np.float32]:
    """Cut windows out of the sonority of a score or a performance.

    Args:
        frames: shape `(n, 32)`, ten a second.
        centres: seconds of the frames at which the windows have their middle, shape `(windows,)`.
        ratios: seconds of a window for each second of the frames: the tempo of the frames over that of the window.

    Returns:
        float32, shape `(windows, 50, 32)`: between frames interpolated linearly.
    """
    offsets = np.arange(WINDOW_FRAMES) - (WINDOW_FRAMES - 1) / 2.0
    stretched = np.broadcast_to(np.asarray(1.0 / np.asarray(ratios, np.float64)), centres.shape)
    places = (centres * SONORITY_RATE)[:, None] + offsets * stretched[:, None]
    before = np.floor(places).astype(np.int64)
    share = (places - before).astype(np.float32)[..., None]
    padded = np.concatenate([frames, np.zeros((1, frames.shape[1]), np.float32)])
    return np.asarray((1.0 - share) * _at(padded, before) + share * _at(padded, before + 1), np.float32)


def _at(padded: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.float32]:
    """Frames at some places; the last, which is zero, where there are none."""
    last = len(padded) - 1
    return padded[np.where((places >= 0) & (places < last), places, last)]
