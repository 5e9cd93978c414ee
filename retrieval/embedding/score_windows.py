"""Windows of sonority: five seconds of a score, and what a performance plays in five seconds at a score's tempo.

Both are what the embedding of scores sees: 50 frames of 32 components, zero where there is no music.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding._window_kernels import cut_windows
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
    steps = np.broadcast_to(np.asarray(1.0 / np.asarray(ratios, np.float64)), centres.shape)
    out = np.empty((len(centres), WINDOW_FRAMES, frames.shape[1]), np.float32)
    cut_windows(np.ascontiguousarray(frames, np.float32), centres * SONORITY_RATE, np.ascontiguousarray(steps), out)
    return out
