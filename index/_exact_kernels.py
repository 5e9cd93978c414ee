"""Numba kernels of exact search: arrays in, arrays out, no validation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def keep_largest(products: Any, first: int, least: Any, keys: Any) -> None:
    """Keep the rows whose inner products with each query are largest.

    A row's key is its product, times 2 to the 32nd, plus what its number lacks to 2 to the 32nd less 1: of equal
    products the lower number has the larger key.

    Args:
        products: float32 `(rows, n)`, whole numbers of no more than 31 bits.
        first: number of the first row; no lower than those of rows seen before.
        least: float32 `(n,)`, the smallest product that is kept of each query; changed.
        keys: int64 `(n, k)`, of each query a heap, the smallest first; changed.
    """
    for row in range(len(products)):
        line = products[row]
        larger = 0
        for query in range(len(line)):
            larger += line[query] > least[query]
        if larger:
            for query in range(len(line)):
                if line[query] > least[query]:
                    _replace_least(keys[query], (np.int64(line[query]) << 32) + 0xFFFFFFFF - (first + row))
                    least[query] = np.float32(keys[query, 0] >> 32)


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
