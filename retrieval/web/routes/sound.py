"""The sound of recordings, as browsers can play it, and the files of scores."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from retrieval.web import documents as told
from retrieval.web.files import File
from retrieval.web.ranges import file_response
from retrieval.web.routes.parameters import FilePath
from retrieval.web.service import Service
from retrieval.web.sound import FLAC, media_type_of

__all__ = ["add_sound"]

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


def add_sound(router: APIRouter, service: Service) -> None:
    """Add them to a router."""

    async def item_audio(id: str, request: Request) -> Response:
        return await _sound(service, request, partial(service.files.now, told.ItemSource.model_construct(item=id)))

    async def upload_audio(id: str, request: Request) -> Response:
        return await _sound(service, request, partial(service.files.now, told.UploadSource.model_construct(upload=id)))

    async def file_audio(path: FilePath, request: Request) -> Response:
        return await _sound(service, request, partial(service.files.named, path))

    _add(router, "/items/{id}/audio", item_audio, "The sound of a recording")
    _add(router, "/uploads/{id}/audio", upload_audio, "The sound of what was sent")
    _add(router, "/files/audio", file_audio, "The sound of a file of the server's machine")

    @router.get("/items/{id}/score", summary="The file of a score", response_class=Response, responses=_WHOLE)
    def score(id: str, request: Request) -> Response:
        file = service.files.now(told.ItemSource.model_construct(item=id))
        file.require("score")
        media_type = _SCORE_TYPES.get(Path(file.path).suffix.lower(), "application/octet-stream")
        return file_response(request, Path(file.path), media_type, file.state)


def _add(router: APIRouter, path: str, answer: Callable[..., Awaitable[Response]], summary: str) -> None:
    whole = f"{summary}, in ranges; as FLAC where browsers do not play the file"
    router.add_api_route(path, answer, summary=whole, response_class=Response, responses=_WHOLE)
    router.add_api_route(path, answer, methods=["HEAD"], include_in_schema=False)


async def _sound(service: Service, request: Request, find: Callable[[], File]) -> Response:
    """The sound of a file as browsers can play it."""
    file = await asyncio.to_thread(find)
    file.require("recording")
    path = Path(file.path)
    media_type = await asyncio.to_thread(media_type_of, path, file.state)
    if media_type is not None:
        return await asyncio.to_thread(file_response, request, path, media_type, file.state)
    copy = service.copies.known(file.key)
    if copy is None:
        copy = await service.compute(partial(service.copies.made, file.key, path))
    return await asyncio.to_thread(file_response, request, copy, FLAC)
