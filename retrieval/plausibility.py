"""From how well a passage fits a place to a probability, and to a threshold of false accepts.

The numbers lie beside the models and are set by `scripts/calibrate_matching.py` on music that may be trained on: a
logistic regression for the probability, and for the threshold the tails of the best logits that passages of some
lengths reach in a library which holds no performance of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from retrieval.embedding.encoder import MODEL_PATH
from retrieval.logistic import as_probability, numbers_of, tail_level, weighed

__all__ = ["PLAUSIBILITY_PATH", "CourseLikeness", "Likeness", "Plausibility"]

PLAUSIBILITY_PATH = MODEL_PATH.with_name("sonority.plausibility.json")

_USUAL_SECONDS = 10.0
_SETTLING_HOURS = 0.5
"""Of music, from which on the background that is measured counts for more than the one expected."""


@dataclass(frozen=True)
class Likeness:
    """What speaks for a passage being played at a place.

    Attributes:
        cost: of the path there, the mean cosine distance over the passage.
        background: cost that one place in fifty of the library stays below.
        seconds: length of the passage.
        variety: how unlike the moments of the passage are to each other.
        hours: of music in which the background was measured.
    """

    cost: float
    background: float
    seconds: float
    variety: float
    hours: float

    @property
    def octaves(self) -> float:
        """Of length."""
        return _octaves(self.seconds)

    def regressors(self, background: float) -> tuple[float, ...]:
        """What the logistic regression weighs, given the background.

        1, the cost, the background, the variety, octaves of length, and the cost beside the background times the
        square root of the length, as means of many frames vary less.
        """
        totals = math.sqrt(self.seconds) * (self.cost - background)
        return 1.0, self.cost, background, self.variety, self.octaves, totals


@dataclass(frozen=True)
class CourseLikeness(Likeness):
    """What speaks for it where the path is known; the cost is weighed by how much the passage changes.

    Attributes:
        unevenness: of the tempo along the path, see `retrieval.subsequences.Course`.
    """

    unevenness: float

    def regressors(self, background: float) -> tuple[float, ...]:
        """Those of every likeness, and the unevenness."""
        return *super().regressors(background), self.unevenness


@dataclass(frozen=True)
class Plausibility:
    """Weights of the logistic regression and the outsiders' tails.

    Attributes:
        weights: of the regressors, see `Likeness.regressors`.
        expected: background to be expected, by 1, the variety and octaves of length of a passage.
        tails: by length, from short to long: its octaves, the logit that a tenth of the outsiders exceed, and the mean
            excess of that tenth, taken as exponential.
        hours: size of the library in which that was measured.
    """

    weights: tuple[float, ...]
    expected: tuple[float, float, float]
    tails: Sequence[tuple[float, float, float]]
    hours: float

    @classmethod
    def load(cls, path: Path = PLAUSIBILITY_PATH) -> Plausibility:
        """Read the numbers.

        Raises:
            ModelError: the file is not there or lacks some.
        """
        return cls(**numbers_of(path, "the plausibility of places", [field.name for field in fields(cls)]))

    def background(self, likeness: Likeness) -> float:
        """The background measured, drawn to the one expected the fewer hours it was measured in.

        In a library of minutes the places where the passage is played are themselves a good part of all places.
        """
        expectations = 1.0, likeness.variety, likeness.octaves
        expected = sum(weight * value for weight, value in zip(self.expected, expectations, strict=True))
        share = likeness.hours / (likeness.hours + _SETTLING_HOURS)
        return share * likeness.background + (1.0 - share) * expected

    def logit(self, likeness: Likeness) -> float:
        """Log odds that the passage is played there."""
        return weighed(self.weights, likeness.regressors(self.background(likeness)))

    def probability(self, likeness: Likeness) -> float:
        """That the passage is played there."""
        return as_probability(self.logit(likeness))

    def threshold(self, max_false_accepts: float, hours: float, seconds: float) -> float:
        """Logit that outsiders of so many seconds exceed at this rate in a library of so many hours.

        Each hour is a chance to be mistaken, so the rate is shared among them; in libraries smaller than the one
        measured the threshold stays as it is.
        """
        share = max_false_accepts * min(1.0, self.hours / max(hours, 1e-9))
        return tail_level(self.tails, share, _octaves(seconds))


def _octaves(seconds: float) -> float:
    """Of a passage's length beside the usual one."""
    return math.log2(seconds / _USUAL_SECONDS)
