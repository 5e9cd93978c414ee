"""Where the server listens, and who may ask there."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
from dataclasses import dataclass

__all__ = ["Access", "listening"]

_BACKLOG = 128


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        host, port: by which the server is reached.
        loopback: whether that is reached from this machine alone.
        token: wanted for all that writes, and everywhere but on the loopback for all that reads, too.
    """

    host: str
    port: int
    loopback: bool
    token: str

    @property
    def url(self) -> str:
        """Of the start page, with the token in the fragment, which browsers do not send."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/#token={self.token}"

    @property
    def reading_key(self) -> str:
        """What a cookie may hold to read: made of the token, which cannot be had from it."""
        return hmac.new(self.token.encode(), b"read", hashlib.sha256).hexdigest()

    @property
    def cookie(self) -> str:
        """Name of that cookie; cookies are shared by all ports of a host."""
        return f"incipit-{self.port}"


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
    ip = ipaddress.ip_address(bound.partition("%")[0])
    named = socket.gethostname() if ip.is_unspecified else host
    return opened, Access(named, number, ip.is_loopback, token or secrets.token_urlsafe(24))
