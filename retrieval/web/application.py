"""The HTTP API, version 1."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Query, Request
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp

from index.catalogue import ItemOrder, Selection
from index.library import Library
from index.schema import Item as ItemRow
from retrieval.analysis import KEPT
from retrieval.collection import TASKS
from retrieval.documents import failure_document, item_details, item_document, work_document
from retrieval.web import documents as told
from retrieval.web.access import Access
from retrieval.web.documents import clean, job_document
from retrieval.web.guard import Guard
from retrieval.web.jobs import Job
from retrieval.web.pages import add_pages
from retrieval.web.problems import Problem, add_problem_handlers
from retrieval.web.ranges import file_response
from retrieval.web.service import Service
from retrieval.web.sound import FLAC, media_type_of
from retrieval.web.uploads import Upload

__all__ = ["application"]

Offset = Annotated[int, Query(ge=0, le=10**9)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Text = Annotated[str, Query(max_length=200, description="In titles, artists, names or paths.")]
FilePath = Annotated[str, Query(max_length=4096, description="Absolute, below one of the server's --root folders.")]

_EVENTS_SECONDS = 0.2
_HEARTBEAT_SECONDS = 15.0
_PLAYED_SECONDS = 3600
_SCORE_TYPES = {
    ".mid": "audio/midi",
    ".midi": "audio/midi",
    ".mxl": "application/vnd.recordare.musicxml",
    ".musicxml": "application/vnd.recordare.musicxml+xml",
    ".xml": "application/vnd.recordare.musicxml+xml",
    ".mei": "application/mei+xml",
    ".krn": "text/plain; charset=utf-8",
}
_BYTES = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
_WHOLE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", **_BYTES},
    206: {"description": "A range of it", **_BYTES},
}


def application(service: Service, access: Access) -> ASGIApp:
    """The API over a service, guarded."""
    app = FastAPI(
        title="Incipit",
        version=version("incipit-music"),
        description="Aligns and finds music. What changes or computes something wants the token as a Bearer.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    router = APIRouter(prefix="/v1", generate_unique_id_function=lambda route: route.name)
    for add in (_add_library, _add_works, _add_played, _add_clips, _add_questions, _add_jobs):
        add(router, service)
    _add_session(router, access)
    app.include_router(router)
    add_problem_handlers(app, service.library)
    _add_description(app)
    add_pages(app)
    return Guard(app, access)


def _add_library(router: APIRouter, service: Service) -> None:
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
            found = _item(library, id)
            assert library is not None, "there is an item in it"
            return told.ItemDetails(**clean(item_details(library, found)))

    async def audio(id: str, request: Request) -> Response:
        return await _sound(service, request, id, *await asyncio.to_thread(service.item_file, id))

    _add_sound(router, "/items/{id}/audio", audio, "The sound of a recording")

    @router.get("/items/{id}/score", summary="The file of a score", response_class=Response, responses=_WHOLE)
    def score(id: str, request: Request) -> Response:
        path, kind, state = service.item_file(id)
        if kind != "score":
            raise Problem(404, "no-score", "it is a recording, not a score")
        media_type = _SCORE_TYPES.get(Path(path).suffix.lower(), "application/octet-stream")
        return file_response(request, Path(path), media_type, state)

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


def _add_works(router: APIRouter, service: Service) -> None:
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
            library.works.name(library.works.find(id), wanted.name)
            return _work(library, id)

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
            new = library.works.split(found, [_item(library, key) for key in wanted.items])
            return [_work(library, key) for key in (found.key, new.key)]

        return await service.write(change)


def _add_played(router: APIRouter, service: Service) -> None:
    kept = {"Cache-Control": f"private, max-age={_PLAYED_SECONDS}"}  # an id is that of a content
    sound: dict[int | str, dict[str, Any]] = {200: {"description": "Ogg Opus", "content": {"audio/ogg": {}}}}
    sheet: dict[int | str, dict[str, Any]] = {200: {"description": "A page", "content": {"image/svg+xml": {}}}}

    async def piece(source: told.KeptSource, number: int) -> Response:
        content = await service.play(partial(service.piece, source, number - 1))
        return Response(content, media_type="audio/ogg", headers=kept)

    async def page(source: told.KeptSource, number: int) -> Response:
        text = await service.play(partial(service.page, source, number))
        return Response(text, media_type="image/svg+xml", headers=kept)

    @router.get(
        "/items/{id}/pieces/{number}",
        summary="15 seconds of a recording, for the switcher",
        response_class=Response,
        responses=sound,
    )
    async def item_piece(id: str, number: int) -> Response:
        return await piece(told.ItemSource.model_construct(item=id), number)

    @router.get(
        "/uploads/{id}/pieces/{number}",
        summary="15 seconds of a recording that was sent",
        response_class=Response,
        responses=sound,
    )
    async def upload_piece(id: str, number: int) -> Response:
        return await piece(told.UploadSource.model_construct(upload=id), number)

    @router.get(
        "/items/{id}/pages/{number}", summary="An engraved page of a score", response_class=Response, responses=sheet
    )
    async def item_page(id: str, number: int) -> Response:
        return await page(told.ItemSource.model_construct(item=id), number)

    @router.get(
        "/uploads/{id}/pages/{number}",
        summary="An engraved page of a score that was sent",
        response_class=Response,
        responses=sheet,
    )
    async def upload_page(id: str, number: int) -> Response:
        return await page(told.UploadSource.model_construct(upload=id), number)


def _add_clips(router: APIRouter, service: Service) -> None:
    body = {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }

    @router.post(
        "/uploads",
        status_code=201,
        summary="Send a recording or a score to ask for",
        openapi_extra={"requestBody": body},
    )
    async def upload(
        request: Request, name: Annotated[str, Query(max_length=1000, description="Only shown.")] = ""
    ) -> told.UploadDocument:
        if _bytes_in(request.headers.get("content-length")) > service.most_upload_bytes:
            most = service.most_upload_bytes // 2**20
            raise Problem(413, "too-large", f"an upload may have {most} MB at most", {"Connection": "close"})
        try:
            arrived = await service.uploads.receive(name, request.stream())
        except ClientDisconnect as error:
            raise Problem(400, "broken-off", "the upload broke off") from error
        try:
            return _upload_document(await service.compute(partial(service.uploads.checked, arrived)))
        except Problem:  # also where too much waits for it to be looked at
            arrived.path.unlink(missing_ok=True)
            raise

    @router.get("/uploads/{id}", summary="What was sent")
    def sent(id: str) -> told.UploadDocument:
        with service.uploads.reading(id) as kept:
            return _upload_document(kept)

    @router.delete("/uploads/{id}", status_code=204, summary="Remove what was sent")
    def remove_upload(id: str) -> None:
        service.copies.remove(service.uploads.remove(id).key)

    async def upload_audio(id: str, request: Request) -> Response:
        found = await asyncio.to_thread(service.upload_file, id)
        return await _sound(service, request, f"upload-{id}", *found)

    _add_sound(router, "/uploads/{id}/audio", upload_audio, "The sound of what was sent")

    @router.get("/files", summary="What a file of the server's machine is")
    def file(path: FilePath) -> told.FileDocument:
        found, kind, _ = service.named_file(path)
        return told.FileDocument.model_validate({"path": clean(found), "kind": kind})

    async def file_audio(path: FilePath, request: Request) -> Response:
        found, kind, state = await asyncio.to_thread(service.named_file, path)
        key = hashlib.sha256(f"{state} {found}".encode("utf-8", "surrogateescape")).hexdigest()
        return await _sound(service, request, f"file-{key}", found, kind, state)

    _add_sound(router, "/files/audio", file_audio, "The sound of a file of the server's machine")


def _add_sound(router: APIRouter, path: str, answer: Callable[..., Awaitable[Response]], summary: str) -> None:
    whole = f"{summary}, in ranges; as FLAC where browsers do not play the file"
    router.add_api_route(path, answer, summary=whole, response_class=Response, responses=_WHOLE)
    router.add_api_route(path, answer, methods=["HEAD"], include_in_schema=False)


async def _sound(
    service: Service, request: Request, key: str, path: str, kind: str, state: tuple[int, int]
) -> Response:
    """The sound of a file as browsers can play it; `key` is what a copy of it is known by."""
    if kind != "recording":
        raise Problem(404, "no-sound", "it is a score, which has no sound of its own")
    media_type = await asyncio.to_thread(media_type_of, Path(path), state)
    if media_type is not None:
        return await asyncio.to_thread(file_response, request, Path(path), media_type, state)
    copy = service.copies.known(key)
    if copy is None:
        copy = await service.compute(partial(service.copies.make, key, Path(path)))
    return await asyncio.to_thread(file_response, request, copy, FLAC)


def _upload_document(upload: Upload) -> told.UploadDocument:
    return told.UploadDocument.model_validate(
        {
            "id": upload.id,
            "name": clean(upload.name),
            "kind": upload.kind,
            "duration": upload.duration,
            "bytes": upload.size,
        }
    )


def _add_questions(router: APIRouter, service: Service) -> None:
    @router.post("/query", summary="What a clip is, where it is played, other versions of it, or its score")
    async def query(wanted: told.QueryRequest) -> told.QueryResult:
        return told.QueryResult(**await service.compute(partial(service.query, wanted)))

    @router.post("/align", summary="The corresponding times of a reference and others")
    async def align(wanted: told.AlignRequest) -> told.AlignmentResult:
        return told.AlignmentResult(**await service.compute(partial(service.align, wanted)))

    @router.post("/compare", summary="What two recordings are to each other")
    async def compare(wanted: told.CompareRequest) -> told.ComparisonResult:
        return told.ComparisonResult(**await service.compute(partial(service.compare, wanted)))


def _add_jobs(router: APIRouter, service: Service) -> None:
    @router.get("/jobs", summary="The jobs of this server, the latest first")
    def jobs() -> told.JobList:
        return told.JobList(jobs=[job_document(job) for job in service.jobs.all()])

    @router.post("/jobs", status_code=202, summary="Start something that takes long")
    def start_job(wanted: told.JobRequest, response: Response) -> told.JobStatus:
        if wanted.kind == "index":
            id = service.start_index(wanted)
        elif wanted.kind == "group":
            id = service.start_group()
        elif wanted.kind == "query":
            id = service.start_query(wanted)
        elif wanted.kind == "align":
            id = service.start_align(wanted)
        elif wanted.kind == "switch":
            id = service.start_switch(wanted)
        else:
            id = service.start_compare(wanted)
        response.headers["Location"] = f"/v1/jobs/{id}"
        return job_document(service.jobs.find(id))

    @router.get("/jobs/{id}", summary="How a job goes")
    def job(id: str) -> told.JobStatus:
        return job_document(service.jobs.find(id))

    @router.delete("/jobs/{id}", summary="Cancel a job")
    def cancel_job(id: str) -> told.JobStatus:
        found = service.jobs.find(id)
        service.jobs.cancel(found)
        return job_document(found)

    @router.get("/jobs/{id}/result", summary="What came of a job")
    def result(
        id: str,
    ) -> (
        told.IndexResult
        | told.GroupResult
        | told.QueryResult
        | told.AlignmentResult
        | told.ComparisonResult
        | told.SwitchResult
    ):
        found = service.jobs.find(id)
        if found.result is None:
            raise found.problem or Problem(409, "no-result", f"the job is {found.state}")
        kinds: dict[str, type[BaseModel]] = {
            "index": told.IndexResult,
            "group": told.GroupResult,
            "query": told.QueryResult,
            "align": told.AlignmentResult,
            "compare": told.ComparisonResult,
            "switch": told.SwitchResult,
        }
        document: Any = kinds[found.kind].model_validate(found.result)
        return document

    @router.get(
        "/jobs/{id}/events",
        summary="How a job goes, as server-sent events: `progress`, and `end` at last",
        response_class=Response,
        responses={200: {"description": "Events", "content": {"text/event-stream": {}}}},
    )
    async def events(id: str) -> Response:
        return StreamingResponse(_events(service.jobs.find(id)), media_type="text/event-stream")


def _add_session(router: APIRouter, access: Access) -> None:
    @router.post("/session", summary="Take a cookie to read with, where a header cannot be sent: sound and events")
    def session(response: Response) -> told.Session:
        response.set_cookie(access.cookie, access.reading_key, httponly=True, samesite="strict", path="/v1")
        return told.Session(cookie=access.cookie)


async def _events(job: Job) -> AsyncIterator[str]:
    seen, sent = -1, time.monotonic()
    while True:
        if job.version != seen:
            seen, sent = job.version, time.monotonic()
            name = "end" if job.finished else "progress"
            yield f"event: {name}\nid: {seen}\ndata: {job_document(job).model_dump_json()}\n\n"
            if name == "end":
                return
        elif time.monotonic() - sent > _HEARTBEAT_SECONDS:
            sent = time.monotonic()
            yield ": still there\n\n"
        await asyncio.sleep(_EVENTS_SECONDS)


def _item(library: Library | None, id: str) -> ItemRow:
    """The item of that id; paths are not taken for ids."""
    found = library.item(id) if library is not None else None
    if found is None or found.key != id:
        raise Problem(404, "no-such-item", "there is no such recording or score in the library")
    return found


def _work(library: Library, name: str) -> told.WorkDocument:
    return told.WorkDocument(**clean(work_document(library.works.find(name))))


def _bytes_in(text: str | None) -> int:
    """A number of bytes in a header; 0 where there is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 20 else 0


def _add_description(app: FastAPI) -> None:
    """The OpenAPI document, in which every error is a problem."""
    document = app.openapi()
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["ProblemDocument"] = told.ProblemDocument.model_json_schema()
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for operations in document["paths"].values():
        for method, operation in operations.items():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"description": "A problem", "content": problem}
            operation["security"] = [{"token": []}] + ([{}] if method == "get" else [])
    app.openapi_schema = document

    @app.get("/v1/openapi.json", include_in_schema=False)
    def description() -> dict[str, Any]:
        return document
