"""Versions: which recordings of the library are of the same work as a clip or as another recording.

1. The segments of the query, 20 s each, ask in twelve keys for their nearest segments of the library, which vote for
   recordings and keys.
2. With the recordings that win most votes the query's local vectors are aligned, in the keys most voted for: the
   best chain of paths (`alignment.local`) tells which parts correspond.
3. With the likeliest of them it is aligned in two other tempi too: quick vectors of the one with local ones of the
   other. The network hears a tempo, so that the same music much slower is only somewhat alike to it.
4. How alike they are gives a probability and, against the threshold of the wanted false accepts, the decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio
from alignment.features import estimate_tuning
from alignment.local import Chain, best_chain
from index.library import Library
from index.runs import Runs
from index.schema import Recording
from index.store import VectorStore
from retrieval.embedding.version_encoder import LOCAL_HOP_SECONDS, VersionEncoder, rolled
from retrieval.embedding.version_patches import QUICKER, version_spectrogram
from retrieval.hits import Hit, Place, Wanted, named
from retrieval.version_calibration import VersionCalibration, VersionEvidence

__all__ = [
    "FIRST_CENTRE",
    "Correspondence",
    "Likeness",
    "VersionQuery",
    "VersionSearch",
    "correspondence_in_any_tempo",
    "likely_keys",
    "likeness_of",
    "likeness_where",
]

_NEIGHBOURS = 200
_FEWEST_CANDIDATES, _MOST_CANDIDATES = 200, 1000
_ALIGNED_VECTORS = 25_000
"""Local vectors of the query that are aligned with candidates, counted once for each: of short ones there are more."""

_SHARE_OF_LIBRARY = 0.05
_IN_OTHER_TEMPI = 100
"""How many of the likeliest recordings are aligned in other tempi."""

_KEYS = 2
_LEVEL = np.float32(0.5)
"""Similarity of local vectors above which a pair of moments speaks for a path."""

_JUMP = 2.0
_SHORTEST_SECONDS = 5.0
FIRST_CENTRE = 0.25
"""Seconds at which the first local vector is centred."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class VersionQuery:
    """The vectors of a clip or a recording.

    Attributes:
        local: one every .8 s, shape `(count, dimensions)`.
        quick: those of it played `QUICKER` times as fast, one every 1.13 s; none where only its own tempo counts.
        segments: one every 8 s.
    """

    local: Vectors
    quick: Vectors
    segments: Vectors

    @cached_property
    def local_in_keys(self) -> tuple[Vectors, ...]:
        """Local vectors taken 0 to 11 semitones higher."""
        return tuple(rolled(self.local, semitones) for semitones in range(12))

    @cached_property
    def quick_in_keys(self) -> tuple[Vectors, ...]:
        """Quick vectors likewise."""
        return tuple(rolled(self.quick, semitones) for semitones in range(12))

    @classmethod
    def of(cls, audio: Audio, encoder: VersionEncoder) -> VersionQuery:
        """Of decoded sound."""
        tuning = estimate_tuning(audio.samples, audio.rate)
        return cls(*encoder.encode(version_spectrogram(audio.samples, audio.rate, tuning)))


class Likeness(NamedTuple):
    """What a query and a recording have in common.

    Attributes:
        semitones: by which the query is taken higher.
        places: the corresponding parts, those that say most first.
        evidence: what they are worth.
    """

    semitones: int
    places: tuple[Place, ...]
    evidence: VersionEvidence


class Correspondence(NamedTuple):
    """Where a query and a recording are alike.

    Attributes:
        semitones: by which the query is taken higher.
        similarities: of their vectors in that key, shape `(query, reference)`.
        chain: the best one.
        query_pace, reference_pace: how many times as fast as they are they were heard.
    """

    semitones: int
    similarities: Vectors
    chain: Chain
    query_pace: float = 1.0
    reference_pace: float = 1.0

    @property
    def gain(self) -> float:
        """Score of the chain, for as many vectors as the query has in its own tempo."""
        return self.chain.score * self.query_pace

    @property
    def hops(self) -> tuple[float, float]:
        """Seconds from vector to vector, of the query and of the reference."""
        return LOCAL_HOP_SECONDS * self.query_pace, LOCAL_HOP_SECONDS * self.reference_pace

    def seconds(self, cells: NDArray[np.int64]) -> NDArray[np.float64]:
        """Seconds of the query and of the reference at cells of the matrix, both of shape `(count, 2)`."""
        paces = np.array([self.query_pace, self.reference_pace])
        return paces * (FIRST_CENTRE + LOCAL_HOP_SECONDS * cells)


def correspondence_in_any_tempo(query: VersionQuery, reference: VersionQuery, keys: Sequence[int]) -> Correspondence:
    """Where two are alike, in that of three tempi and some keys in which they are most."""
    found = [_correspondence(query.local_in_keys, reference.local, keys)]
    found += _in_other_tempi(query, reference.local, reference.quick, keys)
    return max(found, key=lambda one: one.gain)


def _in_other_tempi(query: VersionQuery, local: Vectors, quick: Vectors, keys: Sequence[int]) -> list[Correspondence]:
    """The query heard quicker, and the reference, of which local and quick vectors are given."""
    return [
        _correspondence(query.quick_in_keys, local, keys)._replace(query_pace=QUICKER),
        _correspondence(query.local_in_keys, quick, keys)._replace(reference_pace=QUICKER),
    ]


def _correspondence(query_in_keys: Sequence[Vectors], reference: Vectors, keys: Sequence[int]) -> Correspondence:
    alike = {semitones: query_in_keys[semitones] @ reference.T for semitones in keys}
    chains = {semitones: best_chain(similarities - _LEVEL, _JUMP) for semitones, similarities in alike.items()}
    semitones = max(keys, key=lambda key: chains[key].score)
    return Correspondence(semitones, alike[semitones], chains[semitones])


def likeness_of(query: VersionQuery, reference: Vectors, keys: Sequence[int]) -> Likeness:
    """The greatest likeness in some keys, in their own tempi.

    Args:
        query: what is asked for.
        reference: local vectors of a recording.
        keys: semitones by which the query is taken higher, at least one.
    """
    return likeness_where(_correspondence(query.local_in_keys, reference, keys))


def likeness_where(found: Correspondence) -> Likeness:
    """What a correspondence is worth."""
    similarities, paths, pace = found.similarities, found.chain.paths, found.query_pace
    rows_at_own_pace = round(pace * similarities.shape[0])
    if not paths:
        nothing = VersionEvidence(0.0, 0.0, 0.0, 0.0, 0, rows_at_own_pace, similarities.shape[1])
        return Likeness(found.semitones, (), nothing)
    cells = np.concatenate(paths)
    rows, columns = cells[:, 0], cells[:, 1]
    around = np.maximum(similarities.mean(axis=1)[rows], similarities.mean(axis=0)[columns])
    evidence = VersionEvidence(
        gain=found.gain,
        matched=pace * len(cells),
        similarity=float(similarities[rows, columns].mean()),
        surroundings=float(around.mean()),
        paths=len(paths),
        query=rows_at_own_pace,
        reference=similarities.shape[1],
    )
    weighed = sorted(paths, key=lambda path: -float((similarities[path[:, 0], path[:, 1]] - _LEVEL).sum()))
    return Likeness(found.semitones, tuple(_place(found.seconds(path[[0, -1]])) for path in weighed), evidence)


def _place(ends: NDArray[np.float64]) -> Place:
    first, last = ends
    return Place(float(first[1]), float(last[1]), float(first[0]), float(last[0]))


def likely_keys(query: Vectors, reference: Vectors) -> list[int]:
    """Semitones by which a query is to be taken higher, the likeliest two, by segment vectors of both."""
    alike = [float((rolled(query, semitones) @ reference.T).max(axis=1).sum()) for semitones in range(12)]
    return [int(key) for key in np.argsort(alike)[: -_KEYS - 1 : -1]]


def _by_work(found: Iterable[tuple[Recording, Likeness]]) -> list[tuple[Recording, Likeness]]:
    """Recordings of one work together, works in the order of their first."""
    works: dict[int, list[tuple[Recording, Likeness]]] = {}
    for recording, likeness in found:
        works.setdefault(recording.work_id or -recording.id, []).append((recording, likeness))
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
        self._store: VectorStore = library.store(encoder.segments, self._segments)
        self._position = {int(number): position for position, number in enumerate(self._local.items)}
        self._quick_position = {int(number): position for position, number in enumerate(self._quick.items)}

    def search(self, clip: Audio, wanted: Wanted) -> list[Hit]:
        """The recordings most likely of the same work, accepted or not; none for silence or less than 5 s.

        Args:
            clip: a passage or a whole recording.
            wanted: how many at most; share of queries without a version in the library for which one may be
                accepted; and the content hash of the query, which is not its own version.
        """
        if clip.duration < _SHORTEST_SECONDS or not clip.samples.any():
            return []
        query = VersionQuery.of(clip, self.encoder)
        itself = self._library.recording_of(wanted.content_hash) if wanted.content_hash else None
        found = _by_work(self._found(query, itself.id if itself else -1))
        return [
            self.hit(rank, recording, likeness, wanted.max_false_accepts)
            for rank, (recording, likeness) in enumerate(found[: wanted.top], 1)
        ]

    def versions_of(self, recording: Recording, max_false_accepts: float) -> list[tuple[Recording, float]]:
        """Other recordings of the library accepted as versions of one, each with its probability, surest first."""
        if recording.id not in self._position:
            return []
        return [
            (other, self._calibration.probability(likeness.evidence))
            for other, likeness in self._found(self.query_of(recording.id), recording.id)
            if self.accepts(likeness, max_false_accepts)
        ]

    def query_of(self, number: int) -> VersionQuery:
        """The stored vectors of the recording of that id, which has any."""
        position = int(np.flatnonzero(self._segments.items == number)[0])
        return VersionQuery(self._vectors(number), self._quick_vectors(number), self._segments.vectors(position))

    def candidates(self, query: VersionQuery) -> list[tuple[Recording, Likeness]]:
        """Recordings that have anything in common with a query, accepted or not, most alike first."""
        return list(self._found(query, -1))

    def local_vectors(self, recording: Recording) -> Vectors:
        """Local vectors of a recording that was found, shape `(count, dimensions)`."""
        return self._vectors(recording.id)

    def logit(self, likeness: Likeness) -> float:
        """Log odds that the two are of one work."""
        return self._calibration.logit(likeness.evidence)

    def accepts(self, likeness: Likeness, max_false_accepts: float) -> bool:
        """Whether a likeness suffices at this share of queries without a version that may be accepted."""
        threshold = self._calibration.threshold(max_false_accepts, len(self._segments), likeness.evidence.query)
        return self._calibration.logit(likeness.evidence) >= threshold

    def _vectors(self, number: int) -> Vectors:
        return self._local.vectors(self._position[number])

    def _quick_vectors(self, number: int) -> Vectors:
        """None of a recording that was taken in before they were kept."""
        position = self._quick_position.get(number)
        return self._vectors(number)[:0] if position is None else self._quick.vectors(position)

    def _found(self, query: VersionQuery, other_than: int) -> Iterator[tuple[Recording, Likeness]]:
        """Recordings of the shortlist that have anything in common with the query, most alike first."""
        keys = dict(self.shortlist(query, other_than))
        alike = {number: likeness_of(query, self._vectors(number), keys[number]) for number in keys}
        for number in sorted(alike, key=lambda number: -self.logit(alike[number]))[:_IN_OTHER_TEMPI]:
            local, quick = self._vectors(number), self._quick_vectors(number)
            if len(query.quick) and len(quick):
                others = map(likeness_where, _in_other_tempi(query, local, quick, keys[number]))
                alike[number] = max(alike[number], *others, key=lambda likeness: likeness.evidence.gain)
        found = [number for number, likeness in alike.items() if likeness.places]
        recordings = self._library.recordings_by_id(found)
        for number in sorted(found, key=lambda number: -self.logit(alike[number])):
            if number in recordings:
                yield recordings[number], alike[number]

    def shortlist(self, query: VersionQuery, other_than: int) -> list[tuple[int, list[int]]]:
        """Ids of recordings whose segments are nearest to the query's, those first, and the keys in which they are.

        A recording's votes for a key are, summed over the query's segments, by how much its nearest segment is more
        alike than the last of the neighbours.
        """
        asked = np.concatenate([rolled(query.segments, semitones) for semitones in range(12)])
        found = self._store.search(asked, _NEIGHBOURS)
        rows, columns = np.nonzero(found.numbers >= 0)
        last = np.min(np.where(found.numbers >= 0, found.similarities, 1.0), axis=1, keepdims=True)
        votes = (found.similarities - last)[rows, columns]
        positions, _ = self._segments.locate(found.numbers[rows, columns])
        order = np.lexsort((-votes, rows, positions))
        nearest = order[np.flatnonzero(np.diff(positions[order] * len(asked) + rows[order], prepend=-1))]
        cells, inverse = np.unique(positions[nearest] * 12 + rows[nearest] // len(query.segments), return_inverse=True)
        keys: dict[int, list[tuple[float, int]]] = {}
        for cell, total in zip(cells, np.bincount(inverse, votes[nearest]), strict=True):
            number = int(self._segments.items[cell // 12])
            if number != other_than:
                keys.setdefault(number, []).append((float(total), int(cell % 12)))
        ranked = sorted(keys, key=lambda number: -max(keys[number])[0])
        share, cheap = int(_SHARE_OF_LIBRARY * len(self._segments)), _ALIGNED_VECTORS // len(query.local)
        wanted = min(max(_FEWEST_CANDIDATES, share, cheap), _MOST_CANDIDATES)
        return [(number, [key for _, key in sorted(keys[number])[: -_KEYS - 1 : -1]]) for number in ranked[:wanted]]

    def hit(self, rank: int, recording: Recording, likeness: Likeness, max_false_accepts: float) -> Hit:
        """A recording that has something in common with a query, as a hit."""
        best = likeness.places[0]
        passed = best.query_end - best.query_start
        return Hit(
            rank=rank,
            **named(recording, recording.title),
            score=self._calibration.probability(likeness.evidence),
            accepted=self.accepts(likeness, max_false_accepts),
            places=likeness.places,
            transposition=(5 - likeness.semitones) % 12 - 5,
            tempo_ratio=round((best.end - best.start) / passed, 4) if passed else None,
        )
