"""From how alike two recordings are to the probability that they are of one work, and to a threshold.

What counts is the score of the best chain of corresponding parts beside what unrelated music of such lengths
reaches by chance.

The numbers lie beside the model and are set by `scripts/calibrate_versions.py` on works that it was not trained on:
a logistic regression for the probability, and for the threshold the tail of the best logits that queries reach in a
library without a version of theirs.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from retrieval.embedding.version_encoder import VERSION_MODEL_PATH
from retrieval.errors import ModelError

__all__ = ["TAIL", "VERSION_CALIBRATION_PATH", "VersionCalibration", "VersionEvidence"]

VERSION_CALIBRATION_PATH = VERSION_MODEL_PATH.with_name("versions.calibration.json")
TAIL = 0.1
"""Share of the outsiders that the tail describes."""


@dataclass(frozen=True)
class VersionEvidence:
    """What speaks for a query and a recording being of one work.

    Attributes:
        gain: score of the best chain of corresponding parts.
        query: local vectors of the query.
        reference: local vectors of the recording.
    """

    gain: float
    query: int
    reference: int

    def regressors(self) -> tuple[float, ...]:
        """What the logistic regression weighs."""
        lengths = math.log2(max(self.query, 1)), math.log2(max(self.reference, 1))
        return 1.0, *lengths, math.sqrt(self.gain), self.gain / math.sqrt(max(self.query, 1))


@dataclass(frozen=True)
class VersionCalibration:
    """Weights of the logistic regression and the outsiders' tail.

    Attributes:
        weights: of the regressors.
        tail: the logit that a tenth of the outsiders exceed, and the mean excess of that tenth, taken as exponential.
        recordings: size of the library in which that was measured.
    """

    weights: tuple[float, ...]
    tail: tuple[float, float]
    recordings: int

    @classmethod
    def load(cls, path: Path = VERSION_CALIBRATION_PATH) -> VersionCalibration:
        """Read the numbers.

        Raises:
            ModelError: the file is not there or lacks some.
        """
        try:
            return cls(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(f"{path}: cannot be read as a calibration ({error})") from error

    def logit(self, evidence: VersionEvidence) -> float:
        """Log odds that the two are of one work."""
        return float(sum(weight * value for weight, value in zip(self.weights, evidence.regressors(), strict=True)))

    def probability(self, evidence: VersionEvidence) -> float:
        """That the two are of one work."""
        return 1.0 / (1.0 + math.exp(-min(max(self.logit(evidence), -50.0), 50.0)))

    def threshold(self, max_false_accepts: float, recordings: int) -> float:
        """Logit that outsiders exceed at this rate in a library of so many recordings.

        Each recording is a chance to be mistaken, so the rate is shared among them; in libraries smaller than the one
        measured the threshold stays as it is.
        """
        share = max_false_accepts * min(1.0, self.recordings / max(recordings, 1))
        start, scale = self.tail
        return start + scale * math.log(TAIL / max(share, 1e-12))
