"""The paths of the HTTP API below /v1, a noun a file."""

from collections.abc import Callable

from fastapi import APIRouter

from retrieval.web.routes.clips import add_clips
from retrieval.web.routes.jobs import add_jobs
from retrieval.web.routes.library import add_library
from retrieval.web.routes.questions import add_questions
from retrieval.web.routes.sound import add_sound
from retrieval.web.routes.switcher import add_switcher
from retrieval.web.routes.works import add_works
from retrieval.web.service import Service

__all__ = ["ROUTES"]

ROUTES: tuple[Callable[[APIRouter, Service], None], ...] = (
    add_library,
    add_works,
    add_clips,
    add_sound,
    add_switcher,
    add_questions,
    add_jobs,
)
"""Each adds some to a router."""
