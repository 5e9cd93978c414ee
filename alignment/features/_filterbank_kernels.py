"""Numba kernels of the semitone filterbank: arrays in, arrays out, no validation."""

from __future__ import annotations

from math import cos, exp, pi, sin
from typing import Any

import numpy as np
from numba import njit

_BLOCK = 16


@njit(cache=True, nogil=True, fastmath={"contract"})
def twist(parts: Any, samples: int) -> None:
    """Multiply entry `(k, r)` by `exp(-2 pi i k r / samples)`.

    Args:
        parts: float32, shape `(bins, 2 columns)`, real and imaginary parts by turns; changed in place.
        samples: of the whole transform.
    """
    columns = parts.shape[1] // 2
    real, imaginary = np.empty(_BLOCK), np.empty(_BLOCK)
    for k in range(parts.shape[0]):
        step = -2.0 * pi * k / samples
        for r in range(_BLOCK):
            real[r], imaginary[r] = cos(step * r), sin(step * r)
        for start in range(0, columns, _BLOCK):
            c, s = cos(step * start), sin(step * start)
            part = parts[k, 2 * start : 2 * min(start + _BLOCK, columns)]
            for r in range(len(part) // 2):
                x, y = part[2 * r], part[2 * r + 1]
                cosine = np.float32(c * real[r] - s * imaginary[r])
                sine = np.float32(c * imaginary[r] + s * real[r])
                part[2 * r] = x * cosine - y * sine
                part[2 * r + 1] = x * sine + y * cosine


@njit(cache=True, nogil=True)
def pass_bands(
    spectrum: Any, lows: Any, counts: Any, centres: Any, deviations: Any, spacing: float, gain: float, bands: Any
) -> None:
    """Multiply the bins around each filter's centre by its Gaussian, and fold what is wider than a row of `bands`.

    Within a block of bins the Gaussian of `x + k h` is that of x, times `exp(-x h)` to the k, times that of `k h`.

    Args:
        spectrum: complex64, shape `(bins,)`.
        lows, counts: the first bin of each filter and how many there are.
        centres, deviations: of each, hertz.
        spacing: hertz from bin to bin.
        gain: of a filter at its centre.
        bands: complex64, shape `(filters, size)`, overwritten.
    """
    size = bands.shape[1]
    within = np.empty(_BLOCK)
    for row in range(len(lows)):
        low, count, step = lows[row], counts[row], spacing / deviations[row]
        band = bands[row]
        band[min(count, size) :] = 0.0
        for k in range(_BLOCK):
            within[k] = exp(-0.5 * (k * step) ** 2)
        at = 0
        for start in range(0, count, _BLOCK):
            x = ((low + start) * spacing - centres[row]) / deviations[row]
            level, factor = gain * exp(-0.5 * x * x), exp(-x * step)
            for k in range(min(_BLOCK, count - start)):
                passed = spectrum[low + start + k] * np.float32(level * within[k])
                level *= factor
                if start + k < size:
                    band[at] = passed
                else:
                    band[at] += passed
                at = at + 1 if at + 1 < size else 0


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def frame_magnitudes(outputs: Any, oversampling: int, margin: int, rows: Any, out: Any) -> None:
    """Root of the mean power of each filter's output in each frame.

    Args:
        outputs: complex64, shape `(filters, frames * oversampling)`.
        oversampling: samples a frame, odd; the middle one lies on the frame.
        margin: frames that are left out at the beginning, at least 1.
        rows: of `out`, one for each filter.
        out: float32, shape `(all filters, frames that are wanted)`.
    """
    scale = np.float32(1.0 / oversampling)
    gain = np.float32(oversampling)
    for row in range(len(rows)):
        output, line = outputs[row], out[rows[row]]
        at = margin * oversampling - oversampling // 2
        for frame in range(len(line)):
            power = np.float32(0.0)
            for k in range(at, at + oversampling):
                power += output[k].real * output[k].real + output[k].imag * output[k].imag
            line[frame] = gain * np.sqrt(scale * power)
            at += oversampling
