"""Numba kernels of short-time spectra: arrays in, arrays out, no validation.

Frames are transformed side by side, `_ABREAST` at a time: entry `(k, q)` of an array belongs to coefficient `k` of
frame `q`, so that all inner loops run along frames. Each loop writes one stretch, as compilers can only vectorise loops
of few stretches that might overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_ABREAST = 32


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
    shape = (window // 2, _ABREAST)
    parts = np.empty(shape, np.float32), np.empty(shape, np.float32)
    spare = np.empty(shape, np.float32), np.empty(shape, np.float32)
    power = np.empty(((firsts + counts).max() - low, _ABREAST), np.float32)
    for frame in range(0, frames, _ABREAST):
        _take(samples, hop * frame - window // 2, hop, taper, parts[0], parts[1])
        real, imaginary = _transform(parts, spare, turns)
        _powers(real, imaginary, turns, low, power)
        _sums(power, low, firsts, counts, weights, out[:, frame : frame + _ABREAST])


@njit(cache=True, nogil=True)
def _take(samples: Any, first: int, hop: int, taper: Any, even: Any, odd: Any) -> None:
    """Samples of frames, the first of which begins at `first`, tapered, the even and the odd ones apart."""
    inside = first >= 0 and first + (_ABREAST - 1) * hop + len(taper) <= len(samples)
    for k in range(len(taper)):
        line, weight, begin = (odd if k % 2 else even)[k // 2], taper[k], first + k
        if inside:
            for q in range(_ABREAST):
                line[q] = samples[begin + q * hop] * weight
        else:
            for q in range(_ABREAST):
                at = begin + q * hop
                line[q] = samples[at] * weight if 0 <= at < len(samples) else np.float32(0.0)


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _transform(parts: Any, spare: Any, turns: Any) -> tuple[Any, Any]:
    """Fourier transforms of complex numbers, given by real and imaginary parts, by steps of four and one of two.

    Stockham's form, which sorts as it goes. Both arguments are overwritten, and the result lies in one of them.
    """
    length, stride = len(parts[0]), 1
    while length > 1:
        _step(parts[0].reshape(-1), parts[1].reshape(-1), spare[0].reshape(-1), spare[1].reshape(-1), turns, stride)
        parts, spare = spare, parts
        stride *= 4 if length % 4 == 0 else 2
        length //= 4 if length % 4 == 0 else 2
    return parts


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _step(real: Any, imaginary: Any, real_out: Any, imaginary_out: Any, turns: Any, stride: int) -> None:
    run = stride * _ABREAST
    length = len(real) // run
    if length == 2:
        for q in range(run):
            real_out[q] = real[q] + real[q + run]
        for q in range(run):
            real_out[q + run] = real[q] - real[q + run]
        for q in range(run):
            imaginary_out[q] = imaginary[q] + imaginary[q + run]
        for q in range(run):
            imaginary_out[q + run] = imaginary[q] - imaginary[q + run]
        return
    apart = length // 4 * run
    for p in range(length // 4):
        at, to = p * run, 4 * p * run
        ar, ai = real[at : at + run], imaginary[at : at + run]
        br, bi = real[at + apart :][:run], imaginary[at + apart :][:run]
        cr, ci = real[at + 2 * apart :][:run], imaginary[at + 2 * apart :][:run]
        dr, di = real[at + 3 * apart :][:run], imaginary[at + 3 * apart :][:run]
        one, two = turns[2 * p * stride], turns[4 * p * stride]
        three = one * two
        y = real_out[to : to + run]
        for q in range(run):
            y[q] = (ar[q] + cr[q]) + (br[q] + dr[q])
        y = imaginary_out[to : to + run]
        for q in range(run):
            y[q] = (ai[q] + ci[q]) + (bi[q] + di[q])
        x, z = one.real, one.imag
        y = real_out[to + run : to + 2 * run]
        for q in range(run):
            y[q] = x * ((ar[q] - cr[q]) + (bi[q] - di[q])) - z * ((ai[q] - ci[q]) - (br[q] - dr[q]))
        y = imaginary_out[to + run : to + 2 * run]
        for q in range(run):
            y[q] = x * ((ai[q] - ci[q]) - (br[q] - dr[q])) + z * ((ar[q] - cr[q]) + (bi[q] - di[q]))
        x, z = two.real, two.imag
        y = real_out[to + 2 * run : to + 3 * run]
        for q in range(run):
            y[q] = x * ((ar[q] + cr[q]) - (br[q] + dr[q])) - z * ((ai[q] + ci[q]) - (bi[q] + di[q]))
        y = imaginary_out[to + 2 * run : to + 3 * run]
        for q in range(run):
            y[q] = x * ((ai[q] + ci[q]) - (bi[q] + di[q])) + z * ((ar[q] + cr[q]) - (br[q] + dr[q]))
        x, z = three.real, three.imag
        y = real_out[to + 3 * run : to + 4 * run]
        for q in range(run):
            y[q] = x * ((ar[q] - cr[q]) - (bi[q] - di[q])) - z * ((ai[q] - ci[q]) + (br[q] - dr[q]))
        y = imaginary_out[to + 3 * run : to + 4 * run]
        for q in range(run):
            y[q] = x * ((ai[q] - ci[q]) + (br[q] - dr[q])) + z * ((ar[q] - cr[q]) - (bi[q] - di[q]))


@njit(cache=True, nogil=True, fastmath={"contract", "nsz"})
def _powers(real: Any, imaginary: Any, turns: Any, low: int, power: Any) -> None:
    """Power of some bins of real signals, whose even samples were real parts and whose odd ones imaginary parts."""
    half = len(real)
    for number in range(len(power)):
        k = low + number
        x, y = real[k % half], imaginary[k % half]
        mirrored_x, mirrored_y = real[(half - k) % half], imaginary[(half - k) % half]
        turn = turns[k] if k < half else np.complex64(-1.0)
        c, s = np.float32(0.5) * turn.real, np.float32(0.5) * turn.imag
        line = power[number]
        for q in range(_ABREAST):
            odd_x, odd_y = y[q] + mirrored_y[q], mirrored_x[q] - x[q]
            one = np.float32(0.5) * (x[q] + mirrored_x[q]) + c * odd_x - s * odd_y
            other = np.float32(0.5) * (y[q] - mirrored_y[q]) + c * odd_y + s * odd_x
            line[q] = one * one + other * other


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
