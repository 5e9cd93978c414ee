"""Recordings as their vectors alone, and libraries of them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.library import FileState, Library, NewRecording
from index.runs import Vectors
from retrieval.correspondence import VersionQuery
from retrieval.embedding.version_encoder import (
    LOCAL_HOP_SECONDS,
    QUICK_HOP_SECONDS,
    SEGMENT_HOP_SECONDS,
    VersionEncoder,
)

ROWS = 120
"""Local vectors of a recording: a minute and a half."""


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Of length 1."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def recorded(encoder: VersionEncoder, rng: np.random.Generator, rows: int = ROWS) -> VersionQuery:
    """Random vectors, those of no music."""
    sizes = [model.format.dimensions for model in (encoder.local, encoder.quick, encoder.segments)]
    counts = rows, rows * LOCAL_HOP_SECONDS // QUICK_HOP_SECONDS, rows * LOCAL_HOP_SECONDS // SEGMENT_HOP_SECONDS
    drawn = (rng.standard_normal((int(count), size)) for count, size in zip(counts, sizes, strict=True))
    return VersionQuery(*map(unit, drawn))


def between(one: VersionQuery, other: VersionQuery, share: float = 0.5) -> VersionQuery:
    """Somewhat like the one and, by its share, like the other."""
    pairs = (one.local, other.local), (one.quick, other.quick), (one.segments, other.segments)
    return VersionQuery(*(unit((1 - share) * its + share * theirs) for its, theirs in pairs))


def keep(folder: Path, encoder: VersionEncoder, recordings: Mapping[str, VersionQuery]) -> None:
    """Make a library of them, titled as they are named."""
    models = encoder.local, encoder.quick, encoder.segments
    hops = LOCAL_HOP_SECONDS, QUICK_HOP_SECONDS, SEGMENT_HOP_SECONDS
    with Library(folder, write=True) as library:
        for number, (name, its) in enumerate(recordings.items()):
            parts = zip(models, (its.local, its.quick, its.segments), hops, strict=True)
            runs = [Vectors(model, vectors, hop) for model, vectors, hop in parts]
            recording = NewRecording(f"{number:012x}", len(its.local) * LOCAL_HOP_SECONDS, name)
            library.add(recording, FileState(f"/{name}", 0, 0), runs)
        library.refresh_store(encoder.segments)
