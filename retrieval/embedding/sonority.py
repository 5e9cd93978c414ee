"""Sonority: which notes sound and begin, ten times a second, whatever plays them.

The learnt embedding of the synchroniser (`alignment.features.encoder`), smoothed over a fifth of a second and
projected to the directions in which it varies most over real recordings (`scripts/fit_sonority.py`). Two
performances of a passage are alike in it frame by frame, two passages of the same harmony and other notes are not.
"""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from alignment.features.chroma import normalise_columns, smooth_and_downsample
from alignment.features.encoder import BANKS, compress, encode
from alignment.features.filterbank import semitone_magnitudes
from alignment.features.frames import FEATURE_RATE, HOP
from index.runs import Model
from index.shards import VectorFormat

__all__ = ["SCORE_SONORITY", "SONORITY", "SONORITY_RATE", "smoothed_embedding", "sonority"]

SONORITY_RATE = 10.0
"""Vectors a second."""

_DIMENSIONS = 32
_DOWNSAMPLING = round(FEATURE_RATE / SONORITY_RATE)
_SMOOTHING = 2 * _DOWNSAMPLING + 1
_SCALE = 127.0
_BASIS = files("retrieval.embedding") / "models" / "sonority.npy"
_WEIGHTS = files("alignment.features") / "models" / "sync.safetensors"
_SILENCE = 1e-4
_SILENCE_BELOW_LOUDEST = 1e-3


def sonority(samples: NDArray[np.float32], rate: int, tuning: float) -> NDArray[np.float32]:
    """Sonority of a signal.

    Args:
        samples: mono, shape `(n,)`.
        rate: samples a second, the analysis rate.
        tuning: cents above A4 = 440 Hz; add whole hundreds to hear the signal so many semitones lower.

    Returns:
        float32, shape `(frames, 32)`: unit rows, ten a second from 0; zero rows where nothing sounds.
    """
    projected = normalise_columns(_basis().T @ smoothed_embedding(samples, rate, tuning)).T
    projected[~_audible(samples, len(projected))] = 0.0
    return np.ascontiguousarray(projected)


def smoothed_embedding(samples: NDArray[np.float32], rate: int, tuning: float) -> NDArray[np.float32]:
    """The synchroniser's embedding ten times a second before it is projected, shape `(64, frames)`."""
    embedding = encode(compress(semitone_magnitudes(samples, rate, BANKS, tuning)))
    return smooth_and_downsample(embedding, _SMOOTHING, _DOWNSAMPLING)


def _audible(samples: NDArray[np.float32], frames: int) -> NDArray[np.bool_]:
    """Whether there is sound in the fifth of a second around each frame."""
    hop = HOP * _DOWNSAMPLING
    padded = np.zeros((frames + 1) * hop, np.float32)
    padded[hop // 2 :][: len(samples)] = samples[: len(padded) - hop // 2]
    peaks = np.abs(padded).reshape(frames + 1, hop).max(axis=1)
    around = np.maximum(peaks[:-1], peaks[1:])
    return around > max(_SILENCE, _SILENCE_BELOW_LOUDEST * float(peaks.max(initial=0.0)))


@lru_cache(maxsize=1)
def _basis() -> NDArray[np.float32]:
    """Orthonormal columns, shape `(64, 32)`."""
    return np.load(io.BytesIO(_BASIS.read_bytes()))


def _hash() -> str:
    """Of all that decides what the vectors mean."""
    return hashlib.sha256(_BASIS.read_bytes() + _WEIGHTS.read_bytes()).hexdigest()


SONORITY = Model(
    name="sonority",
    hash=_hash(),
    format=VectorFormat(_DIMENSIONS, "int8", _SCALE),
    parameters={"hop": HOP * _DOWNSAMPLING},
)
"""Kept of every recording, so that passages can be sought without decoding it again."""

_SCORE_VERSION = 1
"""Counted up whenever scores come to be read or to sound otherwise."""

SCORE_SONORITY = Model(
    name="score-sonority",
    hash=hashlib.sha256(f"{SONORITY.hash} {_SCORE_VERSION}".encode()).hexdigest(),
    format=SONORITY.format,
    parameters=SONORITY.parameters,
    kind="score",
)
"""Sonority of a score as it is made to sound; kept apart from that of recordings."""
