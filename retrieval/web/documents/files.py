"""What the API tells of files that are not the library's."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

__all__ = ["FileDocument", "UploadDocument"]


class UploadDocument(BaseModel):
    """A file that was sent and can now be asked for."""

    id: str
    name: str
    kind: Literal["recording", "score"]
    duration: float
    bytes: int


class FileDocument(BaseModel):
    """A file of the server's machine."""

    path: str
    kind: Literal["recording", "score"] = Field(description="As what it would be read.")
