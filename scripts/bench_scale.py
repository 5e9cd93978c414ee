"""Measure libraries of millions of vectors: their search by every kind of index, and whole queries of clips.

    python scripts/bench_scale.py SOURCE [--vectors 1e6 1e7] [--only ivf,ivfpq] [--folder DIR]

SOURCE is a library, or a folder of recordings, which is indexed first. `--clips` of its recordings are asked for, and
as many more are left out of the large library, in which the others are as they are. The rest of it are stretches of
1000 vectors (500 s) of those that are not asked for, made anew, half of them with noise of .2 to .8 of a vector's
length, half mixed with another stretch in random shares, then with noise of .1 to .4; all of unit length again, with
fine timing at random. So each of these vectors has near-duplicates by the dozen. Queries are vectors of the same
recordings with noise (`--noise`), which leaves a similarity of .74 at .9, of .55 at 1.5. Large libraries, answers of
exhaustive search and indexes stay in DIR, and what is there is not made again.

For each index: time to build it; size of its file (also for an hour of audio, two vectors a second) and as IndexSpec
estimates it; time to open the library with it, FAISS being imported; what is resident of it after all queries; time for
one query vector, and for a clip of 10 s at its finest, which asks for 40 vectors at once; recall against exhaustive
search; and the share of queries whose own source is among the neighbours.

Then, for each kind that IndexSpec chooses, queries from file to hits, as by a process that has the library open: clips
of 10 s of recordings that are in the library and of those left out, CPU and wall seconds, and how many are found and
accepted.

Everything runs on one thread, in a process of its own; times are CPU time, so that other work on the machine disturbs
them little.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench_alignment import ONE_THREAD, in_own_process, machine
from bench_query_time import Answered, answered
from large_library import STRETCH, Source, cut_clip, make_library, noisy, read_source
from numpy.typing import NDArray

from index.errors import LibraryError
from index.exact import ExactStore
from index.faiss_index import import_faiss
from index.faiss_store import FaissStore
from index.library import Library
from index.runs import Model
from index.schema import Recording
from index.spec import IndexKind, IndexSpec
from index.store import VectorStore
from retrieval.collection import Collection
from retrieval.embedding.encoder import Encoder

Floats = NDArray[np.float32]
Clips = dict[Path, str]
"""Of recordings, and where these lie."""

_NEIGHBOURS = 12
_CLIP = 40
_HOP = 0.5
_QUERIES = 3 * _CLIP


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
    """Make what is missing, and print two tables for each size."""
    arguments = _arguments()
    os.environ.update(ONE_THREAD)
    print(machine("numpy", "faiss-cpu"))
    with tempfile.TemporaryDirectory() if arguments.folder is None else nullcontext(arguments.folder) as folder:
        source = _source(arguments.source, Path(folder), arguments.clips)
        print(f"{len(source.real)} real vectors; neighbours asked for: {_NEIGHBOURS}")
        asked, left_out = (_clips(recordings, Path(folder)) for recordings in (source.asked, source.left_out))
        for vectors in map(int, arguments.vectors):
            large = Path(folder) / f"{vectors}"
            make_library(large, source, vectors)
            queries = _queries(large, source, arguments.noise)
            specs = _specs(vectors, source.model)
            if arguments.only:
                specs = {name: spec for name, spec in specs.items() if spec.kind in arguments.only.split(",")}
            _print_heading(vectors, arguments.noise)
            for name, spec in specs.items():
                _print_row(name, spec, vectors, large, source.model, queries)
            print(f"\n{'clips of 10 s':22s}{'in the library: CPU s':>23s}{'wall s':>8s}{'found':>10s}", end="")
            print(f"{'left out: CPU s':>18s}{'wall s':>8s}{'accepted':>10s}")
            for kind in dict.fromkeys(spec.kind for spec in _chosen(vectors, source.model)):
                if kind in {spec.kind for spec in specs.values()}:
                    _print_answers(kind, large, source.model, asked, left_out)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--vectors", type=float, nargs="*", default=[1e6, 1e7])
    parser.add_argument("--only", default="", help="kinds of index, separated by commas")
    parser.add_argument("--folder", type=Path, help="what is made stays there")
    parser.add_argument("--clips", type=int, default=20, help="recordings asked for, and as many left out")
    parser.add_argument("--noise", type=float, nargs="*", default=[0.9, 1.5])
    return parser.parse_args()


def _specs(vectors: int, model: Model) -> dict[str, IndexSpec]:
    """What is compared: the kinds as they are chosen, and their neighbours."""
    ivf, ivfpq = _chosen(vectors, model)
    if ivf.kind != "ivf":
        return {"exact": IndexSpec("exact"), "flat": IndexSpec("flat")}
    specs = {"exact": IndexSpec("exact"), "flat": IndexSpec("flat")}
    for probes in (ivf.probes // 4, ivf.probes, ivf.probes * 4):
        specs[f"ivf, {probes} probes"] = replace(ivf, probes=probes)
    for candidates in (0, ivfpq.candidates, 4 * ivfpq.candidates):
        specs[f"ivfpq, {candidates} again"] = replace(ivfpq, candidates=candidates)
    return specs


def _chosen(vectors: int, model: Model) -> tuple[IndexSpec, IndexSpec]:
    """Of much memory and of little."""
    much, little = (IndexSpec.choose(vectors, model.format.dimensions, memory_limit=limit) for limit in (2**62, 0))
    return much, little


def _source(place: Path, folder: Path, clips: int) -> Source:
    """Of a library, or of recordings that are indexed first."""
    if not (place / "library.sqlite").is_file():
        Collection(folder / "real").add(place, works=False)
        place = folder / "real"
    try:
        source = read_source(place, Encoder().model, clips)
    except LibraryError as error:
        raise SystemExit(str(error)) from error
    if len(source.real) < 2 * STRETCH:
        raise SystemExit(f"{place}: wanted are a quarter of an hour of recordings beside those asked for, or more")
    return source


def _clips(recordings: list[Recording], folder: Path) -> Clips:
    """Of each recording a clip, and the recording's path."""
    clips = {folder / "clips" / f"{one.content_hash}.wav": one for one in recordings}
    for path, recording in clips.items():
        if not path.exists():
            cut_clip(recording, path)
    return {path: recording.files[0].path for path, recording in clips.items()}


def _queries(folder: Path, source: Source, noises: list[float]) -> Queries:
    known = folder / f"queries-{'-'.join(map(str, noises))}.npz"
    model, real = source.model, source.real
    if not known.exists():
        rng = np.random.default_rng(1)
        chosen = rng.choice(len(real), _QUERIES, replace=False)
        vectors = np.stack([noisy(real[chosen], noise, rng) for noise in noises])
        nearest = in_own_process(partial(_nearest, folder, model, vectors.reshape(-1, vectors.shape[-1])))
        nearest = nearest.reshape(*vectors.shape[:2], -1)
        np.savez(known, vectors=vectors, nearest=nearest, sources=source.numbers[chosen])
    with np.load(known) as arrays:
        return Queries(arrays["vectors"], arrays["nearest"], arrays["sources"])


def _nearest(folder: Path, model: Model, queries: Floats) -> NDArray[np.int64]:
    with Library(folder) as library:
        return _open(library, model, IndexSpec("exact")).search(queries, _NEIGHBOURS).numbers


def _open(library: Library, model: Model, spec: IndexSpec, *, writable: bool = False) -> VectorStore:
    runs = library.runs(model)
    if spec.kind == "exact":
        return ExactStore(model.format, runs.stretches())
    cache = _cache(library.folder, spec.kind)
    return FaissStore(model.format, runs.stretches(), runs.end, cache, spec, writable=writable)


def _cache(folder: Path, kind: IndexKind) -> Path:
    return folder / "index" / f"{kind}.faiss"


def build(folder: Path, model: Model, spec: IndexSpec) -> float:
    """CPU seconds to train, fill and write an index."""
    started = time.process_time()
    with Library(folder) as library:
        _open(library, model, spec, writable=True)
    return time.process_time() - started


def search(folder: Path, model: Model, spec: IndexSpec, queries: Queries) -> Searched:
    """Open a library and ask it."""
    before = _resident()
    import_faiss()
    started = time.process_time()
    with Library(folder) as library:
        store = _open(library, model, spec)
        opening = time.process_time() - started
        clips = queries.vectors.reshape(-1, _CLIP, queries.vectors.shape[-1])
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


def _print_row(name: str, spec: IndexSpec, vectors: int, folder: Path, model: Model, queries: Queries) -> None:
    cache = _cache(folder, spec.kind)
    exact = spec.kind == "exact"
    missing = not exact and not cache.exists()
    building = f"{in_own_process(partial(build, folder, model, spec)):.0f}" if missing else ""
    size = vectors * model.format.row_bytes if exact else cache.stat().st_size
    found = in_own_process(partial(search, folder, model, spec, queries))
    estimate = spec.memory(vectors, model.format.dimensions)
    print(f"{name:22s}{building:>9s}{size / 1e6:9.1f}{estimate / 1e6:9.1f}", end="")
    print(f"{size / 1e6 / (vectors * _HOP / 3600):7.2f}{1000 * found.opening:9.0f}{found.resident / 1e6:13.1f}", end="")
    print(f"{1000 * found.one:13.2f}{1000 * found.clip:11.1f}", end="")
    for shares in zip(found.recall_1, found.recall_k, found.found, strict=True):
        print("{:21.3f}{:7.3f}{:8.3f}".format(*shares), end="")
    print(flush=True)


def _print_answers(kind: IndexKind, folder: Path, model: Model, asked: Clips, left_out: Clips) -> None:
    """Ask with an index of that kind in the place where the library looks for its own."""
    with Library(folder) as library:
        own = library.index_file(model)
    own.unlink(missing_ok=True)
    if kind != "exact":
        own.hardlink_to(_cache(folder, kind))
    in_library, other = in_own_process(partial(answers, folder, [list(asked), list(left_out)]))
    right = sum(hits[:1] == [path] for hits, path in zip(in_library.paths, asked.values(), strict=True))
    print(f"{kind:22s}{in_library.cpu:23.4f}{in_library.wall:8.4f}{f'{right} of {len(asked)}':>10s}", end="")
    print(f"{other.cpu:18.4f}{other.wall:8.4f}{f'{sum(map(bool, other.paths))} of {len(left_out)}':>10s}", flush=True)


def answers(folder: Path, clips: list[list[Path]]) -> list[Answered]:
    """Of each list of clips, asked of a library by a process that keeps it open."""
    collection = Collection(folder)
    return [answered(collection, each) for each in clips]


if __name__ == "__main__":
    main()
