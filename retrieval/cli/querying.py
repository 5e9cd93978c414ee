"""`incipit query`: what is this clip, where is it from, and where is it played."""

from __future__ import annotations

import time
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.cli.console import absolute, clock, explain, hush_decoders, json_line, library_folder, line, warn
from retrieval.cli.monitoring import MONITORED_TASKS, Pcm, monitor
from retrieval.cli.options import Json, LibraryFolder, Quiet

if TYPE_CHECKING:
    from alignment.audio import Audio
    from retrieval.collection import Collection
    from retrieval.hits import Hit, Wanted

__all__ = ["query"]


_SHORTEST_SECONDS = 1.0
_SAME_SPEED = 0.015


class Task(StrEnum):
    """What can be asked of a clip."""

    identify = "identify"
    match = "match"
    versions = "versions"


def query(
    clips: Annotated[list[str] | None, typer.Argument(metavar="CLIP...", help="Audio files.")] = None,
    library: LibraryFolder = None,
    task: Annotated[
        Task,
        typer.Option(
            help="identify: which recording is it from. match: where is it played, by anybody. "
            "versions: which recordings are of the same work."
        ),
    ] = Task.identify,
    top: Annotated[int, typer.Option("--top", min=1, help="Show at most so many hits.")] = 10,
    max_false_accepts: Annotated[
        float,
        typer.Option(metavar="P", min=1e-6, max=0.5, help="Accept at most this share of clips that are not in it."),
    ] = 0.01,
    any_key: Annotated[bool, typer.Option("--any-key", help="match: look for it in other keys, too.")] = False,
    monitored: Annotated[
        str | None,
        typer.Option(
            "--monitor", metavar="FILE", help="Find all recordings, or versions, in a long file; - for standard input."
        ),
    ] = None,
    rate: Annotated[int, typer.Option(min=1000, help="Samples a second on standard input (16-bit PCM).")] = 44100,
    channels: Annotated[int, typer.Option(min=1, help="Channels on standard input.")] = 2,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find which recording of the library a clip is from; or where it is played; or other versions of the work.

    Example: incipit query clip.wav --json | jq .hits[0].path

    Example: incipit query passage.wav --task match --any-key --top 20

    Example: incipit query cover.mp3 --task versions

    Example: incipit query --monitor radio.flac

    Example: incipit query --monitor concert.flac --task versions
    """
    if bool(clips) == (monitored is not None):
        raise typer.BadParameter("give clips, or one file (or -) to --monitor", param_hint="CLIP...")
    if monitored is not None and task.value not in MONITORED_TASKS:
        raise typer.BadParameter(f"--monitor knows {' and '.join(MONITORED_TASKS)} only", param_hint="--task")
    if any_key and task is not Task.match:
        raise typer.BadParameter("only --task match looks for other keys", param_hint="--any-key")
    from retrieval.collection import Collection
    from retrieval.hits import Wanted

    hush_decoders()
    collection = Collection(library_folder(library))
    collection.searcher(task.value)
    if monitored is not None:
        return monitor(collection, monitored, task.value, Pcm(rate, channels), max_false_accepts, json=json)
    return _query(collection, clips or [], task, Wanted(top, max_false_accepts, any_key), json=json, quiet=quiet)


def _query(
    collection: Collection,
    clips: list[str],
    task: Task,
    wanted: Wanted,
    *,
    json: bool,
    quiet: bool,
) -> int:
    from alignment.errors import AlignmentError

    failed = found = False
    for clip in clips:
        started = time.monotonic()
        try:
            hits, audio = _ask(collection, clip, task, wanted)
        except AlignmentError as error:
            failed = True
            cause = getattr(error, "cause", str(error))
            warn(str(error))
            if json:
                json_line({"query": absolute(clip), "task": task.value, "error": cause, "hits": []})
            continue
        found = found or any(hit.accepted for hit in hits)
        seconds = time.monotonic() - started
        if json:
            json_line(_document(clip, task.value, audio.duration, seconds, hits))
        else:
            accepted = [hit for hit in hits if hit.accepted]
            _print(clip, audio, accepted, several=len(clips) > 1, quiet=quiet, ends=task is not Task.identify)
    if failed:
        return 1
    return 0 if found else 3


def _ask(collection: Collection, clip: str, task: Task, wanted: Wanted) -> tuple[list[Hit], Audio]:
    from alignment.audio import read_audio
    from retrieval.analysis import hash_file

    audio = read_audio(clip)
    for text in audio.warnings:
        warn(f"{clip}: warning: {text}")
    return collection.ask(audio, task.value, replace(wanted, content_hash=hash_file(clip))), audio


def _document(clip: str, task: str, duration: float, seconds: float, hits: list[Hit]) -> dict[str, Any]:
    return {
        "query": absolute(clip),
        "task": task,
        "duration": round(duration, 3),
        "seconds": round(seconds, 4),
        "hits": [hit.document() for hit in hits],
    }


def _print(clip: str, audio: Audio, hits: list[Hit], *, several: bool, quiet: bool, ends: bool) -> None:
    """One line a hit: score, place, title, path, and speed and key if they differ; of several clips the clip first."""
    if not hits:
        explain(f"{clip}: no match{_why(audio)}", quiet)
    for hit in hits:
        place = clock(hit.places[0].start) + (f"-{clock(hit.places[0].end)}" if ends else "")
        cells = [f"{hit.score:.3f}", place, hit.title or "-", hit.path, *_played(hit)]
        line(*([clip] if several else []), *cells)


def _why(audio: Audio) -> str:
    if audio.duration < _SHORTEST_SECONDS:
        return ": shorter than a second"
    return "" if audio.samples.any() else ": silence"


def _played(hit: Hit) -> list[str]:
    """At what speed and how many semitones higher than the recording the clip is, where that can be heard."""
    told = []
    if hit.tempo_ratio and abs(hit.tempo_ratio - 1.0) > _SAME_SPEED:
        told.append(f"{hit.tempo_ratio:.3f}x")
    if hit.transposition:
        told.append(f"{hit.transposition:+d} st")
    return [" ".join(told)] if told else []
