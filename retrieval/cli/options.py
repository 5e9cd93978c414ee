"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrieval.cli.console import tell_all

__all__ = ["Json", "LibraryFolder", "Quiet", "Verbose"]

LibraryFolder = Annotated[
    Path | None,
    typer.Option("--library", metavar="DIR", help="The library. Else INCIPIT_LIBRARY, else your data folder."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON Lines.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", callback=tell_all, help="Say what is done, and how long after the start.")
]
"""Has done its part when a verb begins."""
