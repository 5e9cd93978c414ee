"""Local tempo of one performance against another, or against a score, from their alignment.

The ratio is seconds of the other recording that pass in one second of the reference: 2 where the other plays at
half the reference's speed. Tempi against a score are in beats a minute. Times are in seconds of the reference.
What corresponds to nothing is NaN.

The slope of a path that errs by a frame here and there says nothing, so the slope is that of a straight line
fitted to the path around each time, by least squares under a Hann window (local linear regression: Fan and
Gijbels, Local Polynomial Modelling and Its Applications, 1996, section 2.3).
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import oaconvolve
from scipy.signal.windows import hann

from alignment.errors import FeatureError
from alignment.features.frames import FEATURE_RATE
from alignment.path import WarpingPath
from alignment.segments import SLIVER_SECONDS, Synchronisation

__all__ = [
    "TEMPO_WINDOW_SECONDS",
    "LocalLines",
    "beats_per_minute",
    "local_lines",
    "path_ratio",
    "tempo_csv",
    "tempo_ratio",
]

TEMPO_WINDOW_SECONDS = 4.0
"""Length of the window in which a line is fitted, unless told: errors of 20 ms a point leave about 1 %."""


class LocalLines(NamedTuple):
    """Lines fitted to a path, one at each time of an even grid over it.

    Attributes:
        ref: seconds of the reference, float64, shape `(points,)`, from the path's start to its end.
        other: seconds of the other recording on the line, likewise.
        ratio: the line's slope, seconds of the other a second of the reference.
    """

    ref: NDArray[np.float64]
    other: NDArray[np.float64]
    ratio: NDArray[np.float64]


def local_lines(path: WarpingPath, window: float = TEMPO_WINDOW_SECONDS) -> LocalLines:
    """Fit a line to the path around each fiftieth of a second of the reference.

    Args:
        path: standstills are allowed; they count by their middle.
        window: length of the Hann window in seconds; at the ends its half that lies outside is left out.

    Raises:
        FeatureError: the path is a single moment of either side, or the window is not positive.
    """
    if not 0.0 < window < math.inf:
        raise FeatureError(f"The 'window' must be a positive number of seconds. Got {window} instead.")
    path = path.monotone()
    if len(path) < 2:
        raise FeatureError("The path is a single moment, so that it has no slope.")
    span = float(path.ref[-1] - path.ref[0])
    points = max(2, math.ceil(span * FEATURE_RATE) + 1)
    ref = np.linspace(path.ref[0], path.ref[-1], points)
    step = span / (points - 1)
    value, slope = _fit_lines(path.map(ref), round(window / step / 2))
    return LocalLines(ref, value, slope / step)


def path_ratio(path: WarpingPath, times: ArrayLike, window: float = TEMPO_WINDOW_SECONDS) -> NDArray[np.float64]:
    """Seconds of the other that pass in a second of the reference, at times of the reference.

    Returns:
        shape of `times`; NaN at times that the path does not cover.

    Raises:
        FeatureError: as `local_lines`.
    """
    at = np.asarray(times, np.float64)
    lines = local_lines(path, window)
    covered = (at >= lines.ref[0]) & (at <= lines.ref[-1])
    return np.where(covered, np.interp(at, lines.ref, lines.ratio), np.nan)


def tempo_ratio(
    alignment: Synchronisation, times: ArrayLike, window: float = TEMPO_WINDOW_SECONDS
) -> NDArray[np.float64]:
    """Seconds of the other that pass in a second of the reference, at times of the reference.

    Each match is judged by itself: no line is fitted across a cut.

    Returns:
        shape of `times`; NaN where nothing corresponds.
    """
    at = np.asarray(times, np.float64)
    ratios = np.full(at.shape, np.nan)
    for path in _matches(alignment):
        found = path_ratio(path, at, window)
        ratios = np.where(np.isnan(found), ratios, found)
    return ratios


def beats_per_minute(
    beats: ArrayLike,
    alignment: Synchronisation,
    around: int = 2,
    quarters: ArrayLike | None = None,
    units: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Tempo of a recording at each beat of the score that it is aligned to.

    Args:
        beats: seconds of the score's beats, rising, shape `(n,)`; the score is the alignment's reference.
        alignment: of the score with the recording.
        around: how many beats on either side a line of time against quarters is fitted to. With 0 the tempo
            at a beat is that of its interval to the next beat, and the last beat of a match has its predecessor's.
        quarters: at which the beats fall, rising; counted by ones where not given.
        units: of each beat the quarters it lasts, a half in a metre of eighths; 1 where not given.

    Returns:
        beats a minute, shape `(n,)`; NaN where the recording does not play the beat, or only this one.

    Raises:
        FeatureError: the beats, quarters or units do not fit or do not rise, or `around` is negative.
    """
    at = np.asarray(beats, np.float64)
    count = np.arange(at.size, dtype=np.float64) if quarters is None else np.asarray(quarters, np.float64)
    unit = np.ones(at.size) if units is None else np.asarray(units, np.float64)
    if at.ndim != 1 or at.shape != count.shape or (np.diff(at) <= 0).any() or (np.diff(count) <= 0).any():
        raise FeatureError("The 'beats' and their 'quarters' must be one-dimensional, fit, and rise. Are they sorted?")
    if unit.shape != at.shape or not (unit > 0).all():
        raise FeatureError("The 'units' must be positive, one for each beat.")
    if around < 0:
        raise FeatureError(f"The 'around' must not be negative. Got {around} instead.")
    tempi = np.full(at.shape, np.nan)
    for path in _matches(alignment):
        inside = np.flatnonzero((at >= path.ref[0] - SLIVER_SECONDS) & (at <= path.ref[-1] + SLIVER_SECONDS))
        if len(inside) > 1:
            tempi[inside] = 60.0 / (_seconds_a_quarter(_played(at[inside], path), count[inside], around) * unit[inside])
    return tempi


def tempo_csv(columns: Sequence[tuple[str, Sequence[str] | NDArray[np.float64]]]) -> str:
    """CSV of columns of one length under their names; text as it is, numbers with four decimals, NaN blank."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([name for name, _ in columns])
    writer.writerows(zip(*([_cell(value) for value in values] for _, values in columns), strict=True))
    return buffer.getvalue()


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return "" if math.isnan(value) else f"{value:.4f}"


def _matches(alignment: Synchronisation) -> list[WarpingPath]:
    """Paths of the matches that last."""
    paths = [segment.path.monotone() for segment in alignment.segments if segment.path is not None]
    return [path for path in paths if len(path) > 1]


def _played(beats: NDArray[np.float64], path: WarpingPath) -> NDArray[np.float64]:
    """Seconds of the other at the beats; shortly beyond the path's ends it goes on as fast as there."""
    within = np.clip(beats, path.ref[0], path.ref[-1])
    return path.map(within) + (beats - within) * path_ratio(path, within)


def _seconds_a_quarter(played: NDArray[np.float64], quarters: NDArray[np.float64], around: int) -> NDArray[np.float64]:
    """Slope of the lines fitted to each beat and its neighbours, weighed by a Hann window."""
    if not around:
        intervals = np.diff(played) / np.diff(quarters)
        return np.append(intervals, intervals[-1])
    near = np.arange(len(played))[:, None] + np.arange(-around, around + 1)
    weight = np.where((near >= 0) & (near < len(played)), hann(2 * around + 3)[1:-1], 0.0)
    near = np.clip(near, 0, len(played) - 1)
    total = weight.sum(axis=1, keepdims=True)
    x = quarters[near] - (weight * quarters[near]).sum(axis=1, keepdims=True) / total
    y = played[near] - (weight * played[near]).sum(axis=1, keepdims=True) / total
    return np.asarray((weight * x * y).sum(axis=1) / (weight * x * x).sum(axis=1), np.float64)


def _fit_lines(values: NDArray[np.float64], half: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Value and slope a step of the lines fitted to evenly spaced values, `half` neighbours on either side.

    All lines at once: the moments of the weighted points are convolutions.
    """
    count = len(values)
    half = min(max(half, 1), count - 1)
    offset = np.arange(-half, half + 1, dtype=np.float64)
    weight = hann(2 * half + 3)[1:-1]
    trend = np.linspace(values[0], values[-1], count)
    rest = values - trend

    def moment(series: NDArray[np.float64], power: int) -> NDArray[np.float64]:
        kernel = (weight * offset**power)[::-1]  # convolution turns it around
        return np.asarray(oaconvolve(series, kernel, mode="full")[half : half + count], np.float64)

    ones = np.ones(count)
    mass, first, second = (moment(ones, power) for power in range(3))
    sums, products = moment(rest, 0), moment(rest, 1)
    slope = (mass * products - first * sums) / (mass * second - first * first)
    return trend + (sums - slope * first) / mass, slope + (trend[-1] - trend[0]) / (count - 1)
