"""Score search: which score of the library is played in a clip, and where in it.

1. Windows of the clip's sonority, stretched as by five tempi, are embedded (`retrieval.embedding.score_encoder`); the
   windows of scores that are nearest to them propose scores, places and tempi.
2. Where one is proposed the clip is laid along the score by subsequence dynamic time warping, at that tempo and those
   near it, which gives the cost, the start and the end.
3. How well it fits there, beside how well it fits other scores, gives a probability and, against the threshold of the
   wanted false accepts, the decision (`retrieval.plausibility`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio
from index.library import Library
from index.store import VectorStore
from index.told_scores import ToldScore
from retrieval.embedding.score_encoder import SCORE_MODEL_PATH, ScoreEncoder
from retrieval.embedding.score_windows import WINDOW_SECONDS, windows
from retrieval.embedding.sonority import SCORE_SONORITY, SONORITY_RATE
from retrieval.hits import Hit, Place, Wanted
from retrieval.kept_score import beat_position, stretch_title
from retrieval.passages import Passage, passage_of
from retrieval.plausibility import Likeness, Plausibility
from retrieval.subsequences import best_subsequences, halved, overlap, subsequences

__all__ = ["SCORE_PLAUSIBILITY_PATH", "ScorePlace", "ScoreSearch"]

_log = logging.getLogger(__name__)

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


class _Proposals(NamedTuple):
    """Where a clip may begin in scores: positions of their runs, which of the keys and tempi tried, seconds."""

    positions: NDArray[np.int64]
    which: NDArray[np.int64]
    starts: NDArray[np.float64]
    tried: list[tuple[int, float]]


class _Laid(NamedTuple):
    """A clip laid along a score; see `_Proposals`."""

    cost: float
    position: int
    key: int
    tempo: float
    start: float
    end: float


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
        self._scores: dict[int, ToldScore] = {}
        searched = {number: position for number, position in self._frames.position.items() if number not in without}
        self._positions = np.array([searched.get(number, -1) for number in self._windows.items.tolist()], np.int64)
        kept = list(searched.values())
        self.hours = float(np.sum(self._frames.count[kept] * self._frames.hop[kept])) / 3600.0

    def search(self, clip: Audio, wanted: Wanted) -> list[Hit]:
        """The likeliest scores, at most `wanted.top`, accepted or not; none where less than three seconds sound."""
        passage = passage_of(clip, any_key=wanted.any_key)
        if not passage.usable:
            return []
        threshold = self.threshold(wanted.max_false_accepts, passage)
        found = self.places(passage, wanted.top)
        _log.info("a passage of %.1f s: %d places in %.1f hours of scores", passage.seconds, len(found), self.hours)
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

    def threshold(self, max_false_accepts: float, passage: Passage) -> float:
        """The log odds from which on places of a usable passage are accepted."""
        hours = self.hours * len(passage.keys)
        return self._plausibility.threshold(max_false_accepts, hours, passage.seconds)

    def hit(
        self,
        rank: int,
        score: ToldScore,
        place: ScorePlace,
        places: tuple[Place, ...],
        *,
        accepted: bool,
        transposition: int | None = None,
    ) -> Hit:
        """A score as a hit that is played at some places."""
        first = places[0]
        measure, beat = beat_position(score, first.start)
        return Hit(
            rank=rank,
            id=score.key,
            path=score.path,
            title=stretch_title(score, first.start, first.end) or None,
            work=score.work,
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

    def scores(self, numbers: Iterable[int]) -> dict[int, ToldScore]:
        """What is told of the scores of these ids, without those that were removed since the library was opened."""
        wanted = list(numbers)
        if len(self._scores) > _MOST_REMEMBERED:
            self._scores.clear()
        lacking = [number for number in wanted if number not in self._scores]
        if lacking:
            self._scores.update(self._library.told_scores(lacking))
        return {number: self._scores[number] for number in wanted if number in self._scores}

    def places(self, passage: Passage, top: int) -> list[ScorePlace]:
        """The scores and places where a passage fits best, the likeliest first."""
        if not passage.usable or not len(self._frames):
            return []
        heard = _Heard(passage)
        proposals = self._proposals(passage)
        laid = self._laid(heard, proposals) if proposals is not None else []
        by_score: dict[int, list[_Laid]] = {}
        for one in laid:
            by_score.setdefault(one.position, []).append(one)
        others = [found[0].cost for found in by_score.values()][_OTHERS]
        enough = len(others) >= _FEWEST_OTHERS
        background = float(np.mean(others)) if enough else 1.0
        variety = passage.variety
        likely: list[tuple[Likeness, list[_Laid]]] = []
        for several in list(by_score.values())[:top]:
            best = several[0].cost
            likeness = Likeness(best, background, passage.seconds, variety, self.hours if enough else 0.0)
            reach = _AS_GOOD * max(self._plausibility.background(likeness) - best, 0.0)
            likely.append((likeness, list(_distinct(one for one in several if one.cost <= best + reach))))
        refined = iter(self._refined(heard, [one for _, as_good in likely for one in as_good]))
        return [
            ScorePlace(as_good[0].position, tuple(islice(refined, len(as_good))), as_good[0].key, likeness)
            for likeness, as_good in likely
        ]

    def _proposals(self, passage: Passage) -> _Proposals | None:
        """Where the nearest windows lie that most windows of the clip agree on; None where there are none."""
        asked = self._asked(passage)
        near = self._store.search(self._encoder.encode(asked.windows), _NEIGHBOURS)
        last = np.min(np.where(near.numbers >= 0, near.similarities, 1.0), axis=1, keepdims=True)
        rows, columns = np.nonzero(near.numbers >= 0)
        runs, seconds = self._windows.locate(near.numbers[rows, columns])
        kept = np.flatnonzero(self._positions[runs] >= 0)
        if not len(kept):
            return None
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
        return _Proposals(positions[chosen], which[chosen], starts[chosen], asked.tried)

    def _asked(self, passage: Passage) -> _Asked:
        """Windows of a passage in all its keys and at all tempi."""
        counts = [int(np.clip(round(passage.seconds * tempo / WINDOW_SECONDS), 1, _MOST_WINDOWS)) for tempo in _TEMPI]
        centres = np.concatenate([(np.arange(count) + 0.5) * passage.seconds / count for count in counts])
        ratios = np.repeat(_TEMPI, counts)
        keys = sorted(passage.keys)
        return _Asked(
            np.concatenate([windows(passage.keys[key], centres, ratios) for key in keys]),
            [(key, tempo) for key in keys for tempo in _TEMPI],
            np.repeat(np.arange(len(keys) * len(_TEMPI)), np.tile(counts, len(keys))),
            np.tile(centres, len(keys)),
        )

    def _laid(self, heard: _Heard, proposals: _Proposals) -> list[_Laid]:
        """A passage laid along scores near the places that were proposed, at 5 Hz, the cheapest first.

        Those of one key and tempo are laid at once. Without places where no path fits.
        """
        laid: list[_Laid] = []
        for which in np.unique(proposals.which).tolist():
            key, tempo = proposals.tried[which]
            alike = proposals.which == which
            positions, starts = proposals.positions[alike], proposals.starts[alike]
            seconds = heard.passage.seconds * tempo
            margin = _MARGIN_SECONDS + _MARGIN_SHARE * seconds
            firsts, parts = self._between(positions, starts - margin, starts + seconds + margin)
            costs, begins, ends = best_subsequences(heard.coarse(key, tempo), parts)
            columns = costs, positions, firsts + begins / _COARSE_RATE, firsts + (ends + 1) / _COARSE_RATE
            laid += [
                _Laid(cost, position, key, tempo, start, end)
                for cost, position, start, end in zip(*(column.tolist() for column in columns), strict=True)
                if cost < math.inf
            ]
        laid.sort()
        return laid

    def _refined(self, heard: _Heard, rough: list[_Laid]) -> Iterator[tuple[float, float]]:
        """Start and end near each of some rough places, at 10 Hz."""
        starts = np.array([one.start for one in rough]) - _FINE_MARGIN_SECONDS
        ends = np.array([one.end for one in rough]) + _FINE_MARGIN_SECONDS
        firsts, parts = self._between(np.array([one.position for one in rough], np.int64), starts, ends)
        for one, first, stored in zip(rough, firsts.tolist(), parts, strict=True):
            found = subsequences(heard.fine(one.key, one.tempo), self._frames.shards[0].format.decode(stored))
            last = int(np.argmin(found.costs))
            if np.isfinite(found.costs[last]):
                yield first + int(found.starts[last]) / SONORITY_RATE, first + (last + 1) / SONORITY_RATE
            else:
                yield one.start, one.end

    def _between(
        self, positions: NDArray[np.int64], starts: NDArray[np.float64], ends: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], list[NDArray[Any]]]:
        """Of each score the time of the first frame between two times, and its sonority as it is stored, some of it."""
        count = self._frames.count[positions]
        firsts = np.clip(2 * np.rint(starts * _COARSE_RATE).astype(np.int64), 0, (count - 1) // 2 * 2)
        lasts = np.maximum(firsts + 1, np.minimum(np.rint(ends * SONORITY_RATE).astype(np.int64), count))
        return firsts / SONORITY_RATE, self._frames.cuts(positions, firsts, lasts)


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


def _distinct(laid: Iterable[_Laid]) -> Iterator[_Laid]:
    """The places that are not those of better ones."""
    taken: list[_Laid] = []
    for one in laid:
        if not any(overlap((one.start, one.end), (other.start, other.end)) for other in taken):
            taken.append(one)
            yield one
