"""What is wanted of a query and what it finds, in the words of the JSON contract."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from index.schema import Item

__all__ = ["FIELDS", "Hit", "Place", "Stretch", "Wanted", "named"]

FIELDS = (
    "rank",
    "id",
    "path",
    "title",
    "work",
    "score",
    "accepted",
    "start",
    "end",
    "query_start",
    "query_end",
    "places",
    "transposition",
    "tempo_ratio",
    "measure",
    "beat",
)
"""Of a hit in the contract's JSON, in order."""


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a query.

    Attributes:
        top: at most so many hits.
        max_false_accepts: share of clips that are not in the library of which any hit may be accepted.
        any_key: look for the clip in other keys, too, where the task can.
        any_rhythm: look for the notes of a score in other rhythms, too.
        content_hash: of the file asked for, if it is one; a recording is no version of itself.
    """

    top: int = 10
    max_false_accepts: float = 0.01
    any_key: bool = False
    any_rhythm: bool = False
    content_hash: str = ""


@dataclass(frozen=True)
class Place:
    """A stretch of a recording or score and the stretch of the query that it answers, in seconds."""

    start: float
    end: float
    query_start: float
    query_end: float

    def at(self, seconds: float) -> float:
        """Where the recording is at these seconds of the query, before and behind the place as fast as within it."""
        lasts = self.query_end - self.query_start
        ratio = (self.end - self.start) / lasts if lasts > 0.0 else 1.0
        return max(self.start + ratio * (seconds - self.query_start), 0.0)

    def during(self, start: float, end: float) -> Place | None:
        """What of it answers the query from one second to another, if anything does."""
        asked = max(self.query_start, start), min(self.query_end, end)
        return Place(self.at(asked[0]), self.at(asked[1]), *asked) if asked[0] < asked[1] else None

    def within(self, seconds: float, query_seconds: float) -> Place:
        """What of it lies in a recording and a query that last so long."""
        ends = min(self.start, seconds), min(self.end, seconds)
        return Place(*ends, min(self.query_start, query_seconds), min(self.query_end, query_seconds))

    def later_in_query(self, seconds: float) -> Place:
        """The place of a part of a query, as one of the query, in which the part begins so late."""
        return replace(self, query_start=self.query_start + seconds, query_end=self.query_end + seconds)


@dataclass(frozen=True)
class Hit:
    """One answer to a query; what a task has no value for is None.

    Attributes:
        rank: from 1.
        id: the key of the recording or score in the library.
        path: where its file lies, absolute.
        title, work: as known, or None.
        score: estimated probability that the hit is right.
        accepted: whether the evidence suffices at the wanted rate of false accepts.
        places: all places found, the best first.
        transposition: semitones that make the hit sound like the query.
        tempo_ratio: hit seconds per query second.
        measure, beat: in a score.
    """

    rank: int
    id: str
    path: str
    title: str | None
    work: str | None
    score: float
    accepted: bool
    places: tuple[Place, ...]
    transposition: int | None = None
    tempo_ratio: float | None = None
    measure: str | None = None
    beat: float | None = None

    def later_in_query(self, seconds: float) -> Hit:
        """The hit of a part of a query, as one of the query, in which the part begins so late."""
        return replace(self, places=tuple(place.later_in_query(seconds) for place in self.places))

    def document(self) -> dict[str, Any]:
        """The hit as the contract's JSON has it, times rounded to the millisecond."""
        flat = {
            **asdict(self),
            **{name: round(value, 3) for name, value in asdict(self.places[0]).items()},
            "score": round(self.score, 4),
            "places": [[round(value, 3) for value in asdict(place).values()] for place in self.places],
        }
        return {name: flat[name] for name in FIELDS}


class _Named(TypedDict):
    id: str
    path: str
    title: str | None
    work: str | None


def named(item: Item, title: str | None) -> _Named:
    """What a hit says of its recording or score, which is shown by that title."""
    return {
        "id": item.key,
        "path": item.path,
        "title": title or None,
        "work": item.work.label if item.work else None,
    }


@dataclass(frozen=True)
class Stretch:
    """A stretch of a long recording or a stream.

    Attributes:
        start, end: in the stream, seconds.
        hit: what was found there, its places in seconds of the stream; None in a gap.
        silent: whether nothing sounds there.
    """

    start: float
    end: float
    hit: Hit | None
    silent: bool = False

    def document(self) -> dict[str, Any]:
        """The hit as the contract's JSON has it, with the times of all the stretch; all null in a gap.

        `start` and `end` are the recording's seconds where the stretch starts and ends, by the places that are first
        and last there; places are told as far as they lie in the stretch.
        """
        times = {"query_start": round(self.start, 3), "query_end": round(self.end, 3)}
        if self.hit is None:
            return {**dict.fromkeys(FIELDS), **times}
        first = min(self.hit.places, key=lambda place: place.query_start)
        last = max(self.hit.places, key=lambda place: place.query_end)
        within = {"start": round(first.at(self.start), 3), "end": round(last.at(self.end), 3)}
        inside = tuple(part for place in self.hit.places if (part := place.during(self.start, self.end)) is not None)
        return {**replace(self.hit, places=inside or self.hit.places).document(), **within, **times}
