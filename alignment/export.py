"""Alignments as files that other programs read.

CSV: columns `ref,other,segment`, seconds; `segment` numbers the matches from 1. Points that linear
interpolation inside a segment gives back to the millisecond are left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from alignment.path import WarpingPath
from alignment.segments import Segment, Synchronisation

__all__ = ["path_csv", "synchronisation_document"]

_DECIMALS = 4


def path_csv(others: Sequence[tuple[str, Synchronisation | None]]) -> str:
    """CSV of one or several alignments to one reference.

    One alignment gives `ref,other,segment`. Several give a column for each, under its path, on the union
    of their reference times, blank where an alignment has nothing, or failed (None).
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if len(others) == 1:
        writer.writerow(["ref", "other", "segment"])
        for number, segment in enumerate(_matches(others[0][1]), 1):
            path = _thinned(segment)
            writer.writerows([_text(r), _text(o), number] for r, o in zip(path.ref, path.other, strict=True))
        return buffer.getvalue()
    writer.writerow(["ref", *(name for name, _ in others)])
    paths = [[_thinned(segment) for segment in _matches(alignment)] for _, alignment in others]
    times = np.unique(np.concatenate([path.ref for group in paths for path in group] or [np.zeros(0)]))
    columns = [_column(group, times) for group in paths]
    for row, time in enumerate(times):
        writer.writerow([_text(time), *(column[row] for column in columns)])
    return buffer.getvalue()


def synchronisation_document(name: str, alignment: Synchronisation) -> dict[str, Any]:
    """One entry of `others` in the JSON of `incipit align`."""
    return {
        "path": name,
        "segments": [_segment_document(segment) for segment in alignment.segments],
        "accepted": alignment.accepted,
        "confidence": round(alignment.confidence, _DECIMALS),
        "transposition": alignment.transposition,
        "tuning_cents": round(alignment.tuning_cents, 1),
    }


def _segment_document(segment: Segment) -> dict[str, Any]:
    points: list[list[float]] = []
    confidence: list[float] = []
    if segment.path is not None:
        keep = segment.path.thin()
        pairs = np.column_stack([segment.path.ref, segment.path.other])[keep]
        points = [[round(ref, _DECIMALS), round(other, _DECIMALS)] for ref, other in pairs.tolist()]
        confidence = [round(value, _DECIMALS) for value in segment.confidence[keep].tolist()]
    return {
        "kind": segment.kind,
        "ref": _span(segment.ref),
        "other": _span(segment.other),
        "warping_path": points,
        "confidence": confidence,
    }


def _matches(alignment: Synchronisation | None) -> list[Segment]:
    if alignment is None:
        return []
    return [segment for segment in alignment.segments if segment.path is not None]


def _thinned(segment: Segment) -> WarpingPath:
    path = segment.path
    assert path is not None, "only matches have a path"
    keep = path.thin()
    return WarpingPath(path.ref[keep], path.other[keep])


def _column(paths: list[WarpingPath], times: np.ndarray[Any, np.dtype[np.float64]]) -> list[str]:
    cells = [""] * len(times)
    for path in paths:
        inside = np.flatnonzero((times >= path.ref[0]) & (times <= path.ref[-1]))
        for row, seconds in zip(inside, path.map(times[inside]), strict=True):
            cells[row] = _text(seconds)
    return cells


def _text(seconds: float) -> str:
    return f"{seconds:.{_DECIMALS}f}"


def _span(span: tuple[float, float] | None) -> list[float] | None:
    return None if span is None else [round(seconds, _DECIMALS) for seconds in span]
