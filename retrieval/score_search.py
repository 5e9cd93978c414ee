"""Score search: which score of the library is played in a clip, and where in it.

1. Windows of the clip's sonority, stretched as by five tempi, are embedded (`retrieval.embedding.score_encoder`); the
   windows of scores that are nearest to them propose scores, places and tempi.
2. Where one is proposed the clip is laid along the score by subsequence dynamic time warping, at that tempo and those
   near it, which gives the cost, the start and the end.
3. How well it fits there, beside how well it fits other scores, gives a probability and, against the threshold of the
   wanted false accepts, the decision (`retrieval.plausibility`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio
from index.library import Library
from index.schema import ScoreRow
from index.sheets import KeptBeats
from index.store import VectorStore
from retrieval.embedding.score_encoder import SCORE_MODEL_PATH, ScoreEncoder
from retrieval.embedding.score_windows import WINDOW_SECONDS, windows
from retrieval.embedding.sonority import SCORE_SONORITY, SONORITY_RATE
from retrieval.hits import Hit, Place, Wanted, named
from retrieval.kept_score import beat_position, stretch_title
from retrieval.passages import Passage, passage_of
from retrieval.plausibility import Likeness, Plausibility
from retrieval.subsequences import best_subsequences, halved, overlap, subsequences

__all__ = ["SCORE_PLAUSIBILITY_PATH", "FoundScore", "ScorePlace", "ScoreSearch"]

SCORE_PLAUSIBILITY_PATH = SCORE_MODEL_PATH.with_name("scores.plausibility.json")

_TEMPI = (0.5, 0.71, 1.0, 1.41, 2.0)
"""Seconds of the score for each second of the clip, that are tried; between them windows are alike enough."""

_MOST_WINDOWS = 3
_NEIGHBOURS = 100
_PROPOSED_SECONDS = 750.0
"""Of the clip that are laid along scores in all: of short clips more places are, as fewer windows speak for each."""

_FEWEST_PROPOSALS = 40
_SAME_START_SECONDS = 2.5
_COARSE_RATE = SONORITY_RATE / 2.0
_MARGIN_SECONDS = 3.0
_MARGIN_SHARE = 0.25
_FINE_MARGIN_SECONDS = 1.0
_REFINED_A_HIT = 2
_OTHERS = slice(2, 12)
"""Of the scores by how well they fit: those whose cost is the background."""

_FEWEST_OTHERS = 3
_MOST_REMEMBERED = 1000
"""Scores that were found lately are not read from the library again."""

_AS_GOOD = 0.5
"""Of the way from the best place of a score to the background: places within fit it, too."""


class _Asked(NamedTuple):
    """Windows of a passage that are asked for, which of the keys and tempi tried each has, and its middle (seconds)."""

    windows: NDArray[np.float32]
    tried: list[tuple[int, float]]
    which: NDArray[np.int64]
    centres: NDArray[np.float64]


class _Proposal(NamedTuple):
    """Where a clip may begin in a score: position of its run, key and tempo that were tried, seconds."""

    votes: float
    position: int
    key: int
    tempo: float
    start: float


class _Laid(NamedTuple):
    """A clip laid along a score; see `_Proposal`."""

    cost: float
    position: int
    key: int
    tempo: float
    start: float
    end: float


class FoundScore(NamedTuple):
    """What is told of a score that is found."""

    row: ScoreRow
    beats: KeptBeats


@dataclass(frozen=True)
class ScorePlace:
    """A score that may be played in a clip.

    Attributes:
        position: of the score's run.
        places: start and end in seconds of the score, the likeliest first, and only those that fit well beside it.
        transposition: semitones that make the score sound like the clip.
        likeness: how well it fits the first place.
    """

    position: int
    places: tuple[tuple[float, float], ...]
    transposition: int
    likeness: Likeness

    def answers(self, seconds: float) -> tuple[Place, ...]:
        """The places as those of a query of so many seconds."""
        return tuple(Place(start, end, 0.0, seconds) for start, end in self.places)


class ScoreSearch:
    """Finds the scores of clips in a snapshot of a library.

    Args:
        library: an open library.
        encoder: embeds windows.
        plausibility: what costs mean.
        without: ids of scores that are passed over.

    Attributes:
        hours: of scores that are searched.
    """

    def __init__(
        self, library: Library, encoder: ScoreEncoder, plausibility: Plausibility, without: Set[int] = frozenset()
    ) -> None:
        self._library = library
        self._encoder = encoder
        self._plausibility = plausibility
        self._windows = library.runs(encoder.model)
        self._store: VectorStore = library.store(encoder.model, self._windows)
        self._frames = library.runs(SCORE_SONORITY)
        self._scores: dict[int, FoundScore] = {}
        searched = {
            number: position for position, number in enumerate(self._frames.items.tolist()) if number not in without
        }
        self._positions = np.array([searched.get(number, -1) for number in self._windows.items.tolist()], np.int64)
        kept = list(searched.values())
        self.hours = float(np.sum(self._frames.count[kept] * self._frames.hop[kept])) / 3600.0

    def search(self, clip: Audio, wanted: Wanted) -> list[Hit]:
        """The likeliest scores, at most `wanted.top`, accepted or not; none where less than three seconds sound."""
        passage = passage_of(clip, any_key=wanted.any_key)
        threshold = self.threshold(wanted.max_false_accepts, len(passage.keys))
        found = self.places(passage, wanted.top)
        scores = self.scores(self.number(place) for place in found)
        hits: list[Hit] = []
        for place in found:
            score = scores.get(self.number(place))
            if score is not None:  # else removed since the library was opened
                accepted = self.logit(place) >= threshold
                hits.append(self.hit(len(hits) + 1, score, place, place.answers(passage.seconds), accepted=accepted))
        return hits

    def logit(self, place: ScorePlace) -> float:
        """Log odds that a passage is played there."""
        return self._plausibility.logit(place.likeness)

    def threshold(self, max_false_accepts: float, keys: int) -> float:
        """The log odds from which on places are accepted, of passages that are sought in so many keys."""
        return self._plausibility.threshold(max_false_accepts, self.hours * keys)

    def hit(
        self,
        rank: int,
        found: FoundScore,
        place: ScorePlace,
        places: tuple[Place, ...],
        *,
        accepted: bool,
        transposition: int | None = None,
    ) -> Hit:
        """A score as a hit that is played at some places."""
        row, first = found.row, places[0]
        measure, beat = beat_position(found.beats, row.duration, first.start)
        return Hit(
            rank=rank,
            **named(row, stretch_title(row, first.start, first.end)),
            score=self._plausibility.probability(place.likeness),
            accepted=accepted,
            places=places,
            transposition=place.transposition if transposition is None else transposition,
            tempo_ratio=round((first.end - first.start) / (first.query_end - first.query_start), 4),
            measure=measure or None,
            beat=round(beat, 3) if measure else None,
        )

    def number(self, place: ScorePlace) -> int:
        """Id of the score of a place in the library."""
        return int(self._frames.items[place.position])

    def scores(self, numbers: Iterable[int]) -> dict[int, FoundScore]:
        """What is told of the scores of these ids, without those that were removed since the library was opened."""
        wanted = list(numbers)
        if len(self._scores) > _MOST_REMEMBERED:
            self._scores.clear()
        lacking = [number for number in wanted if number not in self._scores]
        if lacking:
            for number, found in self._library.scores_with_beats(lacking).items():
                self._scores[number] = FoundScore(*found)
        return {number: self._scores[number] for number in wanted if number in self._scores}

    def places(self, passage: Passage, top: int) -> list[ScorePlace]:
        """The scores and places where a passage fits best, the likeliest first."""
        if not passage.usable or not len(self._frames):
            return []
        heard = _Heard(passage)
        laid = sorted(self._laid(heard, self._proposals(passage)))
        by_score: dict[int, list[_Laid]] = {}
        for one in laid:
            by_score.setdefault(one.position, []).append(one)
        others = [found[0].cost for found in by_score.values()][_OTHERS]
        enough = len(others) >= _FEWEST_OTHERS
        background = float(np.mean(others)) if enough else 1.0
        variety = passage.variety
        found = []
        for position, several in list(by_score.items())[:top]:
            best = several[0].cost
            likeness = Likeness(best, background, passage.seconds, variety, self.hours if enough else 0.0)
            reach = _AS_GOOD * max(self._plausibility.background(likeness) - best, 0.0)
            as_good = [one for one in several if one.cost <= best + reach]
            places = tuple(self._refined(heard, one) for one in _distinct(as_good))
            found.append(ScorePlace(position, places, several[0].key, likeness))
        return found

    def _proposals(self, passage: Passage) -> list[_Proposal]:
        """Where the nearest windows lie, those that most windows of the clip agree on first."""
        asked = self._asked(passage)
        near = self._store.search(self._encoder.encode(asked.windows), _NEIGHBOURS)
        last = np.min(np.where(near.numbers >= 0, near.similarities, 1.0), axis=1, keepdims=True)
        rows, columns = np.nonzero(near.numbers >= 0)
        runs, seconds = self._windows.locate(near.numbers[rows, columns])
        kept = np.flatnonzero(self._positions[runs] >= 0)
        if not len(kept):
            return []
        rows, columns, runs = rows[kept], columns[kept], runs[kept]
        votes = (near.similarities - last)[rows, columns].astype(np.float64)
        tempi = np.array([tempo for _, tempo in asked.tried])[asked.which]
        starts = seconds[kept] - asked.centres[rows] * tempi[rows]
        cells = np.rint(starts / _SAME_START_SECONDS)
        which = asked.which[rows]

        # Of each window the best vote counts in a cell, and the best of these tells where the clip begins.
        order = np.lexsort((starts, votes, rows, cells, which, runs))
        order = order[_ends(runs[order], which[order], cells[order], rows[order])]
        runs, which, votes, starts = runs[order], which[order], votes[order], starts[order]
        ends = _ends(runs, which, cells[order])
        cell = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=-1))
        totals = np.bincount(cell, votes) / np.bincount(asked.which)[which[ends]]
        best = np.lexsort((starts, votes, cell))[ends]

        wanted = max(_FEWEST_PROPOSALS, round(_PROPOSED_SECONDS / passage.seconds))
        positions, which, starts = self._positions[runs[best]], which[best], starts[best]
        chosen = np.lexsort((starts, which, positions, totals))[::-1][:wanted]
        proposals = []
        for one in chosen.tolist():
            key, tempo = asked.tried[which[one]]
            proposals.append(_Proposal(float(totals[one]), int(positions[one]), key, tempo, float(starts[one])))
        return proposals

    def _asked(self, passage: Passage) -> _Asked:
        """Windows of a passage in all its keys and at all tempi."""
        tried = [(key, tempo) for key in sorted(passage.keys) for tempo in _TEMPI]
        parts, counts, middles = [], [], []
        for key, tempo in tried:
            count = int(np.clip(round(passage.seconds * tempo / WINDOW_SECONDS), 1, _MOST_WINDOWS))
            centres = (np.arange(count) + 0.5) * passage.seconds / count
            parts.append(windows(passage.keys[key], centres, tempo))
            counts.append(count)
            middles.append(centres)
        which = np.repeat(np.arange(len(tried)), counts)
        return _Asked(np.concatenate(parts), tried, which, np.concatenate(middles))

    def _laid(self, heard: _Heard, proposals: Sequence[_Proposal]) -> list[_Laid]:
        """A passage laid along scores near the places that were proposed, at 5 Hz; those of one key and tempo at once.

        Without places where no path fits.
        """
        alike: dict[tuple[int, float], list[_Proposal]] = {}
        for proposal in proposals:
            alike.setdefault((proposal.key, proposal.tempo), []).append(proposal)
        laid = []
        for (key, tempo), several in alike.items():
            seconds = heard.passage.seconds * tempo
            margin = _MARGIN_SECONDS + _MARGIN_SHARE * seconds
            firsts, parts = [], []
            for one in several:
                first, stored = self._between(one.position, one.start - margin, one.start + seconds + margin)
                firsts.append(first)
                parts.append(stored)
            found = best_subsequences(heard.coarse(key, tempo), parts)
            for one, first, cost, start, end in zip(
                several, firsts, *(values.tolist() for values in found), strict=True
            ):
                if math.isfinite(cost):
                    times = first + start / _COARSE_RATE, first + (end + 1) / _COARSE_RATE
                    laid.append(_Laid(cost, one.position, key, tempo, *times))
        return laid

    def _refined(self, heard: _Heard, rough: _Laid) -> tuple[float, float]:
        """Start and end near a rough place, at 10 Hz."""
        first, stored = self._between(
            rough.position, rough.start - _FINE_MARGIN_SECONDS, rough.end + _FINE_MARGIN_SECONDS
        )
        found = subsequences(heard.fine(rough.key, rough.tempo), self._frames.shards[0].format.decode(stored))
        last = int(np.argmin(found.costs))
        if not np.isfinite(found.costs[last]):
            return rough.start, rough.end
        return first + int(found.starts[last]) / SONORITY_RATE, first + (last + 1) / SONORITY_RATE

    def _between(self, position: int, start: float, end: float) -> tuple[float, NDArray[Any]]:
        """The sonority of a score between two times as it is stored, some of it, and the time of the first frame."""
        rows = self._frames.rows(position).stored
        first = min(2 * max(0, round(start * _COARSE_RATE)), (len(rows) - 1) // 2 * 2)
        return first / SONORITY_RATE, rows[first : max(first + 1, round(end * SONORITY_RATE))]


class _Heard:
    """A passage in its keys and at the tempi that are tried, each made once."""

    def __init__(self, passage: Passage) -> None:
        self.passage = passage
        self._fine: dict[tuple[int, float], NDArray[np.float32]] = {}
        self._coarse: dict[tuple[int, float], NDArray[np.float32]] = {}

    def fine(self, key: int, tempo: float) -> NDArray[np.float32]:
        """Its sonority ten times a second of a score."""
        if (key, tempo) not in self._fine:
            self._fine[key, tempo] = self.passage.at_tempo(key, tempo)
        return self._fine[key, tempo]

    def coarse(self, key: int, tempo: float) -> NDArray[np.float32]:
        """Five times a second."""
        if (key, tempo) not in self._coarse:
            self._coarse[key, tempo] = halved(self.fine(key, tempo))
        return self._coarse[key, tempo]


def _ends(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """Where stretches of equal rows end, of columns that are sorted together."""
    changes = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return np.append(np.flatnonzero(changes), len(columns[0]) - 1)


def _distinct(laid: list[_Laid]) -> Iterator[_Laid]:
    """The places that are not those of better ones."""
    taken: list[_Laid] = []
    for one in laid:
        if not any(overlap((one.start, one.end), (other.start, other.end)) for other in taken):
            taken.append(one)
            yield one
