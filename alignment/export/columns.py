"""Times of one recording as a column beside the reference's: a line in pieces, with gaps and jumps.

Where two pieces meet at one time of the reference but not of the other recording, the column has two values
there, and a table needs two rows to say so.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alignment.path import WarpingPath
from alignment.segments import Segment

__all__ = ["DECIMALS", "Floats", "limits", "seconds_text", "table_rows", "thinned"]

DECIMALS = 4
"""With which seconds are written."""

Floats = NDArray[np.float64]


def seconds_text(seconds: float) -> str:
    """Seconds as a cell; blank for NaN."""
    return "" if np.isnan(seconds) else f"{seconds:.{DECIMALS}f}"


def thinned(segment: Segment) -> WarpingPath:
    """The points of a match that linear interpolation needs."""
    path = segment.path
    assert path is not None, "only matches have a path"
    keep = path.thin()
    return WarpingPath(path.ref[keep], path.other[keep])


def limits(pieces: Sequence[WarpingPath], times: Floats) -> tuple[Floats, Floats]:
    """A column's values as each time is reached, and as it is left; NaN where it has nothing."""
    before, after = np.full(len(times), np.nan), np.full(len(times), np.nan)
    for piece in pieces:
        inside = (times >= piece.ref[0]) & (times <= piece.ref[-1])
        values = np.interp(times[inside], piece.ref, piece.other)
        after[inside] = values
        before[inside] = np.where(np.isnan(before[inside]), values, before[inside])
    return before, after


def table_rows(columns: Sequence[Sequence[WarpingPath]]) -> list[tuple[float, list[float]]]:
    """Rows of a reference time and each column's value, on the union of the columns' reference times.

    A time at which a column jumps has two rows; in the middle of a gap stands a row with NaN, so that nobody
    interpolates across it.
    """
    times = [piece.ref for pieces in columns for piece in pieces]
    times += [_gaps(pieces) for pieces in columns]
    union = np.unique(np.round(np.concatenate([*times, np.zeros(0)]), DECIMALS))
    sides = [limits([_rounded(piece) for piece in pieces], union) for pieces in columns]
    rows: list[tuple[float, list[float]]] = []
    for number, time in enumerate(union.tolist()):
        before = [float(side[0][number]) for side in sides]
        after = [float(side[1][number]) for side in sides]
        rows.append((time, before))
        if any(abs(first - second) > 10.0**-DECIMALS for first, second in zip(before, after, strict=True)):
            rows.append((time, after))
    return rows


def _gaps(pieces: Sequence[WarpingPath]) -> Floats:
    spans = itertools.pairwise(pieces)
    gaps = [(a.ref[-1], b.ref[0]) for a, b in spans if b.ref[0] - a.ref[-1] > 4.0 * 10.0**-DECIMALS]
    return np.array([(start + end) / 2.0 for start, end in gaps], np.float64)


def _rounded(piece: WarpingPath) -> WarpingPath:
    """The same piece at the decimals that are written, so that its own times lie inside it."""
    return WarpingPath(np.round(piece.ref, DECIMALS), piece.other)
