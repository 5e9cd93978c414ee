"""Who may ask the server, and what every answer carries.

A server on the loopback can be reached by every page that the user opens. So the `Host` must be the server's own
(else another name may have been pointed at it, DNS rebinding), a page of another origin is refused by its `Origin` or
`Sec-Fetch-Site`, and whatever changes or computes something wants the token that was made at the start. On other
addresses everything below `/v1` but the description of the API wants it. See docs/server.md.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.web.access import Access
from retrieval.web.problems import Problem, ProblemResponse, internal_problem

__all__ = ["Guard"]

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_API = "/v1/"
_DESCRIPTION = "/v1/openapi.json"

_UPLOADS = "/v1/uploads"
_MOST_BODY_BYTES = 2**20

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PLAYER = "/switch"
_PLAYER_POLICY = _PAGE_POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")
"""Of the page that changes the speed of sound by WebAssembly, in a worklet whose module is the server's own."""

_DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
}


class Guard:
    """Lets through what may ask, and puts the headers on every answer.

    Args:
        app: the application.
        access: who may ask.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                _add_headers(MutableHeaders(raw=message.setdefault("headers", [])), scope["path"])
            await send(message)

        try:
            self._require_allowed(scope)
            limited = receive if scope["path"] == _UPLOADS else _limited(receive)
            await self._app(scope, limited, send_guarded)
        except Problem as problem:
            if not begun:
                await ProblemResponse(problem)(scope, receive, send_guarded)
        except asyncio.CancelledError:  # by the server, which does not wait for it any longer
            if not begun:
                stopping = Problem(503, "stopping", "the server is being stopped")
                await ProblemResponse(stopping)(scope, receive, send_guarded)
        except Exception as error:  # whatever it is, the client gets no traceback
            logging.getLogger("incipit.web").error("an error that is a bug", exc_info=error)
            if not begun:
                await ProblemResponse(internal_problem())(scope, receive, send_guarded)

    def _require_allowed(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        path, safe = scope["path"], scope["method"] in _SAFE_METHODS
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or (self._access.loopback and not self._is_own(host)):
            raise Problem(421, "foreign-host", "the Host of the request is not this server's")
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
            raise Problem(403, "foreign-origin", "the request comes from a page of another origin")
        holds_nothing = path == _DESCRIPTION or not path.startswith(_API)
        opens_page = not path.startswith(_API) and safe and headers.get("sec-fetch-mode", "navigate") == "navigate"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not opens_page:
            raise Problem(403, "foreign-origin", "the request comes from a page of another origin")
        if safe and (self._access.loopback or holds_nothing):
            return
        if not (self._has_token(headers) or (safe and self._has_cookie(headers))):
            wanted = {"WWW-Authenticate": "Bearer"}
            raise Problem(401, "token-wanted", "the token is wanted that the server printed at its start", wanted)

    def _is_own(self, host: str) -> bool:
        """Whether a Host is the loopback's, and the port the server's."""
        name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "80")
        if port != str(self._access.port):
            return False
        name = name.strip("[]").lower()
        if name in ("localhost", self._access.host.lower()):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    def _has_token(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and _equal(given.strip(), self._access.token)

    def _has_cookie(self, headers: Headers) -> bool:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        found = cookies.get(self._access.cookie)
        return found is not None and _equal(found.value, self._access.reading_key)


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode())


def _add_headers(headers: MutableHeaders, path: str) -> None:
    is_page = headers.get("content-type", "").startswith("text/html")
    for name, value in _HEADERS.items():
        headers[name] = value
    page_policy = _PLAYER_POLICY if path == _PLAYER else _PAGE_POLICY
    headers["Content-Security-Policy"] = page_policy if is_page else _DATA_POLICY
    headers.setdefault("Cache-Control", "no-store")


def _limited(receive: Receive) -> Receive:
    """A body that ends with a problem where it becomes too large."""
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > _MOST_BODY_BYTES:
            raise HTTPException(413, "the body of the request is larger than a megabyte")  # passes through FastAPI
        return message

    return receive_limited
