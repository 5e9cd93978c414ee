"""From the evidence for a line to a probability, and to a threshold of false accepts.

What counts is the similarity on the line beside that half a second to two seconds off it (music of an even texture
is like much other music wherever the two are laid together) and beside the best lines of other recordings (what is
left of music in loud noise is a little like many).

The numbers lie beside the model and are set by `scripts/calibrate.py` on recordings that it was not trained on: a
logistic regression for the probability, and for the threshold the tail of the best logits that clips reach in a
library which does not hold them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path

from retrieval.embedding.encoder import MODEL_PATH
from retrieval.logistic import as_probability, numbers_of, tail_level, weighed

__all__ = ["CALIBRATION_PATH", "Calibration", "Evidence"]

CALIBRATION_PATH = MODEL_PATH.with_name("fingerprint.calibration.json")


@dataclass(frozen=True)
class Evidence:
    """What speaks for a clip laid along a recording.

    Attributes:
        similarity: mean over the pairs of windows on the line.
        surroundings: mean over the pairs on the lines up to two seconds earlier and later.
        windows: how many pairs of windows lie on the line.
        rivals: mean similarity on the best lines of other recordings; None where there is no other.
        moved: whether the clip was first brought to another pitch.
        timing: log odds that fine timing adds (`retrieval.timing`).
    """

    similarity: float
    surroundings: float
    windows: int
    rivals: float | None = None
    moved: bool = False
    timing: float = 0.0


@dataclass(frozen=True)
class Calibration:
    """Weights of the logistic regression and the outsiders' tails.

    Attributes:
        weights: of the regressors, see `regressors`.
        rivals: similarity that stands for the rivals' where there is none.
        tails: the outsiders' tail by clip length, from short to long: log2 of the number of windows, the logit that
            a tenth of the outsiders exceed, and the mean excess of that tenth, taken as exponential.
        moved_tails: the same for clips brought to another pitch.
        vectors: size of the library in which that was measured.
    """

    weights: tuple[float, ...]
    rivals: float
    tails: tuple[tuple[float, float, float], ...]
    moved_tails: tuple[tuple[float, float, float], ...]
    vectors: int

    @classmethod
    def load(cls, path: Path = CALIBRATION_PATH) -> Calibration:
        """Read the numbers.

        Raises:
            ModelError: the file is not there or lacks some.
        """
        return cls(**numbers_of(path, "a calibration", [field.name for field in fields(cls)]))

    def regressors(self, evidence: Evidence) -> tuple[float, ...]:
        """What the logistic regression weighs.

        1, whether moved, octaves of windows, and the three similarities, as they are and times the square root
        of the number of windows.
        """
        windows = max(evidence.windows, 1)
        rivals = self.rivals if evidence.rivals is None else evidence.rivals
        on, beside, root = evidence.similarity, evidence.surroundings, math.sqrt(windows)
        return (
            1.0,
            float(evidence.moved),
            math.log2(windows),
            on,
            beside,
            rivals,
            root * on,
            root * beside,
            root * rivals,
        )

    def logit(self, evidence: Evidence) -> float:
        """Log odds that a line with this evidence lies along the right recording."""
        return weighed(self.weights, self.regressors(evidence)) + evidence.timing

    def probability(self, evidence: Evidence) -> float:
        """That a line with this evidence lies along the right recording."""
        return as_probability(self.logit(evidence))

    def threshold(self, max_false_accepts: float, vectors: int, evidence: Evidence) -> float:
        """Logit that outsiders exceed at this rate, for a line of so many windows.

        One half of the rate goes to clips as they are, the other to moved ones. Each vector of the library is a
        chance to be mistaken, so the rate is shared among them; in libraries smaller than the one measured the
        threshold stays as it is.
        """
        share = 0.5 * max_false_accepts * min(1.0, self.vectors / max(vectors, 1))
        tails = self.moved_tails if evidence.moved else self.tails
        return tail_level(tails, share, math.log2(max(evidence.windows, 1)))
