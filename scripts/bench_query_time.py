"""Measure the CPU time of identification queries: as they are, at another speed or pitch, and of what is not there.

    python scripts/bench_query_time.py BED LIBRARY... [--length 10] [--clips 20]

BED holds queries.csv and the clips, as for bench_identification.py; each LIBRARY holds its collection, and may hold
more. Prints the mean CPU seconds of one thread of a query, decoding included, the least of three rounds, after one that
is not counted: of clips without degradation, of those whose pitch was moved, and of those not in the collection; beside
them how many are accepted. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

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
    print(f"{'library':24s}" + "".join(f"{name:>24s}" for name in _GROUPS))
    for library in arguments.libraries:
        collection = Collection(library)
        print(f"{library.name:24s}", end="")
        for wanted in _GROUPS.values():
            of_kind = [arguments.bed / row["path"] for row in rows if wanted(row)]
            chosen = of_kind[:: max(len(of_kind) // arguments.clips, 1)][: arguments.clips]
            seconds, accepted = measured(collection, chosen)
            print(f"{f'{seconds:.4f} s ({accepted} of {len(chosen)})':>24s}", end="", flush=True)
        print()


def measured(collection: Collection, clips: list[Path]) -> tuple[float, int]:
    """Mean CPU seconds of a query, and how many are accepted."""
    least, accepted = [float("inf")] * len(clips), 0
    for turn in range(_ROUNDS + 1):
        for number, clip in enumerate(clips):
            started = time.thread_time()
            hits = collection.query(clip)
            if turn:
                least[number] = min(least[number], time.thread_time() - started)
            else:
                accepted += bool(hits)
    return sum(least) / len(least), accepted


if __name__ == "__main__":
    main()
