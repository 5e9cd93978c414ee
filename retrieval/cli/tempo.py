"""`incipit tempo`: how fast a recording goes, by itself, against another performance, or against the score."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from retrieval.cli.console import absolute, explain, hush_decoders, json_line, library_folder, warn, working
from retrieval.cli.options import Json, LibraryFolder, Quiet, Verbose
from retrieval.cli.targets import put_text, require_picture_name, require_targets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from alignment.audio import Audio
    from alignment.pulse import LocalPulse
    from alignment.score import Score
    from alignment.transposition import Transposable
    from retrieval.sides import Side

    Floats = NDArray[np.float64]

__all__ = ["tempo"]

_STEP_SECONDS = 0.5


class _Curve(NamedTuple):
    """Tempo of one OTHER at the times of FILE; NaN throughout where it failed or is other music."""

    path: str
    values: Floats
    accepted: bool
    error: str = ""


def tempo(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A recording, a score, or an id.")],
    others: Annotated[
        list[str] | None, typer.Argument(metavar="OTHER...", help="Performances of the same work.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the CSV there, not to stdout.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="OUT.png|svg|pdf", help="Draw it (the plot extra).")] = None,
    window: Annotated[
        float, typer.Option(metavar="S", min=0.1, max=600, help="Seconds over which a tempo ratio is averaged.")
    ] = 4.0,
    library: LibraryFolder = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Tell the tempo of a recording, of performances against a recording, or of performances of a score.

    Prints CSV. Of one recording: time and beats a minute at each beat.

    With OTHERs: the seconds of each that pass in a second of FILE, or,
    if FILE is a score, beats a minute at each beat; blank for no match.

    Example: incipit tempo gould.flac

    Example: incipit tempo sonata.musicxml gould.flac richter.mp3 --plot tempo.svg
    """
    from alignment.errors import AlignmentError
    from retrieval.sides import read_side, resolve, transposable

    hush_decoders()
    started = time.monotonic()
    path, *paths = (resolve(name, library_folder(library)) for name in (file, *(others or ())))
    require_targets({"-o": output, "--plot": plot}, [path, *paths])
    require_picture_name("--plot", plot)
    try:
        side, sound = read_side(path)
    except AlignmentError as error:
        warn(str(error))
        if json:
            json_line({"ref": absolute(file), "error": error.cause, "others": []})
        return 1
    _warn_all(side)
    if not others and side.score is None:
        return _tell_pulse(side, sound, output, plot, json, quiet, started)
    times = _times(side)
    curves: list[_Curve] = []
    if others:
        ref = transposable(path, sound)
        del sound
        named = zip(others, paths, strict=True)
        curves = [_curve(side, ref, name, other, times, window, quiet) for name, other in named]
    text = _csv(side.score, times, curves)
    if output is not None:
        put_text(text, output)
    if plot is not None:
        _draw(plot, side, times, curves)
    if json:
        json_line(_document(side, times, curves, started))
    elif output is None:
        sys.stdout.write(text)
    if any(curve.error for curve in curves):
        return 1
    return 0 if not curves or any(curve.accepted for curve in curves) else 3


def _warn_all(side: Side) -> None:
    for text in side.warnings:
        warn(f"{side.path}: warning: {text}")


def _times(side: Side) -> Floats:
    """Seconds of FILE at which the tempo is told: a score's beats, else every half second."""
    import numpy as np

    if side.score is not None:
        return np.array([beat.seconds for beat in side.score.beats], np.float64)
    return np.arange(0.0, side.duration, _STEP_SECONDS)


def _curve(side: Side, ref: Transposable, name: str, path: str, times: Floats, window: float, quiet: bool) -> _Curve:
    import numpy as np

    from alignment.errors import AlignmentError
    from alignment.synchronise import synchronise
    from alignment.tempo import beats_per_minute, tempo_ratio
    from retrieval.sides import read_side

    nothing = np.full(times.shape, np.nan)
    try:
        other, sound = read_side(path)
        _warn_all(other)
        with working(f"aligning {name}", quiet):
            result = synchronise(ref, sound)
    except AlignmentError as error:
        warn(str(error))
        return _Curve(absolute(path), nothing, False, error.cause)
    if not result.accepted:
        explain(f"{name}: not taken for the same music (confidence {result.confidence:.2f})", quiet)
        return _Curve(other.path, nothing, False)
    if side.score is None:
        values = tempo_ratio(result, times, window)
    else:
        values = beats_per_minute(times, result, quarters=side.score.quarters, units=side.score.units)
    return _Curve(other.path, values, True)


def _tell_pulse(
    side: Side, sound: Audio, output: Path | None, plot: Path | None, json: bool, quiet: bool, started: float
) -> int:
    """The pulse of one recording."""
    from alignment.features.onsets import onset_strength
    from alignment.pulse import predominant_local_pulse
    from alignment.tempo import tempo_csv

    with working(f"listening to {side.path}", quiet):
        strength = onset_strength(sound.samples, sound.rate)
        pulse = predominant_local_pulse(strength)
    text = tempo_csv([("time", pulse.beats), ("bpm", pulse.beats_bpm)])
    if output is not None:
        put_text(text, output)
    if plot is not None:
        from alignment.plot import plot_pulse

        plot_pulse(plot, strength, pulse, side.path)
    if json:
        json_line(_pulse_document(side, pulse, started))
    elif output is None:
        sys.stdout.write(text)
    if len(pulse.beats):
        return 0
    explain(f"{side.path}: no pulse was found", quiet)
    return 3


def _pulse_document(side: Side, pulse: LocalPulse, started: float) -> dict[str, Any]:
    return {
        "ref": side.path,
        "unit": "bpm",
        "times": _numbers(pulse.beats),
        "values": _numbers(pulse.beats_bpm),
        "others": [],
        "seconds": round(time.monotonic() - started, 3),
    }


def _csv(score: Score | None, times: Floats, curves: list[_Curve]) -> str:
    """Columns: time, for a score measure and beat, and the tempo of each OTHER; of a score alone its own."""
    from alignment.tempo import tempo_csv

    if score is None:
        return tempo_csv([("time", times), *((curve.path, curve.values) for curve in curves)])
    beats = score.beats
    places = [("measure", [beat.measure for beat in beats]), ("beat", [f"{beat.beat:g}" for beat in beats])]
    values = [(curve.path, curve.values) for curve in curves] or [("bpm", _own_tempo(score))]
    return tempo_csv([("time", times), *places, *values])


def _own_tempo(score: Score) -> Floats:
    """Beats a minute that a score itself asks for."""
    import numpy as np

    seconds = np.array([beat.seconds for beat in score.beats], np.float64)
    if len(seconds) < 2:
        return np.full(seconds.shape, np.nan)
    intervals = np.diff(seconds) / np.diff(score.quarters)
    return np.asarray(60.0 / (np.append(intervals, intervals[-1]) * score.units), np.float64)


def _document(side: Side, times: Floats, curves: list[_Curve], started: float) -> dict[str, Any]:
    document: dict[str, Any] = {"ref": side.path, "unit": "ratio", "times": _numbers(times)}
    if side.score is not None:
        document["unit"] = "bpm"
        document["measures"] = [beat.measure for beat in side.score.beats]
        document["beats"] = [beat.beat for beat in side.score.beats]
        if not curves:
            document["values"] = _numbers(_own_tempo(side.score))
    document["others"] = [
        {
            "path": curve.path,
            **({"error": curve.error} if curve.error else {}),
            "accepted": curve.accepted,
            "values": _numbers(curve.values),
        }
        for curve in curves
    ]
    document["seconds"] = round(time.monotonic() - started, 3)
    return document


def _numbers(values: Floats) -> list[float | None]:
    return [None if math.isnan(value) else round(value, 4) for value in values.tolist()]


def _draw(out: Path, side: Side, times: Floats, curves: list[_Curve]) -> None:
    from alignment.plot import plot_bpm, plot_ratio

    drawn = [(curve.path, curve.values) for curve in curves if curve.accepted]
    if side.score is None:
        plot_ratio(out, times, drawn, side.path)
    else:
        own = [] if curves else [(side.path, _own_tempo(side.score))]
        plot_bpm(out, times, drawn or own, side.path, [beat.measure for beat in side.score.beats])
