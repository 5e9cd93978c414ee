"""Models, the vectors that they make, and where a library keeps them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from index.shards import ShardFile, VectorFormat
from index.store import VectorRows

__all__ = ["ItemKind", "Model", "Runs", "Vectors"]

ItemKind = Literal["recording", "score"]


@dataclass(frozen=True)
class Model:
    """What makes vectors. Vectors of different hashes never mix.

    Attributes:
        name: such as "fingerprint".
        hash: of the network's file or the feature's definition.
        format: how its vectors are stored.
        metric: how they are compared.
        parameters: of the features that it sees.
        kind: of the items that it makes vectors of.
    """

    name: str
    hash: str
    format: VectorFormat
    metric: str = "cosine"
    parameters: dict[str, float] = field(default_factory=dict)
    kind: ItemKind = "recording"


@dataclass(frozen=True)
class Vectors:
    """Vectors of one item, float32 `(count, dimensions)`, one every `hop` seconds from 0."""

    model: Model
    values: NDArray[np.float32]
    hop: float


@dataclass(frozen=True)
class Runs:
    """All runs of one model, in the order of their vectors' numbers; arrays of shape `(runs,)`.

    Attributes:
        items: ids of the recordings or scores.
        first, count: number of the first vector, and how many there are.
        hop: seconds from vector to vector.
        shards: the model's files, in the order of their numbers.
    """

    items: NDArray[np.int64]
    first: NDArray[np.int64]
    count: NDArray[np.int64]
    hop: NDArray[np.float64]
    shards: tuple[ShardFile, ...]

    def __len__(self) -> int:
        return len(self.first)

    def locate(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The positions of the runs that hold these vectors, by bisection, and their seconds there."""
        position = np.searchsorted(self.first, numbers, side="right") - 1
        return position, (numbers - self.first[position]) * self.hop[position]

    @cached_property
    def position(self) -> dict[int, int]:
        """At which position the run of each item is."""
        return {item: position for position, item in enumerate(self.items.tolist())}

    @cached_property
    def _maps(self) -> list[NDArray[Any]]:
        return [np.asarray(shard.map()) for shard in self.shards]  # slices of a memmap cost several times as much

    @cached_property
    def _bases(self) -> list[int]:
        return [shard.base for shard in self.shards]

    @property
    def end(self) -> int:
        """The number behind the last vector that was ever added, removed ones included."""
        return self.shards[-1].base + self.shards[-1].rows if self.shards else 0

    def rows(self, position: int) -> VectorRows:
        """The stored vectors of the run at a position."""
        first, count = int(self.first[position]), int(self.count[position])
        number = bisect_right(self._bases, first) - 1
        start = first - self._bases[number]
        return VectorRows(first, self._maps[number][start : start + count])

    def cuts(
        self, positions: NDArray[np.int64], begins: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> list[NDArray[Any]]:
        """Of the run at each position the stored vectors from one of its own up to another."""
        first = self.first[positions]
        files = np.searchsorted(self._bases, first, side="right") - 1
        first = first - np.array(self._bases, np.int64)[files]
        bounds = zip(files.tolist(), (first + begins).tolist(), (first + ends).tolist(), strict=True)
        return [self._maps[file][begin:end] for file, begin, end in bounds]

    def stretches(self) -> list[VectorRows]:
        """The stored vectors of all runs, neighbours in one file put together, in the order of their numbers."""
        ends = self.first + self.count
        files = np.searchsorted(self._bases, self.first, side="right") - 1
        begins = np.flatnonzero((self.first[1:] != ends[:-1]) | (files[1:] != files[:-1])) + 1
        stretches = []
        for part in np.split(np.arange(len(self)), begins) if len(self) else []:
            base = self._bases[files[part[0]]]
            first, end = int(self.first[part[0]]), int(ends[part[-1]])
            stretches.append(VectorRows(first, self._maps[files[part[0]]][first - base : end - base]))
        return stretches

    def vectors(self, position: int, begin: int = 0, end: int | None = None) -> NDArray[np.float32]:
        """The vectors of the run at a position, or those from one of its own up to another, float32.

        Shape `(count, dimensions)`.
        """
        return self.shards[0].format.decode(self.rows(position).stored[begin:end])
