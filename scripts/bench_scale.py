"""Measure vector search at scale: libraries of millions of vectors, searched by every kind of index.

    python scripts/bench_scale.py SOURCE [--vectors 1e6 1e7] [--only ivf,ivfpq] [--folder DIR]

SOURCE is a library, or a folder of recordings, which is indexed first. Its vectors, as they are, begin the large
library. The rest are its stretches of 1000 vectors (500 s) made anew, half of them with noise of .2 to .8 of a
vector's length, half mixed with another stretch in random shares, then with noise of .1 to .4; all of unit length
again. So each vector has near-duplicates by the dozen. Queries are vectors of SOURCE with noise (`--noise`), which
leaves a similarity of .74 at .9, of .55 at 1.5. Large libraries, answers of exhaustive search and indexes stay in
DIR, and what is there is not made again.

For each index: time to build it; size of its file (also for an hour of audio, two vectors a second) and as IndexSpec
estimates it; time to open the library with it, FAISS being imported; what is resident of it after all queries; time for
one query vector, and for a clip of 10 s, which asks for 40 vectors at once; recall against exhaustive search; and the
share of queries whose own source is among the neighbours. Everything runs on one thread, in a process of its own; times
are CPU time, so that other work on the machine disturbs them little.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench_alignment import ONE_THREAD, in_own_process, machine
from numpy.typing import NDArray

from index.errors import LibraryError
from index.exact import ExactStore
from index.faiss_index import import_faiss
from index.faiss_store import FaissStore
from index.library import FileState, Library, NewRecording
from index.runs import Model, Vectors
from index.shards import VectorFormat
from index.spec import IndexSpec
from index.store import VectorStore

Floats = NDArray[np.float32]

_NEIGHBOURS = 12
_CLIP = 40
_STRETCH = 1000
_HOP = 0.5
_QUERIES = 3 * _CLIP
_FORMAT = VectorFormat(128, "int8", 256.0)
_MODEL = Model("fingerprint", "synthetic", _FORMAT)


class Queries(NamedTuple):
    """Query vectors, shape `(noises, queries, dimensions)`, what is nearest, and the number of each one's source."""

    vectors: Floats
    nearest: NDArray[np.int64]
    sources: NDArray[np.int64]


class Searched(NamedTuple):
    """How an index answered; times in seconds, memory in bytes, the rest shares for each noise."""

    opening: float
    one: float
    clip: float
    resident: int
    recall_1: Floats
    recall_k: Floats
    found: Floats


def main() -> None:
    """Make what is missing, and print a table for each size."""
    arguments = _arguments()
    os.environ.update(ONE_THREAD)
    print(machine("numpy", "faiss-cpu"))
    with tempfile.TemporaryDirectory() if arguments.folder is None else nullcontext(arguments.folder) as folder:
        real = _real_vectors(arguments.source, Path(folder))
        print(f"{len(real)} real vectors; neighbours asked for: {_NEIGHBOURS}")
        for vectors in map(int, arguments.vectors):
            large = Path(folder) / f"{vectors}"
            _make_library(large, real, vectors)
            queries = _queries(large, real, arguments.noise)
            _print_heading(vectors, arguments.noise)
            for name, spec in _specs(vectors).items():
                if not arguments.only or spec.kind in arguments.only.split(","):
                    _print_row(name, spec, vectors, large, queries)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--vectors", type=float, nargs="*", default=[1e6, 1e7])
    parser.add_argument("--only", default="", help="kinds of index, separated by commas")
    parser.add_argument("--folder", type=Path, help="what is made stays there")
    parser.add_argument("--noise", type=float, nargs="*", default=[0.9, 1.5])
    return parser.parse_args()


def _specs(vectors: int) -> dict[str, IndexSpec]:
    """What is compared: the kinds as they are chosen, and their neighbours."""
    ivf = IndexSpec.choose(vectors, _FORMAT.dimensions, memory_limit=2**62)
    ivfpq = IndexSpec.choose(vectors, _FORMAT.dimensions, memory_limit=0)
    if ivf.kind != "ivf":
        return {"exact": IndexSpec("exact"), "flat": IndexSpec("flat")}
    specs = {"exact": IndexSpec("exact"), "flat": IndexSpec("flat")}
    for probes in (ivf.probes // 4, ivf.probes, ivf.probes * 4):
        specs[f"ivf, {probes} probes"] = replace(ivf, probes=probes)
    for candidates in (0, ivfpq.candidates, 4 * ivfpq.candidates):
        specs[f"ivfpq, {candidates} again"] = replace(ivfpq, candidates=candidates)
    return specs


def _real_vectors(source: Path, folder: Path) -> Floats:
    """All that sound, shape `(n, dimensions)`, of a library or of recordings that are indexed first."""
    from retrieval.collection import Collection

    place = source
    if not (source / "library.sqlite").is_file():
        place = folder / "real"
        Collection(place).add(source)
    try:
        with Library(place) as library:
            runs = library.runs(Collection(place).encoders.fingerprint.model)
            vectors = [runs.vectors(position) for position in range(len(runs))]
    except LibraryError as error:
        raise SystemExit(str(error)) from error
    real = np.concatenate(vectors) if vectors else np.zeros((0, _FORMAT.dimensions), np.float32)
    real = real[real.any(axis=1)]
    if len(real) < 2 * _STRETCH:
        raise SystemExit(f"{source}: wanted are a quarter of an hour of recordings or more, or a library of them")
    return real


def _make_library(folder: Path, real: Floats, vectors: int) -> None:
    if folder.exists():
        return
    started = time.process_time()
    unfinished = folder.with_name(folder.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    with Library(unfinished, write=True) as library:
        for number, values in enumerate(_stretches(real, vectors)):
            recording = NewRecording(f"{number:012x}", len(values) * _HOP, f"Recording {number}")
            file = FileState(f"/{number}.flac", 0, 0)
            library.add(recording, file, [Vectors(_MODEL, values, _HOP)])
    unfinished.rename(folder)
    print(f"made {folder} in {time.process_time() - started:.0f} s")


def _stretches(real: Floats, vectors: int) -> Iterator[Floats]:
    """The real vectors, then ones made of them, so many in all."""
    rng = np.random.default_rng(0)
    for first in range(0, vectors, _STRETCH):
        length = min(_STRETCH, vectors - first)
        own = real[first : first + length]
        yield own if len(own) == length else _made(real, rng, length)


def _made(real: Floats, rng: np.random.Generator, length: int) -> Floats:
    one, other = (real[first : first + length] for first in rng.integers(len(real) - length, size=2))
    if rng.random() < 0.5:
        return noisy(one, rng.uniform(0.2, 0.8), rng)
    share = np.float32(rng.random())
    return noisy(unit(share * one + (1 - share) * other), rng.uniform(0.1, 0.4), rng)


def noisy(vectors: Floats, noise: float, rng: np.random.Generator) -> Floats:
    """With isotropic noise of that length, on average, beside their own of 1."""
    noises = rng.standard_normal(vectors.shape, np.float32) * np.float32(noise / vectors.shape[1] ** 0.5)
    return unit(vectors + noises)


def unit(vectors: Floats) -> Floats:
    """Vectors brought to unit length."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _queries(folder: Path, real: Floats, noises: list[float]) -> Queries:
    known = folder / f"queries-{'-'.join(map(str, noises))}.npz"
    if not known.exists():
        rng = np.random.default_rng(1)
        sources = rng.choice(len(real) // _STRETCH * _STRETCH, _QUERIES, replace=False)
        vectors = np.stack([noisy(real[sources], noise, rng) for noise in noises])
        nearest = in_own_process(partial(_nearest, folder, vectors.reshape(-1, vectors.shape[-1])))
        np.savez(known, vectors=vectors, nearest=nearest.reshape(*vectors.shape[:2], -1), sources=sources)
    with np.load(known) as arrays:
        return Queries(arrays["vectors"], arrays["nearest"], arrays["sources"])


def _nearest(folder: Path, queries: Floats) -> NDArray[np.int64]:
    with Library(folder) as library:
        return _open(library, folder, IndexSpec("exact")).search(queries, _NEIGHBOURS).numbers


def _open(library: Library, folder: Path, spec: IndexSpec, *, writable: bool = False) -> VectorStore:
    runs = library.runs(_MODEL)
    if spec.kind == "exact":
        return ExactStore(_FORMAT, runs.stretches())
    return FaissStore(_FORMAT, runs.stretches(), runs.end, _cache(folder, spec), spec, writable=writable)


def _cache(folder: Path, spec: IndexSpec) -> Path:
    return folder / "index" / f"{spec.kind}-{spec.lists}-{spec.code_bytes}.faiss"


def build(folder: Path, spec: IndexSpec) -> float:
    """CPU seconds to train, fill and write an index."""
    started = time.process_time()
    with Library(folder) as library:
        _open(library, folder, spec, writable=True)
    return time.process_time() - started


def search(folder: Path, spec: IndexSpec, queries: Queries) -> Searched:
    """Open a library and ask it."""
    before = _resident()
    import_faiss()
    started = time.process_time()
    with Library(folder) as library:
        store = _open(library, folder, spec)
        opening = time.process_time() - started
        clips = queries.vectors.reshape(-1, _CLIP, _FORMAT.dimensions)
        store.search(clips[0], _NEIGHBOURS)
        clip = min(_seconds(store, asked) for asked in clips[:3])
        one = np.mean([_seconds(store, clips[1][number : number + 1]) for number in range(5)])
        numbers = np.stack([store.search(asked, _NEIGHBOURS).numbers for asked in queries.vectors])
        same = (numbers[..., :, None] == queries.nearest[..., None, :]).any(axis=-1)
        return Searched(
            opening,
            float(one),
            clip,
            _resident() - before,
            np.mean((numbers == queries.nearest[..., :1]).any(axis=-1), axis=1),
            np.mean(same, axis=(1, 2)),
            np.mean((numbers == queries.sources[:, None]).any(axis=-1), axis=1),
        )


def _seconds(store: VectorStore, asked: Floats) -> float:
    started = time.process_time()
    store.search(asked, _NEIGHBOURS)
    return time.process_time() - started


def _resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def _print_heading(vectors: int, noises: list[float]) -> None:
    print(f"\n{vectors} vectors, {vectors * _HOP / 3600:.0f} hours")
    print(f"{'index':22s}{'build s':>9s}{'file MB':>9s}{'estimate':>9s}{'MB/h':>7s}{'open ms':>9s}", end="")
    print(f"{'resident MB':>13s}{'ms a vector':>13s}{'ms a clip':>11s}", end="")
    print("".join(f"{f'noise {noise}: recall@1':>21s}{f'@{_NEIGHBOURS}':>7s}{'source':>8s}" for noise in noises))


def _print_row(name: str, spec: IndexSpec, vectors: int, folder: Path, queries: Queries) -> None:
    cache = _cache(folder, spec)
    exact = spec.kind == "exact"
    building = f"{in_own_process(partial(build, folder, spec)):.0f}" if not exact and not cache.exists() else ""
    size = vectors * _FORMAT.row_bytes if exact else cache.stat().st_size
    found = in_own_process(partial(search, folder, spec, queries))
    print(f"{name:22s}{building:>9s}{size / 1e6:9.1f}{spec.memory(vectors, _FORMAT.dimensions) / 1e6:9.1f}", end="")
    print(f"{size / 1e6 / (vectors * _HOP / 3600):7.2f}{1000 * found.opening:9.0f}{found.resident / 1e6:13.1f}", end="")
    print(f"{1000 * found.one:13.2f}{1000 * found.clip:11.1f}", end="")
    for shares in zip(found.recall_1, found.recall_k, found.found, strict=True):
        print("{:21.3f}{:7.3f}{:8.3f}".format(*shares), end="")
    print(flush=True)


if __name__ == "__main__":
    main()
