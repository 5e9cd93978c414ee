"""A small learnt encoder of semitone magnitudes, for synchronisation.

Trained so that two renderings of the same notes, by unlike instruments in unlike rooms, are alike at the same
moment and unlike a frame later (`retrieval.embedding.sync_training`): it dates slow attacks, and hears the
same notes through different timbres. A residual network of convolutions over time, which sees .3 s on either
side; run in NumPy, since it is a handful of matrix products.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from alignment.features.chroma import normalise_columns
from alignment.features.filterbank import SemitoneBank

__all__ = ["BANKS", "DILATIONS", "compress", "encode"]

BANKS = (
    SemitoneBank(lowest=24, bins=84, window=8192),
    SemitoneBank(lowest=33, bins=40, window=4096),
    SemitoneBank(lowest=45, bins=34, window=2048),
    SemitoneBank(lowest=57, bins=45, window=1024),
)
"""What the encoder sees: pitch through long windows, onsets through shorter ones."""

DILATIONS = (1, 2, 4)
"""Of the residual convolutions, each over five frames."""

_COMPRESSION = 1000.0
_SCALE = 1.0 / 3.0
_FRAMES_AT_ONCE = 4096
_MODEL = "sync.safetensors"


def compress(magnitudes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compress the magnitudes of all banks logarithmically, in place, related to the loudest of the first."""
    loudest = float(magnitudes[: BANKS[0].bins].max(initial=0.0)) + 1e-9
    magnitudes *= np.float32(_COMPRESSION / loudest)
    np.log1p(magnitudes, out=magnitudes)
    magnitudes *= np.float32(_SCALE)
    return magnitudes


def encode(compressed: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embed each frame with its surroundings.

    Args:
        compressed: result of `compress`, float32, shape `(203, frames)`.

    Returns:
        unit columns, float32, shape `(64, frames)`.
    """
    weights = _weights()
    reach = 1 + 2 * sum(DILATIONS)
    frames = compressed.shape[1]
    out = np.empty((len(weights["out.bias"]), frames), np.float32)
    for first in range(0, frames, _FRAMES_AT_ONCE):
        end = min(first + _FRAMES_AT_ONCE, frames)
        low, high = max(0, first - reach), min(frames, end + reach)
        hidden = _rectified(_convolve(compressed[:, low:high], weights["inp.weight"], weights["inp.bias"], 1))
        for layer, dilation in enumerate(DILATIONS):
            kernel, bias = weights[f"convs.{layer}.weight"], weights[f"convs.{layer}.bias"]
            hidden += _rectified(_convolve(hidden, kernel, bias, dilation))
        embedded = _convolve(hidden[:, first - low : end - low], weights["out.weight"], weights["out.bias"], 1)
        out[:, first:end] = normalise_columns(embedded)
    return out


def _convolve(
    x: NDArray[np.float32], kernel: NDArray[np.float32], bias: NDArray[np.float32], dilation: int
) -> NDArray[np.float32]:
    """Convolution over time that keeps the length; kernel of shape `(taps, out, in)`."""
    out = np.repeat(bias[:, None], x.shape[1], axis=1)
    middle = len(kernel) // 2
    for tap, matrix in enumerate(kernel):
        shift = (tap - middle) * dilation
        low, high = max(0, -shift), min(x.shape[1], x.shape[1] - shift)
        if low < high:
            out[:, low:high] += matrix @ x[:, low + shift : high + shift]
    return out


def _rectified(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.maximum(x, 0.0, out=x)


@lru_cache(maxsize=1)
def _weights() -> dict[str, NDArray[np.float32]]:
    data = (files("alignment.features") / "models" / _MODEL).read_bytes()
    return {
        name: np.ascontiguousarray(np.moveaxis(array, -1, 0) if array.ndim == 3 else array, np.float32)
        for name, array in load(data).items()
    }
