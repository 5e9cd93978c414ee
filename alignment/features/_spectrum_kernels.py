"""Numba kernels of short-time spectra: arrays in, arrays out, no validation.

Frames are transformed side by side, `_ABREAST` at a time: rows belong to coefficients, and each holds the real parts of
all frames, then the imaginary ones, so that inner loops run along frames. Each loop writes to one row, as compilers
vectorise only loops of few arrays that might overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_ABREAST = 64


@njit(cache=True, nogil=True)
def band_magnitudes(
    samples: Any, hop: int, taper: Any, turns: Any, low: int, firsts: Any, counts: Any, weights: Any, out: Any
) -> None:
    """Root of a weighted sum of the power in some neighbouring bins, for each band and frame.

    Args:
        samples: float32 `(n,)`; silence lies before and behind.
        hop: samples from frame to frame; frame `i` is centred on sample `hop * i`.
        taper: float32 `(window,)`, a power of two.
        turns: complex64 `(window / 2,)`, `exp(-2 pi i k / window)`.
        low: the lowest bin that any band takes.
        firsts, counts: int64 `(bands,)`, the lowest bin of each band and how many it has.
        weights: float32, those of all bands one after the other.
        out: float32 `(bands, frames)`, filled.
    """
    window, frames = len(taper), out.shape[1]
    parts = np.empty((window // 2, 2 * _ABREAST), np.float32)
    spare = np.empty_like(parts)
    power = np.empty(((firsts + counts).max() - low, _ABREAST), np.float32)
    for frame in range(0, frames, _ABREAST):
        _take(samples, hop * frame - window // 2, hop, taper, parts)
        _powers(_transformed(parts, spare, turns), turns, low, power)
        _sums(power, low, firsts, counts, weights, out[:, frame : frame + _ABREAST])


@njit(cache=True, nogil=True)
def _take(samples: Any, first: int, hop: int, taper: Any, parts: Any) -> None:
    """Tapered samples of frames, the first of which begins at `first`: even ones as real parts, odd as imaginary."""
    inside = first >= 0 and first + (_ABREAST - 1) * hop + len(taper) <= len(samples)
    for k in range(len(taper)):
        half = k % 2 * _ABREAST
        line, weight, begin = parts[k // 2, half : half + _ABREAST], taper[k], first + k
        if inside:
            for q in range(_ABREAST):
                line[q] = samples[begin + q * hop] * weight
        else:
            for q in range(_ABREAST):
                at = begin + q * hop
                line[q] = samples[at] * weight if 0 <= at < len(samples) else np.float32(0.0)


@njit(cache=True, nogil=True)
def _transformed(parts: Any, spare: Any, turns: Any) -> Any:
    """Fourier transforms of complex numbers, by steps of four and one of two, in Stockham's form that sorts as it goes.

    The first two arguments are overwritten, and one of them is the result.
    """
    stride = 1
    while stride < len(parts):
        if 2 * stride == len(parts):
            np.add(parts[:stride], parts[stride:], spare[:stride])
            np.subtract(parts[:stride], parts[stride:], spare[stride:])
        else:
            _step_of_four(parts, spare, turns, stride)
        parts, spare = spare, parts
        stride *= 4
    return parts


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _step_of_four(parts: Any, out: Any, turns: Any, stride: int) -> None:
    apart = len(parts) // 4
    for k in range(apart):
        p = k // stride * stride
        a, b, c, d = parts[k], parts[k + apart], parts[k + 2 * apart], parts[k + 3 * apart]
        one, two = turns[2 * p], turns[4 * p]
        three = one * two
        to = 3 * p + k
        line = out[to]
        for q in range(_ABREAST):
            line[q] = (a[q] + c[q]) + (b[q] + d[q])
            line[_ABREAST + q] = (a[_ABREAST + q] + c[_ABREAST + q]) + (b[_ABREAST + q] + d[_ABREAST + q])
        line, u, v = out[to + stride], one.real, one.imag
        for q in range(_ABREAST):
            x = (a[q] - c[q]) + (b[_ABREAST + q] - d[_ABREAST + q])
            y = (a[_ABREAST + q] - c[_ABREAST + q]) - (b[q] - d[q])
            line[q], line[_ABREAST + q] = u * x - v * y, u * y + v * x
        line, u, v = out[to + 2 * stride], two.real, two.imag
        for q in range(_ABREAST):
            x = (a[q] + c[q]) - (b[q] + d[q])
            y = (a[_ABREAST + q] + c[_ABREAST + q]) - (b[_ABREAST + q] + d[_ABREAST + q])
            line[q], line[_ABREAST + q] = u * x - v * y, u * y + v * x
        line, u, v = out[to + 3 * stride], three.real, three.imag
        for q in range(_ABREAST):
            x = (a[q] - c[q]) - (b[_ABREAST + q] - d[_ABREAST + q])
            y = (a[_ABREAST + q] - c[_ABREAST + q]) + (b[q] - d[q])
            line[q], line[_ABREAST + q] = u * x - v * y, u * y + v * x


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _powers(parts: Any, turns: Any, low: int, power: Any) -> None:
    """Power of some bins of real signals, whose even samples were real parts and whose odd ones imaginary parts."""
    half = len(parts)
    for number in range(len(power)):
        k = low + number
        one, other = parts[k % half], parts[(half - k) % half]
        turn = turns[k] if k < half else np.complex64(-1.0)
        c, s = np.float32(0.5) * turn.real, np.float32(0.5) * turn.imag
        line = power[number]
        for q in range(_ABREAST):
            odd_x, odd_y = one[_ABREAST + q] + other[_ABREAST + q], other[q] - one[q]
            x = np.float32(0.5) * (one[q] + other[q]) + c * odd_x - s * odd_y
            y = np.float32(0.5) * (one[_ABREAST + q] - other[_ABREAST + q]) + c * odd_y + s * odd_x
            line[q] = x * x + y * y


@njit(cache=True, nogil=True, fastmath={"contract"})
def _sums(power: Any, low: int, firsts: Any, counts: Any, weights: Any, out: Any) -> None:
    """Root of each band's weighted sum, for as many frames as are wanted."""
    total = np.empty(_ABREAST, np.float32)
    at = 0
    for band in range(len(firsts)):
        total[:] = np.float32(0.0)
        for k in range(counts[band]):
            line, weight = power[firsts[band] - low + k], weights[at + k]
            for q in range(_ABREAST):
                total[q] += weight * line[q]
        at += counts[band]
        for q in range(out.shape[1]):
            out[band, q] = np.sqrt(total[q])
