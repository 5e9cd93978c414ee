"""Numba kernels of exact search: arrays in, arrays out, no validation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

AT_ONCE = 64
"""Dimensions that are multiplied in a loop of known length: only then do compilers fill whole registers."""

_ROWS = 64


@njit(cache=True, nogil=True)
def scan(stored: Any, first: int, queries: Any, keys: Any) -> None:
    """Keep the rows whose inner products with each query are largest, products of whole numbers throughout.

    A row's key is its product, times 2 to the 32nd, plus what its number lacks to 2 to the 32nd less 1: of equal
    products the lower number has the larger key.

    Args:
        stored: int8 `(rows, dimensions)`.
        first: number of the first row; no lower than those of rows seen before.
        queries: int16 `(n, dimensions)`, filled up by zeros to a multiple of `AT_ONCE`; no product exceeds 31 bits.
        keys: int64 `(n, k)`, of each query a heap, the smallest first; changed.
    """
    dimensions, parts = stored.shape[1], queries.shape[1] // AT_ONCE
    rows, products = np.zeros((_ROWS, parts * AT_ONCE), np.int16), np.empty(_ROWS, np.int32)
    for start in range(0, len(stored), _ROWS):
        count = min(_ROWS, len(stored) - start)
        for row in range(count):
            for d in range(dimensions):
                rows[row, d] = stored[start + row, d]
        for query in range(len(queries)):
            for part in range(parts):
                one = queries[query, part * AT_ONCE : (part + 1) * AT_ONCE]
                for row in range(count):
                    other = rows[row, part * AT_ONCE : (part + 1) * AT_ONCE]
                    total = np.int32(0)
                    for d in range(AT_ONCE):
                        total = np.int32(total + np.int32(one[d]) * np.int32(other[d]))
                    products[row] = total if part == 0 else products[row] + total
            least = keys[query, 0] >> 32
            for row in range(count):
                if products[row] > least:
                    lacking = 0xFFFFFFFF - (first + start + row)
                    _replace_least(keys[query], (np.int64(products[row]) << 32) + lacking)
                    least = keys[query, 0] >> 32


@njit(cache=True, nogil=True)
def _replace_least(heap: Any, key: int) -> None:
    """Put a key in the place of a heap's smallest."""
    at = 0
    while 2 * at + 1 < len(heap):
        child = 2 * at + 1
        if child + 1 < len(heap) and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = key
