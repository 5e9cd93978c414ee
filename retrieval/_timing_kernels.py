"""Numba kernels of timing: arrays in, arrays out, no validation."""

from __future__ import annotations

from math import log, sqrt
from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def block_products(clip: Any, stored: Any, middle: float, ratio: float, sums: Any, inside: Any) -> None:
    """Correlate each block of a clip with the recording along a line, moved by whole frames either way.

    Args:
        clip: float32 `(frames, bands)`, contiguous.
        stored: uint8 `(recording frames, bands / 8)`, a bit for each band that rises; bits that are not set fall.
        middle, ratio: recording frame at the clip's middle, and recording frames a frame of the clip.
        sums: float32 `(blocks, 2 * most + 1)`, filled: of products of blocks of even length.
        inside: float64 `(blocks,)`, filled: share of each block's frames that the recording covers.
    """
    frames, bands = clip.shape
    blocks, moves = sums.shape
    length, most = frames // blocks, moves // 2
    signs = np.zeros((frames + 2 * most, bands), np.float32)
    inside[:] = 0.0
    for number in range(len(signs)):
        at = int(np.rint(middle + ratio * (number - most - (frames - 1) / 2.0)))
        if 0 <= at < len(stored):
            for band in range(bands):
                rises = stored[at, band // 8] & (128 >> (band % 8))
                signs[number, band] = np.float32(1.0) if rises else np.float32(-1.0)
            if most <= number < most + frames:
                inside[(number - most) // length] += 1.0 / length
    heard, kept = clip.reshape(-1), signs.reshape(-1)
    for block in range(blocks):
        part = heard[block * length * bands : (block + 1) * length * bands]
        for move in range(moves):
            first = (block * length + move) * bands
            other = kept[first : first + len(part)]
            total = np.float32(0.0)
            for k in range(len(part)):
                total += part[k] * other[k]
            sums[block, move] = total


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def phase_products(clip: Any, phases: int, stored: Any, middle: float, ratio: float, sums: Any) -> None:
    """Correlate each block of a clip with the recording along a line, moved by parts of a frame either way.

    Args:
        clip: float32 `(phases * frames, bands)`, contiguous: so many frames to one of the recording.
        phases, stored, middle, ratio: as of `nearest_phases` and `block_products`.
        sums: float32 `(blocks, 2 * most + 1)`, filled: of products of blocks of even length, moved by up to `most`
            parts of a frame.
    """
    bands, frames = clip.shape[1], len(clip) // phases
    blocks, moves = sums.shape
    length, most = frames // blocks, moves // 2
    lowest = int(np.rint(middle - ratio * (frames - 1) / 2.0 - most / phases)) - 1
    signs = np.zeros((int(ratio * (frames - 1) + moves / phases) + 4, bands), np.float32)
    _unpack(stored, lowest, signs)
    products = np.empty((moves, bands), np.float32)
    kept, heard = np.empty(moves, np.int64), np.empty(moves, np.int64)
    for block in range(blocks):
        products[:] = np.float32(0.0)
        for frame in range(block * length, (block + 1) * length):
            for move in range(moves):
                place = middle + ratio * (frame - (frames - 1) / 2.0) + (move - most) / phases
                at = np.rint(place)
                kept[move] = int(at) - lowest
                heard[move] = _nearest_phase(frame, at - place, ratio, phases, len(clip))
            for move in range(moves):
                one, other, out = clip[heard[move]], signs[kept[move]], products[move]
                for band in range(bands):
                    out[band] += one[band] * other[band]
        for move in range(moves):
            total = np.float32(0.0)
            for band in range(bands):
                total += products[move, band]
            sums[block, move] = total


@njit(cache=True, nogil=True)
def _unpack(stored: Any, first: int, signs: Any) -> None:
    """Fill in a recording's frames from one on, 1 where a band rises and -1 where it falls; what it lacks stays."""
    for row in range(max(-first, 0), min(len(stored) - first, len(signs))):
        for band in range(signs.shape[1]):
            rises = stored[first + row, band // 8] & (128 >> (band % 8))
            signs[row, band] = np.float32(1.0) if rises else np.float32(-1.0)


@njit(cache=True, nogil=True)
def nearest_phases(clip: Any, phases: int, middle: float, ratio: float, out: Any) -> None:
    """Of each frame of a clip the phase that lies nearest to the frame which the recording has there.

    Args:
        clip: float32 `(phases * frames, bands)`.
        phases: how many frames of it there are to one of the recording.
        middle, ratio: recording frame at the clip's middle, and recording frames a frame of the clip.
        out: float32 `(frames, bands)`, filled.
    """
    for frame in range(len(out)):
        place = middle + ratio * (frame - (len(out) - 1) / 2.0)
        out[frame] = clip[_nearest_phase(frame, np.rint(place) - place, ratio, phases, len(clip))]


@njit(cache=True, nogil=True)
def _nearest_phase(frame: int, apart: float, ratio: float, phases: int, count: int) -> int:
    return min(max(phases * frame + int(np.rint(phases * apart / ratio)), 0), count - 1)


@njit(cache=True, nogil=True)
def correlation_of_bands(clip: Any, stored: Any, start: float, ratio: float) -> float:
    """Correlation on a line of how each band of a frame rises beside the mean of all, over the frames it covers.

    Args:
        clip, stored: as of `block_products`.
        start, ratio: recording frame at the clip's first, and recording frames a frame of the clip.
    """
    frames, bands = clip.shape
    products, powers, signs = 0.0, 0.0, 0.0
    for frame in range(frames):
        at = int(np.rint(start + ratio * frame))
        if not 0 <= at < len(stored):
            continue
        rising, mean = 0, 0.0
        for band in range(bands):
            rising += 1 if stored[at, band // 8] & (128 >> (band % 8)) else 0
            mean += clip[frame, band] / bands
        for band in range(bands):
            sign = 1.0 if stored[at, band // 8] & (128 >> (band % 8)) else -1.0
            one, other = clip[frame, band] - mean, sign - (2.0 * rising / bands - 1.0)
            products += one * other
            powers += one * one
            signs += other * other
    return products / sqrt(powers * signs + 1e-9)


@njit(cache=True, nogil=True)
def along_lines(sums: Any, times: Any, slopes: Any, out: Any) -> None:
    """Sums over all blocks on lines of other slopes and offsets.

    Args:
        sums: float32 `(blocks, moves)`, see `block_products`; enough moves for all slopes and offsets.
        times: float64 `(blocks,)`, frames of each block's middle, from the clip's middle.
        slopes: float64, by which the ratio is changed.
        out: float32 `(slopes, 2 * reach + 1)`, filled.
    """
    most, reach = sums.shape[1] // 2, out.shape[1] // 2
    out[:] = np.float32(0.0)
    for number in range(len(slopes)):
        line = out[number]
        for block in range(len(sums)):
            first = most - reach + int(np.rint(slopes[number] * times[block]))
            part = sums[block, first : first + len(line)]
            for k in range(len(line)):
                line[k] += part[k]


@njit(cache=True, nogil=True)
def wandering(likely: Any, first: Any, moves: Any) -> float:
    """Log likelihood of blocks that move about, from theirs at each place: the forward recursion.

    Args:
        likely: float64 `(blocks, places)`, how likely each block is at each place.
        first: float64 `(places,)`, how likely the first block lies at each.
        moves: float64 `(places, places)`, and moves from each to each.
    """
    places = first.copy()
    moved = np.empty_like(places)
    total = 0.0
    for block in range(len(likely)):
        places *= likely[block]
        found = places.sum()
        total += log(found)
        moved[:] = 0.0
        for k in range(len(places)):
            share = places[k] / found
            for j in range(len(places)):
                moved[j] += share * moves[k, j]
        places, moved = moved, places
    return total
