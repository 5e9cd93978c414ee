"""Pictures of alignments, tempi and pulses, as PNG, SVG or PDF by the file's ending.

They want matplotlib, the `plot` extra, which is imported when a picture is drawn. Times on the axes are in seconds,
or in minutes and seconds where a picture spans more than two minutes. What is longer than a picture has points is
thinned, so that an hour is drawn as quickly as ten seconds.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio
from alignment.errors import AlignmentError
from alignment.features.chroma import cens, chroma
from alignment.features.frames import FEATURE_RATE, HOP
from alignment.features.tuning import estimate_tuning
from alignment.pulse import LocalPulse
from alignment.segments import Synchronisation

__all__ = [
    "PICTURE_SUFFIXES",
    "plot_alignment",
    "plot_bpm",
    "plot_cost",
    "plot_pulse",
    "plot_ratio",
    "plot_similarity",
    "require_picture",
]

PICTURE_SUFFIXES = (".png", ".svg", ".pdf")
"""Endings of the pictures that can be drawn."""

_PIXELS = 700
"""Rows and columns of a cost matrix, at most."""
_POINTS = 3000
"""Points of a curve, at most."""
_LONGEST_HOP = 10 * HOP
_DPI = 150
_MINUTES_FROM = 120.0
_TICK_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
_TICKS = 9
_NAME_LENGTH = 44
_SILENCE = "#dddddd"
_PATH, _REF_ALONE, _OTHER_ALONE, _INK = "#d7301f", "#2b8cbe", "#e6a117", "#333333"
_CURVES = ("#2b8cbe", "#d7301f", "#31a354", "#756bb1", "#e6a117", "#636363")


def require_picture(out: str | os.PathLike[str]) -> None:
    """Make sure, before any work, that a picture of that name can be drawn.

    Raises:
        AlignmentError: the ending is not one of `PICTURE_SUFFIXES`, or matplotlib is not there.
    """
    if Path(out).suffix.lower() not in PICTURE_SUFFIXES:
        raise AlignmentError(f"{os.fspath(out)}: a picture's name ends in {', '.join(PICTURE_SUFFIXES)}")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise AlignmentError("pictures want the plot extra: pip install 'incipit-music[plot]'") from error


def plot_alignment(
    out: str | os.PathLike[str],
    ref: Audio,
    other: Audio,
    alignment: Synchronisation,
    names: tuple[str, str] = ("reference", "other"),
) -> None:
    """Draw the path over the cost matrix of the two recordings' CENS, the other transposed as the alignment says.

    Raises:
        AlignmentError: as `require_picture`.
        OSError: the file cannot be written.
    """
    require_picture(out)
    x, y = _picture_features(ref), np.roll(_picture_features(other), alignment.transposition, axis=0)
    plot_cost(out, x, y, (ref.duration, other.duration), alignment, names)


def plot_cost(
    out: str | os.PathLike[str],
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    durations: tuple[float, float],
    alignment: Synchronisation,
    names: tuple[str, str] = ("reference", "other"),
) -> None:
    """Draw the path over the cosine distances of two feature sequences; shaded is what stands alone.

    Args:
        out: file to write.
        x, y: unit columns, shapes `(d, n)` and `(d, m)`, that span all of either side; thinned to a picture's size.
        durations: seconds of the reference and of the other.
        alignment: what is drawn.
        names: of the reference and of the other, for the axes.

    Raises:
        AlignmentError: as `require_picture`.
        OSError: the file cannot be written.
    """
    width, height = _matrix_inches(*durations)
    figure = _figure(out, width, height)
    axes = figure.add_subplot()
    cost = _cost(_thinned(x), _thinned(y))
    low, high = np.nanpercentile(cost, (1, 90)) if np.isfinite(cost).any() else (0.0, 1.0)
    image = _draw_matrix(axes, cost, (0.0, durations[0], 0.0, durations[1]), low, high)
    _draw_segments(axes, alignment)
    _finish_matrix(figure, axes, durations, names)
    figure.colorbar(image, ax=axes, label="cosine distance", shrink=0.6, pad=0.02)
    _save(figure, out)


def plot_similarity(
    out: str | os.PathLike[str],
    similarities: NDArray[np.float32],
    spans: tuple[tuple[float, float], tuple[float, float]],
    paths: Sequence[NDArray[np.float64]],
    durations: tuple[float, float],
    names: tuple[str, str] = ("one", "other"),
) -> None:
    """Draw the paths along which two recordings correspond over how alike each moment of one is to each of the other.

    Args:
        out: file to write.
        similarities: cosines, shape `(n, m)`, a row a moment of the one; thinned to a picture's size.
        spans: seconds of the one, and of the other, from the first edge to the last of what the matrix covers.
        paths: corresponding seconds of the one and the other, each of shape `(points, 2)`.
        durations: seconds of the one and of the other.
        names: of the one and of the other, for the axes.

    Raises:
        AlignmentError: as `require_picture`.
        OSError: the file cannot be written.
    """
    figure = _figure(out, *_matrix_inches(*durations))
    axes = figure.add_subplot()
    steps = [max(1, math.ceil(length / (2 * _PIXELS))) for length in similarities.shape]
    thin = similarities[:: steps[0], :: steps[1]].T
    low, high = np.percentile(thin, (20, 99.5)) if thin.size else (0.0, 1.0)
    image = _draw_matrix(axes, thin, (*spans[0], *spans[1]), low, high)
    for number, path in enumerate(paths):
        label = "corresponding" if not number else "_corresponding"
        axes.plot(path[:, 0], path[:, 1], color=_PATH, linewidth=1.6, label=label)
    _finish_matrix(figure, axes, durations, names)
    figure.colorbar(image, ax=axes, label="cosine similarity", shrink=0.6, pad=0.02)
    _save(figure, out)


def plot_ratio(
    out: str | os.PathLike[str],
    times: NDArray[np.float64],
    curves: Sequence[tuple[str, NDArray[np.float64]]],
    name: str = "reference",
) -> None:
    """Draw tempo ratios over the reference's time; gaps where nothing corresponds.

    Args:
        out: file to write.
        times: seconds of the reference, shape `(n,)`.
        curves: names, and seconds of the other a second of the reference, shape `(n,)`, NaN where unknown.
        name: of the reference.

    Raises:
        AlignmentError: as `require_picture`.
        OSError: the file cannot be written.
    """
    figure = _figure(out, 10.0, 4.5)
    axes = figure.add_subplot()
    axes.axhline(1.0, color=_INK, linewidth=0.8, linestyle=":")
    _draw_curves(axes, times, curves)
    values = np.concatenate([values for _, values in curves]) if curves else np.zeros(0)
    _ratio_axis(axes, values[np.isfinite(values)])
    _time_axis(axes.xaxis, float(times[-1]) if len(times) else 1.0, name)
    axes.set_ylabel("seconds of the other\na second of the reference")
    axes.annotate("slower", (1.01, 0.98), xycoords="axes fraction", va="top", rotation=90, color=_INK)
    axes.annotate("faster", (1.01, 0.02), xycoords="axes fraction", va="bottom", rotation=90, color=_INK)
    _legend(figure, axes)
    _save(figure, out)


def plot_bpm(
    out: str | os.PathLike[str],
    times: NDArray[np.float64],
    curves: Sequence[tuple[str, NDArray[np.float64]]],
    name: str = "score",
    measures: Sequence[str] = (),
) -> None:
    """Draw tempi in beats a minute over the score's time.

    Args:
        out: file to write.
        times: seconds of the score's beats, shape `(n,)`.
        curves: names, and beats a minute, shape `(n,)`, NaN where unknown.
        name: of the score.
        measures: the measure of each beat as printed, for the axis above; none where empty.

    Raises:
        AlignmentError: as `require_picture`.
        OSError: the file cannot be written.
    """
    figure = _figure(out, 10.0, 4.5)
    axes = figure.add_subplot()
    _draw_curves(axes, times, curves)
    _time_axis(axes.xaxis, float(times[-1]) if len(times) else 1.0, name)
    axes.set_ylabel("tempo (beats a minute)")
    if measures:
        _measure_axis(axes, times, measures)
    _legend(figure, axes)
    _save(figure, out)


def plot_pulse(
    out: str | os.PathLike[str], strength: NDArray[np.float32], pulse: LocalPulse, name: str = "recording"
) -> None:
    """Draw a recording's onset strength, its predominant local pulse with the beats, and its tempo.

    Raises:
        AlignmentError: as `require_picture`.
        OSError: the file cannot be written.
    """
    duration = max(len(strength) / FEATURE_RATE, 1.0 / FEATURE_RATE)
    figure = _figure(out, 10.0, 6.5)
    upper, middle, lower = figure.subplots(3, sharex=True, height_ratios=(1.0, 1.0, 1.3))
    for axes, curve, label in ((upper, strength, "onset strength"), (middle, pulse.curve, "local pulse")):
        times, highest = _highest(np.asarray(curve, np.float64))
        axes.fill_between(times, highest, color=_CURVES[0] if axes is upper else _CURVES[2], linewidth=0.5)
        axes.set_ylim(0.0, 1.05)
        axes.set_ylabel(label)
    if len(pulse.beats) < _POINTS / 10:
        middle.plot(pulse.beats, np.full(len(pulse.beats), 1.0), "v", color=_PATH, markersize=4, label="beats")
        middle.legend(loc="lower right", frameon=True, framealpha=0.8)
    step = max(1, math.ceil(len(pulse.bpm) / _POINTS))
    lower.plot(np.arange(len(pulse.bpm))[::step] / FEATURE_RATE, pulse.bpm[::step], color=_PATH, linewidth=1.2)
    lower.set_ylabel("tempo (beats a minute)")
    lower.grid(alpha=0.3)
    lower.margins(y=0.15)
    lower.set_xlim(0.0, duration)
    _time_axis(lower.xaxis, duration, name)
    figure.align_ylabels()
    _save(figure, out)


def _picture_features(audio: Audio) -> NDArray[np.float32]:
    """CENS with about as many columns as a picture has pixels."""
    wanted = audio.duration * audio.rate / (_PIXELS * HOP)
    hop = int(np.clip(HOP * math.floor(wanted / 4), HOP, _LONGEST_HOP))
    tones = chroma(audio.samples, audio.rate, estimate_tuning(audio.samples, audio.rate), hop)
    downsampling = max(1, math.ceil(tones.shape[1] / _PIXELS))
    second = max(1, round(audio.rate / hop))
    return cens(tones, max(second, 2 * downsampling) + 1, downsampling)


def _thinned(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return features[:, :: max(1, math.ceil(features.shape[1] / (2 * _PIXELS)))]


def _cost(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine distances, shape `(m, n)`; NaN where a side is silent."""
    cost = np.maximum(1.0 - y.T @ x, 0.0)
    cost[~y.any(axis=0), :] = np.nan
    cost[:, ~x.any(axis=0)] = np.nan
    return np.asarray(cost, np.float32)


def _figure(out: str | os.PathLike[str], width: float, height: float) -> Any:
    """A figure of its own: pyplot would keep it, and choose a window for it."""
    require_picture(out)
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, out: str | os.PathLike[str]) -> None:
    figure.savefig(out, dpi=_DPI)


def _matrix_inches(ref: float, other: float) -> tuple[float, float]:
    """Width and height of a picture in which a second is about as long on both axes, within reason."""
    return 8.6, 1.6 + 6.0 * float(np.clip(other / max(ref, 1e-9), 0.5, 1.2))


def _draw_matrix(
    axes: Any, matrix: NDArray[np.float32], extent: tuple[float, float, float, float], low: float, high: float
) -> Any:
    """Draw a matrix of shape `(m, n)`, times of the other upwards; grey where it is NaN."""
    image = axes.imshow(
        matrix,
        origin="lower",
        extent=extent,
        aspect="auto",
        cmap="Greys",
        vmin=low,
        vmax=max(high, low + 1e-3),
        interpolation="nearest" if max(matrix.shape, default=0) < _PIXELS // 2 else "antialiased",
    )
    axes.set_facecolor(_SILENCE)
    return image


def _finish_matrix(figure: Any, axes: Any, durations: tuple[float, float], names: tuple[str, str]) -> None:
    """Axes in seconds of both sides, and a legend where there is something to tell."""
    axes.set_xlim(0.0, durations[0])
    axes.set_ylim(0.0, durations[1])
    _time_axis(axes.xaxis, durations[0], names[0])
    _time_axis(axes.yaxis, durations[1], names[1])
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)


def _draw_segments(axes: Any, alignment: Synchronisation) -> None:
    labelled: set[str] = set()

    def once(label: str) -> str:
        """The label the first time, so that a legend has it once."""
        new = label not in labelled
        labelled.add(label)
        return label if new else f"_{label}"

    for segment in alignment.segments:
        if segment.path is not None:
            keep = segment.path.thin(0.01)
            axes.plot(
                segment.path.ref[keep], segment.path.other[keep], color=_PATH, linewidth=1.6, label=once("warping path")
            )
        elif segment.ref is not None:
            axes.axvspan(*segment.ref, color=_REF_ALONE, alpha=0.35, linewidth=0, label=once("only in the reference"))
        elif segment.other is not None:
            axes.axhspan(*segment.other, color=_OTHER_ALONE, alpha=0.35, linewidth=0, label=once("only in the other"))


def _draw_curves(axes: Any, times: NDArray[np.float64], curves: Sequence[tuple[str, NDArray[np.float64]]]) -> None:
    step = max(1, math.ceil(len(times) / _POINTS))
    for number, (name, values) in enumerate(curves):
        colour = _CURVES[number % len(_CURVES)]
        axes.plot(times[::step], values[::step], color=colour, linewidth=1.4, label=_short(name))
    axes.grid(alpha=0.3)
    axes.margins(x=0.0, y=0.1)


def _legend(figure: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside upper left", ncols=2, frameon=False)


def _ratio_axis(axes: Any, values: NDArray[np.float64]) -> None:
    """Logarithmic, so that half and double speed are alike, with plain numbers at the ticks."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    low, high = (min(values.min(), 1.0), max(values.max(), 1.0)) if len(values) else (1.0, 1.0)
    low, high = min(low * 0.95, 0.9), max(high * 1.05, 1.1)
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    wide = high / low > 6.0
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if wide else MaxNLocator(7, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _measure_axis(axes: Any, times: NDArray[np.float64], measures: Sequence[str]) -> None:
    starts = [index for index, measure in enumerate(measures) if not index or measure != measures[index - 1]]
    chosen = starts[:: max(1, math.ceil(len(starts) / 20))]
    upper = axes.secondary_xaxis("top")
    upper.set_xticks([times[index] for index in chosen], [measures[index] for index in chosen], fontsize="small")
    upper.set_xlabel("measure")


def _time_axis(axis: Any, duration: float, name: str) -> None:
    """Ticks at round times, and a label that names the recording and the unit."""
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    step = next((step for step in _TICK_SECONDS if duration / step <= _TICKS), duration / _TICKS)
    minutes = duration > _MINUTES_FROM
    axis.set_major_locator(MultipleLocator(step))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _clock(value) if minutes else f"{value:g}"))
    axis.set_label_text(f"time in {_short(name)} ({'min:s' if minutes else 's'})")


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def _short(name: str) -> str:
    """A file's name without its folders, its middle left out where it is long; no mathematics in it."""
    base = Path(name).name or name
    text = base if len(base) <= _NAME_LENGTH else f"{base[: _NAME_LENGTH // 2]}…{base[-_NAME_LENGTH // 2 + 1 :]}"
    printable = "".join(char if char.isprintable() else "?" for char in text)
    return printable.replace("$", r"\$")


def _highest(curve: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times and values of a curve of which only the highest of every few frames are kept."""
    step = max(1, math.ceil(len(curve) / _POINTS))
    starts = np.arange(0, len(curve), step)
    return starts / FEATURE_RATE, np.maximum.reduceat(curve, starts) if len(curve) else curve
