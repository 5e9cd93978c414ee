"""Whether two recordings are of the same music.

What the corresponding sections save over leaving everything alone is compared with what is saved by chance: where
one recording is played backwards, or has its seconds in any order. It has the same tones, density and sound then, but
not the same course; steady noise, and songs on a few chords, are as alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from alignment.structure import Correspondence, Gaps, corresponding_sections

__all__ = ["Evidence", "evidence_of_same_music", "probability_of_same_music"]

_WEIGHTS = (7.09, -2.28, -11.14, -9.10, -0.65, 5.01, -3.93)
"""Logistic of the evidence, intercept first; `scripts/calibrate_alignment.py` fits it.

These were fitted while the second recording alone was put in another order, or backwards.
"""

_SCRAMBLED_FRAMES = 5

_LONGEST = 2.0


class Evidence(NamedTuple):
    """What speaks for the same music.

    Attributes:
        saving: of what leaving the matched frames alone would cost, the part that matching them saves.
        scrambled: geometric mean of what is saved where the seconds of one recording are in another order, of either in
            turn, over what is saved, and of the part that matching does not save: in music that goes round and round
            chance saves much, which says little where nearly all of it corresponds.
        backwards: the same where one is played backwards, either in turn.
        length: logarithm of the matched frames of both sides, over 200; beyond what was fitted it counts no more.
        coverage: of the side that has more matched, the part that is.
        steadiness: share of the path's steps in which both sides advance.
    """

    saving: float
    scrambled: float
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
    saving = gain / (gaps.each * frames)
    by_chance = [
        _by_chance(x, disturbed(y), gaps, gain) + _by_chance(disturbed(x), y, gaps, gain)
        for disturbed in (partial(_scrambled, pooled=pooled), np.fliplr)
    ]
    scrambled, backwards = (math.sqrt(max(1.0 - saving, 0.0) * 0.5 * both) for both in by_chance)
    return Evidence(
        saving,
        scrambled,
        backwards,
        min(_LONGEST, float(np.log(frames * pooled / 200.0))),
        float((matched / (x.shape[1], y.shape[1])).max()),
        float((steps == 1).all(axis=1).mean()) if len(steps) else 0.0,
    )


def _by_chance(x: NDArray[np.float32], y: NDArray[np.float32], gaps: Gaps, gain: float) -> float:
    """What is saved against music that does not correspond, over what is saved.

    Nothing has to be gained there to make up for what stands alone before and after.
    """
    free = replace(gaps, start=0.0, end=0.0, least_gain=0.0)
    found = corresponding_sections(np.ascontiguousarray(x), np.ascontiguousarray(y), free, max(x.shape[1], y.shape[1]))
    return min(1.0, sum(section.gain for section in found) / gain)


def _scrambled(x: NDArray[np.float32], pooled: int) -> NDArray[np.float32]:
    """Columns with each second where it is, but the seconds in any order."""
    blocks = np.array_split(np.arange(x.shape[1]), np.arange(0, x.shape[1], max(_SCRAMBLED_FRAMES // pooled, 1))[1:])
    order = np.random.default_rng(0).permutation(len(blocks))
    return x[:, np.concatenate([blocks[number] for number in order])]


def probability_of_same_music(evidence: Evidence) -> float:
    """In 0..1."""
    logit = _WEIGHTS[0] + float(np.dot(_WEIGHTS[1:], evidence))
    return float(expit(logit))
