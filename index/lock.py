"""One writer at a time: a lock on the library's folder that names who holds it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from index.errors import LibraryLocked, LibraryReadOnly

__all__ = ["writer_lock"]


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the library's writer lock; the operating system releases it if the process dies.

    Raises:
        LibraryLocked: another process holds it.
        LibraryReadOnly: the lock cannot be written.
    """
    holder = folder / "writer.json"
    lock = FileLock(folder / "writer.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LibraryLocked(f"{folder}: is being written by {_describe(holder)}; try again when it is done") from error
    except OSError as error:
        raise LibraryReadOnly(f"{folder}: cannot be written ({error.strerror})") from error
    try:
        me = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat("T", "seconds")}
        holder.write_text(json.dumps(me), "utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _describe(holder: Path) -> str:
    try:
        who = json.loads(holder.read_text("utf-8"))
        return f"process {who['pid']} on {who['host']} since {who['since']}"
    except (OSError, ValueError, KeyError):
        return "another process"
