"""Matching: every place at which a passage is played, in all performances of a library.

1. The passage's sonority (`retrieval.embedding.sonority`) at 5 Hz is laid along every recording by subsequence dynamic
   time warping; asked for other keys, that of the passage heard up to six semitones higher and lower as well.
2. Where it fits best it is laid again at 10 Hz, which gives the start, the end and the path. The cost is that of the
   frames along it, each weighed by how much the passage changes there.
3. How well it fits there, beside how well it fits anywhere, and how even the tempo is give a probability and, against
   the threshold of the wanted false accepts, the decision (`retrieval.plausibility`).

The method is that of audio matching: Müller, Fundamentals of Music Processing (2015), section 7.2.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio
from index.library import Library
from index.schema import Recording
from retrieval.embedding.sonority import SONORITY, SONORITY_RATE
from retrieval.hits import Hit, Place, Wanted, named
from retrieval.passages import Passage, passage_of
from retrieval.plausibility import CourseLikeness, Plausibility
from retrieval.sounding import sounding_part
from retrieval.subsequences import course, halved, overlap, subsequences, unit_rows

__all__ = ["Matcher", "Occurrence"]

_log = logging.getLogger(__name__)

_COARSE_RATE = SONORITY_RATE / 2.0
_MARGIN_SECONDS = 1.5
_FEWEST_CANDIDATES = 40
_CANDIDATES_A_HIT = 3
_SAMPLED_EVERY = 5
_BACKGROUND_SHARE = 0.02


class _Rough(NamedTuple):
    """A place that a key of the passage fits at 5 Hz: position of a run, seconds, and cost."""

    cost: float
    position: int
    start: float
    end: float
    transposition: int


@dataclass(frozen=True)
class Occurrence:
    """A place at which a passage may be played.

    Attributes:
        position: of the recording's run.
        start, end: seconds.
        transposition: semitones that make the place sound like the passage.
        likeness: how well it fits.
    """

    position: int
    start: float
    end: float
    transposition: int
    likeness: CourseLikeness


_Place = TypeVar("_Place", _Rough, Occurrence)


class Matcher:
    """Finds passages in a snapshot of a library.

    Args:
        library: an open library.
        plausibility: what costs mean.
        without: ids of recordings that are passed over.

    Attributes:
        hours: of music that is searched.
    """

    def __init__(self, library: Library, plausibility: Plausibility, without: Set[int] = frozenset()) -> None:
        self._library = library
        self._plausibility = plausibility
        self._runs = library.runs(SONORITY)
        self._positions = [position for number, position in self._runs.position.items() if number not in without]
        counts, hops = self._runs.count[self._positions], self._runs.hop[self._positions]
        self.hours = float(np.sum(counts * hops)) / 3600.0

    def search(self, clip: Audio, wanted: Wanted) -> list[Hit]:
        """The likeliest places, at most `wanted.top`, accepted or not; none where less than three seconds sound."""
        part, query_start = sounding_part(clip)
        passage = passage_of(part, any_key=wanted.any_key)
        if not passage.usable:
            return []
        found = self.occurrences(passage, wanted.top)
        hours = self.hours * len(passage.keys)
        threshold = self._plausibility.threshold(wanted.max_false_accepts, hours, passage.seconds)
        numbers = {one.position: int(self._runs.items[one.position]) for one in found}
        recordings = self._library.recordings_by_id(numbers.values())
        hits: list[Hit] = []
        for occurrence in found:
            recording = recordings.get(numbers[occurrence.position])
            if recording is None:  # removed since the library was opened
                continue
            end = min(occurrence.end, recording.duration)
            logit = self._plausibility.logit(occurrence.likeness)
            hits.append(
                Hit(
                    rank=len(hits) + 1,
                    **named(recording, recording.title),
                    score=self._plausibility.probability(occurrence.likeness),
                    accepted=logit >= threshold,
                    places=(Place(occurrence.start, end, query_start, query_start + passage.seconds),),
                    transposition=occurrence.transposition,
                    tempo_ratio=round((end - occurrence.start) / passage.seconds, 4),
                )
            )
        return hits

    def recording(self, occurrence: Occurrence) -> Recording | None:
        """The recording that an occurrence lies in; None if it was removed since the library was opened."""
        number = int(self._runs.items[occurrence.position])
        return self._library.recordings_by_id([number]).get(number)

    def occurrences(self, passage: Passage, top: int) -> list[Occurrence]:
        """The places where a passage fits best, the likeliest first; the passage has to be usable."""
        candidates, background = self._survey(passage, max(_FEWEST_CANDIDATES, _CANDIDATES_A_HIT * top))
        refined = sorted(
            self._refined(passage, background, candidates),
            key=lambda occurrence: -self._plausibility.logit(occurrence.likeness),
        )
        found = list(_distinct(refined, top))
        _log.info("a passage of %.1f s: %d places looked at, %d kept", passage.seconds, len(candidates), len(found))
        return found

    def _survey(self, passage: Passage, count: int) -> tuple[list[_Rough], float]:
        """The best places at 5 Hz, and a low quantile of the costs at all places."""
        queries = {key: halved(vectors) for key, vectors in passage.keys.items()}
        minima: list[_Rough] = []
        anywhere: list[NDArray[np.float32]] = []
        for position in self._positions:
            recording = halved(self._runs.vectors(position))
            for key, query in queries.items():
                found = subsequences(query, recording)
                anywhere.append(found.costs[::_SAMPLED_EVERY])
                ends = found.minima()
                ends = ends[np.argsort(found.costs[ends], kind="stable")[:count]]
                for end in ends.tolist():
                    start = float(found.starts[end]) / _COARSE_RATE
                    minima.append(_Rough(float(found.costs[end]), position, start, (end + 1) / _COARSE_RATE, key))
        costs = np.concatenate(anywhere) if anywhere else np.zeros(0, np.float32)
        costs = costs[np.isfinite(costs)]
        if not len(costs):
            return [], 1.0
        return list(_distinct(sorted(minima), count)), float(np.quantile(costs, _BACKGROUND_SHARE))

    def _refined(self, passage: Passage, background: float, rough: Iterable[_Rough]) -> Iterator[Occurrence]:
        """The best place near each rough one, at 10 Hz."""
        changes, variety = passage.changes, passage.variety
        for one in rough:
            vectors = self._runs.vectors(one.position)
            first = max(0, round((one.start - _MARGIN_SECONDS) * SONORITY_RATE))
            last = round((one.end + _MARGIN_SECONDS) * SONORITY_RATE)
            found = course(passage.keys[one.transposition], unit_rows(vectors[first:last]))
            if found is None:
                continue
            start, end = first + float(found.places[0]), first + float(found.places[-1]) + 1.0
            cost = found.cost(changes)
            likeness = CourseLikeness(cost, background, passage.seconds, variety, self.hours, found.unevenness)
            yield Occurrence(one.position, start / SONORITY_RATE, end / SONORITY_RATE, one.transposition, likeness)


def _distinct(found: Iterable[_Place], count: int) -> Iterator[_Place]:
    """The first so many, without those at the place of an earlier one."""
    taken: dict[int, list[_Place]] = {}
    kept = 0
    for one in found:
        if kept == count:
            return
        others = taken.setdefault(one.position, [])
        if not any(overlap((one.start, one.end), (other.start, other.end)) for other in others):
            others.append(one)
            kept += 1
            yield one
