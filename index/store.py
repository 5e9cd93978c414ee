"""What every vector store does: find the stored vectors most similar to given ones.

Similarity is the inner product, for unit vectors the cosine. A store is a snapshot: what is written to the
library later is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Neighbours", "VectorRows", "VectorStore"]


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
