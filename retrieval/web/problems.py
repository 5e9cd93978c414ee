"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from alignment.errors import AlignmentError
from index.errors import LibraryError, LibraryLocked, LibraryMissing, LibraryReadOnly, WorkError, WorkMissing
from retrieval.errors import QueryError, RetrievalError

__all__ = ["Problem", "ProblemResponse", "add_problem_handlers", "internal_problem", "problem_of"]

_TYPE = "urn:incipit:problem:"
_MOST_FAULTS = 5


class Problem(Exception):
    """Something that cannot be answered, and why.

    Args:
        status: of HTTP.
        name: of the kind of problem, for programs.
        detail: one line for the user.
        headers: that the answer has beside the usual ones.
    """

    def __init__(self, status: int, name: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.name = name
        self.detail = detail
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """As RFC 9457 has it."""
        title = self.name.replace("-", " ").capitalize()
        return {"type": _TYPE + self.name, "title": title, "status": self.status, "detail": self.detail}


class ProblemResponse(Response):
    """A problem as an answer."""

    media_type = "application/problem+json"

    def __init__(self, problem: Problem) -> None:
        super().__init__(json.dumps(problem.document()).encode("ascii"), problem.status, problem.headers)


def problem_of(error: Exception, library: Path) -> Problem:
    """The problem that an error is to a client; the paths of the server's own files are left out.

    Args:
        error: whatever was raised.
        library: folder of the library.
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, AlignmentError):
        return Problem(422, "unusable-file", error.cause)
    text = str(error).replace(str(library.absolute()), "the library").replace(str(library), "the library")
    if isinstance(error, WorkMissing):
        return Problem(404, "no-such-work", text)
    if isinstance(error, WorkError):
        return Problem(409, "impossible-change", text)
    if isinstance(error, LibraryMissing):
        return Problem(404, "empty-library", "there is nothing in the library yet")
    if isinstance(error, LibraryLocked):
        return Problem(503, "library-busy", text, {"Retry-After": "5"})
    if isinstance(error, LibraryReadOnly):
        return Problem(403, "library-read-only", text)
    if isinstance(error, QueryError):
        return Problem(422, "impossible-query", text)
    if isinstance(error, (LibraryError, RetrievalError)):
        return Problem(500, "library-unusable", text)
    logging.getLogger("incipit.web").error("an error that is a bug", exc_info=error)
    return internal_problem()


def internal_problem() -> Problem:
    """That there is a bug, of which the client is told no more."""
    return Problem(500, "internal-error", "something went wrong in the server; its terminal tells more")


def add_problem_handlers(app: FastAPI, library: Path) -> None:
    """Make every error of an application a problem document."""

    async def any_error(request: Request, error: Exception) -> Response:
        return ProblemResponse(problem_of(error, library))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        phrase = HTTPStatus(error.status_code).phrase
        name = phrase.lower().replace(" ", "-")
        detail = error.detail if isinstance(error.detail, str) else phrase
        return ProblemResponse(Problem(error.status_code, name, detail, error.headers))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = [".".join(map(str, fault["loc"])) + ": " + fault["msg"] for fault in error.errors()[:_MOST_FAULTS]]
        return ProblemResponse(Problem(422, "invalid-request", "; ".join(faults)))

    async def bug(request: Request, error: Exception) -> Response:
        return ProblemResponse(internal_problem())  # whoever called the application logs it

    app.add_exception_handler(Exception, bug)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)
    for kind in (Problem, AlignmentError, LibraryError, RetrievalError):
        app.add_exception_handler(kind, any_error)
