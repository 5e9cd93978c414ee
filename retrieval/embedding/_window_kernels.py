"""Numba kernels of windows of sonority: arrays in, arrays out, no validation."""

from __future__ import annotations

from math import floor
from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def cut_windows(frames: Any, middles: Any, steps: Any, out: Any) -> None:
    """Windows of frames, interpolated linearly; zero where there are none.

    Args:
        frames: float32 `(n, dimensions)`.
        middles: float64 `(windows,)`, frames.
        steps: float64 `(windows,)`, frames from one frame of a window to the next.
        out: float32 `(windows, length, dimensions)`, overwritten.
    """
    length = out.shape[1]
    for number in range(len(middles)):
        for at in range(length):
            place = middles[number] + (at - (length - 1) / 2.0) * steps[number]
            before = floor(place)
            share = np.float32(place - before)
            rest = np.float32(1.0) - share
            line = out[number, at]
            line[:] = np.float32(0.0)
            if 0 <= before < len(frames):
                for d in range(len(line)):
                    line[d] = rest * frames[before, d]
            if 0 <= before + 1 < len(frames):
                for d in range(len(line)):
                    line[d] += share * frames[before + 1, d]
