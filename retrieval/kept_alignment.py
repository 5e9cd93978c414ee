"""Alignments as the library keeps them, and back.

Of a path those points are kept that linear interpolation needs to stay within a millisecond.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from alignment.path import WarpingPath
from alignment.segments import Segment, Synchronisation
from index.alignments import KeptAlignment, KeptSegment

__all__ = ["alignment_method", "as_kept", "from_kept", "to_kept"]

_VERSION = 12
"""Counted up whenever `alignment.synchronise` comes to give other paths or confidences."""


@lru_cache
def alignment_method() -> str:
    """What makes alignments: the synchroniser, by its version, with the encoder, by its content."""
    encoder = files("alignment.features").joinpath("models", "sync.safetensors").read_bytes()
    return f"synchronise-{_VERSION}-{hashlib.sha256(encoder).hexdigest()[:12]}"


def to_kept(alignment: Synchronisation) -> KeptAlignment:
    """An alignment as the library keeps it."""
    return KeptAlignment(
        alignment.accepted,
        alignment.confidence,
        alignment.transposition,
        alignment.tuning_cents,
        tuple(KeptSegment(part.kind, part.ref, part.other, _points(part)) for part in alignment.segments),
    )


def from_kept(kept: KeptAlignment) -> Synchronisation:
    """The alignment that was kept; times are exact to a quarter of a millisecond an hour."""
    segments = tuple(_segment(part) for part in kept.segments)
    return Synchronisation(segments, kept.accepted, kept.confidence, kept.transposition, kept.tuning_cents)


def as_kept(alignment: Synchronisation) -> Synchronisation:
    """An alignment with the points of it that are kept."""
    return from_kept(to_kept(alignment))


def _points(segment: Segment) -> NDArray[np.float32]:
    if segment.path is None:
        return np.zeros((0, 4), np.float32)
    interval = segment.interval if len(segment.interval) else np.full(len(segment.path), np.nan)
    columns = np.column_stack([segment.path.ref, segment.path.other, segment.confidence, interval])
    return columns[segment.path.thin()].astype(np.float32)


def _segment(kept: KeptSegment) -> Segment:
    if not len(kept.points):
        return Segment(kept.kind, kept.ref, kept.other, None, np.zeros(0))
    ref, other, confidence, interval = kept.points.astype(np.float64).T
    known = interval if np.isfinite(interval).all() else np.zeros(0)
    return Segment(kept.kind, kept.ref, kept.other, WarpingPath(ref, other), confidence, known)
