"""What all calibrations share: numbers in a file, log odds, and the tails of those that are not in a library."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from operator import mul
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.errors import ModelError

__all__ = ["TAIL", "as_probability", "both_hold", "numbers_of", "tail_level", "weighed"]

TAIL = 0.1
"""Share of the outsiders that a tail describes."""

_SMALLEST_SHARE = 1e-12
_MOST = 50.0


def numbers_of(path: Path, what: str, names: Sequence[str]) -> dict[str, Any]:
    """The numbers of a calibration's JSON file.

    Raises:
        ModelError: the file is not there, or does not hold just these names.
    """
    try:
        numbers = json.loads(path.read_text("utf-8"))
        if sorted(numbers) != sorted(names):
            raise ValueError(f"it should hold {', '.join(names)}")
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: cannot be read as {what} ({error})") from error
    return dict(numbers)


def weighed(weights: Sequence[float], regressors: Sequence[float]) -> float:
    """Log odds: the sum of regressors by their weights."""
    if len(weights) != len(regressors):
        raise ValueError(f"{len(weights)} weights are not of {len(regressors)} regressors")
    return float(sum(map(mul, weights, regressors)))


def as_probability(logit: float) -> float:
    """Of log odds."""
    return 1.0 / (1.0 + math.exp(-min(max(logit, -_MOST), _MOST)))


def both_hold(one: float, other: float) -> float:
    """Log odds that two independent things hold, from the log odds of each."""
    return -float(np.logaddexp.reduce([-one, -other, -one - other]))


def tail_level(tails: Sequence[tuple[float, float, float]], share: float, octaves: float) -> float:
    """What a share of the outsiders exceed, between tails measured at some lengths.

    Args:
        tails: by length, from short to long: its octaves, what a tenth exceed, and the mean excess of that
            tenth, taken as exponential.
        share: of the outsiders.
        octaves: log2 of the length asked for.
    """
    levels = [start + scale * math.log(TAIL / max(share, _SMALLEST_SHARE)) for _, start, scale in tails]
    return float(np.interp(octaves, [length for length, _, _ in tails], levels))
