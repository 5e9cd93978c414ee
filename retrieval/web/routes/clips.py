"""What is asked about beside the library: files that clients send, and files of the server's machine."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.requests import ClientDisconnect

from retrieval.web import documents as told
from retrieval.web.documents import clean
from retrieval.web.problems import Problem
from retrieval.web.routes.parameters import FilePath
from retrieval.web.service import Service
from retrieval.web.uploads import Upload

__all__ = ["add_clips"]


def add_clips(router: APIRouter, service: Service) -> None:
    """Add them to a router."""
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
        service.uploads.remove(id)

    @router.get("/files", summary="What a file of the server's machine is")
    def file(path: FilePath) -> told.FileDocument:
        found = service.files.named(path)
        return told.FileDocument.model_validate({"path": clean(found.path), "kind": found.kind})


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


def _bytes_in(text: str | None) -> int:
    """A number of bytes in a header; 0 where there is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 20 else 0
