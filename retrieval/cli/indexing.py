"""`incipit index`: take recordings and scores into the library."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.cli.console import (
    ProgressBar,
    StageBars,
    clock,
    explain,
    hush_decoders,
    json_line,
    library_folder,
    line,
    warn,
)
from retrieval.cli.options import Json, LibraryFolder, Quiet, Verbose

if TYPE_CHECKING:
    from retrieval.collection import Collection

__all__ = ["index"]


def index(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Recordings and scores, and folders of them.")],
    library: LibraryFolder = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Files at once; all cores if not given.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Pass over what matches; repeatable.")
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Forget files that are gone.")] = False,
    no_works: Annotated[
        bool, typer.Option("--no-works", help="Seek neither versions nor scores of new recordings.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Take recordings and scores into the library.

    Only what is new or changed is decoded; interrupt it at any time and run it again to go on. New recordings that
    are versions of others are put to their work and aligned with it, see `incipit works`; those that play a score of
    the library are aligned with that.

    Example: incipit index ~/Music --exclude '*podcast*'
    """
    from retrieval.collection import Collection
    from retrieval.documents import index_document

    hush_decoders()
    collection = Collection(library_folder(library))
    with ProgressBar("indexing", quiet) as bar:
        try:
            report = collection.add(*paths, jobs=jobs, exclude=exclude or (), prune=prune, watcher=bar, works=False)
        except KeyboardInterrupt:
            return _interrupted()
    try:
        moved = 0 if no_works else _group(collection, quiet)
    except KeyboardInterrupt:
        return _interrupted()
    looked_at = report.added + report.updated + report.unchanged + report.moved + len(report.failed)
    if not looked_at:
        explain(f"incipit: no recordings or scores found in {', '.join(paths)}", quiet)
    if json:
        json_line(index_document(collection.folder, report))
    else:
        counts = {name: value for name, value in asdict(report).items() if isinstance(value, int)}
        counts["failed"] = len(report.failed)
        line("  ".join(f"{name} {value}" for name, value in counts.items()))
        if report.audio_seconds:
            speed = report.audio_seconds / report.seconds
            explain(f"{clock(report.audio_seconds)} of audio in {clock(report.seconds)}, {speed:.0f}x real time", quiet)
        if report.failed:
            explain("`incipit list --failed` tells what failed, and why", quiet)
        if moved:
            explain(f"{moved} recording{'s' if moved > 1 else ''} sorted into works", quiet)
    return 1 if report.failed or moved is None else 0


def _group(collection: Collection, quiet: bool) -> int | None:
    """Group what is new into works; whatever is wrong there, the recordings are in the library. None if it fails."""
    with StageBars(quiet) as bars:
        try:
            return collection.group(bars)
        except Exception as error:
            bars.say(f"works are not up to date ({type(error).__name__}: {error})")
            return None


def _interrupted() -> int:
    warn("interrupted; what was finished is in the library, and the same command goes on from there")
    return 130
