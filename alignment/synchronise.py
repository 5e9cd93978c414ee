"""Synchronisation of two performances: which sections correspond, and moment by moment how.

1. Silence and steady noise at the ends are set aside but for half a second, and the tuning of both sides estimated.
2. The transposition is the one of twelve at which CENS, once a second, warp most cheaply, or none.
3. Embeddings at 5 frames a second tell which sections correspond and which stand alone (`alignment.structure`), at
   the pace of either side (`alignment.pace`), and whether it is the same music at all (`alignment.acceptance`).
4. Cuts are placed anew at 50 frames a second.
5. Inside a corridor around each section's coarse path, fine features are warped exactly; the mean over all
   paths near that one (`alignment.posterior`) is the result, and their spread tells how sure it is.

Multi-scale DTW: Müller, Mattes and Kurth (ISMIR 2006); onset features beside chroma: Ewert, Müller and
Grosche (ICASSP 2009).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.acceptance import probability_of_same_music
from alignment.analysed import Analysed, analyse, retuned
from alignment.arrangement import all_segments, match_segment
from alignment.audio import Audio
from alignment.dtw import SYMMETRIC_WEIGHTS, dtw
from alignment.errors import FeatureError
from alignment.features.frames import FEATURE_RATE
from alignment.features.sync import COARSE_DOWNSAMPLING
from alignment.pair import Pair
from alignment.rests import matches_over_rests, path_of_music, sections_over_rests
from alignment.sections import Section, matching_sections, sharpened
from alignment.segments import Segment, Synchronisation
from alignment.warping import MeanPath, mean_path_near, mean_path_of

__all__ = ["refined", "synchronise", "synchronise_analysed", "transposition_between"]

_log = logging.getLogger(__name__)

_ACCEPTED = 0.85
"""Refusing the same music is the lesser evil."""

_SAME_KEY = 4.0
"""Times as likely as any other key."""

_FEWEST_COMPARED = 40
_LOWEST_SHIFT, _TRITONE = -5, 6


def synchronise(
    ref: Audio | Analysed, other: Audio, *, band: float | None = None, anchors: Sequence[tuple[float, float]] = ()
) -> Synchronisation:
    """Find the corresponding times of two recordings of the same music.

    Recordings without sound, or of unlike music, are not accepted, and both then stand alone.

    Args:
        ref, other: at the analysis rate.
        band: seconds by which the path may stray from the straight line between the ends and anchors.
        anchors: corresponding times `(ref, other)` in seconds, rising on both sides, that the path goes through.

    Raises:
        FeatureError: one is not at the analysis rate, or the band or the anchors make no sense.
    """
    sound, left = (ref, analyse(ref)) if isinstance(ref, Audio) else (None, ref)
    return synchronise_analysed(left, other, ref=sound, band=band, anchors=anchors)[0]


def synchronise_analysed(
    left: Analysed,
    other: Audio,
    *,
    ref: Audio | None = None,
    band: float | None = None,
    anchors: Sequence[tuple[float, float]] = (),
) -> tuple[Synchronisation, Analysed, Analysed]:
    """As `synchronise`, of a reference that is analysed; gives too what was computed of both sides, in one key.

    The key is the lower one, so that the sides may be exchanged; that of the reference where its sound is not given.
    """
    if band is not None and not band > 0.0:
        raise FeatureError(f"The 'band' parameter must be positive. Got {band} instead.")
    if any(b[0] <= a[0] or b[1] <= a[1] for a, b in pairwise(anchors)):
        raise FeatureError("The 'anchors' must rise on both sides.")
    right = analyse(other)
    if left.features is None or right.features is None:
        return _unrelated(left, right, 0.0), left, right
    pair, sections, confidence = _in_likeliest_key(_Recording(left, ref), _Recording(right, other), band, anchors)
    left, right = pair.left, pair.right
    if confidence < _ACCEPTED:
        return _unrelated(left, right, confidence), left, right
    whole_sections = sections_over_rests(pair, sharpened(pair, sections))
    matches = _matches(pair, (mean_path_of(pair, section) for section in whole_sections), confidence)
    if not matches:
        return _unrelated(left, right, confidence), left, right
    _log.info("exact paths: %d", len(matches))
    interval = right.tuning - left.tuning
    whole = round(interval / 100.0)
    segments = all_segments(matches_over_rests(pair, matches), left, right)
    transposition = _LOWEST_SHIFT + (-whole - _LOWEST_SHIFT) % 12
    return Synchronisation(segments, True, confidence, transposition, interval - 100.0 * whole), left, right


class _Recording(NamedTuple):
    """What was computed of a recording, and its sound, if that is known."""

    analysed: Analysed
    sound: Audio | None

    def lowered(self, semitones: int) -> Analysed:
        """What is computed of it as if it sounded lower."""
        assert self.sound is not None, "only what is known is transposed"
        return retuned(self.sound, self.analysed, self.analysed.tuning + 100.0 * semitones)


def _in_likeliest_key(
    one: _Recording, two: _Recording, band: float | None, anchors: Sequence[tuple[float, float]]
) -> tuple[Pair, list[Section], float]:
    """Both in one key, the sections that correspond, and how likely it is the same music.

    The key is misheard now and then, as in a short excerpt at another pace; both are compared as they are, too, and
    the same key is the likelier before anything is heard.
    """
    left, right = one.analysed.features, two.analysed.features
    assert left is not None, "the reference has sound"
    assert right is not None, "the other has sound"
    asked, odds = [], []
    for shift in dict.fromkeys((transposition_between(left.harmony, right.harmony), 0)):
        pair = Pair.of(*_in_one_key(one, two, shift), band, anchors)
        sections, evidence = matching_sections(pair)
        confidence = probability_of_same_music(evidence) if evidence else 0.0
        told = -shift, len(sections), confidence, _ACCEPTED
        _log.info("%+d semitones: %d sections; the same music with a probability of %.3f, %.2f is enough", *told)
        asked.append((pair, sections, confidence))
        odds.append(confidence / (1.0 - confidence) * (1.0 if shift else _SAME_KEY))
    return asked[int(np.argmax(odds))]


def _in_one_key(one: _Recording, two: _Recording, shift: int) -> tuple[Analysed, Analysed]:
    """Both sides, one of them lowered so that the second is so many semitones higher than it is, to the octave.

    It is the higher one, of a tritone the shorter one, whichever of them is the reference: what features tell of a
    note depends on its register, and so would the path. High notes are dated better.
    """
    if shift == _TRITONE and two.analysed.duration < one.analysed.duration:
        shift = -_TRITONE
    if shift == 0:
        return one.analysed, two.analysed
    if shift > 0 and one.sound is not None:
        return one.lowered(shift), two.analysed
    return one.analysed, two.lowered(-shift)


def refined(left: Analysed, fine: NDArray[np.float32], right: Analysed, alignment: Synchronisation) -> Synchronisation:
    """An alignment whose paths are found anew, near where they are, with other features of the reference.

    Args:
        left, right: of the reference, and of the other in its key.
        fine: in place of the reference's, unit columns, shape as there.
        alignment: accepted.
    """
    assert left.features is not None, "what is accepted has sound"
    pair = Pair.of(replace(left, features=replace(left.features, fine=fine.astype(np.float16))), right, None, ())
    paths = (segment.path for segment in alignment.segments if segment.path is not None)
    matches = _matches(pair, (mean_path_near(pair, path) for path in paths), alignment.confidence)
    return replace(alignment, segments=all_segments(matches_over_rests(pair, matches), left, right))


def transposition_between(ref: NDArray[np.float32], other: NDArray[np.float32]) -> int:
    """Semitones, -5 to 6, to add to the other; 0 wins a near tie.

    The shorter side is warped to the whole of the longer; and to the best part of one more than twice as long, if that
    sets one transposition further apart from the others.

    Args:
        ref, other: CENS, shapes `(12, n)` and `(12, m)`, of which about one a second is compared.
    """
    step = round(FEATURE_RATE / COARSE_DOWNSAMPLING)
    step = max(1, min(step, min(ref.shape[1], other.shape[1]) // _FEWEST_COMPARED))
    x, y = ref[:, ::step], other[:, ::step]
    lengths = sorted((x.shape[1], y.shape[1]))
    costs = _costs_of_shifts(x, y, excerpt=False)
    if lengths[1] > 2 * lengths[0]:
        costs = min(costs, _costs_of_shifts(x, y, excerpt=True), key=_distinctness)
    best = min(costs, key=lambda shift: costs[shift])
    return best if costs[best] < 0.97 * costs[0] else 0


def _costs_of_shifts(x: NDArray[np.float32], y: NDArray[np.float32], *, excerpt: bool) -> dict[int, float]:
    """Of each shift of y, what warping costs; of the shorter side to a part of the longer, or of both whole."""
    costs = {}
    for shift in range(_LOWEST_SHIFT, _LOWEST_SHIFT + 12):
        sides = sorted((x, np.roll(y, shift, axis=0)), key=lambda side: side.shape[1])
        costs[shift] = dtw(*sides, weights=SYMMETRIC_WEIGHTS, subsequence=excerpt).cost
    return costs


def _distinctness(costs: Mapping[int, float]) -> float:
    """The least cost over the next; the less, the more distinct."""
    least, following = sorted(costs.values())[:2]
    return least / max(following, 1e-9)


def _matches(pair: Pair, paths: Iterable[MeanPath], confidence: float) -> list[Segment]:
    """The segments of the paths, as far as both sides play."""
    played = (path_of_music(pair, path) for path in paths)
    return [match_segment(pair, path, confidence) for path in played if path is not None]


def _unrelated(left: Analysed, right: Analysed, confidence: float) -> Synchronisation:
    return Synchronisation(all_segments([], left, right), False, confidence, 0, 0.0)
