"""What the API tells of jobs."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from retrieval.web.documents.library import Failure
from retrieval.web.documents.server import ProblemDocument
from retrieval.web.documents.text import clean
from retrieval.web.jobs import Job, JobKind, JobState

__all__ = ["JobList", "JobStatus", "job_document"]


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
