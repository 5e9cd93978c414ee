"""Predominant local pulse: the beat that a single recording suggests, moment by moment.

The Fourier tempogram of the onset strength gives, at each time, the tempo and phase of the sinusoid that fits it
best; these windowed sinusoids, added up and half-wave rectified, are a curve whose peaks are the beats. Grosche
and Müller, Extracting predominant local pulse information from music recordings (IEEE TASLP 19, 2011), sections
II-B to II-D. The multiples of a pulse fit sharp onsets nearly as well as itself, so, beyond the paper, a tempo's fit
counts that of its double in part, and of all courses of the tempo the best is taken in which a leap costs
something (Viterbi).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import find_peaks
from scipy.signal.windows import hann

from alignment.errors import FeatureError
from alignment.features.frames import FEATURE_RATE, frames_to_seconds

__all__ = ["FASTEST_BPM", "SLOWEST_BPM", "LocalPulse", "predominant_local_pulse"]

SLOWEST_BPM = 30.0
FASTEST_BPM = 480.0
"""Range of tempi that are looked for."""

_HOP = 5
"""Frames from one estimate of the tempo to the next: a tenth of a second."""
_BPM_STEP = 1.0
_GLIDE_BINS = 1
"""By so many beats a minute the tempo may move in a tenth of a second at no cost."""
_LEAP_COST = 20.0
"""By how much the logarithm of the fit must be better, summed over tenths of a second, for a leap to pay."""
_SHARE_OF_DOUBLE = 0.5
_FAINTEST = 1e-3
"""Least amplitude of a sinusoid, of the largest, for the pulse to count."""
_LEAST_PULSE = 0.1
_AT_ONCE = 1024


@dataclass(frozen=True)
class LocalPulse:
    """The pulse of a recording.

    Attributes:
        curve: predominant local pulse, float64, shape `(frames,)`, in [0, 1]: 1 where all windows agree on a beat.
        bpm: tempo in beats a minute, float64, shape `(frames,)`; NaN where nothing pulses.
        beats: seconds of the beats, float64, shape `(beats,)`, rising.
        beats_bpm: the tempo at each of them, likewise.
    """

    curve: NDArray[np.float64]
    bpm: NDArray[np.float64]
    beats: NDArray[np.float64]
    beats_bpm: NDArray[np.float64]


def predominant_local_pulse(
    strength: NDArray[np.float32],
    *,
    slowest: float = SLOWEST_BPM,
    fastest: float = FASTEST_BPM,
    window: float = 6.0,
) -> LocalPulse:
    """Find the pulse of an onset strength.

    Args:
        strength: onset strength at 50 frames a second, not negative, shape `(frames,)`.
        slowest, fastest: tempi to look for, in beats a minute.
        window: seconds over which a tempo is taken for steady. Shorter follows faster, longer is surer.

    Raises:
        FeatureError: the strength is not one-dimensional or not finite, or the range of tempi is not within
            0 and 1500 beats a minute.
    """
    _validate(strength, slowest, fastest, window)
    frames = len(strength)
    length = 2 * round(window * FEATURE_RATE / 2) + 1
    if not strength.any():
        return LocalPulse(np.zeros(frames), np.full(frames, np.nan), np.zeros(0), np.zeros(0))
    centres = np.arange(0, frames, _HOP)
    bpm, phase = _best_sinusoids(np.asarray(strength, np.float64), centres, length, (slowest, fastest))
    curve = _overlap_add(bpm, phase, centres, length, frames)
    local = _at_frames(bpm, centres, frames)
    beats = _peaks(curve)
    at = np.clip(np.rint(beats).astype(np.int64), 0, frames - 1)
    sure = ~np.isnan(local[at])
    return LocalPulse(curve, local, frames_to_seconds(beats[sure]), local[at][sure])


def _validate(strength: NDArray[np.float32], slowest: float, fastest: float, window: float) -> None:
    if strength.ndim != 1 or not np.isfinite(strength).all():
        raise FeatureError(f"The 'strength' must be one-dimensional and finite. Got shape {strength.shape}.")
    if not 0 < slowest < fastest <= FEATURE_RATE * 60.0 / 2:
        raise FeatureError(
            f"The tempi must be 0 < slowest < fastest <= 1500 beats a minute. Got {slowest} and {fastest} instead."
        )
    if not window > 0:
        raise FeatureError(f"The 'window' must be a positive number of seconds. Got {window} instead.")


def _best_sinusoids(
    strength: NDArray[np.float64], centres: NDArray[np.int64], length: int, tempi: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tempo (NaN where nothing pulses) and phase at the window's centre of the best sinusoid around each centre."""
    size = fft.next_fast_len(max(length, round(FEATURE_RATE * 60.0 / _BPM_STEP)), real=True)
    bin_bpm = FEATURE_RATE * 60.0 / size
    lowest = int(np.ceil(tempi[0] / bin_bpm))
    bins = np.arange(lowest, max(int(tempi[1] / bin_bpm), lowest) + 1)
    tempogram, fit = _tempogram(strength, centres, length, size, bins)
    chosen = _steadiest(fit)
    row = np.arange(len(chosen))
    bpm = (bins[chosen] + _vertex(np.abs(_three_around(tempogram, chosen)))) * bin_bpm
    bpm[fit[row, chosen] < _FAINTEST * fit.max()] = np.nan
    phase = np.angle(tempogram[row, chosen]) + 2 * np.pi * bins[chosen] * (length // 2) / size
    return bpm, phase


def _tempogram(
    strength: NDArray[np.float64], centres: NDArray[np.int64], length: int, size: int, bins: NDArray[np.int64]
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Fourier tempogram at `bins / size` cycles a frame, and how well each fits, shapes `(centres, bins)`."""
    taper = hann(length)
    framed = np.lib.stride_tricks.sliding_window_view(np.pad(strength, length // 2), length)
    tempogram = np.empty((len(centres), len(bins)), np.complex64)
    fit = np.empty(tempogram.shape, np.float32)
    for first in range(0, len(centres), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        # Without its mean a window has no energy at slow tempi that no onset put there.
        tapered = framed[centres[part]] * taper
        tapered -= taper * (tapered.sum(axis=1, keepdims=True) / taper.sum())
        spectrum = fft.rfft(tapered, size, axis=1)
        tempogram[part] = spectrum[:, bins]
        fit[part] = np.abs(tempogram[part])
        fit[part] += _SHARE_OF_DOUBLE * np.abs(spectrum[:, np.minimum(2 * bins, size // 2)])
    return tempogram, fit


def _steadiest(fit: NDArray[np.float32]) -> NDArray[np.int64]:
    """Column for each row that together fit best, a leap costing `_LEAP_COST`."""
    score = np.log(fit / np.maximum(fit.max(axis=1, keepdims=True), 1e-12) + np.float32(1e-3))
    rows, columns = score.shape
    here = np.arange(columns)
    origin = np.empty((rows, columns), np.int16)
    total = score[0].astype(np.float64)
    for row in range(1, rows):
        padded = np.pad(total, _GLIDE_BINS, constant_values=-np.inf)
        near = np.lib.stride_tricks.sliding_window_view(padded, 2 * _GLIDE_BINS + 1)
        glide = near.argmax(axis=1) + here - _GLIDE_BINS
        best = int(total.argmax())
        leaps = total[best] - _LEAP_COST > total[glide]
        origin[row] = np.where(leaps, best, glide)
        total = total[origin[row]] - _LEAP_COST * leaps + score[row]
    chosen = np.empty(rows, np.int64)
    chosen[-1] = total.argmax()
    for row in range(rows - 1, 0, -1):
        chosen[row - 1] = origin[row, chosen[row]]
    return chosen


def _overlap_add(
    bpm: NDArray[np.float64], phase: NDArray[np.float64], centres: NDArray[np.int64], length: int, frames: int
) -> NDArray[np.float64]:
    """Sum of the windowed sinusoids, over the sum of their windows, rectified."""
    half = length // 2
    taper = hann(length)
    total, mass = np.zeros(frames + 2 * half), np.full(frames + 2 * half, 1e-9)
    offset = np.arange(-half, half + 1) * (2 * np.pi / (60.0 * FEATURE_RATE))
    for centre, tempo, start in zip(centres, bpm, phase, strict=True):
        mass[centre : centre + length] += taper
        if not np.isnan(tempo):
            total[centre : centre + length] += taper * np.cos(tempo * offset + start)
    return np.maximum(total / mass, 0.0)[half : half + frames]


def _at_frames(bpm: NDArray[np.float64], centres: NDArray[np.int64], frames: int) -> NDArray[np.float64]:
    """Tempi at every frame: interpolated between neighbours of like tempo, else that of the nearer one."""
    at = np.arange(frames)
    left = np.minimum(at // _HOP, len(centres) - 1)
    right = np.minimum(left + 1, len(centres) - 1)
    part = (at - centres[left]) / _HOP
    line = bpm[left] + np.clip(part, 0.0, 1.0) * (bpm[right] - bpm[left])
    nearer = np.where(part < 0.5, bpm[left], bpm[right])
    return np.where(np.abs(bpm[right] - bpm[left]) < 0.05 * bpm[left], line, nearer)


def _peaks(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fractional frames of the curve's maxima."""
    padded = np.concatenate([[0.0], curve, [0.0]])
    peaks, _ = find_peaks(padded, height=_LEAST_PULSE)
    left, middle, right = padded[peaks - 1], padded[peaks], padded[peaks + 1]
    bend = left - 2 * middle + right
    shift = np.divide(0.5 * (left - right), bend, out=np.zeros(len(peaks)), where=bend < 0)
    return np.clip(peaks - 1 + shift, 0, len(curve) - 1)


def _three_around(tempogram: NDArray[np.complex64], chosen: NDArray[np.int64]) -> NDArray[np.complex64]:
    """The chosen column of each row between its neighbours, shape `(rows, 3)`."""
    around = np.clip(chosen[:, None] + np.arange(-1, 2), 0, tempogram.shape[1] - 1)
    return np.take_along_axis(tempogram, around, axis=1)


def _vertex(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far the vertex of each row's parabola lies from its middle; half a step where it has none near it."""
    left, middle, right = values.T.astype(np.float64)
    bend = left - 2 * middle + right
    return np.clip(np.divide(0.5 * (left - right), bend, out=np.zeros(len(bend)), where=bend < 0), -0.5, 0.5)
