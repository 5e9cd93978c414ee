"""Versions: which recordings of the library are of the same work as a clip or as another recording.

1. A shortlist is made by segment vectors and thinned local ones (`retrieval.version_shortlist`).
2. With the recordings on it the query's local vectors are aligned, in the likeliest keys: the best chain of paths
   (`alignment.local`) tells which parts correspond.
3. With the likeliest of them it is aligned in two other tempi too: quick vectors of the one with local ones of the
   other. The network hears a tempo, so that the same music much slower is only somewhat alike to it.
4. How alike they are gives a probability and, against the threshold of the wanted false accepts, the decision. So does
   how far ahead of the rest of the library one is.
5. The two likeliest recordings are asked for in their turn: a version that is far from the query is often near to
   another one, and such a chain of two holds if both links do. (That versions form sets, by which a ranking can be
   mended, is found by Serra et al., ISMIR 2009.)
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio
from alignment.transposition import nearest_transposition
from index.library import Library
from index.runs import Runs
from index.schema import Recording
from retrieval.correspondence import (
    Likeness,
    VersionQuery,
    correspondences_in_other_tempi,
    likeness_of,
    likeness_where,
)
from retrieval.embedding.version_encoder import VersionEncoder
from retrieval.hits import Hit, Wanted, named
from retrieval.logistic import as_probability, both_hold
from retrieval.sounding import sounding_part
from retrieval.version_calibration import VersionCalibration, level_of_rest
from retrieval.version_shortlist import Shortlist, VersionShortlist
from retrieval.work_upkeep import FALSE_VERSIONS

__all__ = ["SHORTEST_SECONDS", "VersionSearch"]

_log = logging.getLogger(__name__)

_FEWEST_CANDIDATES, _MOST_CANDIDATES = 200, 1000
_ALIGNED_VECTORS = 25_000
"""Local vectors of the query that are aligned with candidates, counted once for each: of short ones there are more."""

_MOST_CELLS, _FEWEST_ALIGNED = 400_000_000, 20
"""Pairs of local vectors, of the query and all candidates, that are aligned at most; these candidates always are."""

_SHARE_OF_LIBRARY = 0.05
_IN_OTHER_TEMPI = 100
"""How many of the likeliest recordings are aligned in other tempi."""

_BETWEEN = 2
"""How many of the likeliest recordings are asked for in their turn."""

_HOPELESS = 0.01
"""Probability below which they are not."""

_ASKED_IN_TURN, _LIKELY = 3, 0.5
"""How many recordings are asked whether one is a version of them, where they are likely ones of it."""

_ASIDE = -2.0
"""Log odds that what is found by way of another part of such a recording than the query plays is of its work."""

_FEWEST_BESIDE = 30
"""Recordings of a library whose rest tells what to expect of music that is no version."""

_FURTHER, _FURTHER_IN_OTHER_TEMPI = 30, 15
"""With how many recordings these are aligned, and with how many of them in other tempi."""

SHORTEST_SECONDS = 5.0
"""Sound that a query must have."""

Vectors = NDArray[np.float32]


def _work_of(recording: Recording) -> int:
    """Of one that is put to none a work by itself."""
    return recording.work_id or -recording.id


def _by_work(found: Iterable[tuple[Recording, Likeness]]) -> list[tuple[Recording, Likeness]]:
    """Recordings of one work together, works in the order of their first."""
    works: dict[int, list[tuple[Recording, Likeness]]] = {}
    for recording, likeness in found:
        works.setdefault(_work_of(recording), []).append((recording, likeness))
    return [item for items in works.values() for item in items]


class VersionSearch:
    """Finds versions in a snapshot of a library.

    Args:
        library: an open library.
        encoder: of the model that filled it.
        calibration: of that model.

    Attributes:
        encoder: as given.
    """

    def __init__(self, library: Library, encoder: VersionEncoder, calibration: VersionCalibration) -> None:
        self.encoder = encoder
        self._library = library
        self._calibration = calibration
        self._local: Runs = library.runs(encoder.local)
        self._quick: Runs = library.runs(encoder.quick)
        self._segments: Runs = library.runs(encoder.segments)
        store = library.store(encoder.segments, self._segments)
        self._shortlist = VersionShortlist(store, self._segments, self._local)

    def search(self, clip: Audio, wanted: Wanted) -> list[Hit]:
        """The recordings most likely of the same work, accepted or not; none for silence or less than 5 s.

        Args:
            clip: a passage or a whole recording.
            wanted: how many at most; share of queries without a version in the library for which one may be
                accepted; and the content hash of the query, which is not its own version.
        """
        clip, start = sounding_part(clip)
        if clip.duration < SHORTEST_SECONDS or not clip.samples.any():
            return []
        query = VersionQuery.of(clip, self.encoder)
        found = _by_work(self.found(query, self.number_of(wanted.content_hash)))
        return [
            self.hit(rank, recording, likeness, clip.duration, wanted.max_false_accepts).later_in_query(start)
            for rank, (recording, likeness) in enumerate(found[: wanted.top], 1)
        ]

    def number_of(self, content_hash: str) -> int:
        """The id of the recording of that content; -1 where there is none."""
        known = self._library.recording_of(content_hash) if content_hash else None
        return known.id if known else -1

    def versions_of(self, recording: Recording, max_false_accepts: float) -> list[tuple[Recording, float]]:
        """Other recordings of the library accepted as versions of one, each with its probability, surest first.

        Some that are likely and not accepted are asked in their turn: which of two came first is not to matter.
        """
        if recording.id not in self._local.position:
            return []
        accepted: list[tuple[Recording, float]] = []
        to_ask = _ASKED_IN_TURN
        for other, likeness in self.candidates(self.query_of(recording.id), recording.id):
            probability = self._probability(likeness)
            if self.accepts(likeness, max_false_accepts):
                accepted.append((other, probability))
            elif to_ask and probability > _LIKELY:
                to_ask -= 1
                found = {one.id: back for one, back in self.candidates(self.query_of(other.id), other.id)}
                if recording.id in found and self.accepts(found[recording.id], max_false_accepts):
                    accepted.append((other, probability))
        return accepted

    def query_of(self, number: int) -> VersionQuery:
        """The stored vectors of the recording of that id, which has any."""
        segments = self._segments.vectors(self._segments.position[number])
        return VersionQuery(self._vectors(number), self._quick_vectors(number), segments)

    def candidates(self, query: VersionQuery, other_than: int = -1) -> list[tuple[Recording, Likeness]]:
        """Recordings but one that have by themselves anything in common with a query, most alike first."""
        return self._ranked(self._beside_the_rest(self._alike(query, self.shortlist(query, other_than))))

    def found(self, query: VersionQuery, other_than: int = -1) -> list[tuple[Recording, Likeness]]:
        """Recordings but one that have anything in common with a query, some by way of another, most alike first."""
        shortlist = self.shortlist(query, other_than)
        alike = self._beside_the_rest(self._alike(query, shortlist))
        _log.info(
            "%d segments ask: %d recordings are looked at, %d share something",
            len(query.segments),
            len(shortlist),
            len(alike),
        )
        found = self._with_further(alike, other_than)
        _log.info("%d with what is found by way of these", len(found))
        return self._ranked(found)

    def local_vectors(self, recording: Recording) -> Vectors:
        """Local vectors of a recording that was found, shape `(count, dimensions)`."""
        return self._vectors(recording.id)

    def logit(self, likeness: Likeness) -> float:
        """Log odds that the two are of one work."""
        links = [*map(self._calibration.logit, likeness.links), *([_ASIDE] if likeness.aside else [])]
        return reduce(both_hold, links)

    def _probability(self, likeness: Likeness) -> float:
        return as_probability(self.logit(likeness))

    def accepts(self, likeness: Likeness, max_false_accepts: float) -> bool:
        """Whether a likeness suffices at this share of queries without a version that may be accepted.

        What is found by way of another recording has to be alike enough to that one to be put to its work, in what the
        query plays: songs on the same chords are taken for each other, and each mistake would bring others.
        """
        if likeness.by_itself is not None and self.accepts(likeness.by_itself, max_false_accepts):
            return True
        if likeness.aside:
            return False
        onward, recordings = likeness.onward, len(self._segments)
        return self._calibration.accepts(likeness.evidence, max_false_accepts, recordings, likeness.rest) and (
            onward is None or self._calibration.accepts(onward, min(max_false_accepts, FALSE_VERSIONS), recordings)
        )

    def _vectors(self, number: int) -> Vectors:
        return self._local.vectors(self._local.position[number])

    def _quick_vectors(self, number: int) -> Vectors:
        """None of a recording that was taken in before they were kept."""
        position = self._quick.position.get(number)
        return self._vectors(number)[:0] if position is None else self._quick.vectors(position)

    def _alike(
        self, query: VersionQuery, shortlist: Shortlist, in_other_tempi: int = _IN_OTHER_TEMPI
    ) -> dict[int, Likeness]:
        """What recordings of a shortlist have in common with the query, by their ids."""
        keys = dict(shortlist)
        alike = {number: likeness_of(query, self._vectors(number), keys[number]) for number in keys}
        for number in self._likeliest(alike)[:in_other_tempi]:
            local, quick = self._vectors(number), self._quick_vectors(number)
            if len(query.quick) and len(quick):
                others = correspondences_in_other_tempi(query, local, quick, keys[number])
                most = max(others, key=lambda one: one.gain)
                if most.gain > alike[number].evidence.gain:
                    alike[number] = likeness_where(most)
        return {number: likeness for number, likeness in alike.items() if likeness.places}

    def _beside_the_rest(self, alike: Mapping[int, Likeness]) -> dict[int, Likeness]:
        """Each with what the query reaches with other works, where there are enough to tell."""
        if len(self._segments) < _FEWEST_BESIDE:
            return dict(alike)
        recordings = self._library.recordings_by_id([*alike])
        work_of = {number: _work_of(recording) for number, recording in recordings.items()}
        in_any_key = {number: self._calibration.logit_in_any_key(one.evidence) for number, one in alike.items()}
        works: dict[int, float] = {}
        for number, logit in sorted(in_any_key.items(), key=lambda one: -one[1]):
            if number in work_of:
                works.setdefault(work_of[number], logit)
        return {
            number: likeness._replace(
                rest=level_of_rest(logit for work, logit in works.items() if work != work_of.get(number))
            )
            for number, likeness in alike.items()
        }

    def _with_further(self, alike: Mapping[int, Likeness], other_than: int) -> dict[int, Likeness]:
        """With what is likelier by way of one of the likeliest recordings."""
        found = dict(alike)
        for between in self._likeliest(alike)[:_BETWEEN]:
            if self._probability(alike[between]) < _HOPELESS:
                continue
            query = self.query_of(between)
            further = self._alike(query, self._shortlist.near(query, _FURTHER, between), _FURTHER_IN_OTHER_TEMPI)
            for number, onward in further.items():
                linked = alike[between].by_way_of(onward)
                known = found.get(number)
                if number != other_than and linked.places and (known is None or self.logit(linked) > self.logit(known)):
                    found[number] = linked._replace(by_itself=alike.get(number))
        return found

    def _likeliest(self, alike: Mapping[int, Likeness]) -> list[int]:
        return sorted(alike, key=lambda number: -self.logit(alike[number]))

    def _ranked(self, alike: Mapping[int, Likeness]) -> list[tuple[Recording, Likeness]]:
        """The recordings, most alike first."""
        recordings = self._library.recordings_by_id(list(alike))
        return [(recordings[number], alike[number]) for number in self._likeliest(alike) if number in recordings]

    def shortlist(self, query: VersionQuery, other_than: int = -1) -> Shortlist:
        """Recordings but one worth being aligned with a query, and the keys in which they are, the likeliest first."""
        share, cheap = int(_SHARE_OF_LIBRARY * len(self._shortlist)), _ALIGNED_VECTORS // len(query.local)
        wanted = min(max(_FEWEST_CANDIDATES, share, cheap), _MOST_CANDIDATES)
        shortlist = self._shortlist.of(query, wanted, other_than)
        counts = self._local.count[np.array([self._local.position[number] for number, _ in shortlist], np.int64)]
        within = int(np.searchsorted(np.cumsum(counts) * len(query.local), _MOST_CELLS, side="right"))
        return shortlist[: max(within, _FEWEST_ALIGNED)]

    def hit(self, rank: int, recording: Recording, likeness: Likeness, seconds: float, max_false_accepts: float) -> Hit:
        """A recording that has something in common with a query of so many seconds, as a hit."""
        places = tuple(place.within(recording.duration, seconds) for place in likeness.places)
        best = places[0]
        passed = best.query_end - best.query_start
        return Hit(
            rank=rank,
            **named(recording, recording.title),
            score=self._probability(likeness),
            accepted=self.accepts(likeness, max_false_accepts),
            places=places,
            transposition=nearest_transposition(-likeness.semitones),
            tempo_ratio=round((best.end - best.start) / passed, 4) if passed else None,
        )
