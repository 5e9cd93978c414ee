"""Parameters that several routes take."""

from typing import Annotated

from fastapi import Query

__all__ = ["FilePath", "Limit", "Offset", "Text"]

Offset = Annotated[int, Query(ge=0, le=10**9)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Text = Annotated[str, Query(max_length=200, description="In titles, artists, names or paths.")]
FilePath = Annotated[str, Query(max_length=4096, description="Absolute, below one of the server's --root folders.")]
