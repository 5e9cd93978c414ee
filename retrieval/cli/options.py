"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Json", "LibraryFolder", "Quiet"]

LibraryFolder = Annotated[
    Path | None,
    typer.Option("--library", metavar="DIR", help="The library. Else INCIPIT_LIBRARY, else your data folder."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON Lines.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")]
