"""`incipit list`, `show` and `remove`: what the library holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.cli.console import clock, json_line, library_folder, line, warn
from retrieval.cli.options import Json, LibraryFolder, Quiet, Verbose

if TYPE_CHECKING:
    from index.library import Library
    from index.schema import Item

__all__ = ["find_items", "list_items", "remove", "show"]

Keys = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids as `incipit list` prints them, or paths.")]


def list_items(
    library: LibraryFolder = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Instead, files that could not be taken in, and why.")
    ] = False,
    json: Json = False,
) -> int:
    """List the recordings and scores of the library, a line each, by path.

    With --failed, files that `incipit index` could not take in when it last tried: time, path, cause.

    Example: incipit list --json | jq -r .path
    """
    from index.library import Library
    from retrieval.documents import failure_document, item_document

    with Library(library_folder(library)) as opened:
        if failed:
            for failure in opened.failures():
                _print_failure(failure_document(failure), json)
            return 0
        for item in sorted(opened.items(), key=lambda item: item.path):
            document = item_document(item)
            if json:
                json_line(document)
            else:
                title = " - ".join(part for part in (item.artist, item.title) if part) or "-"
                line(item.key, clock(item.duration), title, document["path"], " ".join(document["flags"]))
    return 0


def show(keys: Keys, library: LibraryFolder = None, json: Json = False) -> int:
    """Show all that the library knows of some recordings and scores.

    Example: incipit show r0123456789ab
    """
    from index.library import Library
    from retrieval.documents import item_details

    with Library(library_folder(library)) as opened:
        found, failed = find_items(opened, keys)
        for item in found:
            document = item_details(opened, item)
            if json:
                json_line(document)
            else:
                for name, value in document.items():
                    _print_fact(name, value)
    return 1 if failed else 0


def remove(keys: Keys, library: LibraryFolder = None, quiet: Quiet = False, verbose: Verbose = False) -> int:
    """Remove recordings and scores from the library; the files themselves are not touched.

    Example: incipit remove r0123456789ab
    """
    from index.library import Library

    folder = library_folder(library)
    Library(folder).close()  # a library that is not there is not made
    with Library(folder, write=True) as opened:
        found, failed = find_items(opened, keys)
        for item in found:
            path = item.path
            opened.remove(item)
            if not quiet:
                line("removed", item.key, path)
    return 1 if failed else 0


def _print_fact(name: str, value: Any) -> None:
    """A line, or several where it is a list of documents."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        for entry in value:
            told = {key: text for key, text in entry.items() if text is not None and text is not False}
            line(name, *(text if isinstance(text, str) else f"{key} {text}" for key, text in told.items()))
    else:
        line(name, "-" if value is None else str(value))


def _print_failure(document: dict[str, Any], json: bool) -> None:
    if json:
        json_line(document)
    else:
        line(document["time"], document["path"], document["error"])


def find_items(library: Library, keys: list[str]) -> tuple[list[Item], bool]:
    """The recordings and scores of these ids or paths, each once, and whether one is not there, which is told."""
    found: dict[int, Item] = {}
    failed = False
    for key in keys:
        item = library.item(key)
        if item is None:
            failed = True
            warn(f"{key}: is not in the library")
        else:
            found[item.id] = item
    return list(found.values()), failed
