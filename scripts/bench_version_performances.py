"""Measure the search for versions on real recordings and on human performances, whole and by passages.

    INCIPIT_DATA=DATA python scripts/bench_version_performances.py [--pairs FOLDER] [--seconds 10 20 40]
        [--library DIR] [--jobs 2]

The library holds the two recordings of each anthem in DATA/anthems, both sides of each pair of FOLDER, which
`asap_pairs.py` made at their own pace, and DATA/recordings. Each is asked for, itself left out, whole and by a passage
from the middle; of DATA/recordings there are no versions, but those of one source may be of one work. Prints, by group
and length, for how many the first hit is of the same work and for how many such a hit is accepted, with intervals of
95 % by bootstrap over works, and for how many queries one of another work is accepted.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import re
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench_alignment import machine
from bench_versions import FALSE_ACCEPTS, heard, interval

from index.library import Library
from retrieval.collection import Collection
from retrieval.correspondence import VersionQuery
from retrieval.version_search import VersionSearch

_REPEATS = re.compile(r"(_no)?(_\d)?(_first)?_repeat$")
"""What ASAP adds to a work's name where repeats are played or not."""

_ALONE = "others"
"""The groups of which there are no versions."""


class Side(NamedTuple):
    """A recording: of which group and work."""

    group: str
    work: str
    path: Path


class Answer(NamedTuple):
    """What came of a query: whether the first hit is right, whether a right one and a wrong one are accepted."""

    side: Side
    first: bool
    accepted: bool
    mistaken: bool


def main() -> None:
    """Index, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, help="a folder that asap_pairs.py made")
    parser.add_argument("--seconds", type=float, nargs="*", default=[10.0, 20.0, 40.0], help="of passages")
    parser.add_argument("--library", type=Path, help="keep the library there, and use it if it is there")
    parser.add_argument("--jobs", type=int, default=1, help="queries at once")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    data = Path(os.environ["INCIPIT_DATA"])
    sides = [*anthems(data), *(performances(arguments.pairs) if arguments.pairs else []), *others(data)]
    print(machine("numpy", "onnxruntime", "numba"))
    with tempfile.TemporaryDirectory() as folder:
        collection = Collection(arguments.library or Path(folder) / "library")
        collection.add(*(side.path for side in sides), works=False)
        works = {str(side.path.absolute()): side.work for side in sides}
        print(f"{'':16s}{'length':>8s}{'queries':>9s}{'first %':>24s}{'accepted %':>24s}{'with a wrong one':>19s}")
        for seconds in (*arguments.seconds, 0.0):
            ask = partial(_ask, works, seconds)
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(arguments.jobs, context, _open, (collection.folder,)) as pool:
                answers = list(pool.map(ask, sides, chunksize=4))
            for group in sorted({answer.side.group for answer in answers}):
                _print_row(group, seconds, [answer for answer in answers if answer.side.group == group])


def anthems(data: Path) -> list[Side]:
    """Two recordings of each."""
    return [Side("anthems", path.name.split("-")[0], path) for path in sorted((data / "anthems").glob("*-[ab].*"))]


def others(data: Path) -> list[Side]:
    """Other music: in `train` that by which the search was calibrated."""
    paths = sorted((data / "recordings").glob("*/*"))
    return [Side(f"{_ALONE} {path.parent.name}", path.name.split("__")[0], path) for path in paths]


def performances(folder: Path) -> list[Side]:
    """The two sides of each pair of a bed, whose work is the folder of its MIDI files."""
    with (folder / "pairs.csv").open(encoding="utf-8") as file:
        pairs = [
            (folder / Path(place).name, _REPEATS.sub("", str(Path(midi).parent))) for place, midi, _ in csv.reader(file)
        ]
    return [Side("pianos", work, place / name) for place, work in pairs for name in ("a.wav", "b.wav")]


_search: VersionSearch
_numbers: dict[str, int]


def _open(library: Path) -> None:
    """In each process that asks."""
    global _search, _numbers
    _search = Collection(library).version_search()
    with Library(library) as opened:
        _numbers = {file.path: recording.id for recording in opened.recordings() for file in recording.files}


def _ask(works: dict[str, str], seconds: float, side: Side) -> Answer:
    """A side, or so much from its middle; itself left out."""
    query = VersionQuery.of(heard(side.path, seconds), _search.encoder)
    found = _search.found(query, _numbers[str(side.path.absolute())])
    hits = [
        (works.get(recording.path) == side.work, _search.accepts(likeness, FALSE_ACCEPTS))
        for recording, likeness in found
    ]
    return Answer(
        side,
        first=bool(hits) and hits[0][0],
        accepted=(True, True) in hits,
        mistaken=(False, True) in hits,
    )


def _print_row(group: str, seconds: float, answers: Sequence[Answer]) -> None:
    first, accepted = "-", "-"
    if not group.startswith(_ALONE):
        works = [answer.side.work for answer in answers]
        first = share(works, [answer.first for answer in answers])
        accepted = share(works, [answer.accepted for answer in answers])
    length, mistaken = f"{seconds:g} s" if seconds else "whole", sum(answer.mistaken for answer in answers)
    print(f"{group:16s}{length:>8s}{len(answers):9d}{first:>24s}{accepted:>24s}{mistaken:19d}", flush=True)


def share(works: Sequence[str], flags: Sequence[bool]) -> str:
    """The percentage of queries of which something holds, with its interval by works."""
    values = [float(flag) for flag in flags]
    low, high = interval([{"work": work} for work in works], values)
    return f"{100 * np.mean(values):.1f} [{100 * low:.1f}, {100 * high:.1f}]"


if __name__ == "__main__":
    main()
