"""Short-time spectra: STFT magnitude and a constant-Q-like log-frequency spectrogram.

Arrays are float32 of shape `(bins, frames)`. A sinusoid of amplitude 1 has magnitude 1 in its bin,
whatever the window length. Log-frequency bins are numbered upwards from `lowest`, a pitch in MIDI
numbers (fractions allowed; 69 is 440 Hz before tuning).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from alignment.errors import FeatureError
from alignment.features.frames import HOP, frame_count

__all__ = [
    "Bands",
    "LogFrequency",
    "band_magnitudes",
    "log_frequency_filterbank",
    "log_frequency_spectrogram",
    "pitch_to_hertz",
    "stft_magnitude",
]


@dataclass(frozen=True)
class LogFrequency:
    """Layout of a log-frequency spectrogram.

    Attributes:
        lowest: pitch of the first bin, as a MIDI number.
        bins: number of bins.
        bins_per_octave: 12 for semitones.
        shortest_window, longest_window: STFT windows in samples (powers of two). Each bin takes the
            shortest window that resolves it, so equal limits mean one STFT for all.
    """

    lowest: float = 24.0
    bins: int = 96
    bins_per_octave: int = 12
    shortest_window: int = 1024
    longest_window: int = 8192

    @property
    def pitches(self) -> NDArray[np.float64]:
        """Pitch of each bin (MIDI numbers), shape `(bins,)`."""
        return self.lowest + np.arange(self.bins) * 12.0 / self.bins_per_octave

    def windows(self, rate: int, tuning: float = 0.0) -> NDArray[np.int64]:
        """Window length in samples for each bin, shape `(bins,)`; Hann's main lobe spans about two bins."""
        quality = 1.0 / (2.0 ** (1.0 / self.bins_per_octave) - 1.0)
        wanted = 2.0 * quality * rate / pitch_to_hertz(self.pitches, tuning)
        lengths = 2.0 ** np.ceil(np.log2(wanted))
        return np.clip(lengths, self.shortest_window, self.longest_window).astype(np.int64)


def pitch_to_hertz(pitches: NDArray[np.float64], tuning: float = 0.0) -> NDArray[np.float64]:
    """Frequencies in hertz of MIDI pitches on an instrument tuned `tuning` cents above A4 = 440 Hz."""
    return np.asarray(440.0 * 2.0 ** ((pitches - 69.0 + tuning / 100.0) / 12.0), dtype=np.float64)


@dataclass(frozen=True)
class Bands:
    """What is summed of the power in the bins of an STFT, see `Bands.of`.

    Attributes:
        low: the lowest bin that any band takes.
        firsts, counts: the lowest bin of each band and how many it takes, shape `(bands,)`.
        weights: of these bins, band by band.
    """

    low: int
    firsts: NDArray[np.int64]
    counts: NDArray[np.int64]
    weights: NDArray[np.float32]

    @classmethod
    def of(cls, weights: NDArray[np.float32]) -> Bands:
        """Bands by the weights of all bins, shape `(bands, window // 2 + 1)`; one may be empty."""
        used = weights != 0
        firsts = np.where(used.any(axis=1), used.argmax(axis=1), 0)
        counts = np.where(used.any(axis=1), weights.shape[1] - used[:, ::-1].argmax(axis=1) - firsts, 0)
        low = int(firsts[counts > 0].min(initial=weights.shape[1] - 1))
        parts = [row[first : first + count] for row, first, count in zip(weights, firsts, counts, strict=True)]
        return cls(low, np.maximum(firsts, low), counts, np.concatenate(parts).astype(np.float32))


def band_magnitudes(
    samples: NDArray[np.float32], window: int, hop: int, bands: Bands, frames: int
) -> NDArray[np.float32]:
    """Magnitudes of bands of the short-time Fourier transform with a Hann window: roots of their power.

    Args:
        samples: shape `(n,)`.
        window: window length in samples, a power of two.
        hop: samples from frame to frame.
        bands: what is summed.
        frames: how many are wanted; behind the samples is silence.

    Returns:
        shape `(bands, frames)`.

    Raises:
        FeatureError: `samples` is not one-dimensional, or `window` no power of two.
    """
    from alignment.features import _spectrum_kernels

    if samples.ndim != 1:
        raise FeatureError(f"The 'samples' must be one-dimensional (mono). Got shape {samples.shape} instead.")
    if window < 2 or window & (window - 1):
        raise FeatureError(f"The 'window' must be a power of two. Got {window} instead.")
    samples = np.ascontiguousarray(samples, np.float32)
    out = np.zeros((len(bands.firsts), frames), np.float32)
    if len(bands.weights):
        chosen = bands.low, bands.firsts, bands.counts, bands.weights
        _spectrum_kernels.band_magnitudes(samples, hop, _taper(window), _turns(window), *chosen, out)
    return out


def stft_magnitude(
    samples: NDArray[np.float32], window: int, hop: int = HOP, bins: slice = slice(None)
) -> NDArray[np.float32]:
    """Magnitude of the short-time Fourier transform with a Hann window.

    Args:
        samples: shape `(n,)`.
        window: window length in samples, a power of two.
        hop: samples from frame to frame.
        bins: which are wanted, of the `window // 2 + 1`.

    Returns:
        shape `(bins, frames)`, `frames = frame_count(n, hop)`.

    Raises:
        FeatureError: `samples` is not one-dimensional, or `window` no power of two.
    """
    chosen = np.arange(window // 2 + 1)[bins]
    each = Bands(int(chosen.min(initial=window // 2)), chosen, np.ones_like(chosen), np.ones(len(chosen), np.float32))
    return band_magnitudes(samples, window, hop, each, frame_count(len(samples), hop))


def log_frequency_spectrogram(
    samples: NDArray[np.float32],
    rate: int,
    layout: LogFrequency,
    tuning: float = 0.0,
    hop: int = HOP,
) -> NDArray[np.float32]:
    """Magnitudes on a logarithmic frequency axis, from a few STFTs of unlike window lengths.

    Low bins come from long windows and high bins from short ones, which keeps both resolutions near
    those of a constant-Q transform (Brown 1991) at the price of a handful of FFTs a frame.

    Args:
        samples: shape `(n,)`, mono.
        rate: samples a second.
        layout: bins and windows.
        tuning: cents above A4 = 440 Hz.
        hop: samples from frame to frame.

    Returns:
        float32 magnitudes, shape `(layout.bins, frame_count(n, hop))`.
    """
    lengths = layout.windows(rate, tuning)
    frames = frame_count(len(samples), hop)
    out = np.zeros((layout.bins, frames), np.float32)
    for window in np.unique(lengths).tolist():
        bands = _log_frequency_bands(layout, rate, window, round(tuning, 3))
        out[lengths == window] = band_magnitudes(samples, window, hop, bands, frames)
    return out


@lru_cache(maxsize=32)
def _log_frequency_bands(layout: LogFrequency, rate: int, window: int, tuning: float) -> Bands:
    """Of those bins for which a layout takes that window."""
    chosen = layout.windows(rate, tuning) == window
    return Bands.of(log_frequency_filterbank(layout, rate, window, tuning)[chosen])


@lru_cache(maxsize=32)
def log_frequency_filterbank(layout: LogFrequency, rate: int, window: int, tuning: float) -> NDArray[np.float32]:
    """Power weights from STFT bins to log-frequency bins, shape `(layout.bins, window // 2 + 1)`.

    Each row is a triangle around its centre whose half width is the distance to the neighbouring
    log-frequency bin, or one STFT bin where that is wider. Bins above the Nyquist frequency are empty.
    """
    frequencies = np.arange(window // 2 + 1) * rate / window
    centres = pitch_to_hertz(layout.pitches, tuning)
    width = np.maximum(centres * (2.0 ** (1.0 / layout.bins_per_octave) - 1.0), rate / window)
    weights = np.maximum(0.0, 1.0 - np.abs(frequencies[None, :] - centres[:, None]) / width[:, None])
    weights[centres >= rate / 2] = 0.0
    return weights.astype(np.float32)


@lru_cache(maxsize=16)
def _taper(window: int) -> NDArray[np.float32]:
    """A Hann window under which a sinusoid of amplitude 1 has magnitude 1; not to be written to."""
    taper = np.hanning(window + 1)[:-1].astype(np.float32)
    taper *= np.float32(2.0 / taper.sum())
    return taper


@lru_cache(maxsize=16)
def _turns(window: int) -> NDArray[np.complex64]:
    """The first half of the roots of one; not to be written to."""
    return np.exp(-2j * np.pi * np.arange(window // 2) / window).astype(np.complex64)
