"""What is computed of a score when it is taken into a library: what is played of it, and what it is found by."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio
from alignment.score import Score, read_score
from alignment.score_sound import score_sound
from index.library import NewScore
from index.runs import Model, Vectors
from retrieval.analysis import Analysis
from retrieval.embedding.sonority import SONORITY, SONORITY_RATE, sonority
from retrieval.kept_score import to_kept

__all__ = ["SCORE_MODELS", "SCORE_SONORITY", "analyse_score"]

_VERSION = 1
"""Counted up whenever scores come to be read or to sound otherwise."""

SCORE_SONORITY = Model(
    name="score-sonority",
    hash=hashlib.sha256(f"{SONORITY.hash} {_VERSION}".encode()).hexdigest(),
    format=SONORITY.format,
    parameters=SONORITY.parameters,
    kind="score",
)
"""Sonority of a score as it is made to sound; kept apart from that of recordings."""

SCORE_MODELS = (SCORE_SONORITY,)
"""Whose vectors a library keeps of every score."""

_STRETCH = 6000
_MARGIN = 50


def analyse_score(path: str, content_hash: str) -> Analysis:
    """Read a score and compute all that the library keeps of it.

    Raises:
        ScoreError: it cannot be read.
    """
    score = read_score(path)
    return Analysis(NewScore(content_hash, to_kept(score), score.composer or ""), _vectors(score))


def _vectors(score: Score) -> tuple[Vectors, ...]:
    """Of each model in `SCORE_MODELS`."""
    return (Vectors(SCORE_SONORITY, _sonority(score_sound(score)), 1.0 / SONORITY_RATE),)


def _sonority(sound: Audio) -> NDArray[np.float32]:
    """In stretches, so that hours take little more memory than their sound."""
    hop = round(sound.rate / SONORITY_RATE)
    parts = []
    for first in range(0, max(len(sound.samples) // hop, 1), _STRETCH):
        before = max(first - _MARGIN, 0)
        samples = sound.samples[before * hop : (first + _STRETCH + _MARGIN) * hop]
        parts.append(sonority(samples, sound.rate, 0.0)[first - before :][:_STRETCH])
    return np.concatenate(parts)
