"""What is computed of a score when it is taken into a library: what is played of it, and what it is found by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio
from alignment.score import Score, read_score
from alignment.score_sound import score_sound
from index.library import NewScore
from index.runs import Vectors
from retrieval.analysis import Analysis
from retrieval.embedding.score_encoder import WINDOW_HOP_SECONDS, ScoreEncoder
from retrieval.embedding.sonority import SCORE_SONORITY, SONORITY_RATE, sonority
from retrieval.kept_score import to_kept

__all__ = ["analyse_score", "score_vectors"]

_STRETCH = 6000
_MARGIN = 50


def analyse_score(path: str, content_hash: str, encoder: ScoreEncoder) -> Analysis:
    """Read a score and compute all that the library keeps of it.

    Raises:
        ScoreError: it cannot be read.
    """
    score = read_score(path)
    return Analysis(NewScore(content_hash, to_kept(score), score.composer or ""), score_vectors(score, encoder))


def score_vectors(score: Score, encoder: ScoreEncoder) -> tuple[Vectors, ...]:
    """The sonority of a score, and its windows embedded."""
    frames = _sonority(score_sound(score))
    return (
        Vectors(SCORE_SONORITY, frames, 1.0 / SONORITY_RATE),
        Vectors(encoder.model, encoder.encode_score(frames), WINDOW_HOP_SECONDS),
    )


def _sonority(sound: Audio) -> NDArray[np.float32]:
    """In stretches, so that hours take little more memory than their sound."""
    hop = round(sound.rate / SONORITY_RATE)
    parts = []
    for first in range(0, max(len(sound.samples) // hop, 1), _STRETCH):
        before = max(first - _MARGIN, 0)
        samples = sound.samples[before * hop : (first + _STRETCH + _MARGIN) * hop]
        parts.append(sonority(samples, sound.rate, 0.0)[first - before :][:_STRETCH])
    return np.concatenate(parts)
