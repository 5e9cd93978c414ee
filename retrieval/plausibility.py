"""From how well a passage fits a place to a probability, and to a threshold of false accepts.

The numbers lie beside the models and are set by `scripts/calibrate_matching.py` on music that may be trained on: a
logistic regression for the probability, and for the threshold the tail of the best logits that passages reach in a
library which holds no performance of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path

from retrieval.embedding.encoder import MODEL_PATH
from retrieval.logistic import as_probability, numbers_of, tail_level, weighed

__all__ = ["PLAUSIBILITY_PATH", "Likeness", "Plausibility"]

PLAUSIBILITY_PATH = MODEL_PATH.with_name("sonority.plausibility.json")

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


@dataclass(frozen=True)
class Plausibility:
    """Weights of the logistic regression and the outsiders' tail.

    Attributes:
        weights: of the regressors, see `regressors`.
        expected: background to be expected, by 1, the variety and octaves of length of a passage.
        start: logit that a tenth of the outsiders exceed.
        scale: mean excess of that tenth, taken as exponential.
        hours: size of the library in which that was measured.
    """

    weights: tuple[float, ...]
    expected: tuple[float, float, float]
    start: float
    scale: float
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
        expectations = 1.0, likeness.variety, math.log2(likeness.seconds / 10.0)
        expected = sum(weight * value for weight, value in zip(self.expected, expectations, strict=True))
        share = likeness.hours / (likeness.hours + _SETTLING_HOURS)
        return share * likeness.background + (1.0 - share) * expected

    def regressors(self, likeness: Likeness) -> tuple[float, ...]:
        """What the logistic regression weighs.

        1, the cost, the background, the variety, octaves of length, and the cost beside the background times the
        square root of the length, as means of many frames vary less.
        """
        background = self.background(likeness)
        below = likeness.cost - background
        length = math.log2(likeness.seconds / 10.0)
        totals = math.sqrt(likeness.seconds) * below
        return 1.0, likeness.cost, background, likeness.variety, length, totals

    def logit(self, likeness: Likeness) -> float:
        """Log odds that the passage is played there."""
        return weighed(self.weights, self.regressors(likeness))

    def probability(self, likeness: Likeness) -> float:
        """That the passage is played there."""
        return as_probability(self.logit(likeness))

    def threshold(self, max_false_accepts: float, hours: float) -> float:
        """Logit that outsiders exceed at this rate in a library of so many hours.

        Each hour is a chance to be mistaken, so the rate is shared among them; in libraries smaller than the one
        measured the threshold stays as it is.
        """
        share = max_false_accepts * min(1.0, self.hours / max(hours, 1e-9))
        return tail_level([(0.0, self.start, self.scale)], share, 0.0)
