"""Where music begins and ends when steady noise surrounds it: hiss, hum, a room.

Noise before the first note tells nothing of what corresponds, yet it is no silence: a path would have to lead through
it. It is known by four things: nothing rises out of it, it does not die away, it is softer than the music, and it is
there all the time, so that hardly anything in the recording is softer than it is in its own band.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["noise_before"]

_FEWEST_FRAMES = 20
_RISE = 10.0**1.2
_FEWEST_BANDS = 3
_SOUNDING, _OUT_OF = 4, 5
"""A rise lasts so many of so many frames: a click does not."""

_STEADY = 2.0
"""From its first third to its last the power of noise changes by less; a soft note dies away."""

_SOFTER = 10.0**0.8
_FLOOR_PERCENT = 10.0
_FLOOR = 10.0**1.6
"""The power of noise exceeds its tenth percentile ten times in the mean; more is allowed for."""

_BANDS_ON_FLOOR = 0.95
_LEAST_SHARE = 1e-5
_FRAMES_AT_ONCE = 50


def noise_before(magnitudes: NDArray[np.float32]) -> int:
    """Frames of steady noise at the beginning; 0 where the music begins at once or nothing but noise is there.

    Args:
        magnitudes: of filters that respond within some hundredths of a second, shape `(bands, frames)`.
    """
    frames = magnitudes.shape[1]
    mean = np.square(magnitudes).mean(axis=1, dtype=np.float64)
    heard = mean > _LEAST_SHARE * mean.max(initial=0.0)
    begins = _first_rise(magnitudes[heard])
    if not _FEWEST_FRAMES < begins < frames:
        return 0
    power = np.square(magnitudes[heard, :begins])
    third = begins // 3
    early, late = power[:, :third].sum(dtype=np.float64), power[:, begins - third :].sum(dtype=np.float64)
    noise = power.mean(axis=1, dtype=np.float64)
    if max(early, late) > _STEADY * min(early, late) or noise.sum() * _SOFTER > mean[heard].sum():
        return 0
    floor = np.square(np.percentile(magnitudes[heard], _FLOOR_PERCENT, axis=1))
    return begins if np.mean(noise <= _FLOOR * floor) >= _BANDS_ON_FLOOR else 0


def _first_rise(magnitudes: NDArray[np.float32]) -> int:
    """The first frame in which some bands rise above their mean so far, for good; the number of frames if none do."""
    bands, frames = magnitudes.shape
    total, known = np.zeros(bands), 0
    at = _FEWEST_FRAMES
    while at + _OUT_OF <= frames:
        total += np.square(magnitudes[:, known:at]).sum(axis=1, dtype=np.float64)
        known = at
        ahead = np.square(magnitudes[:, at : at + _FRAMES_AT_ONCE])
        rises = (ahead > (_RISE * total / known)[:, None]).sum(axis=0) >= _FEWEST_BANDS
        lasting = np.convolve(rises, np.ones(_OUT_OF))[_OUT_OF - 1 : len(rises)] >= _SOUNDING
        found = np.flatnonzero(lasting & rises[: len(lasting)])
        if len(found):
            return at + int(found[0])
        at += len(lasting)
    return frames
