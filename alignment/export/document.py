"""The JSON of an alignment, as `incipit align` prints it."""

from __future__ import annotations

from typing import Any

import numpy as np

from alignment.export.columns import DECIMALS
from alignment.segments import Segment, Synchronisation

__all__ = ["synchronisation_document"]


def synchronisation_document(name: str, alignment: Synchronisation) -> dict[str, Any]:
    """One entry of `others`."""
    return {
        "path": name,
        "segments": [_segment_document(segment) for segment in alignment.segments],
        "accepted": alignment.accepted,
        "confidence": round(alignment.confidence, DECIMALS),
        "transposition": alignment.transposition,
        "tuning_cents": round(alignment.tuning_cents, 1) + 0.0,  # no -0.0
    }


def _segment_document(segment: Segment) -> dict[str, Any]:
    points: list[list[float]] = []
    confidence: list[float] = []
    interval: list[float] = []
    if segment.path is not None:
        keep = segment.path.thin()
        pairs = np.column_stack([segment.path.ref, segment.path.other])[keep]
        points = [[round(ref, DECIMALS), round(other, DECIMALS)] for ref, other in pairs.tolist()]
        confidence = [round(value, DECIMALS) for value in segment.confidence[keep].tolist()]
        interval = (
            [round(value, DECIMALS) for value in segment.interval[keep].tolist()] if len(segment.interval) else []
        )
    return {
        "kind": segment.kind,
        "ref": _span(segment.ref),
        "other": _span(segment.other),
        "warping_path": points,
        "confidence": confidence,
        "interval": interval,
    }


def _span(span: tuple[float, float] | None) -> list[float] | None:
    return None if span is None else [round(float(seconds), DECIMALS) for seconds in span]
