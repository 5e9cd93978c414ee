"""`incipit align`: the corresponding times of performances."""

from __future__ import annotations

import os
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.cli.console import absolute, explain, hush_decoders, json_line, library_folder, warn, working
from retrieval.cli.options import Json, LibraryFolder, Quiet

if TYPE_CHECKING:
    from alignment.audio import Audio
    from alignment.segments import Synchronisation

__all__ = ["align"]


class Format(StrEnum):
    """How an alignment is written."""

    csv = "csv"
    json = "json"


def align(
    ref: Annotated[str, typer.Argument(metavar="REF", help="Reference: a recording, or its id in the library.")],
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Other performances of the same work.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there, not to stdout.")
    ] = None,
    format: Annotated[Format | None, typer.Option("--format", help="Else by the ending of FILE, else csv.")] = None,
    library: LibraryFolder = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find the corresponding times of a reference and other performances of the same work.

    Prints CSV with the columns ref, other (seconds) and segment.

    Example: incipit align gould.flac richter.mp3 -o path.csv
    """
    from alignment.errors import AlignmentError
    from alignment.export import path_csv, synchronisation_document
    from alignment.synchronise import synchronise

    hush_decoders()
    started = time.monotonic()
    if format is None:
        format = Format.json if output is not None and output.suffix.lower() == ".json" else Format.csv
    if output is not None and not output.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {output.parent} to write to", param_hint="'-o'")
    done: list[tuple[str, Synchronisation | None]] = []
    entries: list[dict[str, Any]] = []
    try:
        reference_path, reference = _read(ref, library)
    except AlignmentError as error:
        warn(str(error))
        if json:
            json_line({"ref": absolute(ref), "error": _cause(error), "others": [], "seconds": 0.0})
        return 1
    for other in others:
        try:
            path, audio = _read(other, library)
            with working(f"aligning {other}", quiet):
                result = synchronise(reference, audio)
        except AlignmentError as error:
            warn(str(error))
            done.append((absolute(other), None))
            entries.append({"path": absolute(other), "error": _cause(error), "segments": [], "accepted": False})
            continue
        done.append((path, result))
        entries.append(synchronisation_document(path, result))
        _summarise(other, result, quiet)
    seconds = round(time.monotonic() - started, 3)
    _write(output, format, path_csv(done), {"ref": reference_path, "others": entries, "seconds": seconds}, json)
    results = [result for _, result in done]
    if None in results:
        return 1
    return 0 if any(result is not None and result.accepted for result in results) else 3


def _cause(error: Exception) -> str:
    return str(getattr(error, "cause", error))


def _read(name: str, library: Path | None) -> tuple[str, Audio]:
    """Decode a file, or the recording of that id in the library; gives its absolute path too."""
    from alignment.audio import read_audio

    path = name
    if not os.path.lexists(name):
        path = _path_of(name, library_folder(library)) or name
    audio = read_audio(path)
    for text in audio.warnings:
        warn(f"{path}: warning: {text}")
    return absolute(path), audio


def _path_of(key: str, folder: Path) -> str | None:
    from index.library import Library

    if not (folder / "library.sqlite").is_file():
        return None
    with Library(folder) as library:
        recording = library.recording(key)
        if recording is None:
            return None
        return next((file.path for file in recording.files if os.path.lexists(file.path)), recording.path)


def _summarise(name: str, result: Synchronisation, quiet: bool) -> None:
    if not result.accepted:
        explain(f"{name}: not taken for the same music as the reference (confidence {result.confidence:.2f})", quiet)
        return
    path = result.path
    assert path is not None, "what is accepted has a path"
    key = f", transposed by {-result.transposition:+d} semitones" if result.transposition else ""
    explain(
        f"{name}: aligned {path.ref[-1] - path.ref[0]:.1f} s of the reference with "
        f"{path.other[-1] - path.other[0]:.1f} s, tuned {result.tuning_cents:+.0f} cents{key}",
        quiet,
    )


def _write(output: Path | None, format: Format, csv: str, document: dict[str, object], json: bool) -> None:
    import json as json_module

    text = csv if format is Format.csv else json_module.dumps(document, ensure_ascii=True) + "\n"
    if json:
        json_line(document)
    elif output is None:
        sys.stdout.write(text)
    if output is not None:
        output.write_text(text, "utf-8", errors="surrogateescape")
