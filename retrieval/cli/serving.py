"""`incipit serve`: the library over HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from retrieval.cli.console import explain, hush_decoders, library_folder, line, warn
from retrieval.cli.options import LibraryFolder, Quiet, Verbose

__all__ = ["serve"]

_SHORTEST_TOKEN = 16


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on. Any but this machine's own is for all to reach.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes one that is free.")] = 8000,
    roots: Annotated[
        list[Path] | None,
        typer.Option("--root", metavar="DIR", help="Clients may name files and folders below it; repeatable."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(envvar="INCIPIT_TOKEN", help="What clients must send to write; made at each start if absent."),
    ] = None,
    max_upload: Annotated[int, typer.Option(metavar="MB", min=1, help="Size of an upload at most.")] = 512,
    library: LibraryFolder = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Serve the library over HTTP, until Ctrl-C: search, alignment, sound, and the works as `incipit works` keeps them.

    Prints the address, with the token that clients must send for everything that changes or computes something. On
    any address but this machine's own the token is wanted for reading, too. docs/server.md tells the rest.

    Example: incipit serve --root ~/Music

    Example: incipit serve --host 0.0.0.0 --port 8080 --root /srv/music
    """
    for root in roots or ():
        if not root.is_dir():
            raise typer.BadParameter(f"there is no folder {root}", param_hint="'--root'")
    if token is not None and (len(token) < _SHORTEST_TOKEN or not (token.isascii() and token.isprintable())):
        raise typer.BadParameter(f"wanted are {_SHORTEST_TOKEN} characters of ASCII or more", param_hint="'--token'")
    from retrieval.web.access import listening

    try:
        socket, access = listening(host, port, token)
    except OSError as error:
        warn(f"{host}:{port}: cannot be listened on ({error.strerror or error})")
        return 1
    try:
        from retrieval.web.server import Server
    except ImportError as error:
        if error.name not in ("fastapi", "uvicorn"):
            raise
        warn('serve wants the web extra: pip install "incipit-music[web]"')
        return 1
    hush_decoders()
    with Server(socket, access, library_folder(library), roots or (), max_upload * 2**20) as server:
        line(access.url)
        sys.stdout.flush()
        explain("Ctrl-C stops it", quiet)
        server.run()
    return 0
