"""FAISS indexes of a library's vectors: trained, filled, written, read.

All of them hold vectors in stored units. Those with 8-bit codes hold the library's own codes, so their
similarities are exact. The first `ntotal` numbers are in an index; in inverted lists are, of those, only the
vectors that belonged to a recording when the index was made, and that sound: silence is stored as zeros, is like
nothing, and would be one long list.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.errors import StoreUnavailable
from index.shards import VectorFormat
from index.spec import IndexKind, IndexSpec
from index.store import VectorRows, rows_below, rows_from, stored_at

__all__ = [
    "append_rows",
    "faiss_is_installed",
    "gpu_count",
    "holds_rows",
    "import_faiss",
    "index_kind",
    "on_gpu",
    "read_index",
    "suits",
    "train_index",
    "write_index",
]

_ROWS_AT_ONCE = 65536
_ROWS_PER_LIST = 40
_SAMPLED_ROWS = 200
_ITERATIONS = 10
_SEED = 1
_CODE_BITS = 8


def import_faiss() -> Any:
    """The module.

    Raises:
        StoreUnavailable: it is not installed, or two of its distributions left an empty shell.
    """
    try:
        import faiss
    except ImportError as error:
        raise StoreUnavailable("faiss is not installed: pip install 'incipit-music[cpu]'") from error
    if not hasattr(faiss, "IndexScalarQuantizer"):
        raise StoreUnavailable("the installed faiss is broken: keep one of faiss-cpu and faiss-gpu, and reinstall it")
    return faiss


def faiss_is_installed() -> bool:
    """Whether a usable faiss is there."""
    try:
        import_faiss()
    except StoreUnavailable:
        return False
    return True


def gpu_count() -> int:
    """How many GPUs the installed faiss can use."""
    count = getattr(import_faiss(), "get_num_gpus", None)
    return int(count()) if count else 0


def train_index(spec: IndexSpec, format: VectorFormat, rows: Sequence[VectorRows]) -> Any:
    """An empty index of a kind other than "exact", its lists and codes trained on a seeded sample of the rows.

    Where fewer rows sound than it takes to train, it is a flat one.
    """
    faiss = import_faiss()
    kind, metric = faiss.ScalarQuantizer.QT_8bit_uniform, faiss.METRIC_INNER_PRODUCT
    sample = _sample(rows, _ROWS_PER_LIST * spec.lists)
    needed = max(spec.lists, 2**_CODE_BITS) if spec.kind == "ivfpq" else spec.lists
    if spec.kind == "flat" or len(sample) < needed:
        index = faiss.IndexScalarQuantizer(format.dimensions, kind, metric)
        index.train(_ends_of_range(format))
        return index
    lists = _lists(spec, format, sample)
    if spec.kind == "ivf":
        index = faiss.IndexIVFScalarQuantizer(lists, format.dimensions, spec.lists, kind, metric, False)
        index.train(_ends_of_range(format))
    else:
        index = faiss.IndexIVFPQ(lists, format.dimensions, spec.lists, spec.code_bytes, _CODE_BITS, metric)
        index.pq.cp.niter, index.pq.cp.min_points_per_centroid = _ITERATIONS, 1
        index.train(sample)
    return index


def append_rows(index: Any, rows: Sequence[VectorRows], end: int) -> None:
    """Add the rows from the index's end to the number `end`; what is between them was removed."""
    faiss = import_faiss()
    lists = on_gpu(index.quantizer) if hasattr(index, "quantizer") else None
    for stored in _filled(rows, int(index.ntotal), end, int(index.d)):
        values = stored.astype(np.float32)
        if lists is None:
            index.add(values)
            continue
        nearest = np.where(stored.any(axis=1), lists.search(values, 1)[1][:, 0], -1)
        index.add_core(len(values), faiss.swig_ptr(values), None, faiss.swig_ptr(nearest))


def read_index(path: Path, format: VectorFormat, *, mapped: bool) -> Any | None:
    """The index of a file, or None where there is none that can be used.

    Args:
        path: of the file.
        format: of the library's rows.
        mapped: leave inverted lists in the file, and read those that are looked into; then none can be added.
    """
    faiss = import_faiss()
    if not path.exists():
        return None
    for flags in (faiss.IO_FLAG_MMAP, 0) if mapped else (0,):  # some platforms cannot map
        try:
            index = faiss.read_index(str(path), flags)
        except RuntimeError:
            continue
        if index.d != format.dimensions or not index_kind(index):
            return None
        if mapped and index_kind(index) == "ivf":
            _read_ahead(path, index)
        return index
    return None


def write_index(index: Any, path: Path) -> None:
    """Write the file, and put it in the place of an older one, which goes on for whoever has it open."""
    faiss = import_faiss()
    path.parent.mkdir(exist_ok=True)
    for left in path.parent.glob("*.part"):
        left.unlink(missing_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    with unfinished.open("wb") as handle:
        faiss.write_index(index, faiss.PyCallbackIOWriter(handle.write, _ROWS_AT_ONCE))
        handle.flush()
        os.fsync(handle.fileno())
    try:
        unfinished.replace(path)
    except PermissionError:  # Windows keeps a file that someone is reading; the next writer tries again
        unfinished.unlink()


def index_kind(index: Any) -> IndexKind | None:
    """Of which kind an index is; None if it is none of ours."""
    faiss = import_faiss()
    kinds: dict[Any, IndexKind] = {
        faiss.IndexScalarQuantizer: "flat",
        faiss.IndexIVFScalarQuantizer: "ivf",
        faiss.IndexIVFPQ: "ivfpq",
    }
    kind = kinds.get(type(index))
    whole_bytes = kind == "ivfpq" or getattr(getattr(index, "sq", None), "qtype", None) == (
        faiss.ScalarQuantizer.QT_8bit_uniform
    )
    inner = index.metric_type == faiss.METRIC_INNER_PRODUCT
    return kind if whole_bytes and inner else None


def suits(index: Any, spec: IndexSpec) -> bool:
    """Whether an index is what a specification wants, or can go on until it has grown further."""
    if index_kind(index) != spec.kind:
        return False
    return spec.kind == "flat" or (spec.code_bytes in (0, index.code_size) and not spec.outgrown(index.nlist))


def holds_rows(index: Any, rows: Sequence[VectorRows]) -> bool:
    """Whether the index is of these rows, by a sample: it may be of an older library at the same place."""
    inside = rows_below(rows, int(index.ntotal))
    count = sum(len(run.stored) for run in inside)
    if not count:
        return True
    numbers = _numbers(inside, np.linspace(0, count - 1, min(count, _SAMPLED_ROWS)).astype(np.int64))
    stored = stored_at(inside, numbers)
    if index_kind(index) == "flat":
        return all(
            np.array_equal(np.rint(index.reconstruct(int(number))), row)
            for number, row in zip(numbers, stored, strict=True)
        )
    sounding = stored.any(axis=1)
    near = index.quantizer.search(stored[sounding].astype(np.float32), 2)[1]  # two, for it may be between them
    return all(
        any(_in_list(index, int(number), int(which)) for which in pair)
        for number, pair in zip(numbers[sounding], near, strict=True)
    )


def on_gpu(index: Any) -> Any:
    """The index on the first GPU, or itself where faiss can use none."""
    faiss = import_faiss()
    if not gpu_count():
        return index
    return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)


def _read_ahead(path: Path, index: Any) -> None:
    """Have the whole file read, once, as it fits the memory; else 32 threads are started for each search to do so."""
    lists = import_faiss().downcast_InvertedLists(index.invlists)
    if hasattr(os, "posix_fadvise") and hasattr(lists, "prefetch_nthread"):
        lists.prefetch_nthread = 0
        with path.open("rb") as handle:
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def _ends_of_range(format: VectorFormat) -> NDArray[np.float32]:
    """What makes code c of the quantiser stand for c - 128. (The one for signed bytes rounds queries to bytes too.)"""
    return np.tile(np.array([[-128.5], [126.5]], np.float32), format.dimensions)


def _lists(spec: IndexSpec, format: VectorFormat, sample: NDArray[np.float32]) -> Any:
    """The centres of the lists, by spherical k-means, as long as vectors are."""
    faiss = import_faiss()
    means = faiss.Kmeans(
        format.dimensions,
        spec.lists,
        niter=_ITERATIONS,
        spherical=True,
        seed=_SEED,
        min_points_per_centroid=1,
        max_points_per_centroid=_ROWS_PER_LIST,
        gpu=gpu_count() > 0,
    )
    means.train(sample)
    lists = faiss.IndexFlatIP(format.dimensions)
    lists.add(means.centroids * np.float32(format.scale))
    return lists


def _sample(rows: Sequence[VectorRows], at_most: int) -> NDArray[np.float32]:
    """So many of the rows that sound, drawn at random in the order of their numbers, shape `(n, dimensions)`."""
    count = sum(len(run.stored) for run in rows)
    drawn = np.random.default_rng(_SEED).choice(count, min(count, at_most), replace=False, shuffle=False)
    stored = stored_at(rows, _numbers(rows, np.sort(drawn)))
    return stored[stored.any(axis=1)].astype(np.float32)


def _numbers(rows: Sequence[VectorRows], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """The numbers of the rows at these positions, counted through all runs."""
    counts = np.array([len(run.stored) for run in rows], np.int64)
    ends = np.cumsum(counts)
    run = np.searchsorted(ends, positions, side="right")
    return np.array([run.first for run in rows], np.int64)[run] + positions - (ends - counts)[run]


def _filled(rows: Sequence[VectorRows], start: int, end: int, dimensions: int) -> Iterator[NDArray[np.int8]]:
    """The stored rows from `start` to `end` in blocks, zeros where something was removed."""
    for first in range(start, end, _ROWS_AT_ONCE):
        last = min(first + _ROWS_AT_ONCE, end)
        block = np.zeros((last - first, dimensions), np.int8)
        for run in rows_from(rows_below(rows, last), first):
            block[run.first - first : run.first - first + len(run.stored)] = run.stored
        yield block


def _in_list(index: Any, number: int, which: int) -> bool:
    lists = index.invlists
    size = lists.list_size(which) if which >= 0 else 0
    return size > 0 and bool(np.any(import_faiss().rev_swig_ptr(lists.get_ids(which), size) == number))
