"""The server's process: its socket, its life and its end."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, TracebackType

import uvicorn

from retrieval.web.access import Access
from retrieval.web.application import application
from retrieval.web.service import Service

__all__ = ["Server"]

_STOP_SECONDS = 3
_IDLE_SECONDS = 60  # a connection that is closed as a client asks again is an error to it


class Server:
    """Serves a library until it is interrupted; a context manager.

    Args:
        opened: socket that listens.
        access: who may ask there.
        library: folder of the library.
        roots: folders whose files clients may name.
        most_upload_bytes: of one file.
    """

    def __init__(
        self, opened: socket.socket, access: Access, library: Path, roots: Sequence[Path], most_upload_bytes: int
    ) -> None:
        self._socket = opened
        self._service = Service(library, roots, most_upload_bytes)
        config = uvicorn.Config(
            application(self._service, access),
            lifespan="off",
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
            timeout_keep_alive=_IDLE_SECONDS,
        )
        self._server = _Interruptible(config, self._service)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._service.close()
        self._socket.close()

    def run(self) -> None:
        """Serve until a signal comes, then raise KeyboardInterrupt."""
        for stopping in (signal.SIGINT, signal.SIGTERM):  # what a shell starts in the background ignores the first
            signal.signal(stopping, signal.default_int_handler)
        self._server.run([self._socket])


class _Interruptible(uvicorn.Server):
    """Cancels all jobs at the first signal, so that those who watch them are told and go."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal has come."""
        super().handle_exit(sig, frame)
        threading.Thread(target=self._service.jobs.cancel_all).start()  # this one may hold a lock that it wants
