"""Measure identification on a bed of clips: index its collection, ask for every clip, print what was found.

    python scripts/bench_identification.py BED [--only REGEX] [--lengths 10] [--results FILE.csv] [--jobs 2] [--peer]

BED holds collection.csv (track_id, path), queries.csv (query_id, path, condition, level, length_s,
in_collection, track_id, offset_s) and the clips. RESULTS receives query_id, track_id, offset_s, score,
seconds; track_id is empty where nothing was accepted at the default rate of 1 % false accepts. With --peer,
chromaprint answers the same clips afterwards (see peer_chromaprint.py).
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import platform
import re
import resource
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
import peer_chromaprint

from retrieval.collection import Collection

_collection: Collection | None = None


def main() -> None:
    """Index, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bed", type=Path)
    parser.add_argument("--only", default="", help="regular expression on condition-level")
    parser.add_argument("--lengths", type=int, nargs="*", default=[1, 2, 3, 5, 10])
    parser.add_argument("--results", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--peer", action="store_true", help="measure chromaprint beside Incipit")
    arguments = parser.parse_args()
    if arguments.peer:
        peer_chromaprint.demand()
    tracks = list(csv.DictReader((arguments.bed / "collection.csv").open()))
    names = {str(Path(row["path"])): row["track_id"] for row in tracks}
    asked = [row for row in csv.DictReader((arguments.bed / "queries.csv").open()) if _wanted(row, arguments)]
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in ("numpy", "onnxruntime", "faiss-cpu")))
    with tempfile.TemporaryDirectory() as folder:
        report = Collection(folder).add(*names, jobs=arguments.jobs)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        hours = report.audio_seconds / 3600
        print(
            f"{report.added} recordings, {report.audio_seconds / report.seconds:.0f}x real time on {arguments.jobs} ",
            end="",
        )
        print(f"cores, {size / 1e6 / hours:.2f} MB an hour", end=", ")
        print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
        context = multiprocessing.get_context("spawn")  # forked children would inherit locked thread pools
        with ProcessPoolExecutor(arguments.jobs, context, _open, (folder,)) as pool:
            answers = list(pool.map(_ask, [str(arguments.bed / row["path"]) for row in asked], chunksize=20))
    rows = [(row, names.get(answer[0], ""), *answer[1:]) for row, answer in zip(asked, answers, strict=True)]
    if arguments.results:
        with arguments.results.open("w", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(["query_id", "track_id", "offset_s", "score", "seconds"])
            writer.writerows([row["query_id"], track, *rest] for row, track, *rest in rows)
    _print_table("Incipit", rows)
    if arguments.peer:
        clips = [(row, str(arguments.bed / row["path"])) for row in asked]
        _print_table("chromaprint", peer_chromaprint.measure(names, clips, arguments.jobs))


def _wanted(row: dict[str, str], arguments: argparse.Namespace) -> bool:
    condition = f"{row['condition']}-{row['level']}"
    return int(row["length_s"]) in arguments.lengths and bool(re.search(arguments.only, condition))


def _open(folder: str) -> None:
    global _collection
    _collection = Collection(folder)
    _collection.identifier()


def _ask(path: str) -> tuple[str, float, float, float]:
    """Path of the best hit (or nothing), its offset and score, and how long it took."""
    assert _collection is not None, "the initialiser has run"
    started = time.perf_counter()
    hits = _collection.query(path)
    seconds = time.perf_counter() - started
    if not hits:
        return "", 0.0, 0.0, seconds
    return hits[0].path, hits[0].places[0].start, hits[0].score, seconds


def _print_table(title: str, rows: list[tuple[dict[str, str], str, float, float, float]]) -> None:
    found: dict[str, dict[int, list[bool]]] = defaultdict(lambda: defaultdict(list))
    errors, false = defaultdict(list), defaultdict(list)
    for row, track, offset, _, _ in rows:
        length = int(row["length_s"])
        if row["in_collection"] == "1":
            for name in (f"{row['condition']} {row['level']}", "all"):
                found[name][length].append(track == row["track_id"])
            if track == row["track_id"]:
                errors[row["condition"] == "clean", length].append(abs(offset - float(row["offset_s"])))
        else:
            false[length].append(bool(track))
    lengths = sorted({*found["all"], *false})
    print(f"{title + ', top-1 %':30s}" + "".join(f"{length:>6d} s" for length in lengths))
    for name in [*(name for name in found if name != "all"), "all"]:
        print(f"{name:30s}" + "".join(f"{_percent(found[name][length]):8.1f}" for length in lengths))
    print(f"{'false accepts %':30s}" + "".join(f"{_percent(false[length]):8.1f}" for length in lengths))
    for clean in (True, False):
        within = [_percent([error < 0.5 for error in errors[clean, length]]) for length in lengths]
        print(
            f"{'offset in 0.5 s %, ' + ('clean' if clean else 'the rest'):30s}" + "".join(f"{w:8.1f}" for w in within)
        )
    seconds = [row[4] for row in rows]
    print(f"seconds a query: mean {np.mean(seconds):.3f}, 95th percentile {np.percentile(seconds, 95):.3f}")


def _percent(hits: list[bool]) -> float:
    return 100 * float(np.mean(hits)) if hits else float("nan")


if __name__ == "__main__":
    main()
