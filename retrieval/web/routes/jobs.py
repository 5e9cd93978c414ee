"""Long work: started, watched, cancelled, and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from retrieval.web import documents as told
from retrieval.web.documents import job_document
from retrieval.web.jobs import Job
from retrieval.web.problems import Problem
from retrieval.web.service import Service

__all__ = ["add_jobs"]

_EVENTS_SECONDS = 0.2
_HEARTBEAT_SECONDS = 15.0


def add_jobs(router: APIRouter, service: Service) -> None:
    """Add them to a router."""

    @router.get("/jobs", summary="The jobs of this server, the latest first")
    def jobs() -> told.JobList:
        return told.JobList(jobs=[job_document(job) for job in service.jobs.all()])

    @router.post("/jobs", status_code=202, summary="Start something that takes long")
    def start_job(wanted: told.JobRequest, response: Response) -> told.JobStatus:
        if wanted.kind == "index":
            id = service.start_index(wanted)
        elif wanted.kind == "group":
            id = service.start_group()
        elif wanted.kind == "query":
            id = service.start_query(wanted)
        elif wanted.kind == "align":
            id = service.start_align(wanted)
        elif wanted.kind == "switch":
            id = service.start_switch(wanted)
        else:
            id = service.start_compare(wanted)
        response.headers["Location"] = f"/v1/jobs/{id}"
        return job_document(service.jobs.find(id))

    @router.get("/jobs/{id}", summary="How a job goes")
    def job(id: str) -> told.JobStatus:
        return job_document(service.jobs.find(id))

    @router.delete("/jobs/{id}", summary="Cancel a job")
    def cancel_job(id: str) -> told.JobStatus:
        found = service.jobs.find(id)
        service.jobs.cancel(found)
        return job_document(found)

    @router.get("/jobs/{id}/result", summary="What came of a job")
    def result(
        id: str,
    ) -> (
        told.IndexResult
        | told.GroupResult
        | told.QueryResult
        | told.AlignmentResult
        | told.ComparisonResult
        | told.SwitchResult
    ):
        found = service.jobs.find(id)
        if found.result is None:
            raise found.problem or Problem(409, "no-result", f"the job is {found.state}")
        kinds: dict[str, type[BaseModel]] = {
            "index": told.IndexResult,
            "group": told.GroupResult,
            "query": told.QueryResult,
            "align": told.AlignmentResult,
            "compare": told.ComparisonResult,
            "switch": told.SwitchResult,
        }
        document: Any = kinds[found.kind].model_validate(found.result)
        return document

    @router.get(
        "/jobs/{id}/events",
        summary="How a job goes, as server-sent events: `progress`, and `end` at last",
        response_class=Response,
        responses={200: {"description": "Events", "content": {"text/event-stream": {}}}},
    )
    async def events(id: str) -> Response:
        return StreamingResponse(_events(service.jobs.find(id)), media_type="text/event-stream")


async def _events(job: Job) -> AsyncIterator[str]:
    seen, sent = -1, time.monotonic()
    while True:
        if job.version != seen:
            seen, sent = job.version, time.monotonic()
            name = "end" if job.finished else "progress"
            yield f"event: {name}\nid: {seen}\ndata: {job_document(job).model_dump_json()}\n\n"
            if name == "end":
                return
        elif time.monotonic() - sent > _HEARTBEAT_SECONDS:
            sent = time.monotonic()
            yield ": still there\n\n"
        await asyncio.sleep(_EVENTS_SECONDS)
