"""A file as an answer, whole or a range of its bytes (RFC 9110, section 14)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from retrieval.web.problems import Problem

__all__ = ["file_response"]

_BLOCK_BYTES = 2**18
_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)", re.ASCII)
_LONGEST_NUMBER = 18


def file_response(request: Request, path: Path, media_type: str, expected: tuple[int, int] | None = None) -> Response:
    """Answer with a file, or with the one range of it that is asked for.

    Several ranges at once, and what is no range, are answered with the whole, as the standard allows.

    Args:
        request: GET or HEAD.
        path: of the file.
        media_type: of what it holds.
        expected: bytes and time of change (nanoseconds) that it must have.

    Raises:
        Problem: it is gone or has changed, or the range lies behind its end.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise Problem(410, "file-gone", f"the file cannot be read ({error.strerror})") from error
    state = os.fstat(file.fileno())
    if expected is not None and expected != (state.st_size, state.st_mtime_ns):
        file.close()
        raise Problem(410, "file-changed", "the file is not any more what was indexed; index it again")
    etag = f'"{state.st_mtime_ns:x}-{state.st_size:x}"'
    headers = {"Accept-Ranges": "bytes", "ETag": etag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == etag:
        file.close()
        return Response(status_code=304, headers=headers)
    try:
        span = _span(request.headers, etag, state.st_size)
    except Problem:
        file.close()
        raise
    first, end = span or (0, state.st_size)
    headers["Content-Length"] = str(end - first)
    if span is not None:
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{state.st_size}"
    status = 206 if span is not None else 200
    if request.method == "HEAD":
        file.close()
        return Response(status_code=status, headers=headers, media_type=media_type)
    if end - first <= _BLOCK_BYTES:  # read by this thread: no other has to be waited for
        return Response(b"".join(_blocks(file, first, end)), status, headers, media_type)
    return StreamingResponse(_blocks(file, first, end), status, headers, media_type)


def _span(headers: Headers, etag: str, size: int) -> tuple[int, int] | None:
    """First byte that is wanted, and the one behind the last; None for the whole."""
    wanted = headers.get("range")
    if wanted is None or headers.get("if-range", etag) != etag:
        return None
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or not any(found.groups()) or max(map(len, found.groups())) > _LONGEST_NUMBER:
        return None
    first, last = found.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        outside = {"Content-Range": f"bytes */{size}"}
        raise Problem(416, "range-not-satisfiable", f"the file has {size} bytes", outside)
    return start, end


def _blocks(file: IO[bytes], first: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(first)
        left = end - first
        while left and (block := file.read(min(left, _BLOCK_BYTES))):
            left -= len(block)
            yield block
