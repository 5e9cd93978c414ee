"""Works: told, named, confirmed, merged and split."""

from __future__ import annotations

from fastapi import APIRouter

from index.library import Library
from retrieval.documents import work_document
from retrieval.web import documents as told
from retrieval.web.documents import clean
from retrieval.web.problems import Problem
from retrieval.web.routes.library import item_of
from retrieval.web.routes.parameters import Limit, Offset, Text
from retrieval.web.service import Service

__all__ = ["add_works"]


def add_works(router: APIRouter, service: Service) -> None:
    """Add them to a router."""

    @router.get("/works", summary="Works, a page at a time")
    def works(q: Text = "", offset: Offset = 0, limit: Limit = 100) -> told.Works:
        with service.opened() as library:
            found, total = library.catalogue.works(q, offset, limit) if library else ([], 0)
            return told.Works(
                total=total, offset=offset, works=[told.WorkDocument(**clean(work_document(work))) for work in found]
            )

    @router.get("/works/{id}", summary="A work")
    def work(id: str) -> told.WorkDocument:
        with service.opened() as library:
            if library is None:
                raise Problem(404, "no-such-work", "there is no work in the library yet")
            return _work(library, id)

    @router.put("/works/{id}/name", summary="Give a work a name, and confirm it")
    async def name_work(id: str, wanted: told.WorkName) -> told.WorkDocument:
        def change(library: Library) -> told.WorkDocument:
            found = library.works.find(id)
            library.works.name(found, wanted.name)
            return _work(library, found.key)

        return await service.write(change)

    @router.post("/works/{id}/confirm", summary="Say that the items of a work belong together")
    async def confirm_work(id: str) -> told.WorkDocument:
        def change(library: Library) -> told.WorkDocument:
            library.works.confirm(library.works.find(id))
            return _work(library, id)

        return await service.write(change)

    @router.post("/works/merge", summary="Make one work of several, the first, and confirm it")
    async def merge_works(wanted: told.Merge) -> told.WorkDocument:
        def change(library: Library) -> told.WorkDocument:
            merged = library.works.merge([item for name in wanted.members for item in library.members(name)])
            return _work(library, merged.key)

        return await service.write(change)

    @router.post("/works/{id}/split", summary="Make a work of its own of some items, and confirm both")
    async def split_work(id: str, wanted: told.Split) -> list[told.WorkDocument]:
        def change(library: Library) -> list[told.WorkDocument]:
            found = library.works.find(id)
            new = library.works.split(found, [item_of(library, key) for key in wanted.items])
            return [_work(library, key) for key in (found.key, new.key)]

        return await service.write(change)


def _work(library: Library, name: str) -> told.WorkDocument:
    return told.WorkDocument(**clean(work_document(library.works.find(name))))
