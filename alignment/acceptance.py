"""Whether two recordings are of the same music.

What the corresponding sections save over leaving everything alone is compared with what is saved against the
other recording played backwards, which has the same tones, density and sound, but not the same course.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from alignment.structure import Correspondence, Gaps, corresponding_sections

__all__ = ["Evidence", "evidence_of_same_music", "probability_of_same_music"]

_WEIGHTS = (-4.4, -2.64, -6.48, 1.74, 4.84, 7.23)
"""Logistic of the evidence, intercept first; `scripts/calibrate_alignment.py` fits it."""


_LONGEST = 2.0


class Evidence(NamedTuple):
    """What speaks for the same music.

    Attributes:
        saving: of what leaving the matched frames alone would cost, the part that matching them saves.
        backwards: what is saved against the other recording played backwards, over what is saved.
        length: logarithm of the matched frames of both sides, over 200; beyond what was fitted it counts no more.
        coverage: of the side that has more matched, the part that is.
        steadiness: share of the path's steps in which both sides advance.
    """

    saving: float
    backwards: float
    length: float
    coverage: float
    steadiness: float


def evidence_of_same_music(
    x: NDArray[np.float32], y: NDArray[np.float32], sections: Sequence[Correspondence], gaps: Gaps, pooled: int = 1
) -> Evidence | None:
    """Gather the evidence; None where the sections save nothing.

    Args:
        x, y: the unit columns in which the sections were found.
        sections: what corresponds, at least one.
        gaps: costs, as they were found with where there are no anchors.
        pooled: how many coarse frames each column stands for.
    """
    gain = sum(section.gain for section in sections)
    if gain <= 0.0:
        return None
    matched = np.sum([np.ptp(section.path, axis=0) + 1 for section in sections], axis=0)
    frames = int(matched.sum())
    steps = np.concatenate([np.diff(section.path, axis=0) for section in sections])
    backwards = corresponding_sections(x, np.ascontiguousarray(y[:, ::-1]), gaps, max(x.shape[1], y.shape[1]))
    return Evidence(
        gain / (gaps.each * frames),
        min(1.0, sum(section.gain for section in backwards) / gain),
        min(_LONGEST, float(np.log(frames * pooled / 200.0))),
        float((matched / (x.shape[1], y.shape[1])).max()),
        float((steps == 1).all(axis=1).mean()) if len(steps) else 0.0,
    )


def probability_of_same_music(evidence: Evidence) -> float:
    """In 0..1."""
    logit = _WEIGHTS[0] + float(np.dot(_WEIGHTS[1:], evidence))
    return float(expit(logit))
