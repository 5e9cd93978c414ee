"""Passages: clips as what is sought in recordings and scores, their sonority in one key or in all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio
from alignment.features import estimate_tuning
from retrieval.embedding.sonority import SONORITY_RATE, sonority
from retrieval.subsequences import stretched

__all__ = ["LONGEST_SECONDS", "SHORTEST_SECONDS", "Passage", "passage_of"]

SHORTEST_SECONDS = 3.0
"""Sound that a passage must have to be looked for."""

LONGEST_SECONDS = 120.0
"""Of a longer passage, what comes later is left out."""

_ANY_KEY = range(-6, 6)


@dataclass(frozen=True)
class Passage:
    """A clip, ready to be laid along recordings and scores.

    Attributes:
        keys: its sonority, shape `(frames, 32)`, by the semitones that it is heard lower; 0 is as it is played.
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
    if not (any_key and passage.usable):
        return passage
    others = {key: sonority(samples, clip.rate, tuning + 100.0 * key) for key in _ANY_KEY if key}
    return Passage({**passage.keys, **others}, seconds)
