"""Search by FAISS; the only module that imports it.

The index holds the library's own 8-bit codes and scans them, so its answers are those of the exact store.
Its file is a cache: written beside the library, replaced as a whole, rebuilt from the vector files at any
time. It holds all vectors below a number; later ones are searched exactly until it catches up.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.errors import StoreUnavailable
from index.exact import ExactStore, merge_neighbours
from index.shards import VectorFormat
from index.store import Neighbours, VectorRows

__all__ = ["FaissStore", "faiss_is_installed", "gpu_count"]

_ROWS_AT_ONCE = 65536
_SAMPLED_RUNS = 200


def faiss_is_installed() -> bool:
    """Whether a usable faiss is there; two of its distributions in one environment leave an empty shell."""
    try:
        _faiss()
    except StoreUnavailable:
        return False
    return True


def gpu_count() -> int:
    """How many GPUs the installed faiss can use."""
    count = getattr(_faiss(), "get_num_gpus", None)
    return int(count()) if count else 0


class FaissStore:
    """Searches a FAISS index of the vectors below `len(index)`, and exactly those that came later.

    Args:
        format: 8-bit rows.
        rows: all runs that may be found, in the order of their numbers; numbers between them belong to
            what was removed.
        end: the number behind the last vector that was ever added.
        cache: where the FAISS file lies; it need not exist.
        writable: whether the cache may be made or extended.

    Raises:
        StoreUnavailable: faiss is not installed.
    """

    def __init__(self, format: VectorFormat, rows: list[VectorRows], end: int, cache: Path, *, writable: bool) -> None:
        self._format = format
        self._faiss = _faiss()
        self._index = self._read(cache)
        if self._index.ntotal > end or not self._holds(rows):
            self._index = self._new()
        if writable and self._index.ntotal < end:
            self._extend(rows, end)
            self._write(cache)
        covered = int(self._index.ntotal)
        self._live = sum(len(run.stored) for run in rows)
        self._selector = self._select(rows, covered)
        self._tail = ExactStore(format, _from_number(rows, covered))

    def __len__(self) -> int:
        return self._live

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """The k most similar vectors of each query."""
        parameters = self._faiss.SearchParameters(sel=self._selector)
        scaled = np.ascontiguousarray(queries / np.float32(self._format.scale), np.float32)
        similarities, numbers = self._index.search(scaled, k, params=parameters)
        found = Neighbours(numbers, np.where(numbers < 0, -np.inf, similarities).astype(np.float32))
        return merge_neighbours(found, self._tail.search(queries, k), k)

    def _new(self) -> Any:
        """An empty index whose codes are the library's own, shifted to be unsigned.

        Trained on the two ends of the range, code c stands for c - 128. (The quantiser for signed bytes
        rounds queries to bytes too.)
        """
        kind = self._faiss.ScalarQuantizer.QT_8bit_uniform
        index = self._faiss.IndexScalarQuantizer(self._format.dimensions, kind, self._faiss.METRIC_INNER_PRODUCT)
        index.train(np.tile(np.array([[-128.5], [126.5]], np.float32), self._format.dimensions))
        return index

    def _read(self, cache: Path) -> Any:
        if not cache.exists():
            return self._new()
        try:
            index = self._faiss.deserialize_index(np.frombuffer(cache.read_bytes(), np.uint8))
        except (RuntimeError, OSError):
            return self._new()
        empty = self._new()
        alike = index.d == empty.d and getattr(getattr(index, "sq", None), "qtype", None) == empty.sq.qtype
        return index if alike else empty

    def _holds(self, rows: list[VectorRows]) -> bool:
        """Whether the index's codes are those of the library, by a sample: it may be of an older one at this place."""
        covered = int(self._index.ntotal)
        inside = [run for run in rows if run.first + len(run.stored) <= covered]
        step = max(len(inside) // _SAMPLED_RUNS, 1)
        return all(
            np.array_equal(np.rint(self._index.reconstruct(run.first + len(run.stored) - 1)), run.stored[-1])
            for run in [*inside[::step], *inside[-_SAMPLED_RUNS:]]
        )

    def _extend(self, rows: list[VectorRows], end: int) -> None:
        """Add the vectors from the index's end; removed numbers are filled with zeros."""
        start = int(self._index.ntotal)
        missing = np.zeros((end - start, self._format.dimensions), np.int8)
        for run in _from_number(rows, start):
            missing[run.first - start : run.first - start + len(run.stored)] = run.stored
        for first in range(0, len(missing), _ROWS_AT_ONCE):
            self._index.add(missing[first : first + _ROWS_AT_ONCE].astype(np.float32))

    def _write(self, cache: Path) -> None:
        cache.parent.mkdir(exist_ok=True)
        for left in cache.parent.glob("*.part"):
            left.unlink(missing_ok=True)
        unfinished = cache.with_suffix(f".{os.getpid()}.part")
        unfinished.write_bytes(self._faiss.serialize_index(self._index).tobytes())
        unfinished.replace(cache)

    def _select(self, rows: list[VectorRows], covered: int) -> Any:
        """Only numbers that belong to a run may be found."""
        alive = np.zeros(covered, bool)
        for run in rows:
            alive[run.first : run.first + len(run.stored)] = True
        self._bits = np.packbits(alive, bitorder="little") if covered else np.zeros(1, np.uint8)
        return self._faiss.IDSelectorBitmap(self._bits)


def _from_number(rows: list[VectorRows], number: int) -> list[VectorRows]:
    """The parts of the runs at or behind a number."""
    cut = []
    for run in rows:
        skip = max(number - run.first, 0)
        if skip < len(run.stored):
            cut.append(VectorRows(run.first + skip, run.stored[skip:]))
    return cut


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise StoreUnavailable("faiss is not installed: pip install 'incipit-music[cpu]'") from error
    if not hasattr(faiss, "IndexScalarQuantizer"):
        raise StoreUnavailable("the installed faiss is broken: keep one of faiss-cpu and faiss-gpu, and reinstall it")
    return faiss
