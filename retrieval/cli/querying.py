"""`incipit query`: what is this clip, and where is it from."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.cli.console import absolute, clock, explain, hush_decoders, json_line, library_folder, line, warn
from retrieval.cli.options import Json, LibraryFolder, Quiet

if TYPE_CHECKING:
    from retrieval.collection import Collection
    from retrieval.hits import Hit

__all__ = ["query"]


class Task(StrEnum):
    """What can be asked of a clip."""

    identify = "identify"


def query(
    clips: Annotated[list[str], typer.Argument(metavar="CLIP...", help="Audio files.")],
    library: LibraryFolder = None,
    task: Annotated[Task, typer.Option(help="identify: which recording is the clip from.")] = Task.identify,
    top: Annotated[int, typer.Option("--top", min=1, help="Show at most so many hits.")] = 10,
    max_false_accepts: Annotated[
        float,
        typer.Option(metavar="P", min=1e-6, max=0.5, help="Accept at most this share of clips that are not in it."),
    ] = 0.01,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find which recording of the library a clip is from, and where in it.

    Example: incipit query clip.wav --json | jq .hits[0].path
    """
    from alignment.errors import AlignmentError
    from retrieval.collection import Collection

    hush_decoders()
    collection = Collection(library_folder(library))
    collection.identifier()
    failed = found = False
    for clip in clips:
        started = time.monotonic()
        try:
            hits, duration = _ask(collection, clip, top, max_false_accepts)
        except AlignmentError as error:
            failed = True
            cause = getattr(error, "cause", str(error))
            warn(str(error))
            if json:
                json_line({"query": absolute(clip), "task": task.value, "error": cause, "hits": []})
            continue
        found = found or bool(hits)
        seconds = time.monotonic() - started
        if json:
            json_line(_document(clip, task.value, duration, seconds, hits))
        else:
            _print(clip, hits, several=len(clips) > 1, quiet=quiet)
    if failed:
        return 1
    return 0 if found else 3


def _ask(collection: Collection, clip: str, top: int, max_false_accepts: float) -> tuple[list[Hit], float]:
    from alignment.audio import read_audio

    audio = read_audio(clip)
    for text in audio.warnings:
        warn(f"{clip}: warning: {text}")
    return collection.identifier().identify(audio, top=top, max_false_accepts=max_false_accepts), audio.duration


def _document(clip: str, task: str, duration: float, seconds: float, hits: list[Hit]) -> dict[str, Any]:
    return {
        "query": absolute(clip),
        "task": task,
        "duration": round(duration, 3),
        "seconds": round(seconds, 4),
        "hits": [hit.document() for hit in hits],
    }


def _print(clip: str, hits: list[Hit], *, several: bool, quiet: bool) -> None:
    """One line a hit: score, place, title, path; with several clips the clip in front."""
    if not hits:
        explain(f"{clip}: no match", quiet)
    for hit in hits:
        cells = [f"{hit.score:.3f}", clock(hit.places[0].start), hit.title or "-", hit.path]
        line(*([clip] if several else []), *cells)
