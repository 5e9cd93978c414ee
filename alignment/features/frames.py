"""Frames and seconds.

Frame `i` of any feature is centred on sample `i * hop`: signals are padded by half a window of zeros, so
that a feature at frame `i` speaks of the time `i * hop / rate` whatever its window length.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["FEATURE_RATE", "HOP", "frame_count", "frames_to_seconds", "seconds_to_frames"]

HOP = 441
"""Samples from one frame to the next: 20 ms at the analysis rate."""

FEATURE_RATE = 50.0
"""Frames a second of every feature computed with `HOP` at the analysis rate."""


def frame_count(samples: int, hop: int = HOP) -> int:
    """Number of frames of a signal of that many samples: one at each multiple of `hop` within it."""
    return 0 if samples <= 0 else (samples - 1) // hop + 1


def frames_to_seconds(frames: ArrayLike, feature_rate: float = FEATURE_RATE) -> NDArray[np.float64]:
    """Times in seconds of (fractional) frame numbers."""
    return np.asarray(frames, dtype=np.float64) / feature_rate


def seconds_to_frames(seconds: ArrayLike, feature_rate: float = FEATURE_RATE) -> NDArray[np.int64]:
    """Nearest frame numbers of times in seconds."""
    return np.rint(np.asarray(seconds, dtype=np.float64) * feature_rate).astype(np.int64)
