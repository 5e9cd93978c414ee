"""How the vectors of a library are indexed, chosen by how many there are."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Literal

__all__ = ["IndexKind", "IndexSpec"]

IndexKind = Literal["exact", "flat", "ivf", "ivfpq"]

_EXACT_AT_MOST = 200_000
"""Comparing with more takes longer than .03 s for the vectors of a clip of 10 s."""
_LISTS_PER_ROOT = 2
_PROBES = 24
_CODE_BYTES = 32
_CANDIDATES = 200
_TAIL = 10_000
_GROWTH = 4
_ID_BYTES = 8
_PQ_CENTROIDS = 256


@dataclass(frozen=True)
class IndexSpec:
    """How vectors are indexed; of an index that was made for another specification, how it is searched.

    Attributes:
        kind: "exact" compares with every vector; "flat" likewise, in FAISS, where too few of them sound to train
            lists; "ivf" only with those in the inverted lists nearest to the query, by the library's own 8-bit codes;
            "ivfpq" by product codes, and then again with the library's own vectors.
        lists: inverted lists, of the last two kinds.
        probes: lists looked into for a query.
        code_bytes: of a product code; divides the dimensions.
        candidates: vectors with the best product codes that are compared again; never fewer than are wanted.
        tail: vectors that may be added before the index must take them in; until then they are compared one by one.
    """

    kind: IndexKind
    lists: int = 0
    probes: int = _PROBES
    code_bytes: int = 0
    candidates: int = _CANDIDATES
    tail: int = _TAIL

    @classmethod
    def choose(cls, vectors: int, dimensions: int, memory_limit: int | None = None) -> IndexSpec:
        """The best for so many vectors.

        Args:
            vectors: how many there are.
            dimensions: of each.
            memory_limit: bytes that the index may take; half of the machine's memory if not given. Inverted lists
                of 8-bit codes that are larger give way to product codes.
        """
        if vectors <= _EXACT_AT_MOST:
            return cls("exact")
        lists = _LISTS_PER_ROOT * math.isqrt(vectors)
        spec = cls("ivf", lists)
        limit = _half_of_memory() if memory_limit is None else memory_limit
        if limit is None or spec.memory(vectors, dimensions) <= limit:
            return spec
        return cls("ivfpq", lists, code_bytes=math.gcd(_CODE_BYTES, dimensions))

    def memory(self, vectors: int, dimensions: int) -> int:
        """Bytes of the index of so many vectors, in memory or in its file.

        The library's own vectors, which "exact" and "ivfpq" read where they lie mapped, count for "exact" alone.
        """
        if self.kind in ("exact", "flat"):
            return vectors * dimensions
        centroids = 4 * self.lists * dimensions
        if self.kind == "ivf":
            return vectors * (dimensions + _ID_BYTES) + centroids
        return vectors * (self.code_bytes + _ID_BYTES) + centroids + 4 * _PQ_CENTROIDS * dimensions

    def outgrown(self, lists: int) -> bool:
        """Whether an index of so many lists was trained when there was a fourth of the vectors, or less."""
        return 0 < _GROWTH * lists**2 <= self.lists**2


def _half_of_memory() -> int | None:
    """Half of the machine's memory, bytes; None where it is not told."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return None
