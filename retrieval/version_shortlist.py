"""The shortlist of the search for versions: which recordings are worth being aligned with a query, likeliest first.

1. Segments of the query, 20 s each, ask in twelve keys for their nearest segments of the library, which vote for
   recordings and keys.
2. Of those with most votes: how alike the query's segments are in the mean to the nearest of the recording's, how much
   more the recording's are to the nearest of the query's than to other recordings', and how much a chain of paths
   (`alignment.local`) gains through thinned local vectors. A pair of moments gains what it is alike beyond most of the
   other recordings' moments: common chords speak for nobody.
3. The likeliest are asked for in their turn, and what is near to them comes in between.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from alignment.local import chain_scores
from index.runs import Runs
from index.store import VectorStore
from retrieval._vote_kernels import tallied
from retrieval.correspondence import KEYS_TRIED, VersionQuery
from retrieval.embedding.version_encoder import rolled

__all__ = ["Shortlist", "VersionShortlist"]

Shortlist = list[tuple[int, list[int]]]
"""Ids of recordings, and semitones by which the query is taken higher, the likeliest first."""

_Vectors = NDArray[np.float32]
_Integers = NDArray[np.int64]

_FEWEST_NEIGHBOURS, _MOST_NEIGHBOURS = 200, 1000
_NEIGHBOURS_OF_ALL = 4000
_COMPARED = 3
"""How many times as many recordings as are wanted are compared, of those with votes."""

_BETWEEN = 3
"""How many of the likeliest recordings are asked for in their turn."""

_DETOUR = 2
"""By how much a place in what is likely by way of these counts for less than in what is likely by itself."""

_MOST_SEGMENTS = 100
"""Of a query with more, as one of an hour, some are left out."""

_SEGMENTS_APART = 4
"""Of these every so many-th segment asks."""

_THINNED_ROWS = 40
_THINNEST = 3
_MOST_ROWS = 500
"""A query of more, as one of an hour, is thinned further."""

_COMMON = 0.1
"""Share of moments of other recordings that are more alike to a moment of the query than what counts."""

_SAMPLED, _SAMPLED_COLUMNS = 64, 20_000
"""Recordings, and moments of all of them together, from which that is estimated."""

_NEXT = 3
"""How many of these recordings tell how alike to others a segment is: those to which it is most, but for one."""

_JUMP = 2.0
_CHAIN_WEIGHT = 2.0
_AT_ONCE, _VECTORS_AT_ONCE = 64, 30_000


class VersionShortlist:
    """Finds candidates in a snapshot of a library.

    Args:
        store: of segment vectors.
        segments: their runs.
        local: runs of the local vectors of the same recordings.
    """

    def __init__(self, store: VectorStore, segments: Runs, local: Runs) -> None:
        self._store = store
        self._segments = segments
        self._local = local
        self._local_position = np.array([local.position[number] for number in segments.items.tolist()], np.int64)

    def __len__(self) -> int:
        """How many recordings can be found."""
        return len(self._segments)

    def of(self, query: VersionQuery, wanted: int, other_than: int = -1) -> Shortlist:
        """So many recordings at most, some of which are but near to what is near.

        Args:
            query: what is asked for.
            wanted: how many.
            other_than: id of a recording that is none.
        """
        near = self.near(query, wanted, other_than)
        further = wanted // _DETOUR
        placed = [(float(place), number, keys) for place, (number, keys) in enumerate(near)]
        for between, (semitones, *_) in near[:_BETWEEN]:
            for place, (number, keys) in enumerate(self.near(self._asked_for(between), further, between, 1), 1):
                if number != other_than:
                    placed.append((_DETOUR * place, number, [(semitones + key) % 12 for key in keys]))
        first: dict[int, list[int]] = {}
        for _, number, keys in sorted(placed, key=lambda one: one[0]):
            first.setdefault(number, keys)
        return list(first.items())[:wanted]

    def near(self, query: VersionQuery, wanted: int, other_than: int = -1, compared: int = _COMPARED) -> Shortlist:
        """Those that are near to the query by themselves; as `of`.

        Args:
            query, wanted, other_than: as there.
            compared: how many times as many, of those with most votes, are compared with the query.
        """
        segments = query.segments[:: len(query.segments) // _MOST_SEGMENTS + 1]
        positions, keys = self._voted(segments)
        others = np.flatnonzero(self._segments.items[positions] != other_than)[: compared * wanted]
        positions, keys = positions[others], keys[others]
        if not len(positions):
            return []
        alike, answered, keys = self._alike(segments, positions, keys)
        gains = self._chained(query, positions, keys[:, 0])
        score = _standard(alike) + _standard(answered) + _CHAIN_WEIGHT * _standard(gains)
        return [
            (int(self._segments.items[positions[at]]), list(dict.fromkeys(keys[at].tolist())))
            for at in np.argsort(-score, kind="stable")[:wanted]
        ]

    def _asked_for(self, number: int) -> VersionQuery:
        """A recording as a query in one tempo, of few of its segments: they overlap."""
        at = self._segments.position[number]
        local = self._local.vectors(int(self._local_position[at]))
        return VersionQuery(local, local[:0], self._segments.vectors(at)[::_SEGMENTS_APART])

    def _voted(self, segments: _Vectors) -> tuple[_Integers, _Integers]:
        """Positions of the recordings that have votes, those with most first, and their keys, shape `(recordings, 2)`.

        A recording's votes for a key are, summed over the query's segments, by how much its nearest segment is more
        alike than the last of the neighbours. Where it has votes for one key alone that one stands twice.
        """
        asked = np.concatenate([rolled(segments, semitones) for semitones in range(12)])
        wanted = min(max(_NEIGHBOURS_OF_ALL // len(segments), _FEWEST_NEIGHBOURS), _MOST_NEIGHBOURS)
        found = self._store.search(asked, wanted)
        there = found.numbers >= 0
        last = np.min(np.where(there, found.similarities, 1.0), axis=1, keepdims=True)
        neighbours = np.where(there, 0, -1)
        neighbours[there], _ = self._segments.locate(found.numbers[there])
        voted, totals = tallied(neighbours, found.similarities - last, 12, len(self))
        ranked = np.argsort(-totals.max(axis=1), kind="stable")
        voted, totals = voted[ranked], totals[ranked]
        keys = np.argsort(-totals, axis=1, kind="stable")[:, :KEYS_TRIED]
        return voted, np.where(np.take_along_axis(totals, keys, axis=1) < 0.0, keys[:, :1], keys)

    def _alike(
        self, segments: _Vectors, positions: _Integers, keys: _Integers
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], _Integers]:
        """How alike recordings are in the likelier of their keys, how far the query answers them, and their keys.

        The first is the mean over the query's segments, the second over the recording's, beside other recordings; of
        the keys the likelier comes first.
        """
        alike, answered = np.empty(keys.shape, np.float32), np.empty(keys.shape, np.float32)
        others = self._others(positions, keys[:, 0])
        for semitones in range(12):
            which, column = np.nonzero(keys == semitones)
            for part in _parts(self._segments.count[positions[which]]):
                vectors, bounds = self._vectors(self._segments, positions[which[part]], 1)
                similarities = rolled(segments, semitones) @ vectors.T
                alike[which[part], column[part]] = np.maximum.reduceat(similarities, bounds[:-1], axis=1).mean(axis=0)
                level = rolled(others, semitones) @ vectors.T
                above = similarities.max(axis=0) - _to_the_next(level)
                answered[which[part], column[part]] = np.add.reduceat(above, bounds[:-1]) / np.diff(bounds)
        likelier = np.argsort(-alike, axis=1, kind="stable")
        first = likelier[:, :1]
        answered = np.take_along_axis(answered, first, axis=1)[:, 0]
        return alike.max(axis=1), answered, np.take_along_axis(keys, likelier, axis=1)

    def _others(self, positions: _Integers, keys: _Integers) -> _Vectors:
        """A segment each of some of the recordings, in the query's key."""
        chosen = slice(None, None, max(1, -(-len(positions) // _SAMPLED)))
        middles = [self._segments.count[position] // 2 for position in positions[chosen]]
        return np.concatenate(
            [
                rolled(self._segments.vectors(int(position), middle, middle + 1), -int(key))
                for position, key, middle in zip(positions[chosen], keys[chosen], middles, strict=True)
            ]
        )

    def _chained(self, query: VersionQuery, positions: _Integers, keys: _Integers) -> NDArray[np.float32]:
        """Of each recording the gain of the best chain in its key, through thinned local vectors."""
        rows_each = min(max(len(query.local) // _THINNED_ROWS, 1), _THINNEST)
        thinned = max(rows_each, -(-len(query.local) // _MOST_ROWS))
        rows = [np.ascontiguousarray(vectors[::thinned]) for vectors in query.local_in_keys]
        local = self._local_position[positions]
        sampled = slice(None, None, max(1, len(positions) // _SAMPLED))
        level = self._common(rows, local[sampled], keys[sampled], thinned)
        gains = np.empty(len(positions), np.float32)
        for semitones in range(12):
            which = np.flatnonzero(keys == semitones)
            for part in _parts(self._local.count[local[which]] // thinned):
                vectors, bounds = self._vectors(self._local, local[which[part]], thinned)
                similarities = rows[semitones] @ vectors.T
                similarities -= level[:, None]
                gains[which[part]] = chain_scores(similarities, bounds, _JUMP / thinned)
        return gains

    def _common(self, rows: list[_Vectors], positions: _Integers, keys: _Integers, thinned: int) -> NDArray[np.float32]:
        """How alike each row of the query is to what is alike to it by chance."""
        step = 2 * thinned
        step *= max(1, -(-int(self._local.count[positions].sum()) // (step * _SAMPLED_COLUMNS)))
        similarities = np.concatenate(
            [
                rows[semitones] @ self._vectors(self._local, positions[keys == semitones], step)[0].T
                for semitones in np.unique(keys)
            ],
            axis=1,
        )
        place = int((1 - _COMMON) * (similarities.shape[1] - 1))
        return np.asarray(np.partition(similarities, place, axis=1)[:, place], np.float32)

    @staticmethod
    def _vectors(runs: Runs, positions: _Integers, thinned: int) -> tuple[_Vectors, _Integers]:
        """Every so many-th vector of some runs, and where those of each begin, and of the last end."""
        cuts = runs.cuts(positions, np.zeros_like(positions), runs.count[positions])
        parts = [cut[::thinned] for cut in cuts]
        bounds = np.cumsum([0, *map(len, parts)])
        return runs.shards[0].format.decode(np.concatenate(parts)), bounds


def _parts(counts: _Integers) -> Iterator[slice]:
    """Runs of so many vectors each, some at a time: no more than 64, and of long ones fewer."""
    first = held = 0
    for number, count in enumerate(counts.tolist()):
        if number > first and (number - first == _AT_ONCE or held + count > _VECTORS_AT_ONCE):
            yield slice(first, number)
            first, held = number, 0
        held += count
    if first < len(counts):
        yield slice(first, len(counts))


def _to_the_next(alike: NDArray[np.float32]) -> NDArray[np.float32]:
    """How alike vectors are to the next of others behind the first, which may be their own recording's.

    Args:
        alike: similarities, shape `(others, vectors)`.
    """
    count = min(_NEXT + 1, len(alike))
    highest = np.partition(alike, len(alike) - count, axis=0)[len(alike) - count :]
    return np.asarray((highest.sum(axis=0) - highest.max(axis=0)) / max(count - 1, 1), np.float32)


def _standard(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """In standard deviations above the mean."""
    return (values - values.mean()) / (values.std() + np.float32(1e-6))
