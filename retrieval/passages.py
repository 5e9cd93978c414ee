"""Passages: clips as what is sought in recordings and scores, their sonority in one key or in all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from alignment.audio import Audio
from alignment.features import estimate_tuning
from retrieval.embedding.sonority import SONORITY_RATE, sonority
from retrieval.subsequences import stretched

__all__ = ["LONGEST_SECONDS", "SHORTEST_SECONDS", "Passage", "passage_of"]

SHORTEST_SECONDS = 3.0
"""Sound that a passage must have to be looked for."""

LONGEST_SECONDS = 120.0
"""Of a longer passage, what comes later is left out."""

_CHANGE_FRAMES = 9
_LEAST_CHANGE = np.float32(1e-3)
_ANY_KEY = range(-6, 6)
_BETWEEN_KEYS = 35.0
"""Cents from which on the tuning that is estimated of another performance may be the other way round."""


@dataclass(frozen=True)
class Passage:
    """A clip, ready to be laid along recordings and scores.

    Attributes:
        keys: its sonority, shape `(frames, 32)`, by the semitones that it is heard lower; 0 is as it is played, and
            always among them where there are some.
        seconds: its length.
    """

    keys: Mapping[int, NDArray[np.float32]]
    seconds: float

    @property
    def usable(self) -> bool:
        """Whether enough of it sounds."""
        if not self.keys:
            return False
        return int(np.count_nonzero(self.keys[0].any(axis=1))) >= SHORTEST_SECONDS * SONORITY_RATE

    @property
    def variety(self) -> float:
        """How unlike its moments are to each other, from 0 (one chord held) to about 1."""
        vectors = self.keys[0]
        return 1.0 - float(np.square(vectors.mean(axis=0)).sum())

    @property
    def changes(self) -> NDArray[np.float32]:
        """How much it changes around each of its frames, shape `(frames,)`, more than 0.

        One less the cosine similarity of each frame to the one before, as a mean over nearly a second. Where a chord
        is held, a passage says little about what it is of: many others end on the same.
        """
        vectors = self.keys[0]
        changed = np.zeros(len(vectors), np.float32)
        changed[1:] = 1.0 - np.einsum("ij,ij->i", vectors[1:], vectors[:-1])
        changed[~vectors.any(axis=1)] = 0.0
        return uniform_filter1d(changed, _CHANGE_FRAMES, mode="constant") + _LEAST_CHANGE

    def at_tempo(self, key: int, tempo: float) -> NDArray[np.float32]:
        """Its sonority in a key, so many times as long."""
        return self.keys[key] if tempo == 1.0 else stretched(self.keys[key], tempo)


def passage_of(clip: Audio, *, any_key: bool = False) -> Passage:
    """The passage that a clip is.

    Args:
        clip: at the analysis rate.
        any_key: also as it would sound up to six semitones higher and lower.
    """
    samples = clip.samples[: int(LONGEST_SECONDS * clip.rate)]
    seconds = len(samples) / clip.rate
    if not len(samples):
        return Passage({}, seconds)
    tuning = estimate_tuning(samples, clip.rate)
    passage = Passage({0: sonority(samples, clip.rate, tuning)}, seconds)
    keys = _ANY_KEY if any_key else _nearest_keys(tuning)
    if not passage.usable:
        return passage
    others = {key: sonority(samples, clip.rate, tuning + 100.0 * key) for key in keys if key}
    return Passage({**passage.keys, **others}, seconds)


def _nearest_keys(tuning: float) -> tuple[int, ...]:
    """The one that a tuning is of, and its neighbour where it may as well be of that; in cents."""
    if abs(tuning) < _BETWEEN_KEYS:
        return (0,)
    return (0, -1) if tuning > 0 else (0, 1)
