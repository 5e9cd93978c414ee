"""Pages and assets as answers.

Every page is the frame around a body of its own; its module has the page's name. Assets are the files of this folder
and, below `switcher/`, those of the switcher, which are the same that `incipit switch` writes into its page.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from alignment.switcher.page import STYLES, page_text
from retrieval.web.problems import Problem

__all__ = ["add_pages"]

PAGES = {"search": ("/", "Search"), "library": ("/library", "Library"), "works": ("/works", "Works")}
"""Path and title of each page that the head leads to, by its name."""
OTHER_PAGES = {
    "item": ("/item", "Item"),
    "failures": ("/failures", "What failed"),
    "compare": ("/compare", "Compare"),
}
"""Of those that other pages lead to."""

SWITCHER = "/switch"
"""Path of the page that plays performances side by side."""

_MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}
_PLACE = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class _Asset:
    content: bytes
    media_type: str
    tag: str


def add_pages(app: FastAPI) -> None:
    """Let an application answer with the pages, which hold nothing of the user's."""
    assets = dict(_assets())
    for name, (path, title) in (PAGES | OTHER_PAGES).items():
        app.add_api_route(path, _answer(_page(name, path, title)), include_in_schema=False)
    app.add_api_route(SWITCHER, _answer(_switcher()), include_in_schema=False)

    @app.get("/assets/{path:path}", include_in_schema=False)
    def asset(path: str, request: Request) -> Response:
        found = assets.get(path)
        if found is None:
            raise Problem(404, "no-such-path", "there is nothing at this path")
        headers = {"ETag": found.tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == found.tag:
            return Response(status_code=304, headers=headers)
        return Response(found.content, media_type=found.media_type, headers=headers)


def _answer(page: str) -> Callable[[], Response]:
    def answer() -> Response:
        return Response(page, media_type="text/html; charset=utf-8")

    return answer


def _page(name: str, path: str, title: str) -> str:
    current = ' aria-current="page"'
    links = "\n".join(f'<a href="{link}"{current if link == path else ""}>{text}</a>' for link, text in PAGES.values())
    parts = {"title": title, "name": name, "links": links, "body": _text(f"{name}.html")}
    return _PLACE.sub(lambda place: parts[place.group(1)], _text("frame.html"))


def _switcher() -> str:
    """The page that `incipit switch` writes, which here loads what it wants."""
    styles = "\n".join(f'<link rel="stylesheet" href="/assets/switcher/{name}">' for name in STYLES)
    script = '<script type="module" src="/assets/switch.js"></script>'
    return page_text("Side by side", styles, script, '<a class="home" href="/">Incipit</a>')


def _text(name: str) -> str:
    return files("retrieval.web.pages").joinpath(name).read_text("utf-8")


def _assets() -> Iterator[tuple[str, _Asset]]:
    switcher = files("alignment.switcher")
    folders = {"": files("retrieval.web.pages"), "switcher/": switcher, "switcher/vendor/": switcher.joinpath("vendor")}
    for folder, place in folders.items():
        for file in place.iterdir():
            suffix = file.name[file.name.rfind(".") :]
            if suffix in _MEDIA_TYPES:
                content = file.read_bytes()
                tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
                yield f"{folder}{file.name}", _Asset(content, _MEDIA_TYPES[suffix], tag)
