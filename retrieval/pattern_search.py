"""Score to score: the scores of the library in which the notes of a phrase occur, and where.

What a place means by chance is bounded (`retrieval.note_patterns.chance_places`): it is accepted where fewer places as
surprising are expected in the whole library than the wanted share of false accepts.
"""

from __future__ import annotations

from functools import cached_property

from alignment.score import Score
from index.library import Library
from retrieval.hits import Hit, Place, Wanted, named
from retrieval.kept_score import from_kept
from retrieval.note_patterns import Pattern, PatternPlace, SearchedNotes, chance_places, pattern_places

__all__ = ["PatternSearch"]

_PLACES_A_SCORE = 20


class PatternSearch:
    """Finds note patterns in the scores of a snapshot of a library.

    Args:
        library: an open library.
    """

    def __init__(self, library: Library) -> None:
        self._library = library

    def search(self, phrase: Score, wanted: Wanted) -> list[Hit]:
        """The scores that have most of a phrase, at most `wanted.top`, accepted or not.

        Raises:
            QueryError: the phrase has fewer than three notes, or all begin at once.
        """
        pattern = Pattern(phrase)
        onsets = sum(notes.onsets for notes in self._notes.values())
        found: list[tuple[float, int, list[PatternPlace]]] = []
        for number, notes in self._notes.items():
            places = pattern_places(
                pattern, notes, any_key=wanted.any_key, any_rhythm=wanted.any_rhythm, top=_PLACES_A_SCORE
            )
            if places:
                expected = chance_places(places[0].surprise, onsets, any_key=wanted.any_key)
                found.append((expected, number, places))
        found.sort(key=lambda one: (-one[2][0].share, one[0], one[1]))
        hits: list[Hit] = []
        for expected, number, places in found[: wanted.top]:
            hit = self._hit(len(hits) + 1, number, expected, places, expected <= wanted.max_false_accepts)
            hits += [hit] if hit else []
        return hits

    def _hit(self, rank: int, number: int, expected: float, places: list[PatternPlace], accepted: bool) -> Hit | None:
        row, sheet = self._library.scores_by_id([number]).get(number), self._library.score_sheet(number)
        if row is None or sheet is None:  # removed since the library was opened
            return None
        first = places[0]
        score = from_kept(sheet, row.path)
        measure, beat = score.position(first.start)
        return Hit(
            rank=rank,
            **named(row, score.title_at(first.start, first.end)),
            score=1.0 / (1.0 + expected),
            accepted=accepted,
            places=tuple(Place(place.start, place.end, place.pattern_start, place.pattern_end) for place in places),
            transposition=first.transposition,
            tempo_ratio=round(first.tempo_ratio, 4),
            measure=measure or None,
            beat=round(beat, 3) if measure else None,
        )

    @cached_property
    def _notes(self) -> dict[int, SearchedNotes]:
        """The notes of each score, by its id."""
        found = {}
        for row in self._library.scores():
            sheet = self._library.score_sheet(row.id)
            if sheet is not None and len(sheet.notes):
                found[row.id] = SearchedNotes(from_kept(sheet, row.path))
        return found
