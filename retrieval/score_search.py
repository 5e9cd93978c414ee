"""Score search: which score of the library is played in a clip, and where in it.

1. Windows of the clip's sonority, stretched as by five tempi, are embedded (`retrieval.embedding.score_encoder`); the
   windows of scores that are nearest to them propose scores, places and tempi.
2. Where one is proposed the clip is laid along the score by subsequence dynamic time warping, at that tempo and those
   near it, which gives the cost, the start and the end.
3. How well it fits there, beside how well it fits other scores, gives a probability and, against the threshold of the
   wanted false accepts, the decision (`retrieval.plausibility`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio
from alignment.score import Score
from index.library import Library
from index.schema import ScoreRow
from index.store import VectorStore
from retrieval.embedding.score_encoder import SCORE_MODEL_PATH, ScoreEncoder
from retrieval.embedding.score_windows import WINDOW_SECONDS, windows
from retrieval.embedding.sonority import SCORE_SONORITY, SONORITY_RATE
from retrieval.hits import Hit, Place, Wanted
from retrieval.kept_score import from_kept
from retrieval.passages import Passage, passage_of
from retrieval.plausibility import Likeness, Plausibility
from retrieval.subsequences import halved, overlap, subsequences

__all__ = ["SCORE_PLAUSIBILITY_PATH", "ScorePlace", "ScoreSearch"]

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
        self._position = {number: position for position, number in enumerate(self._frames.items.tolist())}
        self._without = without
        self._scores: dict[int, tuple[ScoreRow, Score]] = {}
        kept = [position for number, position in self._position.items() if number not in without]
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
        found: tuple[ScoreRow, Score],
        place: ScorePlace,
        places: tuple[Place, ...],
        *,
        accepted: bool,
        transposition: int | None = None,
    ) -> Hit:
        """A score as a hit that is played at some places."""
        row, score = found
        first = places[0]
        measure, beat = score.position(first.start)
        return Hit(
            rank=rank,
            id=row.key,
            path=row.path,
            title=score.title_at(first.start, first.end),
            work=row.work.label if row.work else None,
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

    def scores(self, numbers: Iterable[int]) -> dict[int, tuple[ScoreRow, Score]]:
        """The scores of these ids, without those that were removed since the library was opened."""
        wanted = list(numbers)
        if len(self._scores) > _MOST_REMEMBERED:
            self._scores.clear()
        lacking = [number for number in wanted if number not in self._scores]
        if lacking:
            rows, sheets = self._library.scores_by_id(lacking), self._library.score_sheets(lacking)
            for number in rows.keys() & sheets.keys():
                self._scores[number] = rows[number], from_kept(sheets[number], rows[number].path)
        return {number: self._scores[number] for number in wanted if number in self._scores}

    def places(self, passage: Passage, top: int) -> list[ScorePlace]:
        """The scores and places where a passage fits best, the likeliest first."""
        if not passage.usable or not len(self._frames):
            return []
        heard = _Heard(passage)
        laid = sorted(self._laid(heard, proposal) for proposal in self._proposals(passage))
        by_score: dict[int, list[_Laid]] = {}
        for one in laid:
            if np.isfinite(one.cost):
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
        asked, keys, tempi, centres = self._asked(passage)
        found = self._store.search(self._encoder.encode(asked), _NEIGHBOURS)
        rows, columns = np.nonzero(found.numbers >= 0)
        last = np.min(np.where(found.numbers >= 0, found.similarities, 1.0), axis=1, keepdims=True)
        votes = (found.similarities - last)[rows, columns]
        runs, seconds = self._windows.locate(found.numbers[rows, columns])
        starts = seconds - centres[rows] * tempi[rows]
        counts = np.array([np.count_nonzero((keys == keys[row]) & (tempi == tempi[row])) for row in range(len(keys))])
        cells: dict[tuple[int, int, float, int], dict[int, tuple[float, float]]] = {}
        for row, run, vote, start in zip(rows.tolist(), runs.tolist(), votes.tolist(), starts.tolist(), strict=True):
            cell = cells.setdefault((run, int(keys[row]), float(tempi[row]), round(start / _SAME_START_SECONDS)), {})
            cell[row] = max(cell.get(row, (0.0, 0.0)), (vote, start))
        proposals = []
        for (run, key, tempo, _), by_window in cells.items():
            number = int(self._windows.items[run])
            if number in self._without or number not in self._position:
                continue
            total = sum(vote for vote, _ in by_window.values()) / counts[next(iter(by_window))]
            proposals.append(_Proposal(total, self._position[number], key, tempo, max(by_window.values())[1]))
        wanted = max(_FEWEST_PROPOSALS, round(_PROPOSED_SECONDS / passage.seconds))
        return sorted(proposals, reverse=True)[:wanted]

    def _asked(
        self, passage: Passage
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Windows of a passage in all its keys and at all tempi, with key, tempo and middle (in seconds) of each."""
        parts, keys, tempi, middles = [], [], [], []
        for key, frames in passage.keys.items():
            for tempo in _TEMPI:
                count = int(np.clip(round(passage.seconds * tempo / WINDOW_SECONDS), 1, _MOST_WINDOWS))
                centres = (np.arange(count) + 0.5) * passage.seconds / count
                parts.append(windows(frames, centres, tempo))
                keys += [key] * count
                tempi += [tempo] * count
                middles.append(centres)
        return np.concatenate(parts), np.array(keys), np.array(tempi), np.concatenate(middles)

    def _laid(self, heard: _Heard, proposal: _Proposal) -> _Laid:
        """A passage laid along a score near a place that was proposed, at 5 Hz."""
        query = heard.coarse(proposal.key, proposal.tempo)
        seconds = heard.passage.seconds * proposal.tempo
        margin = _MARGIN_SECONDS + _MARGIN_SHARE * seconds
        first, frames = self._between(proposal.position, proposal.start - margin, proposal.start + seconds + margin)
        return self._best(proposal, query, halved(frames), first, _COARSE_RATE)

    def _refined(self, heard: _Heard, rough: _Laid) -> tuple[float, float]:
        """Start and end near a rough place, at 10 Hz."""
        first, frames = self._between(
            rough.position, rough.start - _FINE_MARGIN_SECONDS, rough.end + _FINE_MARGIN_SECONDS
        )
        found = self._best(rough, heard.fine(rough.key, rough.tempo), frames, first, SONORITY_RATE)
        return (found.start, found.end) if np.isfinite(found.cost) else (rough.start, rough.end)

    def _between(self, position: int, start: float, end: float) -> tuple[float, NDArray[np.float32]]:
        """The sonority of a score between two times, and the time of the first frame."""
        first = 2 * max(0, round(start * _COARSE_RATE))
        stored = self._frames.rows(position).stored[first : max(first + 1, round(end * SONORITY_RATE))]
        return first / SONORITY_RATE, self._frames.shards[0].format.decode(stored)

    def _best(
        self,
        near: _Proposal | _Laid,
        query: NDArray[np.float32],
        frames: NDArray[np.float32],
        first: float,
        rate: float,
    ) -> _Laid:
        found = subsequences(query, frames)
        if not len(found.costs):
            return _Laid(np.inf, near.position, near.key, near.tempo, first, first)
        last = int(np.argmin(found.costs))
        start, end = first + int(found.starts[last]) / rate, first + (last + 1) / rate
        return _Laid(float(found.costs[last]), near.position, near.key, near.tempo, start, end)


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


def _distinct(laid: list[_Laid]) -> Iterator[_Laid]:
    """The places that are not those of better ones."""
    taken: list[_Laid] = []
    for one in laid:
        if not any(overlap((one.start, one.end), (other.start, other.end)) for other in taken):
            taken.append(one)
            yield one
