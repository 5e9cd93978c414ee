"""Measure the search for versions among many tracks: what its first stage finds, and how long both stages take.

    python scripts/bench_version_scale.py BED LIBRARY [--others LIBRARY...] [--tracks 10000] [--passages]
        [--queries 100] [--folder DIR] [--peer PYTHON]

LIBRARY holds the tracks of BED, as `bench_versions.py --library` leaves it. They begin the large library; so do the
recordings of the OTHERS, which must play no work of BED. All further tracks are unrelated music made anew from the
stored vectors of the OTHERS and of the tracks of BED that are no queries: two of them, each in a random key and
from a random place on, are mixed in random shares, and noise of .1 to .4 of a vector's length is added. The large
library stays in DIR, and is not made again if it is there.

Queries are the tracks of BED with query = 1, themselves left out, by their stored vectors, or by those of 20 s from the
middle. Prints, by kind, the share of versions that are in the first twentieth of the first stage's ranking, MAP and the
share of first hits that are right; what is accepted; the CPU seconds of both stages, one thread; and, with --peer, an
interpreter that has essentia, the seconds of Qmax for a pair of tracks of BED (see peer_qmax.py), and how many times
faster the search is than Qmax with every track.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from bench_alignment import ONE_THREAD, in_own_process, machine
from bench_versions import FALSE_ACCEPTS, Asked, interval, print_accepted, print_table, qmax
from large_library import noisy, unit
from numpy.typing import NDArray

from index.library import FileState, Library, NewRecording
from retrieval.correspondence import VersionQuery
from retrieval.embedding.version_encoder import (
    LOCAL_HOP_SECONDS,
    QUICK_HOP_SECONDS,
    SEGMENT_HOP_SECONDS,
    VersionEncoder,
    VersionVectors,
    rolled,
)
from retrieval.version_calibration import VERSION_CALIBRATION_PATH, VersionCalibration
from retrieval.version_search import VersionSearch

Floats = NDArray[np.float32]
Row = dict[str, str]

_SHORTLIST = 0.05
_PEER_TRACKS = 12
_SEGMENTS = (15, 26)
"""Of a track made anew: from two minutes to three and a half."""

_HOPS = LOCAL_HOP_SECONDS, QUICK_HOP_SECONDS, SEGMENT_HOP_SECONDS
"""Of the parts of `VersionVectors`."""


class Track(NamedTuple):
    """What is stored of a recording."""

    name: str
    vectors: VersionVectors


class Measured(NamedTuple):
    """The queries' answers, the shares of versions in the shortlist, and CPU seconds a query."""

    answers: list[Asked]
    shortlisted: list[float]
    first_stage: float
    whole: float


def main() -> None:
    """Make the large library if it is missing, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bed", type=Path)
    parser.add_argument("library", type=Path)
    parser.add_argument("--others", type=Path, nargs="*", default=[])
    parser.add_argument("--tracks", type=int, default=10_000)
    parser.add_argument("--passages", action="store_true", help="ask by 20 s from the middle")
    parser.add_argument("--queries", type=int, default=100, help="so many of each kind at most")
    parser.add_argument("--folder", type=Path, help="what is made stays there")
    parser.add_argument("--peer", help="a Python interpreter that has essentia")
    arguments = parser.parse_args()
    os.environ.update(ONE_THREAD)
    rows = list(csv.DictReader((arguments.bed / "manifest.csv").open()))
    print(machine("numpy", "numba", "faiss-cpu"))
    with tempfile.TemporaryDirectory() if arguments.folder is None else nullcontext(arguments.folder) as folder:
        large = Path(folder) / f"{arguments.tracks}"
        if not large.exists():
            in_own_process(partial(make_library, large, arguments.tracks, arguments.library, arguments.others, rows))
        found = in_own_process(partial(measure, large, rows, arguments.queries, arguments.passages))
    print_table(f"{arguments.tracks} tracks", found.answers)
    print_accepted(found.answers)
    shares = list(zip((answer.row for answer in found.answers), found.shortlisted, strict=True))
    for kind in (*sorted({row["kind"] for row, _ in shares}), "all"):
        chosen, values = zip(*(one for one in shares if kind in (one[0]["kind"], "all")), strict=True)
        low, high = interval(chosen, values)
        print(
            f"versions in the first {_SHORTLIST:.0%}, {kind:10s} {100 * np.mean(values):5.1f} % "
            f"({100 * low:.1f}-{100 * high:.1f})"
        )
    print(f"CPU seconds a query: first stage {found.first_stage:.3f}, both {found.whole:.3f}")
    if arguments.peer:
        few, seconds = rows[:_PEER_TRACKS], 20.0 if arguments.passages else 0.0
        every = arguments.tracks * qmax(arguments.peer, arguments.bed, few, few, seconds)[1]
        print(f"Qmax with every track: {every:.0f} s, {every / found.first_stage:.0f} times the first stage, ", end="")
        print(f"{every / found.whole:.0f} times both")


def make_library(folder: Path, tracks: int, bed: Path, others: Sequence[Path], rows: Sequence[Row]) -> None:
    """Fill a library of so many tracks."""
    encoder = VersionEncoder()
    asked = {Path(row["path"]).name for row in rows if row["query"] == "1"}
    known = [track for library in (bed, *others) for track in _tracks(library, encoder)]
    unrelated = [track for track in known if track.name not in asked]
    rng = np.random.default_rng(0)
    unfinished = folder.with_name(folder.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    with Library(unfinished, write=True) as library:
        for number in range(tracks):
            track = known[number] if number < len(known) else _made(unrelated, rng, f"{number}")
            recording = NewRecording(f"{number:012x}", len(track.vectors.local) * LOCAL_HOP_SECONDS, track.name)
            library.add(recording, FileState(f"/{number}", 0, 0), encoder.stored(track.vectors))
        library.refresh_store(encoder.segments)
    unfinished.rename(folder)


def _tracks(folder: Path, encoder: VersionEncoder) -> Iterator[Track]:
    with Library(folder) as library:
        kept = [library.runs(model) for model, _ in encoder.kinds]
        names = {recording.id: Path(recording.files[0].path).name for recording in library.recordings()}
        for number in kept[0].position:
            vectors = (runs.vectors(runs.position[number]) for runs in kept)
            yield Track(names[number], VersionVectors(*vectors))


def _made(unrelated: Sequence[Track], rng: np.random.Generator, name: str) -> Track:
    """A track of two others, each from somewhere on and in another key."""
    count, noise = int(rng.integers(*_SEGMENTS)), rng.uniform(0.1, 0.4)
    mixed: list[Any] = [np.float32(0)] * len(_HOPS)
    share = rng.random()
    for weight, number in zip((share, 1 - share), rng.integers(len(unrelated), size=2), strict=True):
        track, key = unrelated[number].vectors, int(rng.integers(12))
        first = int(rng.integers(len(track.segments)))
        for part, (vectors, hop) in enumerate(zip(track, _HOPS, strict=True)):
            at = (_rows(first, hop) + np.arange(_rows(count, hop))) % len(vectors)
            mixed[part] = mixed[part] + np.float32(weight) * rolled(vectors[at], key)
    return Track(name, VersionVectors(*(noisy(unit(vectors), noise, rng) for vectors in mixed)))


def _rows(segments: int, hop: float) -> int:
    """Vectors of a part in the time from a segment to one so many later."""
    return round(segments * SEGMENT_HOP_SECONDS / hop)


def measure(folder: Path, rows: Sequence[Row], queries: int, passages: bool) -> Measured:
    """Ask for the versions of the bed's queries."""
    answers, shortlisted, seconds = [], [], []
    by_name = {Path(row["path"]).name: row for row in rows}
    encoder = VersionEncoder()
    with Library(folder) as library:
        search = VersionSearch(library, encoder, VersionCalibration.load(VERSION_CALIBRATION_PATH))
        recordings = library.recordings()
        known = {one.id: by_name[one.title] for one in recordings if one.title in by_name}
        wanted = int(_SHORTLIST * len(recordings))
        for number, row in _asked(known, queries):
            query = search.query_of(number)
            query = _passage(query) if passages else query
            started = time.process_time()
            near = [other for other, _ in search.shortlist(query, number)]
            between = time.process_time()
            found = search.found(query, number)
            seconds.append((between - started, time.process_time() - between))
            right = {other for other, its in known.items() if its["work"] == row["work"] and other != number}
            shortlisted.append(len(right & set(near[:wanted])) / len(right))
            accepted = [search.accepts(likeness, FALSE_ACCEPTS) for _, likeness in found]
            answers.append(Asked(row, [recording.id in right for recording, _ in found], len(right), accepted, 0.0))
    first_stage, whole = np.mean(seconds, axis=0)
    return Measured(answers, shortlisted, float(first_stage), float(whole))


def _asked(known: dict[int, Row], most: int) -> Iterator[tuple[int, Row]]:
    """So many queries of each kind."""
    counts: Counter[str] = Counter()
    for number, row in known.items():
        if row["query"] == "1" and counts[row["kind"]] < most:
            counts[row["kind"]] += 1
            yield number, row


def _passage(query: VersionQuery) -> VersionQuery:
    """The segment in the middle, and the other vectors within it."""
    middle = (len(query.segments) - 1) // 2
    within = [slice(_rows(middle, hop), _rows(middle, hop) + round(20 / hop)) for hop in _HOPS[:2]]
    return VersionQuery(query.local[within[0]], query.quick[within[1]], query.segments[middle : middle + 1])


if __name__ == "__main__":
    main()
