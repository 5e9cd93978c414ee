"""Exact search: the store of all but large libraries, and of what a FAISS index does not hold yet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from index.shards import VectorFormat
from index.store import Neighbours, VectorRows, similarities_of

__all__ = ["ExactStore", "merge_neighbours"]

_LARGEST_CODE, _LARGEST_ROUNDED, _LARGEST_PRODUCT = 128, 2**15 - 1, 2**31 - 1
_NOTHING = np.iinfo(np.int64).min
_NUMBER_BITS = 0xFFFFFFFF


class ExactStore:
    """Compares each query with every vector.

    Queries are rounded to 16 bits to find the most similar vectors, whose similarities are then taken anew.

    Args:
        format: of signed bytes.
        rows: the runs of vectors to search, in the order of their numbers, which are below 2 to the 32nd.
    """

    def __init__(self, format: VectorFormat, rows: Sequence[VectorRows]) -> None:
        self._format = format
        self._rows = [run for run in rows if len(run.stored)]

    def __len__(self) -> int:
        return sum(len(run.stored) for run in self._rows)

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """The k most similar vectors of each query; ties go to the lower number."""
        from index._exact_kernels import AT_ONCE, scan

        keys = np.full((len(queries), k), _NOTHING, np.int64)
        if keys.size:
            rounded = _rounded(queries, AT_ONCE)
            for run in self._rows:
                stored = run.stored.view()
                stored.flags.writeable = False  # as a mapped file's are, so that there is one form of the kernel
                scan(stored, run.first, rounded, keys)
        keys = np.sort(keys, axis=1)[:, ::-1]
        numbers = np.where(keys > _NOTHING, _NUMBER_BITS - (keys & _NUMBER_BITS), -1)
        return _sorted(Neighbours(numbers, similarities_of(self._format, self._rows, queries, numbers)), k)


def _rounded(queries: NDArray[np.float32], at_once: int) -> NDArray[np.int16]:
    """Queries as whole numbers as large as they can be, filled up by zeros to a multiple of so many dimensions."""
    dimensions = queries.shape[1]
    largest = min(_LARGEST_ROUNDED, _LARGEST_PRODUCT // (_LARGEST_CODE * dimensions))
    out = np.zeros((len(queries), -(-dimensions // at_once) * at_once), np.int16)
    peaks = np.abs(queries).max(axis=1, keepdims=True)
    out[:, :dimensions] = np.rint(queries * (largest / np.where(peaks > 0, peaks, 1)))
    return out


def merge_neighbours(one: Neighbours, other: Neighbours, k: int) -> Neighbours:
    """The k best of two answers to the same queries, whose numbers do not overlap."""
    numbers = np.concatenate([one.numbers, other.numbers], axis=1)
    return _sorted(Neighbours(numbers, np.concatenate([one.similarities, other.similarities], axis=1)), k)


def _sorted(found: Neighbours, k: int) -> Neighbours:
    order = np.lexsort((found.numbers, -found.similarities), axis=1)[:, :k]
    return Neighbours(np.take_along_axis(found.numbers, order, 1), np.take_along_axis(found.similarities, order, 1))
