"""What the page of the switcher is told."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from retrieval.web.documents.answers import Span

__all__ = ["LeftOut", "Sheet", "SwitchResult", "SwitchSegment", "Track"]


class SwitchSegment(BaseModel):
    """A stretch that corresponds, or that one side alone plays."""

    kind: Literal["match", "only_ref", "only_other"]
    ref: Span | None
    other: Span | None
    warping_path: list[Span]


class Track(BaseModel):
    """A performance as it is played: `GET /v1/{file}/pieces/{number}` gives its sound."""

    name: str
    file: str
    duration: float
    frames: int
    loudness: float | None = Field(description="LUFS; null for silence.")
    gain: float = Field(description="Decibels at which all are equally loud.")
    envelope: str = Field(description="Greatest samples of evenly long bins, bytes in Base64.")
    body: str = Field(description="Root mean squares, likewise.")
    tempo: list[float | None] = Field(description="Speed against the mean of all, at each step of the reference.")
    transposition: int
    segments: list[SwitchSegment] = Field(description="How it corresponds to the first, which has none.")


class Sheet(BaseModel):
    """A score as it is shown: `GET /v1/{page}` gives a page as SVG."""

    pages: list[str]
    measures: list[tuple[float, float, str, int]] = Field(description="Start, end (of the first track), id, page.")
    notes: list[tuple[float, float, str]] = Field(description="Start, end, id.")


class LeftOut(BaseModel):
    """What was asked for and is not played or shown, and why."""

    name: str
    cause: str


class SwitchResult(BaseModel):
    """What the page of the switcher plays and shows."""

    id: str
    title: str
    rate: int
    piece_frames: int
    margin_frames: int
    seam_frames: int
    tempo_step: float
    tracks: list[Track]
    score: Sheet | None
    left_out: list[LeftOut]
