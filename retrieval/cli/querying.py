"""`incipit query`: what is this clip, where is it from, where is it played, and what is its score."""

from __future__ import annotations

import time
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.cli.console import absolute, clock, explain, hush_decoders, json_line, library_folder, line, warn
from retrieval.cli.monitoring import MONITORED_TASKS, Pcm, monitor
from retrieval.cli.options import Json, LibraryFolder, Quiet, Verbose

if TYPE_CHECKING:
    from alignment.audio import Audio
    from alignment.score import Score
    from retrieval.collection import Collection
    from retrieval.hits import Hit, Wanted

__all__ = ["query"]

_SAME_SPEED = 0.015
_SHORTEST_IDENTIFIED_SECONDS = 1.0


class Task(StrEnum):
    """What can be asked of a clip."""

    identify = "identify"
    match = "match"
    versions = "versions"
    scores = "scores"


def query(
    clips: Annotated[list[str] | None, typer.Argument(metavar="CLIP...", help="Audio files, or scores.")] = None,
    library: LibraryFolder = None,
    task: Annotated[
        Task,
        typer.Option(
            help="identify: which recording is it from. match: where is it played, by anybody. "
            "versions: which recordings are of the same work. scores: which score is it, and where in it."
        ),
    ] = Task.identify,
    top: Annotated[int, typer.Option("--top", min=1, help="Show at most so many hits.")] = 10,
    max_false_accepts: Annotated[
        float,
        typer.Option(metavar="P", min=1e-6, max=0.5, help="Accept at most this share of clips that are not in it."),
    ] = 0.01,
    any_key: Annotated[bool, typer.Option("--any-key", help="match, scores: look for it in other keys, too.")] = False,
    any_rhythm: Annotated[
        bool, typer.Option("--any-rhythm", help="scores, of a score: look for its notes in other rhythms, too.")
    ] = False,
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
    verbose: Verbose = False,
) -> int:
    """Find which recording of the library a clip is from; or where it is played; or other versions of it; or its score.

    A score as CLIP is sought by its notes with --task scores, and as it would sound with --task match and versions.

    Example: incipit query clip.wav --json | jq .hits[0].path

    Example: incipit query passage.wav --task match --any-key --top 20

    Example: incipit query cover.mp3 --task versions

    Example: incipit query performance.mp3 --task scores

    Example: incipit query theme.mid --task scores --any-key --any-rhythm

    Example: incipit query --monitor radio.flac

    Example: incipit query --monitor concert.flac --task versions
    """
    if bool(clips) == (monitored is not None):
        raise typer.BadParameter("give clips, or one file (or -) to --monitor", param_hint="CLIP...")
    if monitored is not None and task.value not in MONITORED_TASKS:
        raise typer.BadParameter(f"--monitor knows {' and '.join(MONITORED_TASKS)} only", param_hint="--task")
    from index.library import Library
    from retrieval.collection import TASKS_IN_ANY_KEY, Collection
    from retrieval.hits import Wanted

    if any_key and task.value not in TASKS_IN_ANY_KEY:
        raise typer.BadParameter(f"only {' and '.join(TASKS_IN_ANY_KEY)} look for other keys", param_hint="--any-key")
    if any_rhythm and task is not Task.scores:
        raise typer.BadParameter("only --task scores looks for other rhythms", param_hint="--any-rhythm")

    hush_decoders()
    collection = Collection(library_folder(library))
    if monitored is None and task is Task.scores:
        Library(collection.folder).close()  # what searches it depends on the clip
    else:
        collection.searcher(task.value)
    if monitored is not None:
        return monitor(collection, monitored, task.value, Pcm(rate, channels), max_false_accepts, json=json)
    return _query(
        collection, clips or [], task, Wanted(top, max_false_accepts, any_key, any_rhythm), json=json, quiet=quiet
    )


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
    from retrieval.documents import query_document
    from retrieval.errors import QueryError

    failed = found = False
    for clip in clips:
        started = time.monotonic()
        try:
            hits, read = _ask(collection, clip, task, wanted)
        except (AlignmentError, QueryError) as error:
            failed = True
            cause = error.cause if isinstance(error, AlignmentError) else str(error)
            warn(str(error) if isinstance(error, AlignmentError) else f"{clip}: {error}")
            if json:
                json_line({"query": absolute(clip), "task": task.value, "error": cause, "hits": []})
            continue
        found = found or any(hit.accepted for hit in hits)
        seconds = time.monotonic() - started
        if json:
            json_line(query_document(absolute(clip), task.value, read.duration, seconds, hits))
        else:
            accepted = [hit for hit in hits if hit.accepted]
            _print(clip, read, accepted, several=len(clips) > 1, task=task, quiet=quiet)
    if failed:
        return 1
    return 0 if found else 3


def _ask(collection: Collection, clip: str, task: Task, wanted: Wanted) -> tuple[list[Hit], Audio | Score]:
    from alignment.audio import read_audio
    from alignment.score import is_score, read_score
    from retrieval.analysis import hash_file

    if is_score(clip):
        score = read_score(clip)
        return collection.ask(score, task.value, wanted), score
    audio = read_audio(clip)
    for text in audio.warnings:
        warn(f"{clip}: warning: {text}")
    return collection.ask(audio, task.value, replace(wanted, content_hash=hash_file(clip))), audio


def _print(clip: str, read: Audio | Score, hits: list[Hit], *, several: bool, task: Task, quiet: bool) -> None:
    """One line a hit: score, place, title, path, speed and key if they differ; of several clips the clip first."""
    if not hits:
        explain(f"{clip}: no match{_why(read, task)}", quiet)
    for hit in hits:
        place = clock(hit.places[0].start) + (f"-{clock(hit.places[0].end)}" if task is not Task.identify else "")
        place += f" m. {hit.measure} beat {hit.beat:.2f}" if hit.measure and hit.beat else ""
        cells = [f"{hit.score:.3f}", place, hit.title or "-", hit.path, *_played(hit)]
        line(*([clip] if several else []), *cells)


def _why(read: Audio | Score, task: Task) -> str:
    from alignment.audio import Audio

    if not isinstance(read, Audio):
        return ""
    if read.duration < (shortest := _shortest(task)):
        return f": shorter than {shortest:.0f} s"
    return "" if read.samples.any() else ": silence"


def _shortest(task: Task) -> float:
    """Seconds that a clip must last."""
    from retrieval import passages, version_search

    if task is Task.identify:
        return _SHORTEST_IDENTIFIED_SECONDS
    return version_search.SHORTEST_SECONDS if task is Task.versions else passages.SHORTEST_SECONDS


def _played(hit: Hit) -> list[str]:
    """At what speed and how many semitones higher than the recording the clip is, where that can be heard."""
    told = []
    if hit.tempo_ratio and abs(hit.tempo_ratio - 1.0) > _SAME_SPEED:
        told.append(f"{hit.tempo_ratio:.3f}x")
    if hit.transposition:
        told.append(f"{hit.transposition:+d} st")
    return [" ".join(told)] if told else []
