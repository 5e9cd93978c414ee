"""From how alike two recordings are to the probability that they are of one work, and to a threshold.

What counts is how much corresponds, how alike it is, how much more alike than the rest of both, and whether there
alone: chords that go round, as those of many popular songs do, correspond at every round; and whether in its key more
than in others: drums and noise are alike in all.

The numbers lie beside the model and are set by `scripts/calibrate_versions.py` on works that it was not trained on:
a logistic regression for the probability, whose weights go from those of short queries to those of long ones, and for
the threshold the tail of the best logits that queries reach in a library without a version of theirs. What longer
queries have in common is taken in proportion, since longer ones were not looked at.

Such a threshold is that of the music that is most often mistaken. What is far ahead of the rest of the library is
accepted below it: how far the best outsider is ahead depends less on the music, and as long as the tail is exponential
not on how many there are. (In speaker verification scores are set in relation to those of a cohort likewise:
Auckenthaler et al., "Score normalization for text-independent speaker verification systems", Digital Signal Processing
2000.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path

import numpy as np

from retrieval.embedding.version_encoder import VERSION_MODEL_PATH
from retrieval.logistic import as_probability, numbers_of, tail_level, weighed

__all__ = ["VERSION_CALIBRATION_PATH", "VersionCalibration", "VersionEvidence", "level_of_rest"]

VERSION_CALIBRATION_PATH = VERSION_MODEL_PATH.with_name("versions.calibration.json")

_KEYS_APART = 0.15, 0.35
"""By how much pairs are more alike in their key than in any other where they are in none, and where they surely are."""

_IN_NO_KEY = 5.0
"""Log odds taken from what is in no key; between, in proportion."""

_LIKELY = math.log(9.0)
"""Log odds that what is far ahead of the rest must have by itself: nine to one."""

_REST = 2, 6
"""Which of the other works, the likeliest first, are the rest: versions that are not yet put to a work come before."""

_LEAST_REST = -6.0
"""Log odds below which it does not matter how unlike the rest is: else anything would lead where all is unlike."""


def level_of_rest(logits: Iterable[float]) -> float:
    """The log odds that a query reaches with the rest of the library; a hit's lead is by how much its own are higher.

    Args:
        logits: of works other than the hit's, in any key, one each, highest first.

    Returns:
        the mean over those from the third to the sixth, each at least -6, as those are taken to be that are missing.
    """
    rest = [max(logit, _LEAST_REST) for logit in islice(logits, *_REST)]
    rest += [_LEAST_REST] * (_REST[1] - _REST[0] - len(rest))
    return sum(rest) / len(rest)


@dataclass(frozen=True)
class VersionEvidence:
    """What speaks for a query and a recording being of one work.

    Attributes:
        gain: score of the best chain.
        matched: pairs of vectors on the paths of the best chain; both as if in the query's own tempo.
        similarity: mean over these pairs.
        surroundings: mean over these pairs of how alike each is to the whole of the other side, the greater of both:
            drones are alike wherever they are laid together.
        elsewhere: mean over these pairs of how alike the music around each is to other places of the other side, to
            the likeliest twentieth of them; of the query's moments or of the reference's, whichever is greater.
        elsewhere_less: of the others.
        paths: of the chain.
        query, reference: local vectors of the query and of the recording.
        in_another_key: mean similarity of the pairs in that of the other keys in which they are most alike.
    """

    gain: float
    matched: float
    similarity: float
    surroundings: float
    elsewhere: float
    elsewhere_less: float
    paths: int
    query: int
    reference: int
    in_another_key: float

    def regressors(self) -> tuple[float, ...]:
        """What the logistic regression weighs."""
        share = self.matched / max(min(self.query, self.reference), 1)
        weight = math.sqrt(self.matched)
        excess = self.matched * max(self.similarity - self.surroundings, 0.0)
        return (
            1.0,
            math.log2(max(self.reference, 1)),
            math.log2(1.0 + self.matched),
            math.log2(1.0 + self.paths),
            share,
            self.similarity,
            self.surroundings,
            weight * self.similarity,
            weight * self.surroundings,
            math.sqrt(self.gain),
            self.gain / math.sqrt(max(self.query, 1)),
            math.sqrt(excess),
            excess / math.sqrt(max(self.query, 1)),
            self.elsewhere,
            self.elsewhere_less,
            weight * self.elsewhere,
        )

    @property
    def octaves(self) -> float:
        """Log2 of the query's length."""
        return math.log2(max(self.query, 1))

    def of_no_more_than(self, octaves: float) -> VersionEvidence:
        """What it is in proportion, of so long a part of a longer query."""
        share = 2.0 ** (octaves - self.octaves)
        if share >= 1.0:
            return self
        return replace(
            self,
            gain=share * self.gain,
            matched=share * self.matched,
            query=round(share * self.query),
            reference=round(share * self.reference),
        )


@dataclass(frozen=True)
class VersionCalibration:
    """Weights of the logistic regression and the outsiders' tails.

    Attributes:
        weights: of the regressors, by length of the query, from short to long.
        tails: the outsiders' tail at the same lengths: log2 of the query's local vectors, the logit that a tenth of the
            outsiders exceed, and the mean excess of that tenth, taken as exponential.
        leads: likewise of the leads of the likeliest outsiders.
        recordings: size of the library in which that was measured.
    """

    weights: tuple[tuple[float, ...], ...]
    tails: tuple[tuple[float, float, float], ...]
    leads: tuple[tuple[float, float, float], ...]
    recordings: int

    @classmethod
    def load(cls, path: Path = VERSION_CALIBRATION_PATH) -> VersionCalibration:
        """Read the numbers.

        Raises:
            ModelError: the file is not there or lacks some.
        """
        return cls(**numbers_of(path, "a calibration", [field.name for field in fields(cls)]))

    def logit(self, evidence: VersionEvidence) -> float:
        """Log odds that the two are of one work."""
        apart = evidence.similarity - evidence.in_another_key
        return self.logit_in_any_key(evidence) - float(np.interp(apart, _KEYS_APART, (_IN_NO_KEY, 0.0)))

    def logit_in_any_key(self, evidence: VersionEvidence) -> float:
        """The same, however alike they are in other keys: between those by the weights of the lengths around the
        query's."""
        lengths = [octaves for octaves, _, _ in self.tails]
        regressors = evidence.of_no_more_than(lengths[-1]).regressors()
        return float(np.interp(evidence.octaves, lengths, [weighed(weights, regressors) for weights in self.weights]))

    def probability(self, evidence: VersionEvidence) -> float:
        """That the two are of one work."""
        return as_probability(self.logit(evidence))

    def threshold(self, max_false_accepts: float, recordings: int, query: int) -> float:
        """Logit that outsiders of so many local vectors exceed at this rate in a library of so many recordings.

        Each recording is a chance to be mistaken, so the rate is shared among them; in libraries smaller than the one
        measured the threshold stays as it is.
        """
        share = max_false_accepts * min(1.0, self.recordings / max(recordings, 1))
        return tail_level(self.tails, share, math.log2(max(query, 1)))

    def lead_threshold(self, max_false_accepts: float, query: int) -> float:
        """Lead that outsiders of so many local vectors exceed at this rate, in a library of whatever size."""
        return tail_level(self.leads, max_false_accepts, math.log2(max(query, 1)))

    def accepts(
        self, evidence: VersionEvidence, max_false_accepts: float, recordings: int, rest: float | None = None
    ) -> bool:
        """Whether a likeness suffices at this rate in a library of so many recordings.

        Args:
            evidence: of the query and a recording.
            max_false_accepts: share of queries without a version for which one may be accepted; where the rest of the
                library is known, half of them by the log odds and half by the lead.
            recordings: of the library.
            rest: as by `level_of_rest`.
        """
        logit = self.logit(evidence)
        if rest is None:
            return logit >= self.threshold(max_false_accepts, recordings, evidence.query)
        each = max_false_accepts / 2.0
        return logit >= self.threshold(each, recordings, evidence.query) or (
            logit >= _LIKELY and logit - rest >= self.lead_threshold(each, evidence.query)
        )
