"""Whether two recordings are of the same music.

What the corresponding sections save over leaving everything alone is compared with what is saved against the
other recording played backwards, which has the same tones, density and sound, but not the same course.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.structure import Correspondence, Gaps, corresponding_sections

__all__ = ["Evidence", "evidence_of_same_music", "probability_of_same_music"]

_WEIGHTS = (-4.4, -2.64, -6.48, 1.74, 4.84, 7.23)
"""Logistic of the evidence, intercept first; `scripts/calibrate_alignment.py` fits it."""


class Evidence(NamedTuple):
    """What speaks for the same music.

    Attributes:
        saving: of what leaving the matched frames alone would cost, the part that matching them saves.
        backwards: what is saved against the other recording played backwards, over what is saved.
        length: logarithm of the matched frames of both sides, over 200.
        coverage: of the side that has more matched, the part that is.
        steadiness: share of the path's steps in which both sides advance.
    """

    saving: float
    backwards: float
    length: float
    coverage: float
    steadiness: float


def evidence_of_same_music(
    x: NDArray[np.float32], y: NDArray[np.float32], sections: Sequence[Correspondence], gaps: Gaps
) -> Evidence:
    """Gather the evidence.

    Args:
        x, y: the unit columns in which the sections were found.
        sections: what corresponds, at least one.
        gaps: with which they were found.
    """
    gain = sum(section.gain for section in sections)
    matched = np.sum([np.ptp(section.path, axis=0) + 1 for section in sections], axis=0)
    frames = int(matched.sum())
    steps = np.concatenate([np.diff(section.path, axis=0) for section in sections])
    backwards = corresponding_sections(x, np.ascontiguousarray(y[:, ::-1]), gaps, max(x.shape[1], y.shape[1]))
    return Evidence(
        gain / (gaps.each * frames),
        sum(section.gain for section in backwards) / gain,
        float(np.log(frames / 200.0)),
        float((matched / (x.shape[1], y.shape[1])).max()),
        float((steps == 1).all(axis=1).mean()) if len(steps) else 0.0,
    )


def probability_of_same_music(evidence: Evidence) -> float:
    """In 0..1."""
    logit = _WEIGHTS[0] + float(np.dot(_WEIGHTS[1:], evidence))
    return float(1.0 / (1.0 + np.exp(-logit)))
