"""Correspondence: which parts of two recordings are alike, in which key and tempo, and what that is worth.

The local vectors of both are compared, in some keys; the best chain of paths through their similarities
(`alignment.local`) tells which parts correspond. The network hears a tempo, so that the same music much slower is only
somewhat alike to it: quick vectors of the one are compared with local ones of the other, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio
from alignment.features import estimate_tuning
from alignment.local import Chain, best_chain
from retrieval.embedding.version_encoder import LOCAL_HOP_SECONDS, VersionEncoder, rolled
from retrieval.embedding.version_patches import QUICKER, version_spectrogram
from retrieval.hits import Place
from retrieval.version_calibration import VersionEvidence

__all__ = [
    "FIRST_CENTRE",
    "KEYS_TRIED",
    "Correspondence",
    "Likeness",
    "Strength",
    "VersionQuery",
    "correspondence_in_any_tempo",
    "correspondences_in_other_tempi",
    "likely_keys",
    "likeness_of",
    "likeness_where",
]

KEYS_TRIED = 2
"""In how many keys, the likeliest, two recordings are compared."""

_LEVEL = np.float32(0.5)
"""Similarity of local vectors above which a pair of moments speaks for a path."""

_JUMP = 2.0
_AROUND = 8
"""Local vectors of the music around a pair: 6.4 s."""

_THROUGH = 0.4
"""How strong, beside itself elsewhere, a link is at least in the part by which another goes on through it."""

_NEAR = 6
"""Vectors from a pair up to which another place is the same."""

_LIKELIEST = 0.05
_FEWEST_PAIRS = 24
"""Of a chain, that are looked at for whether they are alike elsewhere; of longer ones up to twice as many."""

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


class Strength(NamedTuple):
    """By how much each moment of a query is more alike to a recording than what speaks for no path.

    Attributes:
        gains: of each vector, 0 off the paths, shape `(query,)`.
        hop: seconds from one to the next.
    """

    gains: Vectors
    hop: float

    def within(self, places: Iterable[Place]) -> float:
        """The mean over some places of another query in the recording that is the query of this one.

        Beside what it is where they are alike: 1 in one piece of music, about 0 in a part that is another.
        """
        times = FIRST_CENTRE + self.hop * np.arange(len(self.gains))
        inside = np.zeros(len(times), bool)
        for place in places:
            inside |= (times >= place.start) & (times <= place.end)
        total = float(self.gains.sum())
        if not inside.any() or total <= 0.0:
            return 0.0
        return float(self.gains[inside].mean()) * total / float(np.square(self.gains).sum())


_NOTHING = Strength(np.zeros(0, np.float32), LOCAL_HOP_SECONDS)


class Likeness(NamedTuple):
    """What a query and a recording have in common.

    Attributes:
        semitones: by which the query is taken higher.
        places: the corresponding parts, those that say most first.
        evidence: what they are worth; by way of a third recording, which corresponds to both, that of the query and
            the third.
        strength: along the query.
        onward: then that of the third and the recording.
        aside: whether recording and third share other parts than those that the query plays: what lies between may
            hold several works.
        rest: log odds that the query reaches with the rest of the library, where that is known; by way of a third
            recording, the rest beside that one.
        by_itself: what query and recording have in common without the third one, if anything.
    """

    semitones: int
    places: tuple[Place, ...]
    evidence: VersionEvidence
    strength: Strength = _NOTHING
    onward: VersionEvidence | None = None
    aside: bool = False
    rest: float | None = None
    by_itself: Likeness | None = None

    @property
    def links(self) -> tuple[VersionEvidence, ...]:
        """The evidence, of both steps where there are two."""
        return (self.evidence,) if self.onward is None else (self.evidence, self.onward)

    def by_way_of(self, onward: Likeness) -> Likeness:
        """What the query has in common with a further recording, given what the recording found has with that one.

        Places are carried over where the parts of the recording between overlap.
        """
        places = tuple(
            carried
            for place in self.places
            for further in onward.places
            if (carried := _carried(place, further)) is not None
        )
        return self._replace(
            semitones=(self.semitones + onward.semitones) % 12,
            places=places,
            onward=onward.evidence,
            aside=onward.strength.within(self.places) < _THROUGH,
            by_itself=None,
        )


def _carried(place: Place, further: Place) -> Place | None:
    """What the query of one place shares with the recording of another, whose query is the recording of the first."""
    between = max(place.start, further.query_start), min(place.end, further.query_end)
    if between[0] >= between[1]:
        return None
    starts = np.interp(between, (further.query_start, further.query_end), (further.start, further.end))
    asked = np.interp(between, (place.start, place.end), (place.query_start, place.query_end))
    return Place(float(starts[0]), float(starts[1]), float(asked[0]), float(asked[1]))


class Correspondence(NamedTuple):
    """Where a query and a recording are alike.

    Attributes:
        semitones: by which the query is taken higher.
        similarities: of their vectors in that key, shape `(query, reference)`.
        chain: the best one.
        in_another_key: mean similarity of its pairs in that of the other keys in which they are most alike.
        query_pace, reference_pace: how many times as fast as they are they were heard.
    """

    semitones: int
    similarities: Vectors
    chain: Chain
    in_another_key: float
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
    found += correspondences_in_other_tempi(query, reference.local, reference.quick, keys)
    return max(found, key=lambda one: one.gain)


def correspondences_in_other_tempi(
    query: VersionQuery, local: Vectors, quick: Vectors, keys: Sequence[int]
) -> list[Correspondence]:
    """The query heard quicker, and the reference, of which local and quick vectors are given."""
    return [
        _correspondence(query.quick_in_keys, local, keys)._replace(query_pace=QUICKER),
        _correspondence(query.local_in_keys, quick, keys)._replace(reference_pace=QUICKER),
    ]


def _correspondence(query_in_keys: Sequence[Vectors], reference: Vectors, keys: Sequence[int]) -> Correspondence:
    alike = {semitones: query_in_keys[semitones] @ reference.T for semitones in keys}
    chains = {semitones: best_chain(similarities - _LEVEL, _JUMP) for semitones, similarities in alike.items()}
    semitones = max(keys, key=lambda key: chains[key].score)
    chain = chains[semitones]
    return Correspondence(
        semitones, alike[semitones], chain, _in_another_key(query_in_keys[semitones], reference, chain)
    )


def _in_another_key(query: Vectors, reference: Vectors, chain: Chain) -> float:
    """Of the pairs of a chain, how alike they are in the mean with the query 1 to 11 semitones higher, at most."""
    if not chain.paths:
        return 0.0
    rows, columns = np.concatenate(chain.paths).T
    pitch_classes = query[rows].reshape(-1, 12).T @ reference[columns].reshape(-1, 12)
    semitones = np.arange(1, 12)[:, None]
    return float(pitch_classes[np.arange(12), (np.arange(12) + semitones) % 12].sum(axis=1).max()) / len(rows)


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
        nothing = VersionEvidence(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, rows_at_own_pace, similarities.shape[1], 0.0)
        return Likeness(found.semitones, (), nothing)
    cells = np.concatenate(paths)
    rows, columns = cells[:, 0], cells[:, 1]
    around = np.maximum(similarities.mean(axis=1)[rows], similarities.mean(axis=0)[columns])
    less, elsewhere = sorted((_elsewhere(similarities, rows, columns), _elsewhere(similarities.T, columns, rows)))
    evidence = VersionEvidence(
        gain=found.gain,
        matched=pace * len(cells),
        similarity=float(similarities[rows, columns].mean()),
        surroundings=float(around.mean()),
        elsewhere=elsewhere,
        elsewhere_less=less,
        paths=len(paths),
        query=rows_at_own_pace,
        reference=similarities.shape[1],
        in_another_key=found.in_another_key,
    )
    weighed = sorted(paths, key=lambda path: -float((similarities[path[:, 0], path[:, 1]] - _LEVEL).sum()))
    gains = np.zeros(similarities.shape[0], np.float32)
    gains[rows] = similarities[rows, columns] - _LEVEL
    return Likeness(
        semitones=found.semitones,
        places=tuple(_place(found.seconds(path[[0, -1]])) for path in weighed),
        evidence=evidence,
        strength=Strength(gains, found.hops[0]),
    )


def _elsewhere(similarities: Vectors, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> float:
    """Mean over pairs of how alike the music around a row is to the likeliest columns but those near the pair's."""
    chosen = slice(None, None, max(1, len(rows) // _FEWEST_PAIRS))
    rows, columns = rows[chosen, None], columns[chosen, None]
    height, width = similarities.shape
    others, before = np.arange(width), _AROUND // 2
    padded = np.zeros((height + _AROUND, width + _AROUND), np.float32)
    padded[before : before + height, before : before + width] = similarities
    alike = np.zeros((len(rows), width), np.float32)
    for step in range(_AROUND):
        alike += padded[rows[:, 0] + step, step : step + width]
    first = np.maximum(-before, np.maximum(-rows, -others))
    last = np.minimum(_AROUND - before, np.minimum(height - rows, width - others))
    alike /= np.maximum(last - first, before)
    alike[np.abs(others - columns) <= _NEAR] = -1.0
    place = int((1 - _LIKELIEST) * (width - 1))
    return float(np.partition(alike, place, axis=1)[:, place].mean())


def _place(ends: NDArray[np.float64]) -> Place:
    first, last = ends
    return Place(float(first[1]), float(last[1]), float(first[0]), float(last[0]))


def likely_keys(query: Vectors, reference: Vectors) -> list[int]:
    """Semitones by which a query is to be taken higher, the likeliest two, by segment vectors of both."""
    alike = [float((rolled(query, semitones) @ reference.T).max(axis=1).sum()) for semitones in range(12)]
    return [int(key) for key in np.argsort(alike)[: -KEYS_TRIED - 1 : -1]]
