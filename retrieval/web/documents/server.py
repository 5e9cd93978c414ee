"""What the API tells of the server itself."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["ProblemDocument", "Session", "Status"]


class ProblemDocument(BaseModel):
    """Why something was not done (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class Status(BaseModel):
    """What the server is and holds."""

    version: str
    recordings: int
    scores: int
    works: int
    pending: int = Field(description="Items that lack vectors of a present model; indexing fills them in.")
    roots: list[str]
    tasks: list[str]
    most_upload_bytes: int


class Session(BaseModel):
    """That a cookie to read with was given."""

    cookie: str
