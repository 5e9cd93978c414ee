"""Search by FAISS.

The index is a cache: written beside the library, replaced as a whole, rebuilt from the vector files at any time,
read without being loaded where it has inverted lists. It holds vectors below a number; later ones are searched
exactly until it catches up.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.exact import ExactStore, merge_neighbours
from index.faiss_index import (
    append_rows,
    faiss_is_installed,
    gpu_count,
    holds_rows,
    import_faiss,
    index_kind,
    on_gpu,
    read_index,
    suits,
    train_index,
    write_index,
)
from index.shards import VectorFormat
from index.spec import IndexSpec
from index.store import Neighbours, VectorRows, rows_from, similarities_of

__all__ = ["FaissStore", "faiss_is_installed", "gpu_count"]


class FaissStore:
    """Searches a FAISS index of the first vectors, and exactly those that came later.

    A reader takes the index that it finds, of whatever kind; a writer first makes the one that is specified, or
    brings it up to date.

    Args:
        format: 8-bit rows.
        rows: all runs that may be found, in the order of their numbers; numbers between them belong to
            what was removed.
        end: the number behind the last vector that was ever added.
        cache: where the FAISS file lies; it need not exist.
        spec: of a kind other than "exact".
        writable: whether the cache may be made or extended.

    Raises:
        StoreUnavailable: faiss is not installed.
    """

    def __init__(
        self,
        format: VectorFormat,
        rows: Sequence[VectorRows],
        end: int,
        cache: Path,
        spec: IndexSpec,
        *,
        writable: bool,
    ) -> None:
        self._format = format
        self._faiss = import_faiss()
        self._rows = [run for run in rows if len(run.stored)]
        index = self._believable(cache, end)
        if writable:
            index = self._kept_up(index, end, cache, spec)
        covered = int(index.ntotal) if index else 0
        self._tail = ExactStore(format, rows_from(self._rows, covered))
        self._selector = self._select(covered)
        self._prepare(index, spec)

    def __len__(self) -> int:
        return sum(len(run.stored) for run in self._rows)

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """The k most similar vectors of each query, as far as the lists looked into hold them."""
        if self._index is None or not self._rows:
            return self._tail.search(queries, k)
        scaled = np.ascontiguousarray(queries / np.float32(self._format.scale), np.float32)
        wanted = max(k, self._candidates)
        similarities, numbers = self._index.search(scaled, wanted, **self._options)
        if self._candidates:
            similarities = similarities_of(self._format, self._rows, queries, numbers)
        found = Neighbours(numbers, np.where(numbers < 0, -np.inf, similarities).astype(np.float32))
        if not len(self._tail) and not self._candidates:
            return found
        return merge_neighbours(found, self._tail.search(queries, min(k, len(self._tail))), k)

    def _believable(self, cache: Path, end: int) -> Any | None:
        index = read_index(cache, self._format, mapped=True)
        return index if index and index.ntotal <= end and holds_rows(index, self._rows) else None

    def _kept_up(self, index: Any | None, end: int, cache: Path, spec: IndexSpec) -> Any:
        """The index as it is, or extended, or a new one."""
        if index and suits(index, spec):
            if end - index.ntotal <= spec.tail:
                return index
            index = read_index(cache, self._format, mapped=False)
        else:
            index = None
        index = index or train_index(spec, self._format, self._rows)
        append_rows(index, self._rows, end)
        write_index(index, cache)
        return index

    def _select(self, covered: int) -> Any | None:
        """Only numbers that belong to a run may be found; None if all do."""
        alive = np.zeros(covered, bool)
        for run in self._rows:
            alive[run.first : run.first + len(run.stored)] = True
        if alive.all():
            return None
        self._bits = np.packbits(alive, bitorder="little")
        return self._faiss.IDSelectorBitmap(self._bits)

    def _prepare(self, index: Any | None, spec: IndexSpec) -> None:
        """Take the index for searching; a GPU knows no selectors, and scans no flat codes."""
        kind = index_kind(index) if index else None
        self._candidates = max(spec.candidates, 1) if kind == "ivfpq" else 0
        self._options: dict[str, Any] = {}
        if index and kind != "flat":
            index.nprobe = spec.probes
            index = on_gpu(index) if self._selector is None else index
        if self._selector is not None:
            lists = {} if kind == "flat" else {"nprobe": spec.probes}
            parameters = self._faiss.SearchParameters if kind == "flat" else self._faiss.SearchParametersIVF
            self._options = {"params": parameters(sel=self._selector, **lists)}
        self._index = index
