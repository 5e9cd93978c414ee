"""Numba kernels of lines: arrays in, arrays out, no validation."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numba import njit

REACH = 0.26
"""Seconds by which two windows that are compared may lie apart."""

_WEIGHT_WIDTH = 0.2

_FITS = 3
_FITTED_SECONDS = 4.0
_FLATTEST, _FARTHEST = 0.05, 0.7
"""Of the parabola through three similarities: least curvature, and rows by which its top may lie beside the middle."""

_WRONG_SECONDS = 0.15


@njit(cache=True, nogil=True)
def laid(
    clip: Any,
    audible: Any,
    centres: Any,
    recording: Any,
    first: int,
    end: int,
    start: float,
    step: float,
    ratios: Any,
    middles: Any,
    covered: float,
    moves: Any,
) -> tuple[int, float, float, float, float]:
    """The best line of a clip along a recording, what it is like, and what it is beside.

    Args:
        clip, recording: float32 `(windows, dimensions)`.
        audible, centres, ratios, middles: as of `best_pairing`.
        first, end: of the recording's windows those that the lines may meet.
        start, step: seconds of the first of these in the recording, and from window to window.
        covered: share of the clip that must lie along the recording.
        moves: as of `similarity_moved`.

    Returns:
        how many pairs it has, 0 where there is none; their similarity; that on the lines beside it; and its ratio and
        middle.
    """
    near = recording[first:end]
    rows, windows = len(near), len(clip)
    similarities = np.empty((windows, rows), np.float32)
    sounding = np.zeros(rows, np.bool_)
    times = np.empty(rows)
    for row in range(rows):
        times[row] = start + row * step
        sounding[row] = near[row].any()
    _multiply(clip, near, similarities)
    hop = centres[1] - centres[0] if windows > 1 else 1.0
    fewest = max(covered * (audible.sum() - 1) * hop / step, 1.0)
    pairs = np.empty((2, rows), np.int64)
    count, number, place, similarity = best_pairing(
        similarities, sounding, audible, centres, times, ratios, middles, fewest, pairs
    )
    if not count:
        return 0, 0.0, 0.0, 0.0, 0.0
    pairs[1, :count] += first
    beside = similarity_moved(clip, recording, pairs[:, :count], moves)
    ratio, middle = fitted(similarities, audible, centres, start, step, ratios[number], middles[place])
    return count, similarity, beside, ratio, middle


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def _multiply(clip: Any, recording: Any, out: Any) -> None:
    """Fill in inner products of all windows of one with all of the other."""
    for window in range(len(clip)):
        for row in range(len(recording)):
            one, other = clip[window], recording[row]
            product = np.float32(0.0)
            for d in range(len(one)):
                product += one[d] * other[d]
            out[window, row] = product


@njit(cache=True, nogil=True)
def best_pairing(
    similarities: Any,
    sounding: Any,
    audible: Any,
    centres: Any,
    times: Any,
    ratios: Any,
    middles: Any,
    fewest: float,
    pairs: Any,
) -> tuple[int, int, int, float]:
    """Of all lines of some tempo ratios and places that along which windows are most alike.

    Each row of the recording is paired with the clip's window nearest to it on the line, if it is near.

    Args:
        similarities: float32 `(windows, rows)`.
        sounding: bool `(rows,)`, of the recording.
        audible: bool `(windows,)`, of the clip.
        centres: float64 `(windows,)`, seconds, evenly spaced.
        times: float64 `(rows,)`, seconds of the rows in the recording.
        ratios, middles: float64, recording seconds per clip second, and recording time at the clip's middle.
        fewest: pairs that a line must have.
        pairs: int64 `(2, rows)`, filled: windows and rows of the best line's pairs.

    Returns:
        how many pairs the best line has, 0 where none has enough; numbers of its ratio and its middle; and the mean
        similarity of its pairs, weighed by how near they are.
    """
    rows = len(times)
    nearest, apart, weights = np.empty(rows, np.int64), np.empty(rows), np.empty(rows)
    best, best_ratio, best_middle, best_mean = -np.inf, -1, -1, 0.0
    for number in range(len(ratios)):
        for place in range(len(middles)):
            _pair(times, middles[place], ratios[number], centres, nearest, apart)
            _weigh(apart, weights)
            count, total, weighted = 0, 0.0, 0.0
            for row in range(rows):
                if weights[row] > 0.0 and sounding[row] and audible[nearest[row]]:
                    count += 1
                    total += weights[row]
                    weighted += weights[row] * similarities[nearest[row], row]
            if count >= fewest:
                mean = weighted / max(total, 1e-9)
                if mean * sqrt(total) > best:
                    best, best_ratio, best_middle, best_mean = mean * sqrt(total), number, place, mean
    count = 0
    if best_ratio >= 0:
        _pair(times, middles[best_middle], ratios[best_ratio], centres, nearest, apart)
        for row in range(rows):
            if abs(apart[row]) <= REACH and sounding[row] and audible[nearest[row]]:
                pairs[0, count], pairs[1, count] = nearest[row], row
                count += 1
    return count, best_ratio, best_middle, best_mean


@njit(cache=True, nogil=True)
def _pair(times: Any, middle: float, ratio: float, centres: Any, nearest: Any, apart: Any) -> None:
    """Fill in which window is nearest to each recording time on a line, and by how many clip seconds it lies apart."""
    windows = len(centres)
    first, centre = centres[0], (centres[0] + centres[windows - 1]) / 2.0
    hop = centres[1] - first if windows > 1 else 1.0
    for row in range(len(times)):
        apart[row] = (times[row] - middle) / ratio + centre
    for row in range(len(times)):
        nearest[row] = min(max(int(np.rint((apart[row] - first) / hop)), 0), windows - 1)
    for row in range(len(times)):
        apart[row] -= centres[nearest[row]]


@njit(cache=True, nogil=True, fastmath={"contract"})
def _weigh(apart: Any, weights: Any) -> None:
    """Fill in `exp(-(apart / _WEIGHT_WIDTH)^2)`, to ten digits, and 0 beyond `REACH`.

    It is the eighth power of the exponential's series, which processors compute of several numbers at once.
    """
    for row in range(len(apart)):
        x = (apart[row] / _WEIGHT_WIDTH) ** 2 * -0.125
        series = 1.0 + x / 4 * (1.0 + x / 5 * (1.0 + x / 6 * (1.0 + x / 7 * (1.0 + x / 8))))
        series = 1.0 + x * (1.0 + x / 2 * (1.0 + x / 3 * series))
        series *= series
        series *= series
        weights[row] = series * series if abs(apart[row]) <= REACH else 0.0


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def similarity_moved(clip: Any, recording: Any, pairs: Any, moves: Any) -> float:
    """Mean, over some moves of the recording, of the mean similarity of its windows with those that they meet.

    Args:
        clip, recording: float32 `(windows, dimensions)`.
        pairs: int64 `(2, n)`, windows of both; of the recording, before it is moved.
        moves: int64, windows by which it is moved.

    Returns:
        0 where nothing meets.
    """
    means, used = 0.0, 0
    for move in moves:
        total, count = 0.0, 0
        for number in range(pairs.shape[1]):
            row = pairs[1, number] + move
            if 0 <= row < len(recording):
                one, other = clip[pairs[0, number]], recording[row]
                product = np.float32(0.0)
                for d in range(len(one)):
                    product += one[d] * other[d]
                total += float(product)
                count += 1
        if count:
            means += total / count
            used += 1
    return means / used if used else 0.0


@njit(cache=True, nogil=True)
def fitted(
    similarities: Any, audible: Any, centres: Any, first: float, hop: float, ratio: float, middle: float
) -> tuple[float, float]:
    """A line between the steps: three times laid through the peaks of similarity of the clip's windows around it.

    Args:
        similarities, audible, centres: as of `best_pairing`.
        first, hop: seconds of the first row, and from row to row.
        ratio, middle: of the line.

    Returns:
        its ratio and middle.
    """
    windows, rows = similarities.shape
    centre = (centres[0] + centres[windows - 1]) / 2.0
    errors, weights, seconds = np.empty(windows), np.empty(windows), np.empty(windows)
    for _ in range(_FITS):
        count = 0
        for window in range(windows):
            expected = (middle + ratio * (centres[window] - centre) - first) / hop
            row = int(np.rint(expected))
            if not audible[window] or row < 1 or row >= rows - 1:
                continue
            before = np.float64(similarities[window, row - 1])
            here = np.float64(similarities[window, row])
            after = np.float64(similarities[window, row + 1])
            top = (after - before) / (2.0 * max(2.0 * here - before - after, _FLATTEST))
            error = (row + min(max(top, -_FARTHEST), _FARTHEST) - expected) * hop
            errors[count], seconds[count] = error, centres[window] - centre
            weights[count] = max(here, 0.0) ** 2 / (1.0 + (error / _WRONG_SECONDS) ** 2) + 1e-9
            count += 1
        if not count:
            break
        weight = weights[:count].sum()
        error_mean = (weights[:count] * errors[:count]).sum() / weight
        middle += error_mean
        if seconds[count - 1] - seconds[0] >= _FITTED_SECONDS:
            seconds_mean = (weights[:count] * seconds[:count]).sum() / weight
            apart = seconds[:count] - seconds_mean
            slope = (weights[:count] * apart * errors[:count]).sum() / (weights[:count] * apart * apart).sum()
            ratio += slope
            middle -= slope * seconds_mean
    return ratio, middle
