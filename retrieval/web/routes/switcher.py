"""What the page of the switcher plays and shows: pieces of sound and pages of scores."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from retrieval.web import documents as told
from retrieval.web.service import Service

__all__ = ["add_switcher"]

_PLAYED_SECONDS = 3600


def add_switcher(router: APIRouter, service: Service) -> None:
    """Add them to a router."""
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
