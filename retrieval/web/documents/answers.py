"""What the API answers to questions: hits, alignments, comparisons."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

__all__ = [
    "AlignedOther",
    "AlignmentResult",
    "ComparisonResult",
    "Hit",
    "Matrix",
    "QueryResult",
    "Segment",
    "SoundEvidence",
    "Span",
    "TimingEvidence",
    "WorkEvidence",
]

Span = tuple[float, float]
"""Start and end, or a point of both sides, in seconds."""


class Hit(BaseModel):
    """One answer to a query; what a task has no value for is null."""

    rank: int
    id: str
    path: str
    title: str | None
    work: str | None
    score: float
    accepted: bool
    start: float
    end: float
    query_start: float
    query_end: float
    places: list[tuple[float, float, float, float]]
    transposition: int | None
    tempo_ratio: float | None
    measure: str | None
    beat: float | None


class QueryResult(BaseModel):
    """What was found, as `incipit query --json` prints it."""

    query: str
    task: str
    duration: float
    seconds: float
    hits: list[Hit]


class Segment(BaseModel):
    """A stretch that corresponds, or that one side alone plays."""

    kind: Literal["match", "only_ref", "only_other"]
    ref: Span | None
    other: Span | None
    warping_path: list[Span]
    confidence: list[float]
    interval: list[float]


class AlignedOther(BaseModel):
    """How one of several corresponds to the reference, or why that is not known (`error`)."""

    path: str
    segments: list[Segment]
    accepted: bool
    confidence: float | None = None
    transposition: int | None = None
    tuning_cents: float | None = None
    error: str | None = None


class AlignmentResult(BaseModel):
    """Corresponding times, as `incipit align --json` prints them."""

    ref: str
    others: list[AlignedOther]
    seconds: float


class SoundEvidence(BaseModel):
    """Of the same sound."""

    pieces: int
    found: int
    alike: float


class TimingEvidence(BaseModel):
    """Of the same timing."""

    seconds: float
    tempo_ratio: float
    median_deviation: float
    deviation_80: float


class WorkEvidence(BaseModel):
    """Of the same work."""

    probability: float
    accepted: bool


class Matrix(BaseModel):
    """How alike each moment of one recording is to each of another, and along what they correspond."""

    rows: int = Field(description="Moments of the one.")
    columns: int = Field(description="Moments of the other.")
    values: str = Field(description="Base64 of a byte for each pair, a row a moment of the one; 255 is most alike.")
    spans: tuple[Span, Span] = Field(description="Seconds of the one, and of the other, from edge to edge.")
    paths: list[list[Span]] = Field(description="Corresponding seconds of the one and the other.")


class ComparisonResult(BaseModel):
    """What two recordings are to each other, as `incipit compare --json` prints it, and the matrix if it was wanted."""

    a: str
    b: str
    verdict: Literal["same recording", "same recording, another mix", "same work", "neither"]
    score: float
    transposition: int | None
    tempo_ratio: float | None
    segments: list[tuple[float, float, float, float]]
    sound: SoundEvidence
    timing: TimingEvidence | None
    work: WorkEvidence | None
    seconds: float
    durations: tuple[float, float]
    matrix: Matrix | None = Field(description="None where it was not wanted, or one is silent or shorter than 5 s.")
