"""From the similarity along a line of windows to a probability, and to a threshold of false accepts.

What counts is the similarity on the line beside that half a second to two seconds off it: music of an even
texture is like much other music wherever the two are laid together.

The numbers lie beside the model and are set by `scripts/calibrate.py` on recordings that it was not
trained on: a logistic regression for the probability, and for the threshold the tail of the best logits
that clips reach in a library which does not hold them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.embedding.encoder import MODEL_PATH
from retrieval.errors import ModelError

__all__ = ["CALIBRATION_PATH", "Calibration", "Evidence"]

CALIBRATION_PATH = MODEL_PATH.with_name("fingerprint.calibration.json")


@dataclass(frozen=True)
class Evidence:
    """What speaks for a clip laid along a recording.

    Attributes:
        similarity: mean over the pairs of windows on the line.
        surroundings: mean over the pairs on the lines up to two seconds earlier and later.
        windows: how many pairs of windows lie on the line.
    """

    similarity: float
    surroundings: float
    windows: int

    def regressors(self) -> tuple[float, ...]:
        """What the logistic regression weighs, in the order of `Calibration`."""
        windows = max(self.windows, 1)
        both = (self.similarity, self.surroundings)
        return 1.0, *both, math.log2(windows), *(math.sqrt(windows) * value for value in both)


@dataclass(frozen=True)
class Calibration:
    """Weights of the logistic regression and the outsiders' tail.

    Attributes:
        bias, similarity, surroundings, windows: weights of 1, the two similarities, and log2 of the number
            of windows.
        similarity_total, surroundings_total: weights of the similarities times the square root of that number.
        tails: the outsiders' tail by clip length, from short to long: log2 of the number of windows, the
            logit that a tenth of the outsiders exceed, and the mean excess of that tenth, taken as
            exponential; of the source of recordings on which it is hardest to tell them.
        vectors: size of the library in which that was measured.
    """

    bias: float
    similarity: float
    surroundings: float
    windows: float
    similarity_total: float
    surroundings_total: float
    tails: tuple[tuple[float, float, float], ...]
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
        weights = (
            self.bias,
            self.similarity,
            self.surroundings,
            self.windows,
            self.similarity_total,
            self.surroundings_total,
        )
        return float(sum(weight * value for weight, value in zip(weights, evidence.regressors(), strict=True)))

    def threshold(self, max_false_accepts: float, vectors: int, windows: int) -> float:
        """Logit that outsiders exceed at this rate, with so many windows on the line and vectors in the library.

        Each vector is a chance to be mistaken, so the rate is shared among them; in libraries smaller
        than the one measured the threshold stays as it is.
        """
        share = max_false_accepts * min(1.0, self.vectors / max(vectors, 1))
        octaves = [tail[0] for tail in self.tails]
        levels = [start + scale * math.log(0.1 / max(share, 1e-12)) for _, start, scale in self.tails]
        return float(np.interp(math.log2(max(windows, 1)), octaves, levels))
