"""`incipit works`: which recordings of the library play the same work, and what the user says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.cli.console import StageBars, clock, explain, hush_decoders, json_line, library_folder, line
from retrieval.cli.options import Json, LibraryFolder, Quiet, Verbose

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from index.library import Library
    from index.schema import Work

__all__ = ["app"]

app = typer.Typer()

WorkName = Annotated[str, typer.Argument(metavar="WORK", help="A work's id, or its name.")]
Items = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of recordings and scores, or paths.")]


@app.callback(invoke_without_command=True)
def works(
    context: typer.Context,
    library: LibraryFolder = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Show which recordings play the same work: versions, covers, other performances.

    `incipit index` groups new recordings by itself. Prints a line a recording or score: its work, a star if you
    confirmed it, length, id, title, path. What you name, confirm, merge or split stays as you left it,
    whatever is indexed later. Exit code 3 where there are none.

    Example: incipit works --json | jq '.recordings[].path'
    """
    if context.invoked_subcommand is not None:
        if library is not None or json or quiet:
            raise typer.BadParameter(f"options go behind {context.invoked_subcommand}")
        return 0
    from index.library import Library

    with Library(library_folder(library)) as opened:
        return _show_all(opened, json, quiet)


@app.command("group")
def group(
    library: LibraryFolder = None,
    max_false_accepts: Annotated[
        float,
        typer.Option(metavar="P", min=1e-9, max=0.5, help="Accept at most this share of mistaken versions."),
    ] = 1e-3,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Seek the versions of all recordings, group the library into works anew, and show them.

    What you confirmed stays where it is. Interrupt it at any time; `incipit index` goes on from there, at 0.001.

    Example: incipit works group --max-false-accepts 0.0001
    """
    from index.library import Library
    from retrieval.collection import Collection

    hush_decoders()
    folder = _existing(library)
    with StageBars(quiet) as bars:
        Collection(folder).group(bars, max_false_accepts=max_false_accepts, anew=True)
    with Library(folder) as opened:
        return _show_all(opened, json, quiet)


@app.command("name")
def name(
    work: WorkName,
    text: Annotated[str, typer.Argument(metavar="NAME", help="What to call it; '' takes the name away.")],
    library: LibraryFolder = None,
    json: Json = False,
) -> int:
    """Give a work a name, and confirm it.

    Example: incipit works name w0123456789ab 'Moonlight Sonata'
    """
    with _opened(library) as opened:
        found = opened.works.find(work)
        opened.works.name(found, text)
        return _show([found], json)


@app.command("confirm")
def confirm(work: WorkName, library: LibraryFolder = None, json: Json = False) -> int:
    """Say that the recordings of a work belong together; they stay together from then on.

    Example: incipit works confirm 'Moonlight Sonata'
    """
    with _opened(library) as opened:
        found = opened.works.find(work)
        opened.works.confirm(found)
        return _show([found], json)


@app.command("merge")
def merge(
    names: Annotated[
        list[str],
        typer.Argument(metavar="WORK...", help="Ids or names; or recordings and scores, by id or path."),
    ],
    library: LibraryFolder = None,
    json: Json = False,
) -> int:
    """Make one work of several, the first, and confirm it.

    A recording or score stands for its work, or for itself where it has none.

    Example: incipit works merge 'Moonlight Sonata' w0123456789ab
    """
    if len(names) < 2:
        raise typer.BadParameter("give at least two", param_hint="WORK...")
    with _opened(library) as opened:
        merged = opened.works.merge([item for name in names for item in opened.members(name)])
        return _show([opened.works.find(merged.key)], json)


@app.command("split")
def split(work: WorkName, keys: Items, library: LibraryFolder = None, json: Json = False) -> int:
    """Make a work of its own of some recordings or scores of a work, and confirm both: they stay apart from then on.

    Example: incipit works split 'Moonlight Sonata' r0123456789ab
    """
    from retrieval.cli.listing import find_items

    with _opened(library) as opened:
        found = opened.works.find(work)
        items, failed = find_items(opened, keys)
        if failed:
            return 1
        new = opened.works.split(found, items)
        return _show([opened.works.find(key) for key in (found.key, new.key)], json)


def _existing(library: Path | None) -> Path:
    """The library's folder; one that is not there is not made."""
    from index.library import Library

    folder = library_folder(library)
    Library(folder).close()
    return folder


def _opened(library: Path | None) -> Library:
    from index.library import Library

    return Library(_existing(library), write=True)


def _show_all(opened: Library, json: bool, quiet: bool) -> int:
    found = opened.works.all()
    if not found:
        explain("no works", quiet)
        return 3
    return _show(found, json)


def _show(works: Sequence[Work], json: bool) -> int:
    from retrieval.documents import work_document

    for work in works:
        if json:
            json_line(work_document(work))
            continue
        for item in work.items:
            star = "*" if item.work_confirmed else "-"
            line(work.label, star, clock(item.duration), item.key, item.title or "-", item.path)
    return 0
