"""Features by which two performances are synchronised.

`harmony` is CENS once in 200 ms, in which a transposition is a rotation. `coarse` is the learnt embedding
(`alignment.features.encoder`) averaged to the same rate, for the whole picture. `fine` is one unit vector for
each 20 ms: the embedding, beside chroma of log-compressed semitones and the spectral flux of every semitone,
seen through three window lengths. From embedding and chroma some of the mean around is taken, from chroma most
of that of a third of a second, so that what is held or repeated counts less than what changes in it. A flux
vector's length says how strongly something begins there, compared with the second around it; what is missing
to unit length goes to a component of its own, so that "nothing begins" is alike on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from alignment.features.chroma import cens, fold_to_chroma, normalise_columns, smooth_and_downsample
from alignment.features.encoder import BANKS, compress, encode
from alignment.features.filterbank import semitone_magnitudes
from alignment.features.frames import FEATURE_RATE
from alignment.features.noise import noise_before

__all__ = [
    "COARSE_DOWNSAMPLING",
    "SyncFeatures",
    "fine_onset_strength",
    "noise_around",
    "sync_features",
    "sync_spectrum",
]

COARSE_DOWNSAMPLING = 10
"""Fine frames a coarse frame."""

_PITCHES = BANKS[0].bins
_SLOW_BANKS = 2
_COARSE_SMOOTHING = 41
_FRAMES_AT_ONCE = 4096
_EMBEDDING_SHARE = 0.25
_ONSET_SHARE = 0.5
_LASTING_CHROMA, _CHROMA_SECONDS = 0.85, 0.32
_LASTING_EMBEDDING, _EMBEDDING_SECONDS = 0.4, 8.0
_SURROUNDINGS_SECONDS = 2.0
_SATURATION = 1.5
"""Flux this many times its surroundings' rms counts as a full onset."""


@dataclass(frozen=True)
class SyncFeatures:
    """Features of one recording; all columns have unit length.

    Attributes:
        harmony: CENS, float32, shape `(12, ceil(frames / 10))`, 5 a second.
        coarse: float32, shape `(64, ceil(frames / 10))`, 5 a second.
        fine: float16, shape `(196, frames)`, 50 a second.
    """

    harmony: NDArray[np.float32]
    coarse: NDArray[np.float32]
    fine: NDArray[np.float16]


def sync_spectrum(samples: NDArray[np.float32], rate: int, tuning: float) -> NDArray[np.float32]:
    """The semitone magnitudes from which the features are computed, shape `(203, frames)`.

    Args:
        samples: mono at `rate`, shape `(n,)`, not silent.
        rate: samples a second.
        tuning: cents above A4 = 440 Hz; add whole hundreds to transpose.
    """
    return semitone_magnitudes(samples, rate, BANKS, tuning)


def noise_around(spectrum: NDArray[np.float32]) -> tuple[int, int]:
    """Frames of steady noise before and after the music, of a result of `sync_spectrum`."""
    quick = spectrum[sum(bank.bins for bank in BANKS[:_SLOW_BANKS]) :]
    return noise_before(quick), noise_before(quick[:, ::-1])


def sync_features(spectrum: NDArray[np.float32]) -> SyncFeatures:
    """Compute all of them; the result of `sync_spectrum` is changed in place."""
    chroma = normalise_columns(fold_to_chroma(spectrum[:_PITCHES], BANKS[0].lowest))
    harmony = _unit_or_even(cens(chroma, _COARSE_SMOOTHING, COARSE_DOWNSAMPLING))
    compress(spectrum)
    embedding = encode(spectrum)
    coarse = normalise_columns(smooth_and_downsample(embedding, _COARSE_SMOOTHING, COARSE_DOWNSAMPLING))
    return SyncFeatures(harmony, coarse, _fine(embedding, spectrum))


def fine_onset_strength(fine: NDArray[np.float32]) -> NDArray[np.float32]:
    """How strongly something begins in each of the fine frames, at most 1, shape `(frames,)`."""
    return np.asarray(1.0 - np.square(fine[-1]) / _ONSET_SHARE, np.float32)


def _fine(embedding: NDArray[np.float32], compressed: NDArray[np.float32]) -> NDArray[np.float16]:
    """Embedding, chroma and onsets in their shares; the embedding is changed in place."""
    dims, frames = embedding.shape
    harmony_share = 1.0 - _EMBEDDING_SHARE - _ONSET_SHARE
    strength = _relative_strength(np.concatenate([np.square(flux).sum(axis=0) for _, flux in _flux(compressed)]))
    chroma = np.empty((12, frames), np.float32)
    for block in _blocks(frames):
        chroma[:, block] = _unit_or_even(fold_to_chroma(compressed[:_PITCHES, block], BANKS[0].lowest))
    _take_from(chroma, _LASTING_CHROMA, _CHROMA_SECONDS)
    _take_from(embedding, _LASTING_EMBEDDING, _EMBEDDING_SECONDS)
    out = np.empty((dims + 12 + len(compressed) - _PITCHES + 1, frames), np.float16)
    for block, flux in _flux(compressed):
        out[:dims, block] = np.sqrt(_EMBEDDING_SHARE) * normalise_columns(embedding[:, block])
        out[dims : dims + 12, block] = np.sqrt(harmony_share) * normalise_columns(chroma[:, block])
        out[dims + 12 :, block] = np.sqrt(_ONSET_SHARE) * _saturated(flux, strength[block])
    return out


def _take_from(features: NDArray[np.float32], share: float, seconds: float) -> None:
    """Take a share of the mean around it from each frame, in place: what lasts tells little of where one is."""
    around = round(seconds * FEATURE_RATE) + 1
    for row in features:
        row -= np.float32(share) * uniform_filter1d(row, around)


def _blocks(frames: int) -> Iterator[slice]:
    """Some thousand frames at a time."""
    for first in range(0, frames, _FRAMES_AT_ONCE):
        yield slice(first, min(first + _FRAMES_AT_ONCE, frames))


def _flux(compressed: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Rises of the onset banks from frame to frame, block by block."""
    onsets = compressed[_PITCHES:]
    for block in _blocks(onsets.shape[1]):
        before = onsets[:, max(block.start - 1, 0), None]
        yield block, np.maximum(np.diff(onsets[:, block], axis=1, prepend=before), 0.0)


def _relative_strength(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Length of the flux vector over its surroundings' rms, at most 1 when it is a full onset."""
    frames = round(_SURROUNDINGS_SECONDS * FEATURE_RATE) + 1
    surroundings = np.maximum(uniform_filter1d(power.astype(np.float64), frames), 0.0)
    strength = np.sqrt(power) / (np.sqrt(surroundings) + 1e-3)
    return np.minimum(strength / _SATURATION, 1.0).astype(np.float32)


def _saturated(flux: NDArray[np.float32], strength: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vectors of which the flux takes the share that its strength deserves, and a last component the rest."""
    direction = normalise_columns(flux) * np.sqrt(strength)
    rest = np.sqrt(np.maximum(0.0, 1.0 - np.square(direction).sum(axis=0, keepdims=True)))
    return np.concatenate([direction, rest])


def _unit_or_even(chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit columns; silent ones become even over the pitch classes, near to no harmony and alike to each other."""
    unit = normalise_columns(chroma)
    unit[:, ~unit.any(axis=0)] = np.float32(12.0**-0.5)
    return unit
