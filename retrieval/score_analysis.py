"""What is computed of a score when it is taken into a library: what is played of it, and what it is found by."""

from __future__ import annotations

import hashlib

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


def analyse_score(path: str, content_hash: str) -> Analysis:
    """Read a score and compute all that the library keeps of it.

    Raises:
        ScoreError: it cannot be read.
    """
    score = read_score(path)
    return Analysis(NewScore(content_hash, to_kept(score), score.composer or ""), _vectors(score))


def _vectors(score: Score) -> tuple[Vectors, ...]:
    """Of each model in `SCORE_MODELS`."""
    sound = score_sound(score)
    return (Vectors(SCORE_SONORITY, sonority(sound.samples, sound.rate, 0.0), 1.0 / SONORITY_RATE),)
