"""`incipit list`, `show` and `remove`: what the library holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.cli.console import clock, json_line, library_folder, line, warn
from retrieval.cli.options import Json, LibraryFolder, Quiet

if TYPE_CHECKING:
    from index.library import Library
    from index.schema import Recording

__all__ = ["find_recordings", "list_recordings", "remove", "show"]

Keys = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids as `incipit list` prints them, or paths.")]


def list_recordings(library: LibraryFolder = None, json: Json = False) -> int:
    """List the recordings of the library, a line each, by path.

    Example: incipit list --json | jq -r .path
    """
    from index.library import Library

    with Library(library_folder(library)) as opened:
        for recording in sorted(opened.recordings(), key=lambda recording: recording.path):
            document = _document(recording)
            if json:
                json_line(document)
            else:
                title = " - ".join(part for part in (recording.artist, recording.title) if part) or "-"
                line(recording.key, clock(recording.duration), title, document["path"], " ".join(document["flags"]))
    return 0


def show(keys: Keys, library: LibraryFolder = None, json: Json = False) -> int:
    """Show all that the library knows of some recordings.

    Example: incipit show r0123456789ab
    """
    from index.library import Library

    with Library(library_folder(library)) as opened:
        found, failed = find_recordings(opened, keys)
        for recording in found:
            paths = [{"path": file.path, "missing": file.missing} for file in recording.files]
            document = _document(recording) | {"paths": paths, "content_hash": recording.content_hash}
            document["vectors"] = sum(run.count for run in recording.runs)
            if json:
                json_line(document)
            else:
                for name, value in document.items():
                    line(name, str(value if value is not None else "-"))
    return 1 if failed else 0


def remove(keys: Keys, library: LibraryFolder = None, quiet: Quiet = False) -> int:
    """Remove recordings from the library; the files themselves are not touched.

    Example: incipit remove r0123456789ab
    """
    from index.library import Library

    folder = library_folder(library)
    Library(folder).close()  # a library that is not there is not made
    with Library(folder, write=True) as opened:
        found, failed = find_recordings(opened, keys)
        for recording in found:
            path = recording.path
            opened.remove(recording)
            if not quiet:
                line("removed", recording.key, path)
    return 1 if failed else 0


def find_recordings(library: Library, keys: list[str]) -> tuple[list[Recording], bool]:
    """The recordings of these ids or paths, each once, and whether one is not there, which is told."""
    found: dict[int, Recording] = {}
    failed = False
    for key in keys:
        recording = library.recording(key)
        if recording is None:
            failed = True
            warn(f"{key}: is not in the library")
        else:
            found[recording.id] = recording
    return list(found.values()), failed


def _document(recording: Recording) -> dict[str, Any]:
    """A recording as `incipit list --json` prints it."""
    missing = all(file.missing for file in recording.files)
    return {
        "id": recording.key,
        "kind": "recording",
        "path": recording.path,
        "title": recording.title or None,
        "artist": recording.artist or None,
        "work": recording.work.label if recording.work else None,
        "duration": round(recording.duration, 3),
        "flags": [*recording.flags, *(["missing"] if missing else [])],
    }
