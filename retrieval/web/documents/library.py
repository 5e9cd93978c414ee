"""What the API tells of the library: items, works, and what taking files in comes to."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

__all__ = [
    "Failure",
    "Failures",
    "FileRef",
    "GroupResult",
    "IndexResult",
    "Item",
    "ItemDetails",
    "Items",
    "KeptFailure",
    "Member",
    "MovementDocument",
    "PartDocument",
    "WorkDocument",
    "Works",
]


class Item(BaseModel):
    """A recording or a score, as `incipit list --json` prints it."""

    id: str
    kind: Literal["recording", "score"]
    path: str
    title: str | None
    artist: str | None
    work: str | None = Field(description="Name of its work, or the work's id where it has none.")
    work_id: str | None
    duration: float
    flags: list[str]


class FileRef(BaseModel):
    """Where an item lies, or lay."""

    path: str
    missing: bool


class MovementDocument(BaseModel):
    """A movement of a score: what the file says of it, when it begins in the score's seconds, and in which measure."""

    number: str | None
    title: str | None
    start: float
    measure: str | None


class PartDocument(BaseModel):
    """A part of a score; it sounds `transposition` semitones higher than it is written."""

    name: str | None
    instrument: str | None
    transposition: int
    notes: int


class ItemDetails(Item):
    """All of a recording or score, as `incipit show --json` prints it."""

    paths: list[FileRef]
    content_hash: str
    vectors: int
    notes: int | None = None
    measures: tuple[str, str] | None = None
    work_title: str | None = Field(None, description="of the work that a score says it is, or is from")
    work_number: str | None = None
    movements: list[MovementDocument] | None = None
    parts: list[PartDocument] | None = None
    scores: list[str] | None = Field(None, description="ids of the scores that a recording was found to play")
    recordings: list[str] | None = Field(None, description="ids of the recordings that were found to play a score")


class Items(BaseModel):
    """A page of items."""

    total: int
    offset: int
    items: list[Item]


class Member(BaseModel):
    """An item of a work."""

    id: str
    path: str
    title: str | None
    artist: str | None
    duration: float
    confirmed: bool


class WorkDocument(BaseModel):
    """A work, as `incipit works --json` prints it."""

    id: str
    name: str | None
    confirmed: bool
    recordings: list[Member]
    scores: list[Member]


class Works(BaseModel):
    """A page of works."""

    total: int
    offset: int
    works: list[WorkDocument]


class Failure(BaseModel):
    """A file that could not be taken in, and why."""

    path: str
    error: str


class KeptFailure(Failure):
    """A file that could not be taken in when that was last tried, why, and when that was."""

    time: datetime


class Failures(BaseModel):
    """Files that could not be taken in when that was last tried, and what is wrong with the library."""

    failed: list[KeptFailure]
    damage: list[str]


class IndexResult(BaseModel):
    """What came of taking files in, as `incipit index --json` prints it."""

    library: str
    added: int
    updated: int
    unchanged: int
    moved: int
    missing: int
    skipped: int
    failed: list[Failure]
    audio_seconds: float
    seconds: float


class GroupResult(BaseModel):
    """How many recordings came to another work."""

    moved: int
