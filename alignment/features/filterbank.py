"""Semitone filterbank: the magnitude of every semitone, at the feature rate, seen through windows of chosen length.

Filters are Gaussian in time and frequency, without phase shift, and applied in the frequency domain: one
Fourier transform of a minute of sound, and for each semitone an inverse transform of the few bins around it,
which comes out at the feature rate at once. That costs a fraction of short-time transforms frame by frame,
and every filter lies exactly on its (tuned) semitone. The idea of inverse transforms of slices of a long
spectrum is that of Velasco, Holighaus, Dörfler and Grill, Constructing an Invertible Constant-Q Transform
with Nonstationary Gabor Frames (DAFx 2011).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from alignment.errors import FeatureError
from alignment.features._filterbank_kernels import frame_magnitudes, pass_bands, twist
from alignment.features.frames import HOP, frame_count

__all__ = ["SemitoneBank", "semitone_magnitudes"]

_CHUNK_FRAMES = 3200
_MARGIN_FRAMES = 25
_CUT_AT_DEVIATIONS = 3.0
_SEMITONE = 2.0 ** (1.0 / 12.0) - 1.0
_SEMITONE_SHARE = 0.35
_HANN_DEVIATION = 0.18
_OVERSAMPLINGS = (1, 3, 7, 9)


@dataclass(frozen=True)
class SemitoneBank:
    """Layout of a semitone filterbank.

    Attributes:
        lowest: MIDI number of the first semitone (69 is 440 Hz before tuning).
        bins: number of semitones.
        window: length in samples of the Hann window to whose duration the filters are alike. Filters that
            would be narrower than their semitone are widened to it, so high semitones respond faster.
    """

    lowest: int
    bins: int
    window: int

    def filters(self, rate: int, tuning: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centre frequencies and standard deviations in hertz, each of shape `(bins,)`."""
        pitches = self.lowest + np.arange(self.bins)
        centres = 440.0 * 2.0 ** ((pitches - 69.0 + tuning / 100.0) / 12.0)
        narrowest = rate / (2.0 * np.pi * _HANN_DEVIATION * self.window)
        deviations = np.maximum(narrowest, _SEMITONE_SHARE * _SEMITONE * centres)
        return np.asarray(centres, np.float64), np.asarray(deviations, np.float64)


class _Filters(NamedTuple):
    """Filters whose outputs have as many samples a frame, so that they are transformed at once.

    Attributes:
        rows: of the output, which are theirs.
        lows, counts: the first bin that each passes, and how many.
        centres, deviations: hertz.
        oversampling: samples a frame.
    """

    rows: NDArray[np.int64]
    lows: NDArray[np.int64]
    counts: NDArray[np.int64]
    centres: NDArray[np.float64]
    deviations: NDArray[np.float64]
    oversampling: int


def semitone_magnitudes(
    samples: NDArray[np.float32], rate: int, banks: Sequence[SemitoneBank], tuning: float = 0.0
) -> NDArray[np.float32]:
    """Magnitudes of the semitones of several banks, from one long Fourier transform.

    A sinusoid of amplitude 1 on a semitone has magnitude 1 there. Semitones that reach past the Nyquist
    frequency are zero.

    Args:
        samples: mono, shape `(n,)`.
        rate: samples a second.
        banks: layouts.
        tuning: cents above A4 = 440 Hz.

    Returns:
        float32, the banks one after the other, shape `(sum of their bins, frame_count(n))`.

    Raises:
        FeatureError: `samples` is not one-dimensional.
    """
    if samples.ndim != 1:
        raise FeatureError(f"The 'samples' must be one-dimensional (mono). Got shape {samples.shape} instead.")
    frames = frame_count(len(samples))
    out = np.zeros((sum(bank.bins for bank in banks), frames), np.float32)
    chunk = min(_CHUNK_FRAMES, fft.next_fast_len(frames + 2 * _MARGIN_FRAMES, real=False))
    spacing = rate / (chunk * HOP)
    groups = _filters(banks, rate, tuning, chunk)
    bins = max((int((one.lows + one.counts).max()) for one in groups), default=0)
    for first, spectrum in _spectra(samples, frames, chunk, bins):
        count = min(chunk - 2 * _MARGIN_FRAMES, frames - first)
        for one in groups:
            bands = np.empty((len(one.rows), chunk * one.oversampling), np.complex64)
            pass_bands(spectrum, one.lows, one.counts, one.centres, one.deviations, spacing, 2.0 / HOP, bands)
            outputs = fft.ifft(bands, axis=1, overwrite_x=True)
            frame_magnitudes(outputs, one.oversampling, _MARGIN_FRAMES, one.rows, out[:, first : first + count])
    return out


def _filters(banks: Sequence[SemitoneBank], rate: int, tuning: float, chunk: int) -> list[_Filters]:
    """The filters of all banks that stay below the Nyquist frequency."""
    spacing = rate / (chunk * HOP)
    centres, deviations = np.concatenate([bank.filters(rate, tuning) for bank in banks], axis=1)
    reach = _CUT_AT_DEVIATIONS * deviations
    lows = np.maximum(0, ((centres - reach) / spacing).astype(np.int64))
    counts = ((centres + reach) / spacing).astype(np.int64) + 2 - lows
    steps = np.minimum(np.searchsorted(_OVERSAMPLINGS, 0.6 * counts / chunk), len(_OVERSAMPLINGS) - 1)
    groups = []
    for step in np.unique(steps).tolist():
        rows = np.flatnonzero((steps == step) & (centres + reach < rate / 2))
        if len(rows):
            kept = rows, lows[rows], counts[rows], centres[rows], deviations[rows]
            groups.append(_Filters(*kept, oversampling=_OVERSAMPLINGS[step]))
    return groups


def _spectra(
    samples: NDArray[np.float32], frames: int, chunk: int, bins: int
) -> Iterator[tuple[int, NDArray[np.complex64]]]:
    """Yield the first frame and the lower spectrum of each chunk, which begins `_MARGIN_FRAMES` before that frame."""
    for first in range(0, frames, chunk - 2 * _MARGIN_FRAMES):
        start = (first - _MARGIN_FRAMES) * HOP
        piece = np.zeros(chunk * HOP, np.float32)
        low, high = max(start, 0), min(start + len(piece), len(samples))
        piece[low - start : high - start] = samples[low:high]
        yield first, _lower_spectrum(piece.reshape(chunk, HOP), bins)


def _lower_spectrum(piece: NDArray[np.float32], bins: int) -> NDArray[np.complex64]:
    """The first bins of the Fourier transform of a chunk, at least as many as are wanted.

    Its columns are transformed, then the rows of that: the four steps of Bailey, FFTs in External or Hierarchical
    Memory (1990). Many short transforms side by side take a third of the time of one long one.

    Args:
        piece: the chunk by frames, shape `(chunk, HOP)`.
        bins: how many are wanted, at most half of the samples.
    """
    chunk, hop = piece.shape
    columns = fft.rfft(piece, axis=0)
    twist(columns.view(np.float32), piece.size)
    both = fft.fft(columns, axis=1, overwrite_x=True)
    rounds = -(-bins // chunk)
    out = np.empty((rounds, chunk), np.complex64)
    out[:, : len(both)] = both[:, :rounds].T
    mirrored = both[chunk - len(both) : 0 : -1, hop - rounds :]
    out[:, len(both) :] = mirrored[:, ::-1].conj().T
    return out.ravel()
