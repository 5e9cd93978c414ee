"""Measure the time of identification queries: as they are, at another speed or pitch, and of what is not there.

    python scripts/bench_query_time.py BED LIBRARY... [--length 10] [--clips 20]

BED holds queries.csv and the clips, as for bench_identification.py; each LIBRARY holds its collection, and may hold
more. Prints the mean CPU and wall seconds of one thread of a query, decoding included, the least of three rounds, after
one that is not counted: of clips without degradation, of those whose pitch was moved, and of those not in the
collection; beside them how many are accepted. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench_matching import processor

from retrieval.collection import Collection

_ROUNDS = 3
_GROUPS = {
    "clean": lambda row: row["in_collection"] == "1" and row["condition"] == "clean",
    "pitch moved": lambda row: row["in_collection"] == "1" and row["condition"] == "pitch",
    "absent": lambda row: row["in_collection"] == "0",
}


def main() -> None:
    """Ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bed", type=Path)
    parser.add_argument("libraries", type=Path, nargs="+")
    parser.add_argument("--length", type=int, default=10, help="seconds of the clips")
    parser.add_argument("--clips", type=int, default=20, help="of each kind")
    arguments = parser.parse_args()
    asked = csv.DictReader((arguments.bed / "queries.csv").open())
    rows = [row for row in asked if int(row["length_s"]) == arguments.length]
    print(processor())
    print(f"{'library':24s}" + "".join(f"{name:>29s}" for name in _GROUPS))
    for library in arguments.libraries:
        collection = Collection(library)
        print(f"{library.name:24s}", end="")
        for wanted in _GROUPS.values():
            of_kind = [arguments.bed / row["path"] for row in rows if wanted(row)]
            chosen = of_kind[:: max(len(of_kind) // arguments.clips, 1)][: arguments.clips]
            found = answered(collection, chosen)
            accepted = f"{sum(map(bool, found.paths))} of {len(chosen)}"
            print(f"{f'{found.cpu:.4f} {found.wall:.4f} s ({accepted})':>29s}", end="", flush=True)
        print()


class Answered(NamedTuple):
    """Mean CPU and wall seconds of a query, and of each clip the paths of the hits, best first."""

    cpu: float
    wall: float
    paths: list[list[str]]


def answered(collection: Collection, clips: list[Path]) -> Answered:
    """Ask for each clip, first once for the answer, then to take the time."""
    paths = [[hit.path for hit in collection.query(clip)] for clip in clips]
    cpu, wall = np.min([[_seconds(collection, clip) for clip in clips] for _ in range(_ROUNDS)], axis=0).mean(axis=0)
    return Answered(float(cpu), float(wall), paths)


def _seconds(collection: Collection, clip: Path) -> tuple[float, float]:
    cpu, wall = time.thread_time(), time.perf_counter()
    collection.query(clip)
    return time.thread_time() - cpu, time.perf_counter() - wall


if __name__ == "__main__":
    main()
