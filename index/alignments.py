"""Alignments: how items of a library correspond, kept so that none is computed twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session, selectinload

from index.database import transaction
from index.schema import AlignmentRow, Item, Recording, ScoreRow

__all__ = ["Alignments", "KeptAlignment", "KeptSegment"]

_COLUMNS = 4


@dataclass(frozen=True)
class KeptSegment:
    """A stretch of two items that corresponds, or of one that stands alone.

    Attributes:
        kind: "match", "only_ref" or "only_other".
        ref, other: start and end in seconds; None on the side that has nothing.
        points: seconds in both, confidence and interval, float32, shape `(points, 4)`; of a match.
    """

    kind: str
    ref: tuple[float, float] | None
    other: tuple[float, float] | None
    points: NDArray[np.float32]


@dataclass(frozen=True)
class KeptAlignment:
    """How two recordings, or a score and a recording, correspond; see `alignment.Synchronisation`."""

    accepted: bool
    confidence: float
    transposition: int
    tuning_cents: float
    segments: tuple[KeptSegment, ...]


class Alignments:
    """The alignments of a library; `index.Library.alignments`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def put(self, ref: Item, other: Item, method: str, alignment: KeptAlignment) -> None:
        """Keep an alignment in place of any that the pair has, of whatever method."""
        with transaction(self._session):
            pair = (AlignmentRow.ref_id == ref.id) & (AlignmentRow.other_id == other.id)
            self._session.execute(delete(AlignmentRow).where(pair))
            self._session.add(_row(ref.id, other.id, method, alignment))

    def get(self, ref: Item, other: Item, method: str) -> KeptAlignment | None:
        """The alignment of a pair, if that method made it."""
        row = self._session.get(AlignmentRow, (ref.id, other.id, method))
        return None if row is None else _kept(row)

    def unsought(self) -> Sequence[Recording]:
        """Recordings whose scores have not been sought among those that there are now; none where there is no score."""
        if not self._session.scalar(select(func.count(ScoreRow.id))):
            return []
        query = select(Recording).where(~Recording.scores_sought).options(selectinload(Recording.files))
        return self._session.scalars(query.order_by(Recording.id)).all()

    def note_sought(self, recording: Recording) -> None:
        """Note that the scores of a recording have been sought."""
        with transaction(self._session):
            recording.scores_sought = True

    def scores_of(self, recording: Item, method: str) -> Sequence[ScoreRow]:
        """The scores that a recording was found to play, by that method."""
        query = select(ScoreRow).join(AlignmentRow, AlignmentRow.ref_id == ScoreRow.id)
        wanted = (AlignmentRow.other_id == recording.id) & (AlignmentRow.method == method) & AlignmentRow.accepted
        return self._session.scalars(query.where(wanted).order_by(ScoreRow.id)).all()

    def recordings_of(self, score: Item, method: str) -> Sequence[Recording]:
        """The recordings that were found to play a score, by that method."""
        query = select(Recording).join(AlignmentRow, AlignmentRow.other_id == Recording.id)
        wanted = (AlignmentRow.ref_id == score.id) & (AlignmentRow.method == method) & AlignmentRow.accepted
        return self._session.scalars(query.where(wanted).order_by(Recording.id)).all()

    def forget(self, score: Item) -> None:
        """Drop the alignments of a score, whose recordings are to be sought anew; in a transaction of the caller's."""
        others = select(AlignmentRow.other_id).where(AlignmentRow.ref_id == score.id)
        self._session.execute(update(Recording).where(Recording.id.in_(others)).values(scores_sought=False))
        self._session.execute(delete(AlignmentRow).where(AlignmentRow.ref_id == score.id))

    def pairs(self, method: str) -> set[tuple[int, int]]:
        """Ids of reference and other of all alignments that a method made."""
        query = select(AlignmentRow.ref_id, AlignmentRow.other_id).where(AlignmentRow.method == method)
        return {(ref, other) for ref, other in self._session.execute(query)}


def _row(ref: int, other: int, method: str, alignment: KeptAlignment) -> AlignmentRow:
    points = [segment.points for segment in alignment.segments]
    return AlignmentRow(
        ref_id=ref,
        other_id=other,
        method=method,
        accepted=alignment.accepted,
        confidence=alignment.confidence,
        transposition=alignment.transposition,
        tuning_cents=alignment.tuning_cents,
        segments=[
            [part.kind, *(part.ref or (None, None)), *(part.other or (None, None)), len(part.points)]
            for part in alignment.segments
        ],
        points=np.concatenate([np.zeros((0, _COLUMNS)), *points]).astype("<f4").tobytes(),
    )


def _kept(row: AlignmentRow) -> KeptAlignment:
    points = np.frombuffer(row.points, "<f4").reshape(-1, _COLUMNS)
    segments, first = [], 0
    for kind, *times, count in row.segments:
        segments.append(KeptSegment(kind, _span(times[:2]), _span(times[2:]), points[first : first + count]))
        first += count
    return KeptAlignment(row.accepted, row.confidence, row.transposition, row.tuning_cents, tuple(segments))


def _span(times: list[float | None]) -> tuple[float, float] | None:
    start, end = times
    return None if start is None or end is None else (start, end)
