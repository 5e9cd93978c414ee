"""Questions that are answered at once."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter

from retrieval.web import documents as told
from retrieval.web.service import Service

__all__ = ["add_questions"]


def add_questions(router: APIRouter, service: Service) -> None:
    """Add them to a router."""

    @router.post("/query", summary="What a clip is, where it is played, other versions of it, or its score")
    async def query(wanted: told.QueryRequest) -> told.QueryResult:
        return told.QueryResult(**await service.compute(partial(service.query, wanted)))

    @router.post("/align", summary="The corresponding times of a reference and others")
    async def align(wanted: told.AlignRequest) -> told.AlignmentResult:
        return told.AlignmentResult(**await service.compute(partial(service.align, wanted)))

    @router.post("/compare", summary="What two recordings are to each other")
    async def compare(wanted: told.CompareRequest) -> told.ComparisonResult:
        return told.ComparisonResult(**await service.compute(partial(service.compare, wanted)))
