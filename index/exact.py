"""Exact search: the store of all but large libraries, and of what a FAISS index does not hold yet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from index.shards import VectorFormat
from index.store import Neighbours, VectorRows, similarities_of

__all__ = ["ExactStore", "merge_neighbours"]

_LARGEST_CODE, _EXACT_FLOATS = 128, 2**24
_ROWS_AT_ONCE = 256
"""That stay near the processor while all queries are multiplied with them."""

_NOTHING = np.iinfo(np.int64).min
_NUMBER_BITS = 0xFFFFFFFF


class ExactStore:
    """Compares each query with every vector.

    Queries are rounded to whole numbers to find the most similar vectors, whose similarities are then taken anew. So
    small are these numbers that a matrix product of floats is exact, in whatever order it adds them up, and all
    queries are asked in one pass through the rows.

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
        from index._exact_kernels import keep_largest

        keys = np.full((len(queries), k), _NOTHING, np.int64)
        if keys.size:
            rounded = np.ascontiguousarray(_rounded(queries).T)
            rows = np.empty((_ROWS_AT_ONCE, queries.shape[1]), np.float32)
            products = np.empty((_ROWS_AT_ONCE, len(queries)), np.float32)
            least = np.full(len(queries), -np.inf, np.float32)
            for run in self._rows:
                for start in range(0, len(run.stored), _ROWS_AT_ONCE):
                    count = min(_ROWS_AT_ONCE, len(run.stored) - start)
                    rows[:count] = run.stored[start : start + count]
                    np.dot(rows[:count], rounded, out=products[:count])
                    keep_largest(products[:count], run.first + start, least, keys)
        keys = np.sort(keys, axis=1)[:, ::-1]
        numbers = np.where(keys > _NOTHING, _NUMBER_BITS - (keys & _NUMBER_BITS), -1)
        return _sorted(Neighbours(numbers, similarities_of(self._format, self._rows, queries, numbers)), k)


def _rounded(queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """Whole numbers, as large as they can be with all sums of their products with stored bytes below 2 to the 24th.

    By Cauchy and Schwarz none exceeds the product of both lengths.
    """
    root = queries.shape[1] ** 0.5
    longest = _EXACT_FLOATS / (_LARGEST_CODE * root) - root / 2
    lengths = np.sqrt(np.square(queries, dtype=np.float64).sum(axis=1, keepdims=True))
    return np.asarray(np.rint(queries * (longest / np.where(lengths > 0, lengths, 1))), np.float32)


def merge_neighbours(one: Neighbours, other: Neighbours, k: int) -> Neighbours:
    """The k best of two answers to the same queries, whose numbers do not overlap."""
    numbers = np.concatenate([one.numbers, other.numbers], axis=1)
    return _sorted(Neighbours(numbers, np.concatenate([one.similarities, other.similarities], axis=1)), k)


def _sorted(found: Neighbours, k: int) -> Neighbours:
    order = np.lexsort((found.numbers, -found.similarities), axis=1)[:, :k]
    return Neighbours(np.take_along_axis(found.numbers, order, 1), np.take_along_axis(found.similarities, order, 1))
