"""`incipit switch`: a page that plays performances of a work in step and switches between them."""

from __future__ import annotations

import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.cli.aligning import align_with
from retrieval.cli.console import ProgressBar, absolute, hush_decoders, json_line, line, warn
from retrieval.cli.options import Json, LibraryFolder, Quiet
from retrieval.cli.sides import Other, Side, resolve

if TYPE_CHECKING:
    from alignment.switcher import Performance, Switcher

__all__ = ["switch"]


def switch(
    ref: Annotated[str, typer.Argument(metavar="REF", help="The recording whose timeline is shown, or an id.")],
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Other performances of the work, or ids.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Write the page and its sound there.")],
    title: Annotated[str | None, typer.Option(metavar="T", help="Of the page; else the name of REF.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    library: LibraryFolder = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Write a page that plays performances of a work and switches between them at the same musical place.

    DIR/index.html opens by a double click; it wants no network and no server. Prints its path.

    Example: incipit switch gould.flac richter.mp3 pogorelich.m4a -o sonata --title "Sonata" --open
    """
    from alignment.errors import AlignmentError

    hush_decoders()
    started = time.monotonic()
    paths = [resolve(name, library) for name in (ref, *others)]
    _require_usable(paths, output)
    try:
        reference, done = align_with(paths, others, {}, quiet)
        switcher = _written(output, title or Path(reference.path).stem, reference, done, quiet)
    except AlignmentError as error:
        warn(str(error))
        if json:
            json_line({"ref": absolute(ref), "error": str(getattr(error, "cause", error)), "others": []})
        return 1
    if json:
        json_line(_summary(reference, done, switcher, started))
    elif switcher is not None:
        line(absolute(str(switcher.page)))
    if switcher is not None and show:
        webbrowser.open(switcher.page.absolute().as_uri())
    if any(other.alignment is None for other in done):
        return 1
    return 0 if switcher is not None else 3


def _require_usable(paths: list[str], output: Path) -> None:
    from alignment.score import is_score

    for path in paths:
        if is_score(path):
            raise typer.BadParameter(f"{path} is a score, and recordings are wanted")
    if output.exists() and not output.is_dir():
        raise typer.BadParameter(f"{output} is not a folder", param_hint="'-o'")
    if not output.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {output.parent} to write to", param_hint="'-o'")


def _written(output: Path, title: str, reference: Side, done: list[Other], quiet: bool) -> Switcher | None:
    """The page with all that are the same music; None where none is."""
    from alignment.switcher import write_switcher

    performances = _performances(reference, done)
    if len(performances) < 2:
        return None
    with ProgressBar("writing", quiet) as bar:
        bar.planned(len(performances))
        return write_switcher(output, title, performances, lambda name: bar.finished(name, None, ()))


def _performances(reference: Side, done: list[Other]) -> list[Performance]:
    """The reference and those accepted, under names that differ."""
    from alignment.switcher import Performance

    found: list[Performance] = []
    names: set[str] = set()
    for path, alignment in [
        (reference.path, None),
        *((other.path, other.alignment) for other in done if other.accepted),
    ]:
        stem, number = Path(path).stem, 2
        name = stem
        while name in names:
            name, number = f"{stem} ({number})", number + 1
        names.add(name)
        found.append(Performance(path, name, alignment))
    return found


def _summary(reference: Side, done: list[Other], switcher: Switcher | None, started: float) -> dict[str, Any]:
    """The JSON document of the command."""
    return {
        "ref": reference.path,
        "others": [
            {
                "path": other.path,
                "accepted": other.accepted,
                **(
                    {"error": other.error}
                    if other.alignment is None
                    else {"confidence": round(other.alignment.confidence, 4)}
                ),
            }
            for other in done
        ],
        "page": None if switcher is None else absolute(str(switcher.page)),
        "bytes": 0 if switcher is None else switcher.size,
        "seconds": round(time.monotonic() - started, 3),
    }
