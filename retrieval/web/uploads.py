"""Files that clients sent: kept for a while in a folder of their own, under names of the server's."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from anyio import to_thread

from alignment.audio import ANALYSIS_RATE, AUDIO_SUFFIXES, audio_blocks
from alignment.errors import AlignmentError, AudioError
from alignment.score import SCORE_SUFFIXES, is_score, read_score
from retrieval.web.problems import Problem

__all__ = ["Upload", "Uploads"]

_MOST_UPLOADS = 64
_KEPT_SECONDS = 3600.0
_SWEEP_SECONDS = 60
_LONGEST_SECONDS = 3 * 3600.0
_LONGEST_NAME = 200
_BLOCK_BYTES = 2**20


@dataclass
class Upload:
    """A file that a client sent.

    Attributes:
        id: what it is called by.
        name: as the client calls it; only shown.
        path: where it lies.
        kind: "recording" or "score".
        duration: seconds.
        size: bytes.
        used: when it was last asked for.
        users: how many are reading it.
    """

    id: str
    name: str
    path: Path
    kind: str = ""
    duration: float = 0.0
    size: int = 0
    used: float = field(default_factory=time.monotonic)
    users: int = 0

    @property
    def key(self) -> str:
        """What its copy is known by, beside those of the library's items."""
        return f"upload-{self.id}"


class Uploads:
    """The files that clients sent: removed when the client says so, an hour after their last use, or at the end.

    Args:
        most_bytes: of one file.
        dropped: is told of each file that is removed.
    """

    def __init__(self, most_bytes: int, dropped: Callable[[Upload], None]) -> None:
        self._most_bytes = most_bytes
        self._dropped = dropped
        self._folder = Path(tempfile.mkdtemp(prefix="incipit-uploads-"))
        self._uploads: dict[str, Upload] = {}
        self._lock = threading.Lock()
        self._arriving = 0
        self._closed = threading.Event()
        threading.Thread(target=self._sweep_on, name="incipit-uploads", daemon=True).start()

    async def receive(self, name: str, body: AsyncIterator[bytes]) -> Upload:
        """Write what a client sends to the disk; what it is has still to be told by `checked`.

        Raises:
            Problem: it is too large, empty, or there are too many.
        """
        shown = _shown(name)
        upload = Upload(secrets.token_urlsafe(12), shown, self._folder / f"{secrets.token_hex(16)}{_suffix(shown)}")
        self._make_room()
        try:
            await self._write(upload, body)
        except BaseException:
            upload.path.unlink(missing_ok=True)
            raise
        finally:
            with self._lock:
                self._arriving -= 1
        return upload

    def checked(self, upload: Upload) -> Upload:
        """Decode what was sent, and keep it if it is music; else its file is to be removed.

        Raises:
            Problem: it is not, or too long.
        """
        try:
            upload.kind, upload.duration = _decoded(str(upload.path))
        except AlignmentError as error:
            raise Problem(422, "unusable-file", error.cause) from error
        except Problem:
            raise
        except Exception as error:  # whatever a decoder stumbles over
            raise Problem(422, "unusable-file", f"cannot be decoded ({type(error).__name__})") from error
        with self._lock:
            self._uploads[upload.id] = upload
        return upload

    @contextmanager
    def reading(self, id: str) -> Iterator[Upload]:
        """A file that stays while it is read.

        Raises:
            Problem: there is none of that id.
        """
        with self._lock:
            upload = self._uploads.get(id)
            if upload is None:
                raise Problem(404, "no-such-upload", "there is no such upload, or not any more")
            upload.users += 1
        try:
            yield upload
        finally:
            with self._lock:
                upload.users -= 1
                upload.used = time.monotonic()
                if self._uploads.get(id) is not upload and not upload.users:
                    upload.path.unlink(missing_ok=True)

    def remove(self, id: str) -> Upload:
        """Remove a file, as soon as nobody reads it; gives what it was.

        Raises:
            Problem: there is none of that id.
        """
        with self._lock:
            upload = self._uploads.pop(id, None)
            if upload is None:
                raise Problem(404, "no-such-upload", "there is no such upload, or not any more")
            if not upload.users:
                upload.path.unlink(missing_ok=True)
        self._dropped(upload)
        return upload

    def sweep(self) -> None:
        """Remove what was not used for an hour."""
        now = time.monotonic()
        with self._lock:
            old = [one for one in self._uploads.values() if not one.users and now - one.used > _KEPT_SECONDS]
            for upload in old:
                del self._uploads[upload.id]
                upload.path.unlink(missing_ok=True)
        for upload in old:
            self._dropped(upload)

    def close(self) -> None:
        """Remove all."""
        self._closed.set()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _sweep_on(self) -> None:
        while not self._closed.wait(_SWEEP_SECONDS):
            self.sweep()

    def _make_room(self) -> None:
        """Forget what was not used for long, and count one more that arrives."""
        self.sweep()
        with self._lock:
            if len(self._uploads) + self._arriving >= _MOST_UPLOADS:
                raise Problem(503, "too-many-uploads", "there are too many uploads; remove some", {"Retry-After": "60"})
            self._arriving += 1

    async def _write(self, upload: Upload, body: AsyncIterator[bytes]) -> None:
        waiting = bytearray()
        with upload.path.open("xb") as file:
            async for part in body:
                upload.size += len(part)
                if upload.size > self._most_bytes:
                    raise Problem(413, "too-large", f"an upload may have {self._most_bytes // 2**20} MB at most")
                waiting += part
                if len(waiting) >= _BLOCK_BYTES:
                    await to_thread.run_sync(file.write, bytes(waiting))
                    waiting.clear()
            await to_thread.run_sync(file.write, bytes(waiting))
        if not upload.size:
            raise Problem(422, "unusable-file", "the file is empty")


def _decoded(path: str) -> tuple[str, float]:
    """What kind of music a file holds, and how long it is; decoded piece by piece, for a small file may be long."""
    if is_score(path):
        seconds = read_score(path).duration
        _require_short(seconds)
        return "score", seconds
    seconds = 0.0
    try:
        for block in audio_blocks(path):
            seconds += len(block) / ANALYSIS_RATE
            _require_short(seconds)
    except AudioError:
        if not seconds:
            raise
    if not seconds:
        raise AudioError(path, "has no sound")
    return "recording", seconds


def _require_short(seconds: float) -> None:
    if seconds > _LONGEST_SECONDS:
        raise Problem(413, "too-long", f"an upload may last {_LONGEST_SECONDS / 3600:.0f} hours at most")


def _shown(name: str) -> str:
    """The last part of a client's name for a file, on one line."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(char for char in last if char.isprintable())[:_LONGEST_NAME] or "upload"


def _suffix(name: str) -> str:
    """Its ending if it is a known one, for that tells some formats apart."""
    suffix = Path(name).suffix.lower()
    return suffix if suffix in AUDIO_SUFFIXES | SCORE_SUFFIXES else ""
