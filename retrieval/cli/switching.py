"""`incipit switch`: a page that plays performances of a work in step and switches between them."""

from __future__ import annotations

import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.cli.aligning import align_known
from retrieval.cli.console import ProgressBar, absolute, hush_decoders, json_line, library_folder, line, warn, working
from retrieval.cli.options import Json, LibraryFolder, Quiet, Verbose
from retrieval.cli.targets import require_folder
from retrieval.sides import Other, Side, resolve

if TYPE_CHECKING:
    from alignment.switcher import Performance, Sheets, Switcher

__all__ = ["switch"]


def switch(
    ref: Annotated[str, typer.Argument(metavar="REF", help="The recording whose timeline is shown, or an id.")],
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Other performances of the work, or ids.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Write the page and its sound there.")],
    score: Annotated[
        str | None, typer.Option(metavar="SCORE", help="Show this score beside: MusicXML, MEI, kern, or an id.")
    ] = None,
    title: Annotated[str | None, typer.Option(metavar="T", help="Of the page; else the name of REF.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    library: LibraryFolder = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Write a page that plays performances of a work and switches between them at the same musical place.

    --score shows the pages of the score and follows them, repeats as played; a click on a measure goes there.

    DIR/index.html opens by a double click; it wants no network and no server. Prints its path.

    Example: incipit switch gould.flac richter.mp3 pogorelich.m4a -o sonata --title "Sonata" --open
    """
    from alignment.errors import AlignmentError

    hush_decoders()
    started = time.monotonic()
    paths = [resolve(name, library_folder(library)) for name in (ref, *others)]
    sheet = None if score is None else resolve(score, library_folder(library))
    _require_usable(paths, sheet, output)
    try:
        sheets = None if sheet is None else _sheets(sheet, paths[0], ref, library_folder(library), quiet)
        reference, done = align_known(paths, others, library_folder(library), quiet)
        switcher = _written(output, title or Path(reference.path).stem, reference, done, sheets, quiet)
    except AlignmentError as error:
        warn(str(error))
        if json:
            json_line({"ref": absolute(ref), "error": error.cause, "others": []})
        return 1
    if json:
        json_line(_summary(reference, done, switcher, started))
    elif switcher is not None:
        line(absolute(str(switcher.page)))
    if switcher is not None and show:
        webbrowser.open(switcher.page.absolute().as_uri())
    if any(other.alignment is None for other in done) or (score is not None and sheets is None):
        return 1
    return 0 if switcher is not None else 3


def _require_usable(paths: list[str], sheet: str | None, output: Path) -> None:
    from alignment.score import SCORE_SUFFIXES, is_score

    if sheet is not None and Path(sheet).exists() and not is_score(sheet):
        raise typer.BadParameter(f"{sheet} does not end in {', '.join(sorted(SCORE_SUFFIXES))}", param_hint="'--score'")
    for path in paths:
        if is_score(path):
            raise typer.BadParameter(f"{path} is a score, and recordings are wanted; give it as --score")
    if output.exists() and not output.is_dir():
        raise typer.BadParameter(f"{output} is not a folder", param_hint="'-o'")
    require_folder("-o", output)


def _sheets(sheet: str, ref: str, name: str, folder: Path, quiet: bool) -> Sheets | None:
    """The engraved score aligned with the reference; None where that is other music, which is told.

    Raises:
        AlignmentError: the score cannot be engraved, or one of the two cannot be read.
    """
    from alignment.engraving import engrave
    from alignment.score import read_score
    from alignment.switcher import Sheets

    with working(f"engraving {sheet}", quiet):
        engraving = engrave(sheet)
    _, (other,) = align_known([sheet, ref], [name], folder, quiet)
    if other.alignment is None or not other.accepted:
        warn(f"{sheet}: is not shown, for {name} is not taken for this music")
        return None
    return Sheets(read_score(sheet), engraving, other.alignment)


def _written(
    output: Path, title: str, reference: Side, done: list[Other], sheets: Sheets | None, quiet: bool
) -> Switcher | None:
    """The page with all that are the same music; None where none is."""
    from alignment.switcher import write_switcher

    performances = _performances(reference, done)
    if len(performances) < 2:
        return None
    with ProgressBar("writing", quiet) as bar:
        bar.planned(len(performances))
        return write_switcher(output, title, performances, sheets, lambda name: bar.finished(name, None, ()))


def _performances(reference: Side, done: list[Other]) -> list[Performance]:
    """The reference and those accepted, under names that differ."""
    from alignment.switcher import Performance, shown_names

    accepted = [(other.path, other.alignment) for other in done if other.accepted]
    names = shown_names([reference.path, *(path for path, _ in accepted)])
    return [
        Performance(path, name, alignment)
        for name, (path, alignment) in zip(names, [(reference.path, None), *accepted], strict=True)
    ]


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
