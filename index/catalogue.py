"""The catalogue: what a library holds, filtered, sorted and page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, String, cast, func, or_, select, type_coerce
from sqlalchemy.orm import Session, selectinload
from sqlalchemy.types import LargeBinary

from index.runs import ItemKind
from index.schema import Item, ItemFile, Work

__all__ = ["Catalogue", "ItemOrder", "Page", "Selection"]

ItemOrder = Literal["path", "title", "artist", "duration", "added"]


@dataclass(frozen=True)
class Selection:
    """Which items are wanted.

    Attributes:
        kind: recordings or scores; both if None.
        text: in the title, the artist or a path; upper and lower case of a to z are alike.
        work: key of the work that they are in.
        missing: whether none of their files is there; None for all.
        order: what they are sorted by; "added" is the order in which they came.
        descending: the other way round.
    """

    kind: ItemKind | None = None
    text: str = ""
    work: str | None = None
    missing: bool | None = None
    order: ItemOrder = "path"
    descending: bool = False


@dataclass(frozen=True)
class Page:
    """Some items, and how many there are on all pages together."""

    items: Sequence[Item]
    total: int


class Catalogue:
    """The catalogue of a library; `index.Library.catalogue`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def page(self, wanted: Selection, offset: int, limit: int) -> Page:
        """Some of the items that are wanted."""
        query = _selected(wanted)
        total = self._session.scalar(select(func.count()).select_from(query.subquery())) or 0
        key = _order(wanted.order)
        ordered = query.order_by(key.desc() if wanted.descending else key.asc(), Item.id)
        items = self._session.scalars(ordered.options(selectinload(Item.files)).offset(offset).limit(limit))
        return Page(items.all(), total)

    def works(self, text: str, offset: int, limit: int) -> tuple[Sequence[Work], int]:
        """Some of the works with a text in their names, their titles or their artists, and how many there are."""
        query = select(Work)
        if text:
            inside = select(Item.id).where(Item.work_id == Work.id, _has_text(text))
            query = query.where(or_(Work.name.icontains(text, autoescape=True), inside.exists()))
        total = self._session.scalar(select(func.count()).select_from(query.subquery())) or 0
        loaded = query.options(selectinload(Work.items).selectinload(Item.files)).order_by(Work.id)
        return self._session.scalars(loaded.offset(offset).limit(limit)).all(), total


def _selected(wanted: Selection) -> Select[Item]:
    query = select(Item)
    if wanted.kind is not None:
        query = query.where(Item.kind == wanted.kind)
    if wanted.text:
        query = query.where(_has_text(wanted.text))
    if wanted.work is not None:
        query = query.where(Item.work_id.in_(select(Work.id).where(Work.key == wanted.work)))
    if wanted.missing is not None:
        there = select(ItemFile.id).where(ItemFile.item_id == Item.id, ItemFile.missing.is_(False)).exists()
        query = query.where(~there if wanted.missing else there)
    return query


def _has_text(text: str) -> ColumnElement[bool]:
    path = cast(type_coerce(ItemFile.path, LargeBinary), String)
    lies_there = select(ItemFile.id).where(ItemFile.item_id == Item.id, path.icontains(text, autoescape=True))
    return or_(
        Item.title.icontains(text, autoescape=True),
        Item.artist.icontains(text, autoescape=True),
        lies_there.exists(),
    )


def _order(name: ItemOrder) -> ColumnElement[Any]:
    if name == "added":
        return Item.id.expression
    if name == "path":
        # As `Item.path`: the first file that is there, else the first.
        files = select(ItemFile.path).where(ItemFile.item_id == Item.id)
        return files.order_by(ItemFile.missing, ItemFile.id).limit(1).scalar_subquery()
    if name == "duration":
        return Item.duration.expression
    return func.lower({"title": Item.title, "artist": Item.artist}[name])
