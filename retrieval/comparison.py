"""Two recordings compared: the same recording, the same in another mix, performances of one work, or neither.

1. Many pieces of the shorter are found in the longer, with its timing (`retrieval.shared_sound`), and sound alike: it
   is the same recording, encoded, cut, mastered or played at another speed as it may be.
2. Their local version vectors correspond as those of versions do (`retrieval.version_search`): it is the same work.
3. Of the same work, the path on which they are aligned is a straight line (`alignment.straightness`): it is the same
   recording in another mix, for no player repeats a performance to the hundredth of a second. So it is where pieces
   are found that do not sound alike, or only some, and the two can be aligned: ticks and drums are found in others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio
from alignment.segments import Synchronisation
from alignment.straightness import Straightness, straightness
from alignment.synchronise import synchronise
from alignment.transposition import nearest_transposition
from retrieval.correspondence import (
    FIRST_CENTRE,
    Correspondence,
    Likeness,
    VersionQuery,
    correspondence_in_any_tempo,
    likely_keys,
    likeness_where,
)
from retrieval.embedding.version_encoder import LOCAL_HOP_SECONDS, VersionEncoder
from retrieval.encoders import Encoders
from retrieval.shared_sound import SharedSound, shared_sound
from retrieval.sounding import sounding_part
from retrieval.version_calibration import VersionCalibration
from retrieval.version_search import SHORTEST_SECONDS

__all__ = ["Comparison", "Verdict", "VersionLikeness", "compare"]

_SHARE = 0.4
"""Of the pieces, that must be found for the recording, or its timing, to be the same."""

_SHARE_OF_STRAIGHT = 0.75
"""Of the pieces where the timing is the same, that must be found for the mix to be the same."""

_ALIKE = 0.92
"""Correlation of band levels from which two mixes are the same."""

_STRAIGHT_SECONDS = 15.0
_STRAIGHT_MEDIAN, _STRAIGHT_MOST = 0.015, 0.04
_OWN_TEMPO = 0.06
"""Change of tempo up to which a straight line is taken for the same performance."""

_MAX_FALSE_ACCEPTS = 0.01

Stretch = tuple[float, float, float, float]


class Verdict(StrEnum):
    """What two recordings are to each other, the closest first."""

    same_recording = "same recording"
    another_mix = "same recording, another mix"
    same_work = "same work"
    neither = "neither"


@dataclass(frozen=True)
class VersionLikeness:
    """How alike two recordings are as versions of a work.

    Attributes:
        probability: that they are of one work.
        accepted: whether it suffices.
        places: corresponding stretches, those that say most first.
        transposition: semitones that make the other sound like the one.
        similarities: of the local vectors in that key, shape `(one, other)`.
        hops: seconds from one to the next, of the one and of the other.
        starts: seconds at which what was compared of the one and of the other begins; before that there is silence.
        paths: corresponding seconds along the matrix, each of shape `(points, 2)`.
    """

    probability: float
    accepted: bool
    places: tuple[Stretch, ...]
    transposition: int
    similarities: NDArray[np.float32]
    hops: tuple[float, float]
    starts: tuple[float, float]
    paths: tuple[NDArray[np.float64], ...]

    @property
    def spans(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Seconds of the one, and of the other, that the matrix covers from edge to edge."""
        before = FIRST_CENTRE / LOCAL_HOP_SECONDS - 0.5
        sides = zip(self.starts, self.hops, self.similarities.shape, strict=True)
        one, other = ((start + before * hop, start + (before + length) * hop) for start, hop, length in sides)
        return one, other


@dataclass(frozen=True)
class Comparison:
    """What two recordings are to each other, and why.

    Attributes:
        verdict: the closest relation that the evidence allows.
        score: estimated probability that they are of the same work or closer.
        transposition: semitones that make the other sound like the one; None where they are unrelated.
        tempo_ratio: seconds of the other a second of the one; None likewise.
        segments: start and end in the one and in the other of what corresponds, seconds, in the order of the one.
        sound: pieces of the shorter one that were found in the longer one.
        timing: of the path on which they are aligned; None where they are not.
        work: their likeness as versions; None where one is silent or shorter than 5 s.
    """

    verdict: Verdict
    score: float
    transposition: int | None
    tempo_ratio: float | None
    segments: tuple[Stretch, ...]
    sound: SharedSound
    timing: Straightness | None
    work: VersionLikeness | None


def compare(one: Audio, other: Audio, encoders: Encoders | None = None) -> Comparison:
    """Tell what two recordings are to each other.

    Args:
        one, other: at the analysis rate.
        encoders: those that are shipped, if not given.

    Raises:
        FeatureError: one is not at the analysis rate.
    """
    models = encoders or Encoders()
    swapped = one.duration > other.duration
    sound = shared_sound(*((other, one) if swapped else (one, other)), models.fingerprint)
    work = _version_likeness(one, other, models.versions)
    score = work.probability if work else 0.0
    same_sound = sound.share >= _SHARE
    same_work = work is not None and work.accepted
    neither = Comparison(Verdict.neither, score, None, None, (), sound, None, work)
    if not (same_sound or same_work):
        return neither
    aligned = synchronise(one, other)
    timing = straightness(aligned.path) if aligned.path is not None else None
    shorter = min(one.duration, other.duration)
    straight = timing if timing is not None and _is_straight(timing, shorter) else None
    segments = _aligned_stretches(aligned)
    one_mix = same_sound and _is_one_mix(sound, straight, shorter)
    if one_mix or (same_sound and aligned.accepted):
        verdict = Verdict.same_recording if one_mix else Verdict.another_mix
        score = max(score, *(piece.probability for piece in sound.found))
        transposition, ratio = _turned(*sound.change, swapped)
        segments = segments or _turned_stretches(sound.stretches(max(one.duration, other.duration)), swapped)
        return Comparison(verdict, score, transposition, ratio, segments, sound, timing, work)
    if straight is not None:
        key, ratio = aligned.transposition, straight.tempo_ratio
        return Comparison(Verdict.another_mix, score, key, ratio, segments, sound, timing, work)
    if work is None or not same_work:
        return neither
    segments = tuple(sorted(work.places))
    return Comparison(Verdict.same_work, score, work.transposition, _ratio(segments), segments, sound, timing, work)


def _turned(quarter_tones: float, tempo_ratio: float, swapped: bool) -> tuple[int, float]:
    """Semitones and tempo ratio of the sound that the shorter shares with the longer, from the one to the other."""
    return (round(-quarter_tones / 2), 1.0 / tempo_ratio) if swapped else (round(quarter_tones / 2), tempo_ratio)


def _turned_stretches(stretches: Sequence[Stretch], swapped: bool) -> tuple[Stretch, ...]:
    """Of the one, then of the other, in the order of the one."""
    return tuple(sorted((*stretch[2:], *stretch[:2]) if swapped else stretch for stretch in stretches))


def _aligned_stretches(aligned: Synchronisation) -> tuple[Stretch, ...]:
    """What the alignment matches; none where it was not accepted."""
    return tuple(
        (*segment.ref, *segment.other)
        for segment in aligned.segments
        if segment.ref is not None and segment.other is not None
    )


def _is_one_mix(sound: SharedSound, straight: Straightness | None, shorter: float) -> bool:
    """Whether what is shared sounds alike, and nearly all is shared of what has the same timing."""
    sounding = _SHARE_OF_STRAIGHT * min(straight.seconds / shorter, 1.0) if straight is not None else 0.0
    return sound.alike >= _ALIKE and sound.share >= sounding


def _is_straight(timing: Straightness, shorter: float) -> bool:
    """Whether a path is as straight as only the same performance's, over long enough to be no chance."""
    return (
        timing.seconds >= max(_STRAIGHT_SECONDS, _SHARE * shorter)
        and timing.median <= _STRAIGHT_MEDIAN
        and timing.most <= _STRAIGHT_MOST
        and abs(math.log(timing.tempo_ratio)) <= _OWN_TEMPO
    )


def _version_likeness(one: Audio, other: Audio, encoder: VersionEncoder) -> VersionLikeness | None:
    """The likeness of the shorter to the longer, which is asked for as a query is."""
    (one, one_start), (other, other_start) = sounding_part(one), sounding_part(other)
    if any(side.duration < SHORTEST_SECONDS or not side.samples.any() for side in (one, other)):
        return None
    query, reference = VersionQuery.of(one, encoder), VersionQuery.of(other, encoder)
    swapped = one.duration > other.duration
    if swapped:
        query, reference = reference, query
    found = correspondence_in_any_tempo(query, reference, likely_keys(query.segments, reference.segments))
    return _judged(found, swapped, (one_start, other_start), (one.duration, other.duration))


def _judged(
    found: Correspondence, swapped: bool, starts: tuple[float, float], seconds: tuple[float, float]
) -> VersionLikeness:
    calibration = VersionCalibration.load()
    likeness = likeness_where(found)
    evidence = likeness.evidence
    turn = -1 if swapped else 1
    paths = tuple(found.seconds(path)[:, ::turn] + np.array(starts) for path in found.chain.paths)
    return VersionLikeness(
        probability=calibration.probability(evidence),
        accepted=calibration.accepts(evidence, _MAX_FALSE_ACCEPTS, 1),
        places=_stretches(likeness, swapped, starts, seconds),
        transposition=nearest_transposition(-turn * found.semitones),
        similarities=found.similarities.T if swapped else found.similarities,
        hops=found.hops[::-1] if swapped else found.hops,
        starts=starts,
        paths=paths,
    )


def _stretches(
    likeness: Likeness, swapped: bool, starts: tuple[float, float], seconds: tuple[float, float]
) -> tuple[Stretch, ...]:
    """Of the one, then of the other, each as much later as it starts: of query and reference, which may be swapped.

    They lie within as many seconds of either as there are.
    """
    one, other = starts
    reference, query = seconds if swapped else seconds[::-1]
    return tuple(
        (place.start + one, place.end + one, place.query_start + other, place.query_end + other)
        if swapped
        else (place.query_start + one, place.query_end + one, place.start + other, place.end + other)
        for place in (place.within(reference, query) for place in likeness.places)
    )


def _ratio(stretches: Sequence[Stretch]) -> float | None:
    """Seconds of the other a second of the one, over all stretches."""
    one = sum(stretch[1] - stretch[0] for stretch in stretches)
    return sum(stretch[3] - stretch[2] for stretch in stretches) / one if one else None
