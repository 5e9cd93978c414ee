"""The HTTP API, version 1, and the pages."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.responses import Response
from starlette.types import ASGIApp

from retrieval.web.access import Access
from retrieval.web.documents import ProblemDocument, Session
from retrieval.web.guard import Guard
from retrieval.web.pages import add_pages
from retrieval.web.problems import add_problem_handlers
from retrieval.web.routes import ROUTES
from retrieval.web.service import Service

__all__ = ["application"]


def application(service: Service, access: Access) -> ASGIApp:
    """The API over a service, guarded."""
    app = FastAPI(
        title="Incipit",
        version=version("incipit-music"),
        description="Aligns and finds music. What changes or computes something wants the token as a Bearer.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    router = APIRouter(prefix="/v1", generate_unique_id_function=lambda route: route.name)
    for add in ROUTES:
        add(router, service)
    _add_session(router, access)
    app.include_router(router)
    add_problem_handlers(app, service.library)
    _add_description(app)
    add_pages(app)
    return Guard(app, access)


def _add_session(router: APIRouter, access: Access) -> None:
    @router.post("/session", summary="Take a cookie to read with, where a header cannot be sent: sound and events")
    def session(response: Response) -> Session:
        response.set_cookie(access.cookie, access.reading_key, httponly=True, samesite="strict", path="/v1")
        return Session(cookie=access.cookie)


def _add_description(app: FastAPI) -> None:
    """The OpenAPI document, in which every error is a problem."""
    document = app.openapi()
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for operations in document["paths"].values():
        for method, operation in operations.items():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"description": "A problem", "content": problem}
            operation["security"] = [{"token": []}] + ([{}] if method == "get" else [])
    app.openapi_schema = document

    @app.get("/v1/openapi.json", include_in_schema=False)
    def description() -> dict[str, Any]:
        return document
