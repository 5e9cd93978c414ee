"""What the library holds, and what could not be taken into it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from index.catalogue import ItemOrder, Selection
from index.library import Library
from index.schema import Item
from retrieval.analysis import KEPT
from retrieval.collection import TASKS
from retrieval.documents import failure_document, item_details, item_document
from retrieval.web import documents as told
from retrieval.web.documents import clean
from retrieval.web.problems import Problem
from retrieval.web.routes.parameters import Limit, Offset, Text
from retrieval.web.service import Service

__all__ = ["add_library", "item_of"]


def add_library(router: APIRouter, service: Service) -> None:
    """Add them to a router."""

    @router.get("/status", summary="What the server holds")
    def status() -> told.Status:
        with service.opened() as library:
            return told.Status(
                version=version("incipit-music"),
                recordings=library.count("recording") if library else 0,
                scores=library.count("score") if library else 0,
                works=library.catalogue.works("", 0, 1)[1] if library else 0,
                pending=library.count_pending((*service.models.models, *KEPT)) if library else 0,
                roots=[clean(str(folder)) for folder in service.roots.folders],
                tasks=list(TASKS),
                most_upload_bytes=service.most_upload_bytes,
            )

    @router.get("/items", summary="Recordings and scores, a page at a time")
    def items(
        q: Text = "",
        kind: Literal["recording", "score"] | None = None,
        work: Annotated[str | None, Query(max_length=64, description="Id of a work.")] = None,
        missing: Annotated[bool | None, Query(description="Whether none of its files is there.")] = None,
        sort: ItemOrder = "path",
        order: Literal["ascending", "descending"] = "ascending",
        offset: Offset = 0,
        limit: Limit = 100,
    ) -> told.Items:
        wanted = Selection(kind, q, work, missing, sort, order == "descending")
        with service.opened() as library:
            if library is None:
                return told.Items(total=0, offset=offset, items=[])
            page = library.catalogue.page(wanted, offset, limit)
            return told.Items(
                total=page.total, offset=offset, items=[told.Item(**clean(item_document(item))) for item in page.items]
            )

    @router.get("/items/{id}", summary="A recording or a score")
    def item(id: str) -> told.ItemDetails:
        with service.opened() as library:
            found = item_of(library, id)
            assert library is not None, "there is an item in it"
            return told.ItemDetails(**clean(item_details(library, found)))

    @router.get("/failures", summary="What could not be taken in, and why")
    def failures() -> told.Failures:
        with service.opened() as library:
            failed = [failure_document(failure) for failure in library.failures()] if library else []
            damage = library.damage() if library else []
        folder = str(service.library.absolute())
        return told.Failures(
            failed=[told.KeptFailure(**clean(failure)) for failure in failed],
            damage=[clean(text).replace(folder, "the library") for text in damage],
        )


def item_of(library: Library | None, id: str) -> Item:
    """The item of that id; paths are not taken for ids."""
    found = library.item(id) if library is not None else None
    if found is None or found.key != id:
        raise Problem(404, "no-such-item", "there is no such recording or score in the library")
    return found
