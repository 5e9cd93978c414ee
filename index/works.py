"""Works: which recordings and scores of a library are of the same, as it was found out and as users said.

What a user said of an item is confirmed, and only a user changes it. To name, merge or split works is to say that
all their items are where they belong; so what was split apart is confirmed on both sides and stays apart.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session, selectinload

from index.database import transaction
from index.errors import WorkError, WorkMissing
from index.schema import Item, Recording, Work

__all__ = ["Grouping", "Works"]


@dataclass(frozen=True)
class Grouping:
    """Recordings that are to be in one work.

    Attributes:
        work: id of the work; None for a new one.
        recordings: ids.
    """

    work: int | None
    recordings: frozenset[int]


class Works:
    """The works of a library; `index.Library.works`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> Sequence[Work]:
        """All works with their items and these with their files, the oldest first."""
        return self._found(select(Work).order_by(Work.id))

    def find(self, name: str) -> Work:
        """The work of that key, or else of that name, upper and lower case alike.

        Raises:
            WorkMissing: there is none.
            WorkError: several have the name.
        """
        found = self._found(select(Work).where(Work.key == name)) if name.isascii() else ()
        found = found or [work for work in self.all() if work.name and _folded(work.name) == _folded(name)]
        if not found:
            raise WorkMissing(f"{name}: is no work of the library")
        if len(found) > 1:
            raise WorkError(f"{name}: is the name of {', '.join(work.key for work in found)}; say which")
        return found[0]

    def name(self, work: Work, name: str) -> None:
        """Call a work something, or nothing if the name is empty."""
        with transaction(self._session):
            work.name = name.strip()
            _confirm(work.items)

    def confirm(self, work: Work) -> None:
        """Note that a user finds all items of a work in the right place."""
        with transaction(self._session):
            _confirm(work.items)

    def merge(self, items: Sequence[Item]) -> Work:
        """Put items together in the work of the first that has one, or in a new one.

        The work takes the name of the first of their works that has one.
        """
        with transaction(self._session):
            former = [item.work for item in items if item.work is not None]
            work = former[0] if former else self._new_work(items)
            work.name = next((other.name for other in former if other.name), "")
            for item in items:
                item.work = work
            _confirm(work.items)
            self.drop_empty()
        return work

    def split(self, work: Work, items: Sequence[Item]) -> Work:
        """Put some items of a work in a new one.

        Raises:
            WorkError: one is not in the work, or none would be left in it.
        """
        for item in items:
            if item.work is not work:
                raise WorkError(f"{item.key}: is not in {work.label}")
        if len({item.id for item in items}) == len(work.items):
            raise WorkError(f"{work.label}: would have nothing left")
        with transaction(self._session):
            _confirm(work.items)
            new = self._new_work(items)
            for item in items:
                item.work = new
        return new

    def inherit(self, item: Item, former: Item) -> None:
        """Put an item to the work of another, confirmed as that one is."""
        with transaction(self._session):
            item.work, item.work_confirmed = former.work, former.work_confirmed

    def membership(self) -> dict[int, tuple[int, bool]]:
        """By the id of each recording in a work: the work's id, and whether a user confirmed it."""
        query = select(Recording.id, Recording.work_id, Recording.work_confirmed).where(Recording.work_id.is_not(None))
        return {id: (work, confirmed) for id, work, confirmed in self._session.execute(query) if work is not None}

    def arrange(self, groupings: Iterable[Grouping]) -> int:
        """Put recordings where they were found to belong, and take the others out; how many came elsewhere.

        What is confirmed stays.
        """
        with transaction(self._session):
            wanted = {id: grouping for grouping in groupings for id in grouping.recordings}
            now = self.membership()
            confirmed = {id for id, (_, told) in now.items() if told}
            moved = {id for id in {*wanted, *now} - confirmed if _work_of(id, wanted) != now.get(id, (None,))[0]}
            moved |= {id for id in wanted if wanted[id].work is None} - confirmed
            founded: dict[Grouping, Work] = {}
            recordings = self._recordings(moved)
            for id in sorted(recordings):
                recordings[id].work = self._target(wanted.get(id), recordings, founded)
            self._session.flush()
            self.drop_empty()
        return len(recordings)

    def drop_empty(self) -> None:
        """Forget works that have no item any more, or one alone that nobody said is there.

        Within a transaction of the caller's.
        """
        self._session.flush()
        alone = select(Item.work_id).group_by(Item.work_id).having(func.count() == 1)
        for item in self._session.scalars(select(Item).where(Item.work_id.in_(alone), ~Item.work_confirmed)):
            item.work = None
        self._session.flush()
        self._session.execute(delete(Work).where(~select(Item.id).where(Item.work_id == Work.id).exists()))

    def _target(
        self, grouping: Grouping | None, recordings: dict[int, Recording], founded: dict[Grouping, Work]
    ) -> Work | None:
        if grouping is None:
            return None
        if grouping.work is not None:
            return self._session.get_one(Work, grouping.work)
        if grouping not in founded:
            founded[grouping] = self._new_work([recordings[id] for id in grouping.recordings if id in recordings])
        return founded[grouping]

    def _new_work(self, items: Iterable[Item]) -> Work:
        """One whose key comes from the content of its first item, so that it is the same when found again."""
        first = min(items, key=lambda item: item.id).content_hash
        hashes = (hashlib.sha256(f"{first}{number}".encode()).hexdigest() for number in count())
        keys = ("w" + hash[:12] for hash in hashes)
        key = next(key for key in keys if not self._session.scalar(select(func.count()).where(Work.key == key)))
        work = Work(key=key)
        self._session.add(work)
        self._session.flush()
        return work

    def _recordings(self, ids: Collection[int]) -> dict[int, Recording]:
        return {id: self._session.get_one(Recording, id) for id in ids}

    def _found(self, query: Select[Work]) -> Sequence[Work]:
        loaded = query.options(selectinload(Work.items).selectinload(Item.files))
        return self._session.scalars(loaded.execution_options(populate_existing=True)).all()


def _folded(name: str) -> str:
    """The same for names that read the same, in upper or lower case, composed or not."""
    return unicodedata.normalize("NFC", name).casefold()


def _confirm(items: Iterable[Item]) -> None:
    for item in items:
        item.work_confirmed = True


def _work_of(id: int, wanted: dict[int, Grouping]) -> int | None:
    return wanted[id].work if id in wanted else None
