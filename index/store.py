"""What every vector store does: find the stored vectors most similar to given ones.

Similarity is the inner product, for unit vectors the cosine. A store is a snapshot: what is written to the
library later is not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from index.shards import VectorFormat

__all__ = ["Neighbours", "VectorRows", "VectorStore", "rows_below", "rows_from", "similarities_of", "stored_at"]


@dataclass(frozen=True)
class Neighbours:
    """The most similar vectors of each query, best first.

    Attributes:
        numbers: int64, shape `(queries, k)`; -1 where there are fewer than k.
        similarities: float32, likewise; -inf there.
    """

    numbers: NDArray[np.int64]
    similarities: NDArray[np.float32]


@dataclass(frozen=True)
class VectorRows:
    """Contiguous stored rows, the first of which has the number `first`."""

    first: int
    stored: NDArray[Any]


class VectorStore(Protocol):
    """Searches a fixed set of numbered vectors."""

    def __len__(self) -> int:
        """How many vectors can be found."""

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """The k most similar vectors of each query, shape of queries `(n, dimensions)`."""


def rows_from(rows: Sequence[VectorRows], number: int) -> list[VectorRows]:
    """The parts of the runs at or behind a number."""
    cut = []
    for run in rows:
        skip = max(number - run.first, 0)
        if skip < len(run.stored):
            cut.append(VectorRows(run.first + skip, run.stored[skip:]))
    return cut


def rows_below(rows: Sequence[VectorRows], number: int) -> list[VectorRows]:
    """The parts of the runs before a number."""
    return [VectorRows(run.first, run.stored[: number - run.first]) for run in rows if run.first < number]


def stored_at(rows: Sequence[VectorRows], numbers: NDArray[np.int64]) -> NDArray[Any]:
    """The stored rows of these numbers, shape `(n, dimensions)`.

    Args:
        rows: in the order of their numbers; they hold all that are asked for.
        numbers: shape `(n,)`, in any order.
    """
    if not rows:
        return np.zeros((0, 0), np.int8)
    order = np.argsort(numbers, kind="stable")
    which = np.searchsorted([run.first for run in rows], numbers[order], side="right") - 1
    found = np.empty((len(numbers), rows[0].stored.shape[1]), rows[0].stored.dtype)
    for run, part in zip(np.unique(which), np.split(order, np.flatnonzero(np.diff(which)) + 1), strict=False):
        found[part] = rows[run].stored[numbers[part] - rows[run].first]
    return found


def similarities_of(
    format: VectorFormat, rows: Sequence[VectorRows], queries: NDArray[np.float32], numbers: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Of each query to the stored vectors of its numbers, shape `(queries, k)`; -inf where the number is -1."""
    known = numbers >= 0
    vectors = format.decode(stored_at(rows, numbers[known]))
    similarities = np.full(numbers.shape, -np.inf, np.float32)
    if len(vectors):
        similarities[known] = np.einsum("nd,nd->n", queries[np.nonzero(known)[0]], vectors)
    return similarities
