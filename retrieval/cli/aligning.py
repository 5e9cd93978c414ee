"""`incipit align`: the corresponding times of performances."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.cli.alignment_files import (
    Format,
    alignment_text,
    format_of,
    write_plot,
    write_warped,
)
from retrieval.cli.console import (
    ProgressBar,
    absolute,
    clock,
    explain,
    hush_decoders,
    json_line,
    library_folder,
    warn,
    working,
)
from retrieval.cli.options import Json, LibraryFolder, Quiet, Verbose
from retrieval.cli.targets import put_text, require_picture_name, require_sound_name, require_targets
from retrieval.documents import alignment_document
from retrieval.sides import Other, Side, kept_alignment, kept_either_way, read_side, resolve, transposable

if TYPE_CHECKING:
    from alignment.annotations import Annotations
    from alignment.ensemble import Ensemble
    from alignment.errors import AlignmentError

__all__ = ["align", "align_known", "align_with"]

_MET_SECONDS = 0.05
_TOLD = 3
"""So many stretches that stand alone are told of on each side."""


def align(
    ref: Annotated[str, typer.Argument(metavar="REF", help="Reference: a recording, a score, or an id.")],
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Other performances, or a score.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there, not to stdout.")
    ] = None,
    format: Annotated[
        Format | None, typer.Option("--format", help="Else by the ending of FILE (.csv .json .txt .svl), else csv.")
    ] = None,
    band: Annotated[
        float | None,
        typer.Option(metavar="S", min=0.1, help="Stay within S seconds of the straight line through what sounds."),
    ] = None,
    anchor: Annotated[
        list[str] | None,
        typer.Option(metavar="REF=OTHER", help="Times that correspond, in seconds or m:ss; may be repeated."),
    ] = None,
    warp: Annotated[
        Path | None, typer.Option(metavar="OUT.wav", help="Write OTHER with the timing of REF, at its own pitch.")
    ] = None,
    carry: Annotated[
        str | None,
        typer.Option(metavar="LABELS", help="Write these annotations of REF (CSV, Audacity, SRT, VTT) for OTHER."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="OUT.png|svg|pdf", help="Draw the path over the cost matrix (the plot extra)."),
    ] = None,
    library: LibraryFolder = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Find the corresponding times of a reference and other performances of the same work.

    Prints CSV with the columns ref, other (seconds) and segment; between rows of a segment, interpolate.

    Example: incipit align gould.flac richter.mp3 -o path.csv

    Example: incipit align sonata.musicxml gould.flac richter.mp3 --format measures

    Example: incipit align gould.flac richter.mp3 --anchor 1:02=0:58.5 --warp richter-as-gould.wav

    Example: incipit align old.flac new.flac --carry labels.txt -o new-labels.txt
    """
    from alignment.errors import AlignmentError

    hush_decoders()
    started = time.monotonic()
    wanted = format or format_of(output)
    if carry is not None and (format is not None or (json and output is None)):
        raise typer.BadParameter("--carry writes annotations in their own format, and beside --json to -o FILE")
    if len(others) > 1:
        _refuse_several(
            {
                "--warp": warp,
                "--plot": plot,
                "--carry": carry,
                "--anchor": anchor,
                f"--format {wanted}": wanted.is_for_one,
            }
        )
    anchors = _anchors(anchor or ())
    options = {**({"band": band} if band else {}), **({"anchors": anchors} if anchors else {})}
    paths = [resolve(name, library_folder(library)) for name in (ref, *others)]
    _require_score(wanted, paths)
    require_targets({"-o": output, "--warp": warp, "--plot": plot}, [*paths, carry])
    require_picture_name("--plot", plot)
    require_sound_name("--warp", warp)
    try:
        labels = _labels(carry)
        reference, done = _aligned(paths, others, options, library, quiet)
    except AlignmentError as error:
        return _refuse(ref, error, json)
    _tell_missed(anchors, others[0], done[0])
    document = alignment_document(reference, done, time.monotonic() - started)
    text = _carried(labels, done[0], quiet) if labels else alignment_text(reference, done, document, wanted)
    if output is not None and text is not None:
        put_text(text, output)
    made = all(
        _made(write, reference, done[0], target)
        for write, target in ((write_warped, warp), (write_plot, plot))
        if target is not None and done[0].accepted
    )
    if json:
        json_line(document)
    elif output is None and text is not None:
        sys.stdout.write(text)
    if not made or any(other.alignment is None for other in done):
        return 1
    return 0 if any(other.accepted for other in done) else 3


def _refuse_several(given: dict[str, Any]) -> None:
    for option, value in given.items():
        if value:
            raise typer.BadParameter(f"{option} is for one OTHER, got several")


def _require_score(format: Format, paths: list[str]) -> None:
    if format is not Format.measures:
        return
    from alignment.score import is_score

    if not any(is_score(path) for path in paths):
        raise typer.BadParameter("measures wants a score as REF or OTHER", param_hint="'--format'")


def _anchors(texts: Sequence[str]) -> list[tuple[float, float]]:
    """Times that correspond, in the order of the reference."""
    anchors = sorted(_anchor(text) for text in texts)
    for (ref, other), (next_ref, next_other) in itertools.pairwise(anchors):
        if next_ref <= ref or next_other <= other:
            raise typer.BadParameter(
                f"must rise on both sides, and {clock(ref)}={clock(other)} is not before "
                f"{clock(next_ref)}={clock(next_other)}",
                param_hint="'--anchor'",
            )
    return anchors


def _anchor(text: str) -> tuple[float, float]:
    from alignment.annotations import parse_seconds

    ref, separator, other = text.partition("=")
    try:
        if not separator:
            raise ValueError(f"{text!r} is not REF=OTHER")
        return parse_seconds(ref), parse_seconds(other)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; wanted is such as 1:02=58.5", param_hint="'--anchor'") from error


def _require_inside(anchors: Sequence[tuple[float, float]], ref: Side, other: Side) -> None:
    for anchor in anchors:
        for seconds, side in zip(anchor, (ref, other), strict=True):
            if not 0.0 <= seconds <= side.duration:
                raise typer.BadParameter(
                    f"{clock(seconds)} is not within {side.path}, which is {clock(side.duration)} long",
                    param_hint="'--anchor'",
                )


def _labels(path: str | None) -> Annotations | None:
    if path is None:
        return None
    from alignment.annotations import read_annotations

    return read_annotations(path)


def _refuse(ref: str, error: AlignmentError, json: bool) -> int:
    """Tell that nothing can be done without the reference or the annotations."""
    warn(str(error))
    if json:
        json_line({"ref": absolute(ref), "error": error.cause, "others": [], "seconds": 0.0})
    return 1


def _aligned(
    paths: list[str], others: list[str], options: dict[str, Any], library: Path | None, quiet: bool
) -> tuple[Side, list[Other]]:
    """The reference and what came of the others; what the library keeps of a pair is not computed again."""
    if len(others) == 1 and not options and (kept := kept_alignment(paths[0], paths[1], library_folder(library))):
        _summarise(others[0], kept[1], quiet)
        return kept[0], [kept[1]]
    return align_with(paths, others, options, quiet)


def align_with(paths: list[str], others: list[str], options: dict[str, Any], quiet: bool) -> tuple[Side, list[Other]]:
    """Read the first of the paths, align the others with it, and tell what came of each under its name.

    Raises:
        AlignmentError: the first cannot be read; what befalls another is told in its place.
    """
    from alignment.ensemble import Ensemble

    reference, sound = read_side(paths[0])
    ensemble = Ensemble(transposable(paths[0], sound))
    del sound
    _tell_warnings(reference)
    return reference, _align_all(reference, ensemble, list(zip(others, paths[1:], strict=True)), options, quiet)


def align_known(paths: list[str], others: list[str], folder: Path, quiet: bool) -> tuple[Side, list[Other]]:
    """Likewise, but what the library of a folder keeps of a pair is not computed again."""
    kept = {path: found for path in paths[1:] if (found := kept_either_way(paths[0], path, folder)) is not None}
    wanted = [(name, path) for name, path in zip(others, paths[1:], strict=True) if path not in kept]
    done: list[Other] = []
    if wanted:
        names, unknown = map(list, zip(*wanted, strict=True))
        reference, done = align_with([paths[0], *unknown], names, {}, quiet)
    else:
        reference = next(iter(kept.values()))[0]
    for name, path in zip(others, paths[1:], strict=True):
        if path in kept:
            _summarise(name, kept[path][1], quiet)
    aligned = iter(done)
    return reference, [kept[path][1] if path in kept else next(aligned) for path in paths[1:]]


def _align_all(
    reference: Side, ensemble: Ensemble, others: list[tuple[str, str]], options: dict[str, Any], quiet: bool
) -> list[Other]:
    """Align one after the other, given by name and path; one that fails does not stop the rest."""
    done = []
    with _progress([name for name, _ in others], quiet) as tell:
        for name, path in others:
            other = _align_one(reference, ensemble, path, options)
            tell(name, other)
            done.append(other)
        joint = iter(ensemble.joint())
        done = [replace(other, alignment=next(joint)) if other.alignment is not None else other for other in done]
    for (name, _), other in zip(others, done, strict=True):
        _summarise(name, other, quiet)
    return done


@contextmanager
def _progress(names: list[str], quiet: bool) -> Iterator[Callable[[str, Other], None]]:
    """Show that something is under way, a bar over several; gives what tells of failures and warnings."""
    if len(names) > 1:
        with ProgressBar("aligning", quiet) as bar:
            bar.planned(len(names))
            yield lambda name, other: bar.finished(
                name, other.error or None, other.side.warnings if other.side is not None else ()
            )
        return

    def tell(name: str, other: Other) -> None:
        if other.error:
            warn(f"{name}: {other.error}")
        if other.side is not None:
            _tell_warnings(other.side)

    with working(f"aligning {names[0]}", quiet):
        yield tell


def _align_one(reference: Side, ensemble: Ensemble, path: str, options: dict[str, Any]) -> Other:
    from alignment.errors import AlignmentError

    try:
        side, sound = read_side(path)
        _require_inside(options.get("anchors", ()), reference, side)
        return Other(side.path, side, ensemble.add(sound, **options))
    except AlignmentError as error:
        return Other(absolute(path), error=error.cause)


def _tell_warnings(side: Side) -> None:
    for text in side.warnings:
        warn(f"{side.path}: warning: {text}")


def _summarise(name: str, other: Other, quiet: bool) -> None:
    """Say on stderr what corresponds, in which key and tuning, and what stands alone on either side."""
    result = other.alignment
    if result is None:
        return
    if not result.accepted:
        explain(f"{name}: not taken for the same music as the reference (confidence {result.confidence:.2f})", quiet)
        return
    matches = [(part.ref, part.other) for part in result.segments if part.ref is not None and part.other is not None]
    ref_seconds = sum(ref[1] - ref[0] for ref, _ in matches)
    other_seconds = sum(other[1] - other[0] for _, other in matches)
    pieces = f" in {len(matches)} pieces" if len(matches) > 1 else ""
    key = _told_key(-result.transposition)
    explain(
        f"{name}: aligned {ref_seconds:.1f} s of the reference with {other_seconds:.1f} s{pieces}, "
        f"tuned {round(result.tuning_cents):+d} cents{key}",
        quiet,
    )
    _tell_alone("in the reference", [part.ref for part in result.segments if part.kind == "only_ref"], quiet)
    _tell_alone(f"in {name}", [part.other for part in result.segments if part.kind == "only_other"], quiet)


def _tell_missed(anchors: Sequence[tuple[float, float]], name: str, other: Other) -> None:
    """Warn of anchors where nothing corresponds, as before the music begins."""
    import numpy as np

    if other.alignment is None or not other.accepted:
        return
    paths = [part.path for part in other.alignment.segments if part.path is not None]
    for ref, at in anchors:
        inside = [path.map(np.array([ref])) for path in paths if path.ref[0] <= ref <= path.ref[-1]]
        if not any(abs(float(found[0]) - at) < _MET_SECONDS for found in inside):
            warn(f"{name}: the path misses the anchor {clock(ref)}={clock(at)}: nothing corresponds there")


def _told_key(higher: int) -> str:
    """How far the other sounds above the reference."""
    if not higher:
        return ""
    return f", {abs(higher)} semitone{'s' if abs(higher) > 1 else ''} {'higher' if higher > 0 else 'lower'}"


def _tell_alone(where: str, spans: Sequence[tuple[float, float] | None], quiet: bool) -> None:
    told = [f"{clock(span[0])}-{clock(span[1])}" for span in spans[:_TOLD] if span is not None]
    if told:
        more = f" and {len(spans) - _TOLD} more" if len(spans) > _TOLD else ""
        explain(f"  only {where}: {', '.join(told)}{more}", quiet)


def _carried(labels: Annotations, other: Other, quiet: bool) -> str | None:
    """The annotations for the other recording; None where it is not the same music."""
    from alignment.annotations import carry, write_annotations

    if other.alignment is None or not other.accepted:
        return None
    carried, left_out = carry(labels, other.alignment)
    told = f", left out {left_out} that have no counterpart" if left_out else ""
    explain(f"carried {len(labels.entries) - left_out} of {len(labels.entries)} annotations{told}", quiet)
    return write_annotations(carried)


def _made(write: Callable[[Side, Other, Path], None], reference: Side, other: Other, target: Path) -> bool:
    """Write a file that takes long; tell why where that fails."""
    from alignment.errors import AlignmentError

    try:
        write(reference, other, target)
    except AlignmentError as error:
        warn(str(error))
        return False
    except OSError as error:
        warn(f"{target}: {error.strerror or error}")
        return False
    return True
