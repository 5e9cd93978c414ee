"""Exact search in NumPy: the oracle of every other store, and the store of small libraries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.shards import VectorFormat
from index.store import Neighbours, VectorRows

__all__ = ["ExactStore", "merge_neighbours"]

_ROWS_AT_ONCE = 2048
_QUERIES_AT_ONCE = 512


class ExactStore:
    """Compares each query with every vector.

    Args:
        format: how the vectors are stored.
        rows: the runs of vectors to search.
    """

    def __init__(self, format: VectorFormat, rows: Sequence[VectorRows]) -> None:
        self._format = format
        self._rows = [run for run in rows if len(run.stored)]

    def __len__(self) -> int:
        return sum(len(run.stored) for run in self._rows)

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """The k most similar vectors of each query; ties go to the lower number."""
        best = _none(len(queries), k)
        scaled = queries / np.float32(self._format.scale)
        room = np.empty((_ROWS_AT_ONCE, self._format.dimensions), np.float32)
        for numbers, stored in self._blocks():
            vectors = room[: len(stored)]
            vectors[...] = stored
            parts = [
                _nearest(scaled[first : first + _QUERIES_AT_ONCE], numbers, vectors, k)
                for first in range(0, len(queries), _QUERIES_AT_ONCE)
            ]
            if parts:
                found = Neighbours(
                    np.concatenate([part.numbers for part in parts]),
                    np.concatenate([part.similarities for part in parts]),
                )
                best = merge_neighbours(best, found, k)
        return best

    def _blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
        """Numbers and stored vectors: long runs cut, short ones put together."""
        pending: list[VectorRows] = []
        waiting = 0
        for run in self._rows:
            for start in range(0, len(run.stored), _ROWS_AT_ONCE):
                part = VectorRows(run.first + start, run.stored[start : start + _ROWS_AT_ONCE])
                if pending and waiting + len(part.stored) > _ROWS_AT_ONCE:
                    yield _together(pending)
                    pending, waiting = [], 0
                pending.append(part)
                waiting += len(part.stored)
        if pending:
            yield _together(pending)


def _together(parts: Sequence[VectorRows]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    numbers = np.concatenate([np.arange(part.first, part.first + len(part.stored)) for part in parts])
    return numbers, parts[0].stored if len(parts) == 1 else np.concatenate([part.stored for part in parts])


def _nearest(
    queries: NDArray[np.float32], numbers: NDArray[np.int64], vectors: NDArray[np.float32], k: int
) -> Neighbours:
    similarities = queries @ vectors.T
    if similarities.shape[1] <= k:
        return Neighbours(np.broadcast_to(numbers, similarities.shape), similarities)
    chosen = np.argpartition(-similarities, k - 1, axis=1)[:, :k]
    return Neighbours(numbers[chosen], np.take_along_axis(similarities, chosen, axis=1))


def merge_neighbours(one: Neighbours, other: Neighbours, k: int) -> Neighbours:
    """The k best of two answers to the same queries, whose numbers do not overlap."""
    numbers = np.concatenate([one.numbers, other.numbers], axis=1)
    similarities = np.concatenate([one.similarities, other.similarities], axis=1)
    order = np.lexsort((numbers, -similarities), axis=1)[:, :k]
    return Neighbours(np.take_along_axis(numbers, order, 1), np.take_along_axis(similarities, order, 1))


def _none(queries: int, k: int) -> Neighbours:
    return Neighbours(np.full((queries, k), -1, np.int64), np.full((queries, k), -np.inf, np.float32))
