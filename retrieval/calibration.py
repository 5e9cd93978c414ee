"""From the similarity along a line of windows to a probability, and to a threshold of false accepts.

The numbers lie beside the model and are set by `scripts/calibrate.py` on recordings that it was not
trained on: a logistic regression for the probability, and for the threshold the tail of the best logits
that clips reach in a library which does not hold them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from retrieval.embedding.encoder import MODEL_PATH
from retrieval.errors import ModelError

__all__ = ["CALIBRATION_PATH", "Calibration", "Evidence"]

CALIBRATION_PATH = MODEL_PATH.with_name("fingerprint.calibration.json")


@dataclass(frozen=True)
class Evidence:
    """What speaks for a clip laid along a recording.

    Attributes:
        similarity: mean over the pairs of windows on the line.
        windows: how many pairs of windows lie on the line.
    """

    similarity: float
    windows: int

    def regressors(self) -> tuple[float, float, float, float]:
        """What the logistic regression weighs."""
        windows = max(self.windows, 1)
        return 1.0, self.similarity, math.log2(windows), self.similarity * math.sqrt(windows)


@dataclass(frozen=True)
class Calibration:
    """Weights of the logistic regression and the outsiders' tail.

    Attributes:
        bias, similarity, windows, product: weights of 1, the mean similarity, log2 of the number of
            windows, and the mean similarity times the square root of that number.
        tail_start: the logit that a tenth of the outsiders exceed, of the source of recordings on which it
            is hardest to tell them.
        tail_scale: mean excess of that tenth, taken as exponential.
        vectors: size of the library in which that was measured.
    """

    bias: float
    similarity: float
    windows: float
    product: float
    tail_start: float
    tail_scale: float
    vectors: int

    @classmethod
    def load(cls, path: Path = CALIBRATION_PATH) -> Calibration:
        """Read the numbers.

        Raises:
            ModelError: the file is not there or lacks some.
        """
        try:
            return cls(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(f"{path}: cannot be read as a calibration ({error})") from error

    def logit(self, evidence: Evidence) -> float:
        """Log odds that a line with this evidence lies along the right recording."""
        weights = (self.bias, self.similarity, self.windows, self.product)
        return float(sum(weight * value for weight, value in zip(weights, evidence.regressors(), strict=True)))

    def threshold(self, max_false_accepts: float, vectors: int) -> float:
        """Logit that outsiders exceed at this rate in a library of so many vectors.

        Each vector is a chance to be mistaken, so the rate is shared among them; in libraries smaller
        than the one measured the threshold stays as it is.
        """
        share = max_false_accepts * min(1.0, self.vectors / max(vectors, 1))
        return self.tail_start + self.tail_scale * math.log(0.1 / max(share, 1e-12))
