"""Versions: which recordings of a library were accepted as the same work as others.

They are remembered recording by recording, so that a search that was interrupted goes on, and works can be grouped
anew from all that was ever accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, selectinload

from index.database import transaction
from index.schema import Recording, VersionRow

__all__ = ["Versions"]


class Versions:
    """The accepted versions of a library's recordings; `index.Library.versions`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def unsought(self) -> Sequence[Recording]:
        """Recordings whose versions have not been sought, or not since their vectors changed."""
        query = select(Recording).where(~Recording.versions_sought).options(selectinload(Recording.files))
        return self._session.scalars(query.order_by(Recording.id)).all()

    def seek_again(self) -> None:
        """Note that the versions and scores of all are to be sought; what is known of each holds until they are."""
        with transaction(self._session):
            self._session.execute(update(Recording).values(versions_sought=False, scores_sought=False))

    def put(self, recording: Recording, found: Iterable[tuple[Recording, float]]) -> None:
        """Remember what was accepted as versions of a recording, and how probably each is one."""
        with transaction(self._session):
            self._session.execute(delete(VersionRow).where(VersionRow.recording_id == recording.id))
            self._session.add_all(
                VersionRow(recording_id=recording.id, other_id=other.id, probability=probability)
                for other, probability in found
            )
            recording.versions_sought = True

    def pairs(self) -> list[tuple[int, int, float]]:
        """Ids of a recording and of one that was accepted as its version, and how probably it is one."""
        query = select(VersionRow.recording_id, VersionRow.other_id, VersionRow.probability)
        return [(one, other, probability) for one, other, probability in self._session.execute(query)]
