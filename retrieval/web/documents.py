"""What the API takes and gives, as types: the documents of the JSON contract, and those of the server."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from retrieval.web.jobs import Job, JobKind, JobState

__all__ = [
    "AlignRequest",
    "AlignmentResult",
    "CompareRequest",
    "ComparisonResult",
    "Failures",
    "FileDocument",
    "FileRef",
    "GroupResult",
    "IndexRequest",
    "IndexResult",
    "Item",
    "ItemDetails",
    "ItemSource",
    "Items",
    "JobList",
    "JobRequest",
    "JobStatus",
    "KeptSource",
    "Matrix",
    "Merge",
    "ProblemDocument",
    "QueryRequest",
    "QueryResult",
    "Session",
    "Source",
    "Split",
    "Status",
    "SwitchRequest",
    "SwitchResult",
    "UploadDocument",
    "UploadSource",
    "WorkDocument",
    "WorkName",
    "Works",
    "clean",
    "job_document",
]

Id = Annotated[str, Field(min_length=1, max_length=64)]
ServerPath = Annotated[str, Field(min_length=1, max_length=4096)]
Name = Annotated[str, Field(max_length=500)]
Span = tuple[float, float]


def clean(document: Any) -> Any:
    """A document whose strings are valid Unicode; what is not in a file's name is escaped."""
    if isinstance(document, str):
        return document.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(document, dict):
        return {name: clean(value) for name, value in document.items()}
    if isinstance(document, (list, tuple)) and document and not isinstance(document[0], (float, int)):
        return [clean(value) for value in document]
    return document


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


# What is asked


class ItemSource(_Model):
    """A recording or score of the library."""

    item: Id = Field(description="Its id.")


class PathSource(_Model):
    """A file of the server's machine."""

    path: ServerPath = Field(description="Absolute, below one of the server's --root folders.")


class UploadSource(_Model):
    """A file that was sent before."""

    upload: Id = Field(description="The id that POST /v1/uploads gave.")


Source = ItemSource | PathSource | UploadSource
KeptSource = ItemSource | UploadSource
"""What can be asked for again by its id."""


class QueryRequest(_Model):
    """What is asked of a clip; see `incipit query`."""

    clip: Source
    task: Literal["identify", "match", "versions", "scores"] = "identify"
    top: int = Field(10, ge=1, le=1000)
    max_false_accepts: float = Field(0.01, ge=1e-6, le=0.5)
    any_key: bool = Field(False, description="match and scores only")
    any_rhythm: bool = Field(False, description="scores, of a score only")


class AlignRequest(_Model):
    """A reference and what is to be aligned with it; see `incipit align`."""

    ref: Source
    others: list[Source] = Field(min_length=1, max_length=50)


class CompareRequest(_Model):
    """Two recordings; see `incipit compare`."""

    a: Source
    b: Source
    matrix: bool = Field(False, description="Also how alike each moment of one is to each of the other.")


class SwitchRequest(_Model):
    """Performances that are played in step, and their score; see `incipit switch`."""

    ref: KeptSource = Field(description="Its timeline is shown; if it is a score, the first recording's.")
    others: list[KeptSource] = Field(default=[], max_length=50)
    score: KeptSource | None = Field(None, description="Else the first score of ref and others.")


class IndexRequest(_Model):
    """A file or folder that is to be taken in; see `incipit index`."""

    path: ServerPath = Field(description="Absolute, below one of the server's --root folders.")
    prune: bool = Field(False, description="Forget files that are gone.")
    works: bool = Field(True, description="Put new recordings to the works that they are versions of.")


class IndexJob(IndexRequest):
    """Take files into the library."""

    kind: Literal["index"]


class GroupJob(_Model):
    """Seek the versions of all recordings and group the library into works anew."""

    kind: Literal["group"]


class QueryJob(QueryRequest):
    """Ask for a clip."""

    kind: Literal["query"]


class AlignJob(AlignRequest):
    """Align."""

    kind: Literal["align"]


class CompareJob(CompareRequest):
    """Compare."""

    kind: Literal["compare"]


class SwitchJob(SwitchRequest):
    """Align performances, and tell all that a page wants to play them in step."""

    kind: Literal["switch"]


JobRequest = Annotated[IndexJob | GroupJob | QueryJob | AlignJob | CompareJob | SwitchJob, Field(discriminator="kind")]


class WorkName(_Model):
    """What a work is to be called."""

    name: Name = Field(description="Empty takes the name away.")


class Merge(_Model):
    """What is to become one work."""

    members: list[Id] = Field(min_length=2, max_length=1000, description="Ids or names of works, or ids of items.")


class Split(_Model):
    """What is to become a work of its own."""

    items: list[Id] = Field(min_length=1, max_length=1000, description="Ids of recordings and scores of the work.")


# What is answered


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


class JobStatus(BaseModel):
    """How a job goes."""

    id: str
    kind: JobKind
    state: JobState
    created: datetime
    stage: str
    done: int
    total: int | None
    failed: list[Failure]
    messages: list[str]
    problem: ProblemDocument | None
    result: str | None = Field(description="Where its result is, if it is done.")


class JobList(BaseModel):
    """The jobs of this server, the latest first."""

    jobs: list[JobStatus]


def job_document(job: Job) -> JobStatus:
    """How a job goes, as it is told."""
    return JobStatus(
        id=job.id,
        kind=job.kind,
        state=job.state,
        created=job.created,
        stage=job.stage,
        done=job.done,
        total=job.total,
        failed=[Failure(path=clean(path), error=clean(error)) for path, error in list(job.failed)],
        messages=[clean(text) for text in list(job.messages)],
        problem=None if job.problem is None else ProblemDocument(**job.problem.document()),
        result=f"/v1/jobs/{job.id}/result" if job.state == "done" else None,
    )
