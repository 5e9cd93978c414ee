"""Movements: the scores that a whole recording plays, and which of its moments are which of theirs.

Passages from all over the recording are searched for (`retrieval.score_search`); the scores that they speak for most
are aligned with the recording from beginning to end, which decides. A clip that is short is one passage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio
from alignment.score_sound import score_sound
from alignment.segments import Synchronisation
from alignment.synchronise import synchronise
from alignment.transposition import nearest_transposition
from index.library import Library
from retrieval import kept_alignment
from retrieval.embedding.sonority import SONORITY_RATE
from retrieval.hits import Hit, Place, Wanted
from retrieval.kept_alignment import alignment_method
from retrieval.kept_score import from_kept
from retrieval.passages import Passage, passage_of
from retrieval.score_search import ScorePlace, ScoreSearch

__all__ = ["LONGEST_PASSAGE_SECONDS", "MovementSearch"]

LONGEST_PASSAGE_SECONDS = 60.0
"""What is longer is taken for a movement, or a good part of one."""

_EXCERPT_SECONDS = 20.0
_EXCERPT_EVERY_SECONDS = 30.0
_FEWEST_EXCERPTS, _MOST_EXCERPTS = 3, 8
_PROPOSED = 10
"""Scores for each excerpt."""

_CANDIDATES = 3
"""Scores that are aligned, at most."""

_NOT_PROPOSED = -6.0
"""Log odds of a score for an excerpt that it is not even proposed for."""


class _Found(NamedTuple):
    """Where an excerpt fits a score: log odds, and seconds of the recording at which the excerpt begins."""

    logit: float
    start: float
    place: ScorePlace


class MovementSearch:
    """Finds the scores of clips and of whole recordings in a snapshot of a library.

    Args:
        library: an open library.
        passages: over that library.
    """

    def __init__(self, library: Library, passages: ScoreSearch) -> None:
        self._library = library
        self._passages = passages

    def search(self, clip: Audio, wanted: Wanted) -> list[Hit]:
        """The likeliest scores, at most `wanted.top`, accepted or not; none where nothing sounds.

        Of a whole recording those that are accepted, for it may play several, have a place for each stretch that it
        plays, the longest first. If it is a recording of the library, which `wanted` says by its content, kept
        alignments are believed.
        """
        if clip.duration <= LONGEST_PASSAGE_SECONDS:
            return self._passages.search(clip, wanted)
        starts = _excerpt_starts(clip.duration)
        length = round(_EXCERPT_SECONDS * clip.rate)
        cut = [Audio(clip.samples[round(start * clip.rate) :][:length].copy(), clip.rate) for start in starts]
        excerpts = [passage_of(excerpt, any_key=wanted.any_key) for excerpt in cut]
        found = self._found(starts, excerpts)
        ranked = sorted(found, key=lambda number: -_mean_logit(found[number], len(excerpts)))
        played: dict[int, Synchronisation] = {}
        for number in self._candidates(ranked, found, excerpts, wanted.max_false_accepts):
            alignment = self._aligned(number, clip, wanted.content_hash)
            if alignment is not None and alignment.accepted:
                played[number] = alignment
        ranked = [*played, *(number for number in ranked if number not in played)]
        return self._hits(ranked[: wanted.top], found, played)

    def candidates(self, frames: NDArray[np.float32], max_false_accepts: float) -> list[int]:
        """Ids of the scores that a recording may play, best first, by its sonority, shape `(frames, 32)`."""
        starts = _excerpt_starts(len(frames) / SONORITY_RATE)
        length = round(_EXCERPT_SECONDS * SONORITY_RATE)
        cut = [frames[round(start * SONORITY_RATE) :][:length] for start in starts]
        excerpts = [Passage({0: excerpt}, len(excerpt) / SONORITY_RATE) for excerpt in cut]
        found = self._found(starts, excerpts)
        ranked = sorted(found, key=lambda number: -_mean_logit(found[number], len(excerpts)))
        return self._candidates(ranked, found, excerpts, max_false_accepts)

    def _found(self, starts: Sequence[float], excerpts: Sequence[Passage]) -> dict[int, list[_Found]]:
        """By the id of each score where excerpts fit it."""
        found: dict[int, list[_Found]] = {}
        for start, excerpt in zip(starts, excerpts, strict=True):
            for place in self._passages.places(excerpt, _PROPOSED):
                one = _Found(self._passages.logit(place), start, place)
                found.setdefault(self._passages.number(place), []).append(one)
        return found

    def _candidates(
        self, ranked: list[int], found: dict[int, list[_Found]], excerpts: Sequence[Passage], max_false_accepts: float
    ) -> list[int]:
        """The first of which an excerpt is accepted."""
        rate = max_false_accepts / len(excerpts)
        threshold = max(self._passages.threshold(rate, excerpt) for excerpt in excerpts)
        return [number for number in ranked[:_CANDIDATES] if max(one.logit for one in found[number]) >= threshold]

    def _hits(
        self, ranked: list[int], found: dict[int, list[_Found]], aligned: dict[int, Synchronisation]
    ) -> list[Hit]:
        """Scores by how they are aligned, where they are, else by the excerpt that fits best."""
        hits: list[Hit] = []
        scores = self._passages.scores(ranked)
        for number in (number for number in ranked if number in scores):
            best = max(found[number], key=lambda one: one.logit)
            alignment = aligned.get(number)
            if alignment is None:
                places = tuple(place.later_in_query(best.start) for place in best.place.answers(_EXCERPT_SECONDS))
                transposition = best.place.transposition
            else:
                places, transposition = _matches(alignment), nearest_transposition(-alignment.transposition)
            hits.append(
                self._passages.hit(
                    len(hits) + 1,
                    scores[number],
                    best.place,
                    places,
                    accepted=alignment is not None,
                    transposition=transposition,
                )
            )
        return hits

    def _aligned(self, number: int, clip: Audio, content_hash: str) -> Synchronisation | None:
        """How a score is aligned with a recording: as the library knows it, or anew."""
        row, sheet = self._library.scores_by_id([number]).get(number), self._library.score_sheet(number)
        recording = self._library.recording_of(content_hash) if content_hash else None
        if row is None or sheet is None:
            return None
        kept = self._library.alignments.get(row, recording, alignment_method()) if recording is not None else None
        if kept is not None:
            return kept_alignment.from_kept(kept)
        return synchronise(score_sound(from_kept(sheet, row.path)), clip)


def _excerpt_starts(seconds: float) -> list[float]:
    """Seconds at which excerpts of a recording begin, spread evenly over it."""
    count = int(np.clip(seconds / _EXCERPT_EVERY_SECONDS, _FEWEST_EXCERPTS, _MOST_EXCERPTS))
    starts: list[float] = np.linspace(0, max(seconds - _EXCERPT_SECONDS, 0.0), count + 2)[1:-1].tolist()
    return starts


def _mean_logit(found: list[_Found], excerpts: int) -> float:
    """Over all excerpts, also those that the score is not proposed for."""
    return (sum(one.logit for one in found) + _NOT_PROPOSED * (excerpts - len(found))) / excerpts


def _matches(alignment: Synchronisation) -> tuple[Place, ...]:
    """What is played of the score, and when, the longest first."""
    places = [Place(*part.ref, *part.other) for part in alignment.segments if part.ref and part.other]
    return tuple(sorted(places, key=lambda place: place.start - place.end))
