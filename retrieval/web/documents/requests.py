"""What the API takes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "AlignJob",
    "AlignRequest",
    "CompareJob",
    "CompareRequest",
    "GroupJob",
    "IndexJob",
    "IndexRequest",
    "ItemSource",
    "JobRequest",
    "KeptSource",
    "Merge",
    "PathSource",
    "QueryJob",
    "QueryRequest",
    "Source",
    "Split",
    "SwitchJob",
    "SwitchRequest",
    "UploadSource",
    "WorkName",
]

Id = Annotated[str, Field(min_length=1, max_length=64)]
ServerPath = Annotated[str, Field(min_length=1, max_length=4096)]
Name = Annotated[str, Field(max_length=500)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class ItemSource(_Request):
    """A recording or score of the library."""

    item: Id = Field(description="Its id.")


class PathSource(_Request):
    """A file of the server's machine."""

    path: ServerPath = Field(description="Absolute, below one of the server's --root folders.")


class UploadSource(_Request):
    """A file that was sent before."""

    upload: Id = Field(description="The id that POST /v1/uploads gave.")


Source = ItemSource | PathSource | UploadSource
KeptSource = ItemSource | UploadSource
"""What can be asked for again by its id."""


class QueryRequest(_Request):
    """What is asked of a clip; see `incipit query`."""

    clip: Source
    task: Literal["identify", "match", "versions", "scores"] = "identify"
    top: int = Field(10, ge=1, le=1000)
    max_false_accepts: float = Field(0.01, ge=1e-6, le=0.5)
    any_key: bool = Field(False, description="match and scores only")
    any_rhythm: bool = Field(False, description="scores, of a score only")


class AlignRequest(_Request):
    """A reference and what is to be aligned with it; see `incipit align`."""

    ref: Source
    others: list[Source] = Field(min_length=1, max_length=50)


class CompareRequest(_Request):
    """Two recordings; see `incipit compare`."""

    a: Source
    b: Source
    matrix: bool = Field(False, description="Also how alike each moment of one is to each of the other.")


class SwitchRequest(_Request):
    """Performances that are played in step, and their score; see `incipit switch`."""

    ref: KeptSource = Field(description="Its timeline is shown; if it is a score, the first recording's.")
    others: list[KeptSource] = Field(default=[], max_length=50)
    score: KeptSource | None = Field(None, description="Else the first score of ref and others.")


class IndexRequest(_Request):
    """A file or folder that is to be taken in; see `incipit index`."""

    path: ServerPath = Field(description="Absolute, below one of the server's --root folders.")
    prune: bool = Field(False, description="Forget files that are gone.")
    works: bool = Field(True, description="Put new recordings to the works that they are versions of.")


class IndexJob(IndexRequest):
    """Take files into the library."""

    kind: Literal["index"]


class GroupJob(_Request):
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


class WorkName(_Request):
    """What a work is to be called."""

    name: Name = Field(description="Empty takes the name away.")


class Merge(_Request):
    """What is to become one work."""

    members: list[Id] = Field(min_length=2, max_length=1000, description="Ids or names of works, or ids of items.")


class Split(_Request):
    """What is to become a work of its own."""

    items: list[Id] = Field(min_length=1, max_length=1000, description="Ids of recordings and scores of the work.")
