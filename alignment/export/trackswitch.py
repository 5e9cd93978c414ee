"""Alignments for TrackSwitch.js (its documentation, "Configuration", `alignment`).

Each column is a timeline, each row an anchor: one position on every timeline, all of the same musical moment.
Between rows the player interpolates linearly. Where a recording leaves something out its column stands still, and
where it has more, or sections in another order, two rows share the reference's time and its column jumps
("Repeated and revisited positions"). The ends of the recordings are anchors too. In the configuration name the
columns in `alignment.timelines`, the first of them being the `referenceTimeline`, and set `outsideCoverage` to
"hold". The column `measure` is a score's timeline in its unit: measures as printed, with their fractions.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from alignment.carrying import carry_times, inverted
from alignment.export.columns import seconds_text, table_rows, thinned
from alignment.path import WarpingPath
from alignment.segments import Synchronisation

if TYPE_CHECKING:
    from alignment.score import Beat

__all__ = ["trackswitch_csv"]


def trackswitch_csv(
    ref: str,
    others: Sequence[tuple[str, Synchronisation | None]],
    beats: Sequence[Beat] = (),
    score: int | None = None,
) -> str:
    """CSV with a column of seconds for the reference and for each other, under the stem of its file name.

    Recordings that failed or are not accepted have no column: every cell must hold a number.

    Args:
        ref: path of the reference.
        others: path and alignment to the reference.
        beats: of the score, where there is one.
        score: which of the others is the score; None where the reference is.
    """
    kept = [(name, alignment) for name, alignment in others if alignment is not None and alignment.accepted]
    end = max((_last(alignment, "ref") for _, alignment in kept), default=0.0)
    columns = [_walk(alignment, end) for _, alignment in kept]
    names = _unique([ref, *(name for name, _ in kept)])
    to_ref = others[score][1] if score is not None else None
    if beats and (score is None or (to_ref is not None and to_ref.accepted)):
        measures = _measures(beats, to_ref, end)
        if measures:
            columns, names = [*columns, measures], [*names, "measure"]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([seconds_text(time), *map(seconds_text, values)] for time, values in table_rows(columns))
    return buffer.getvalue()


def _walk(alignment: Synchronisation, end: float) -> list[WarpingPath]:
    """The whole reference, up to `end`, in pieces that touch: matches, standstills between them, and the ends."""
    matches = sorted(
        (thinned(segment) for segment in alignment.segments if segment.path is not None),
        key=lambda path: float(path.ref[0]),
    )
    first, last = matches[0], matches[-1]
    head = 0.0 if first.other[0] == min(path.other[0] for path in matches) else float(first.other[0])
    tail = (
        _last(alignment, "other")
        if last.other[-1] == max(path.other[-1] for path in matches)
        else float(last.other[-1])
    )
    pieces = [_line((0.0, head), (float(first.ref[0]), float(first.other[0])))]
    for path, following in zip(matches, [*matches[1:], None], strict=True):
        pieces.append(path)
        if following is not None:
            here = float(path.other[-1])
            pieces.append(_line((float(path.ref[-1]), here), (float(following.ref[0]), here)))
    pieces.append(_line((float(last.ref[-1]), float(last.other[-1])), (end, tail)))
    return [piece for piece in pieces if len(piece) > 1 and piece.ref[-1] > piece.ref[0]]


def _last(alignment: Synchronisation, side: Literal["ref", "other"]) -> float:
    spans = [segment.ref if side == "ref" else segment.other for segment in alignment.segments]
    return max(float(span[1]) for span in spans if span is not None)


def _line(start: tuple[float, float], end: tuple[float, float]) -> WarpingPath:
    return WarpingPath(np.array([start[0], max(start[0], end[0])]), np.array([start[1], end[1]]))


def _measures(beats: Sequence[Beat], to_ref: Synchronisation | None, end: float) -> list[WarpingPath]:
    """Positions in measures over the reference, in pieces that rise; empty where measures are not numbers."""
    if not all(beat.measure.isdecimal() for beat in beats):
        return []
    own = np.array([beat.seconds for beat in beats])
    times = own if to_ref is None else carry_times(own, inverted(to_ref))
    positions = _positions(beats)
    sounding = np.flatnonzero(~np.isnan(times))
    order = sounding[np.argsort(times[sounding], kind="stable")]
    if not len(order):
        return []
    times, positions = times[order], positions[order]
    breaks = np.flatnonzero(np.diff(positions) < 0) + 1
    bounds = [0, *breaks.tolist(), len(times)]
    pieces = []
    for start, stop in itertools.pairwise(bounds):
        until = times[stop] if stop < len(times) else max(end, float(times[-1]))
        begin = times[start] if start else 0.0
        ref = np.concatenate([[begin], times[start:stop], [until]])
        full = np.floor(positions[stop - 1]) + 1.0
        pieces.append(WarpingPath(ref, np.concatenate([[positions[start]], positions[start:stop], [full]])))
    return pieces


def _positions(beats: Sequence[Beat]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Printed measure plus the part of it that has passed at each beat."""
    lengths: dict[str, float] = {}
    for beat in beats:
        lengths[beat.measure] = max(lengths.get(beat.measure, 1.0), beat.beat)
    return np.array([int(beat.measure) + (beat.beat - 1.0) / np.ceil(lengths[beat.measure]) for beat in beats])


def _unique(paths: Sequence[str]) -> list[str]:
    names: list[str] = []
    for path in paths:
        stem, number = Path(path).stem, 2
        name = stem
        while name in names or name == "measure":
            name, number = f"{stem}_{number}", number + 1
        names.append(name)
    return names
