"""The peer of matching: subsequence dynamic time warping of CENS features, as in the literature.

Müller, Fundamentals of Music Processing (2015), section 7.2: chroma of an STFT at 10 Hz (librosa), CENS with a
window of 11 frames at 5 Hz, exact subsequence dynamic time warping with the steps (1, 1), (1, 2), (2, 1), and local
optima that do not overlap, at most 40 a recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from alignment.audio import Audio
from alignment.features.chroma import cens
from alignment.score import Score

_RATE = 5.0
_MOST = 40


class CensMatcher:
    """Finds passages in recordings, given with their names, one after the other."""

    def __init__(self, recordings: Iterable[tuple[str, Audio]]) -> None:
        self._features = {name: _features(audio) for name, audio in recordings}

    def match(self, clip: Audio) -> list[tuple[str, float, float]]:
        """Name, start and end of every place, best first."""
        query, found = _features(clip), []
        for name, features in self._features.items():
            costs, starts = _subsequences(1.0 - query @ features.T)
            ends = np.arange(1, len(costs) + 1)
            for _ in range(_MOST):
                last = int(np.argmin(costs))
                if not np.isfinite(costs[last]):
                    break
                start, end, cost = int(starts[last]), last + 1, float(costs[last])
                found.append((cost / len(query), name, start / _RATE, end / _RATE))
                costs[(ends > start) & (starts < end)] = np.inf
        return [(name, start, end) for _, name, start, end in sorted(found)]


class CensScores:
    """Finds clips in scores, given by name."""

    def __init__(self, scores: Mapping[str, Score]) -> None:
        self._features = {name: _score_features(score) for name, score in scores.items()}

    def match(self, clip: Audio) -> list[tuple[str, float, float]]:
        """Name of each score, and start and end of its best place, best first."""
        query, found = _features(clip), []
        for name, features in self._features.items():
            if 2 * len(features) > len(query):
                costs, starts = _subsequences(1.0 - query @ features.T)
                last = int(np.argmin(costs))
                found.append((float(costs[last]), name, int(starts[last]) / _RATE, (last + 1) / _RATE))
        return [(name, start, end) for _, name, start, end in sorted(found)]


def _score_features(score: Score) -> NDArray[np.float32]:
    """CENS of a piano roll whose notes decay, with their third and fifth partials."""
    rolled = np.zeros((12, int(np.ceil(score.duration * 2 * _RATE)) + 1), np.float32)
    for onset, offset, pitch, _ in score.notes:
        first = int(onset * 2 * _RATE)
        decay = np.exp(-np.arange(max(int(offset * 2 * _RATE) - first, 1)) / (2 * _RATE))
        for interval, strength in ((0, 1.0), (7, 0.25), (4, 0.08)):
            row = rolled[int(pitch + interval) % 12, first:]
            row[: len(decay)] += strength * decay[: len(row)]
    return np.ascontiguousarray(cens(rolled, 11, 2).T)


def _features(audio: Audio) -> NDArray[np.float32]:
    import librosa

    chroma = librosa.feature.chroma_stft(
        y=audio.samples, sr=audio.rate, n_fft=8192, hop_length=audio.rate // 10, tuning=0, norm=None
    )
    return np.ascontiguousarray(cens(chroma.astype(np.float32), 11, 2).T)


@njit(cache=True)
def _subsequences(costs: Any) -> tuple[Any, Any]:
    """Cost and start of the best subsequence that ends at each frame, of costs `(query, recording)`."""
    n, m = costs.shape
    totals = np.full((n, m), np.inf, np.float32)
    starts = np.zeros((n, m), np.int32)
    totals[0] = costs[0]
    starts[0] = np.arange(m)
    for i in range(1, n):
        for j in range(1, m):
            best, start = totals[i - 1, j - 1], starts[i - 1, j - 1]
            if j > 1 and totals[i - 1, j - 2] < best:
                best, start = totals[i - 1, j - 2], starts[i - 1, j - 2]
            if i > 1 and totals[i - 2, j - 1] < best:
                best, start = totals[i - 2, j - 1], starts[i - 2, j - 1]
            totals[i, j] = best + costs[i, j]
            starts[i, j] = start
    return totals[n - 1], starts[n - 1]
