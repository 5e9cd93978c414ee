"""The server's process: its socket, its life and its end."""

from __future__ import annotations

import ipaddress
import secrets
import signal
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, TracebackType

import uvicorn

from retrieval.web.application import application
from retrieval.web.guard import Access
from retrieval.web.service import Service

__all__ = ["Server", "listening"]

_BACKLOG = 128
_STOP_SECONDS = 3


def listening(host: str, port: int, token: str | None) -> tuple[socket.socket, Access]:
    """A socket that listens, and who may ask there.

    Args:
        host: a name or an address.
        port: 0 for one that is free.
        token: made if None.

    Raises:
        OSError: the address is not this machine's, or the port is taken.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(_BACKLOG)
    except OSError:
        opened.close()
        raise
    bound, number = opened.getsockname()[:2]
    return opened, Access(host, number, ipaddress.ip_address(bound).is_loopback, token or secrets.token_urlsafe(24))


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
        )
        self._server = _Interruptible(config, self._service)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._service.close()
        self._socket.close()

    def run(self) -> None:
        """Serve until a signal comes, then raise KeyboardInterrupt."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
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
