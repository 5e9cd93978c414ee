"""Synchronisation of two performances: which sections correspond, and moment by moment how.

1. Silence and steady noise at the ends are set aside but for half a second, and the tuning of both sides estimated.
2. The transposition is one of twelve at which CENS, once a second, warp most cheaply, or none: that at which most
   corresponds.
3. Embeddings at 5 frames a second tell which sections correspond and which stand alone (`alignment.structure`), at
   the pace of either side (`alignment.pace`), and whether it is the same music at all (`alignment.acceptance`).
4. Cuts are placed anew at 50 frames a second, and those found that passed unnoticed (`alignment.cuts`);
   those at a score's repeats lie at its bar lines (`alignment.repeats`).
5. Inside a corridor around each section's coarse path, fine features are warped exactly; the mean over all
   paths near that one (`alignment.posterior`) is the result, and their spread tells how sure it is.

Multi-scale DTW: Müller, Mattes and Kurth (ISMIR 2006); onset features beside chroma: Ewert, Müller and
Grosche (ICASSP 2009).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from alignment.acceptance import probability_of_same_music
from alignment.analysed import Analysed
from alignment.arrangement import all_segments, match_segment
from alignment.audio import Audio
from alignment.cuts import parted, sharpened
from alignment.errors import FeatureError
from alignment.pair import Pair
from alignment.repeats import cut_at_repeats
from alignment.rests import matches_over_rests, path_of_music, sections_over_rests
from alignment.sections import Section, matching_sections
from alignment.segments import Segment, Synchronisation
from alignment.transposition import Transposable, in_one_key, likely_transpositions, nearest_transposition
from alignment.warping import MeanPath, mean_path_near, mean_path_of

__all__ = ["refined", "synchronise", "synchronise_in_one_key"]

_log = logging.getLogger(__name__)

_ACCEPTED = 0.7
"""Of pairs as many of which are right as wrong; refusing the same music is the lesser evil."""


def synchronise(
    ref: Audio | Transposable, other: Audio, *, band: float | None = None, anchors: Sequence[tuple[float, float]] = ()
) -> Synchronisation:
    """Find the corresponding times of two recordings of the same music.

    Recordings without sound, or of unlike music, are not accepted, and both then stand alone.

    Args:
        ref, other: at the analysis rate; or of the reference what was computed of it already.
        band: seconds by which the path may stray from the straight line between the ends and anchors.
        anchors: corresponding times `(ref, other)` in seconds, rising on both sides, that the path goes through.

    Raises:
        FeatureError: one is not at the analysis rate, or the band or the anchors make no sense.
    """
    one = Transposable.of(ref) if isinstance(ref, Audio) else ref
    return synchronise_in_one_key(one, Transposable.of(other), band, anchors)[0]


def synchronise_in_one_key(
    one: Transposable, two: Transposable, band: float | None, anchors: Sequence[tuple[float, float]]
) -> tuple[Synchronisation, Analysed, Analysed]:
    """As `synchronise`; gives too what is computed of both sides, the higher one lowered to the key of the other."""
    if band is not None and not band > 0.0:
        raise FeatureError(f"The 'band' parameter must be positive. Got {band} instead.")
    if any(b[0] <= a[0] or b[1] <= a[1] for a, b in pairwise(anchors)):
        raise FeatureError("The 'anchors' must rise on both sides.")
    left, right = one.analysed, two.analysed
    if left.features is None or right.features is None:
        return _unrelated(left, right, 0.0), left, right
    pair, sections, confidence = _in_best_key(one, two, band, anchors)
    left, right = pair.left, pair.right
    if confidence < _ACCEPTED:
        return _unrelated(left, right, confidence), left, right
    whole_sections = sections_over_rests(pair, cut_at_repeats(pair, parted(pair, sharpened(pair, sections))))
    matches = _matches(pair, (mean_path_of(pair, section) for section in whole_sections), confidence)
    if not matches:
        return _unrelated(left, right, confidence), left, right
    _log.info("exact paths: %d", len(matches))
    interval = right.tuning - left.tuning
    whole = round(interval / 100.0)
    segments = all_segments(matches_over_rests(pair, matches), left, right)
    transposition = nearest_transposition(-whole)
    return Synchronisation(segments, True, confidence, transposition, interval - 100.0 * whole), left, right


def _in_best_key(
    one: Transposable, two: Transposable, band: float | None, anchors: Sequence[tuple[float, float]]
) -> tuple[Pair, list[Section], float]:
    """Both in the key in which most corresponds, the sections that do, and how likely it is the same music.

    Not in the key in which that is likeliest: a short passage may be more alike elsewhere than the whole where it is.
    """
    left, right = one.analysed.features, two.analysed.features
    assert left is not None, "the reference has sound"
    assert right is not None, "the other has sound"
    asked = []
    for shift in likely_transpositions(left.harmony, right.harmony):
        pair = Pair.of(*in_one_key(one, two, shift), band, anchors)
        asked.append((pair, matching_sections(pair)))
        _log.info("%+d semitones: %d sections gain %.1f", -shift, len(asked[-1][1].sections), asked[-1][1].gain)
    pair, matching = max(asked, key=lambda one: one[1].gain)
    evidence = matching.evidence()
    confidence = probability_of_same_music(evidence) if evidence and matching.sections else 0.0
    _log.info("the same music by %.3f, %.2f is enough", confidence, _ACCEPTED)
    return pair, matching.sections, confidence


def refined(left: Analysed, fine: NDArray[np.float32], right: Analysed, alignment: Synchronisation) -> Synchronisation:
    """An alignment whose paths are found anew, near where they are, with other features of the reference.

    Args:
        left, right: of the reference, and of the other in the reference's key.
        fine: in place of the reference's, unit columns, shape as there.
        alignment: accepted.
    """
    assert left.features is not None, "what is accepted has sound"
    pair = Pair.of(replace(left, features=replace(left.features, fine=fine.astype(np.float16))), right, None, ())
    paths = (segment.path for segment in alignment.segments if segment.path is not None)
    matches = _matches(pair, (mean_path_near(pair, path) for path in paths), alignment.confidence)
    return replace(alignment, segments=all_segments(matches_over_rests(pair, matches), left, right))


def _matches(pair: Pair, paths: Iterable[MeanPath], confidence: float) -> list[Segment]:
    """The segments of the paths, as far as both sides play."""
    played = (path_of_music(pair, path) for path in paths)
    return [match_segment(pair, path, confidence) for path in played if path is not None]


def _unrelated(left: Analysed, right: Analysed, confidence: float) -> Synchronisation:
    return Synchronisation(all_segments([], left, right), False, confidence, 0, 0.0)
