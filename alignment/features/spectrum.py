"""Short-time spectra: STFT magnitude and a constant-Q-like log-frequency spectrogram.

Arrays are float32 of shape `(bins, frames)`. A sinusoid of amplitude 1 has magnitude 1 in its bin,
whatever the window length. Log-frequency bins are numbered upwards from `lowest`, a pitch in MIDI
numbers (fractions allowed; 69 is 440 Hz before tuning).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from alignment.errors import FeatureError
from alignment.features.frames import HOP, frame_count

__all__ = ["LogFrequency", "log_frequency_filterbank", "log_frequency_spectrogram", "pitch_to_hertz", "stft_magnitude"]

_SAMPLES_AT_ONCE = 1 << 18
"""Of windows that are transformed together: so many stay near the processor."""


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


def stft_magnitude(
    samples: NDArray[np.float32], window: int, hop: int = HOP, bins: slice = slice(None)
) -> NDArray[np.float32]:
    """Magnitude of the short-time Fourier transform with a Hann window.

    Args:
        samples: shape `(n,)`.
        window: window length in samples.
        hop: samples from frame to frame.
        bins: which are wanted, of the `window // 2 + 1`.

    Returns:
        shape `(bins, frames)`, `frames = frame_count(n, hop)`.

    Raises:
        FeatureError: `samples` is not one-dimensional.
    """
    blocks = [block.T for block in _stft_blocks(_checked(samples), window, hop, bins)]
    return np.concatenate(blocks, axis=1) if blocks else np.zeros((window // 2 + 1, 0), np.float32)[bins]


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
    samples = _checked(samples)
    out = np.zeros((layout.bins, frame_count(len(samples), hop)), np.float32)
    lengths = layout.windows(rate, tuning)
    for window in np.unique(lengths):
        chosen = np.flatnonzero(lengths == window)
        weights = log_frequency_filterbank(layout, rate, int(window), round(tuning, 3))[chosen]
        used = np.flatnonzero(weights.any(axis=0))
        if not len(used):
            continue
        bins = slice(used[0], used[-1] + 1)
        weights = np.ascontiguousarray(weights[:, bins])
        start = 0
        for block in _stft_blocks(samples, int(window), hop, bins):
            power = np.square(block)
            out[chosen, start : start + len(block)] = np.sqrt(power @ weights.T).T
            start += len(block)
    return out


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


def _checked(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    if samples.ndim != 1:
        raise FeatureError(f"The 'samples' must be one-dimensional (mono). Got shape {samples.shape} instead.")
    return samples.astype(np.float32, copy=False)


def _stft_blocks(samples: NDArray[np.float32], window: int, hop: int, bins: slice) -> Iterator[NDArray[np.float32]]:
    """Yield magnitudes as `(frames, bins)`, some frames at a time."""
    frames = frame_count(len(samples), hop)
    taper = _taper(window)
    at_once = max(_SAMPLES_AT_ONCE // window, 1)
    for first in range(0, frames, at_once):
        count = min(at_once, frames - first)
        start = first * hop - window // 2
        stop = start + (count - 1) * hop + window
        piece = samples[max(start, 0) : min(stop, len(samples))]
        padded = np.pad(piece, (max(-start, 0), max(stop - len(samples), 0)))
        framed = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
        yield np.abs(fft.rfft(framed * taper, axis=1)[:, bins])


@lru_cache(maxsize=16)
def _taper(window: int) -> NDArray[np.float32]:
    """A Hann window under which a sinusoid of amplitude 1 has magnitude 1; not to be written to."""
    taper = np.hanning(window + 1)[:-1].astype(np.float32)
    taper *= np.float32(2.0 / taper.sum())
    return taper
