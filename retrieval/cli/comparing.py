"""`incipit compare`: what two recordings are to each other."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.cli.console import absolute, clock, explain, hush_decoders, json_line, line, warn, working
from retrieval.cli.options import Json, Quiet, Verbose
from retrieval.cli.targets import require_picture_name, require_targets

if TYPE_CHECKING:
    from alignment.audio import Audio
    from retrieval.comparison import Comparison

__all__ = ["compare"]

_TOLD = 5
"""So many corresponding stretches are told of."""

_SAME_TEMPO = 0.002


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A recording.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    plot: Annotated[
        Path | None, typer.Option(metavar="OUT.png|svg|pdf", help="Draw how alike they are (the plot extra).")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Tell whether two files are the same recording, another mix of it, performances of one work, or neither.

    Prints the verdict, then the evidence for it. Exit code 3 for neither.

    Example: incipit compare album.flac karaoke.mp3 --plot alike.png
    """
    from alignment.errors import AlignmentError
    from retrieval.comparison import Verdict
    from retrieval.comparison import compare as compared
    from retrieval.documents import comparison_document

    hush_decoders()
    started = time.monotonic()
    require_targets({"--plot": plot}, [a, b])
    require_picture_name("--plot", plot)
    try:
        sides = _read(a), _read(b)
    except AlignmentError as error:
        warn(str(error))
        if json:
            json_line({"a": absolute(a), "b": absolute(b), "error": str(error)})
        return 1
    with working(f"comparing {a} with {b}", quiet):
        found = compared(*sides)
    if plot is not None:
        _draw(plot, (a, b), sides, found)
    if json:
        json_line(comparison_document(absolute(a), absolute(b), found, time.monotonic() - started))
    else:
        _print(found, quiet)
    return 3 if found.verdict is Verdict.neither else 0


def _read(name: str) -> Audio:
    from alignment.audio import read_audio

    audio = read_audio(name)
    for text in audio.warnings:
        warn(f"{name}: warning: {text}")
    return audio


def _print(found: Comparison, quiet: bool) -> None:
    """The verdict to stdout, then on stderr what speaks for it and where they correspond."""
    line(found.verdict.value, f"{found.score:.3f}", *_played(found))
    sound, timing, work = found.sound, found.timing, found.work
    alike = f", alike by {sound.alike:.2f}" if sound.found else ""
    explain(f"sound: {len(sound.found)} of {sound.pieces} pieces of the shorter are in the longer{alike}", quiet)
    if timing is not None:
        explain(
            f"timing: {timing.seconds:.0f} s along a line, half within {1000 * timing.median:.0f} ms of it, "
            f"four fifths within {1000 * timing.most:.0f} ms",
            quiet,
        )
    if work is not None:
        explain(f"work: the same with a probability of {work.probability:.3f}", quiet)
    else:
        explain("work: one of them is silent or shorter than 5 s", quiet)
    for start, end, other_start, other_end in found.segments[:_TOLD]:
        explain(f"  {clock(start)}-{clock(end)} is {clock(other_start)}-{clock(other_end)}", quiet)
    if len(found.segments) > _TOLD:
        explain(f"  and {len(found.segments) - _TOLD} more", quiet)


def _played(found: Comparison) -> list[str]:
    """How fast and how much higher or lower B is than A, where that can be heard."""
    told = []
    if found.tempo_ratio is not None and abs(found.tempo_ratio - 1.0) > _SAME_TEMPO:
        told.append(f"{1 / found.tempo_ratio:.3f}x")
    if found.transposition:
        told.append(f"{-found.transposition:+d} st")
    return [" ".join(told)] if told else []


def _draw(target: Path, names: tuple[str, str], sides: tuple[Audio, Audio], found: Comparison) -> None:
    """Draw the similarity matrix with its paths; raises OSError."""
    from alignment.plot import plot_similarity

    if found.work is None:
        warn(f"{target}: not drawn, for one of them is silent or shorter than 5 s")
        return
    work = found.work
    plot_similarity(
        target,
        work.similarities,
        work.spans,
        work.paths,
        (sides[0].duration, sides[1].duration),
        (Path(names[0]).name, Path(names[1]).name),
    )
