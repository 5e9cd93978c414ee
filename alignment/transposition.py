"""How many semitones one performance is above another, and both of them in one key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.analysed import Analysed, analyse, retuned
from alignment.audio import Audio
from alignment.dtw import SYMMETRIC_WEIGHTS, dtw
from alignment.features.frames import FEATURE_RATE
from alignment.features.sync import COARSE_DOWNSAMPLING

__all__ = ["Transposable", "in_one_key", "likely_transpositions", "nearest_transposition"]

_FEWEST_COMPARED = 40
_LOWEST, _TRITONE = -5, 6
_NEAR_TIE = 0.97


class Transposable(NamedTuple):
    """What was computed of a recording, and what gives its sound once more: to be kept, an hour takes 300 MB."""

    analysed: Analysed
    sound: Callable[[], Audio]

    @classmethod
    def of(cls, audio: Audio) -> Transposable:
        """A recording whose sound is kept.

        Raises:
            FeatureError: it is not at the analysis rate.
        """
        return cls.read_by(lambda: audio)

    @classmethod
    def read_by(cls, sound: Callable[[], Audio]) -> Transposable:
        """A recording that is read now, and again where it is wanted once more; raises as `of`, and as reading does."""
        return cls(analyse(sound()), sound)

    def lowered(self, semitones: int) -> Analysed:
        """What is computed of it as if it sounded lower."""
        return retuned(self.sound(), self.analysed, self.analysed.tuning + 100.0 * semitones)


def nearest_transposition(semitones: int) -> int:
    """The same to the octave, -5 to 6."""
    return _LOWEST + (semitones - _LOWEST) % 12


def likely_transpositions(ref: NDArray[np.float32], other: NDArray[np.float32]) -> list[int]:
    """Semitones, -5 to 6, to add to the other, the likeliest first; among them none, which wins a near tie, and then
    alone.

    The shorter side is warped to the whole of the longer; and to the best part of one more than twice as long, if that
    sets one transposition further apart from the others. Of such an excerpt the next likely one is given, too: short
    ones are misheard now and then.

    Args:
        ref, other: CENS, shapes `(12, n)` and `(12, m)`, of which about one a second is compared.
    """
    step = round(FEATURE_RATE / COARSE_DOWNSAMPLING)
    step = max(1, min(step, min(ref.shape[1], other.shape[1]) // _FEWEST_COMPARED))
    x, y = ref[:, ::step], other[:, ::step]
    lengths = sorted((x.shape[1], y.shape[1]))
    costs = _costs_of_shifts(x, y, excerpt=False)
    excerpt = lengths[1] > 2 * lengths[0]
    if excerpt:
        costs = min(costs, _costs_of_shifts(x, y, excerpt=True), key=_distinctness)
    best, following = sorted(costs, key=lambda shift: costs[shift])[:2]
    if costs[best] >= _NEAR_TIE * costs[0]:
        return [0]
    return list(dict.fromkeys([best, following, 0] if excerpt else [best, 0]))


def _costs_of_shifts(x: NDArray[np.float32], y: NDArray[np.float32], *, excerpt: bool) -> dict[int, float]:
    """Of each shift of y, what warping costs; of the shorter side to a part of the longer, or of both whole."""
    costs = {}
    for shift in range(_LOWEST, _LOWEST + 12):
        sides = sorted((x, np.roll(y, shift, axis=0)), key=lambda side: side.shape[1])
        costs[shift] = dtw(*sides, weights=SYMMETRIC_WEIGHTS, subsequence=excerpt).cost
    return costs


def _distinctness(costs: Mapping[int, float]) -> float:
    """The least cost over the next; the less, the more distinct."""
    least, following = sorted(costs.values())[:2]
    return least / max(following, 1e-9)


def in_one_key(one: Transposable, two: Transposable, shift: int) -> tuple[Analysed, Analysed]:
    """Both sides, one of them lowered so that the second is so many semitones higher than it is, to the octave.

    It is the higher one, of a tritone the shorter one, whichever of them is the reference: what features tell of a
    note depends on its register, and so would the path. (With the lower one raised a few notes fewer are met.)
    """
    if shift == _TRITONE and _length(two.analysed) < _length(one.analysed):
        shift = -_TRITONE
    if shift == 0:
        return one.analysed, two.analysed
    if shift > 0:
        return one.lowered(shift), two.analysed
    return one.analysed, two.lowered(-shift)


def _length(side: Analysed) -> tuple[float, ...]:
    """By what sides are ordered; two that are as long differ in when they sound, or in tuning."""
    return side.duration, side.end - side.start, side.start, side.tuning
