"""Measure the search for versions on a bed: whole recordings and passages as queries, beside Qmax.

    python scripts/bench_versions.py BED [--split dev] [--kinds hard] [--segment 20] [--library DIR]
        [--peer PYTHON] [--without-third] [--calibrated SONGS] [--jobs 2]

BED holds manifest.csv (track, work, kind, split, query, path) and the tracks. Every track of the split is indexed and
is a candidate; tracks with query = 1 are asked for, themselves left out, whole by their stored vectors. Prints MAP with
its 95 % interval (bootstrap over works), the share of queries whose first hit is right, and the share of versions that
are among the answers, by kind and by sound font of the query, and of easy versions as if there were no far ones. With
--peer, an interpreter that has essentia, Qmax answers the same queries (see peer_qmax.py). With --without-third every
third work is left out of the library, and what is accepted for its queries is counted. With --calibrated, a file that
names works on whose songs the score was calibrated (`calibrate_versions.py --songs` prints them), all is printed of the
other works, too.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import platform
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio, read_audio
from index.library import Library
from retrieval.collection import Collection
from retrieval.correspondence import VersionQuery
from retrieval.version_search import VersionSearch

FALSE_ACCEPTS = 0.01
_FAR = "hard"
"""The kind of version that is not easy."""


class Found(NamedTuple):
    """The paths that a search gives, best first, which it accepts, and how long it took."""

    paths: list[str]
    accepted: list[bool]
    seconds: float


class Asked(NamedTuple):
    """A query and what came of it."""

    row: dict[str, str]
    ranks: list[bool]
    relevant: int
    accepted: list[bool]
    seconds: float

    @property
    def average_precision(self) -> float:
        """Of the ranking; what was not found counts nothing."""
        hits = np.flatnonzero(self.ranks) + 1
        return float(np.sum(np.arange(1, len(hits) + 1) / hits)) / max(self.relevant, 1)


def main() -> None:
    """Index, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bed", type=Path)
    parser.add_argument("--split", default="", help="dev or holdout; all if not given")
    parser.add_argument("--kinds", nargs="*", help="ask only for these kinds of version")
    parser.add_argument("--segment", type=float, default=0.0, help="ask for so many seconds from the middle")
    parser.add_argument("--library", type=Path, help="keep the library there, and use it if it is there")
    parser.add_argument("--peer", help="a Python interpreter that has essentia")
    parser.add_argument("--without-third", action="store_true")
    parser.add_argument("--calibrated", type=Path, help="a file of works, one a line")
    parser.add_argument("--jobs", type=int, default=1, help="queries at once")
    arguments = parser.parse_args()
    rows = [row for row in csv.DictReader((arguments.bed / "manifest.csv").open()) if _wanted(row, arguments)]
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in ("numpy", "onnxruntime", "numba")))
    works = sorted({row["work"] for row in rows if row["query"] == "1"})
    out = set(works[::3]) if arguments.without_third else set()
    with tempfile.TemporaryDirectory() as folder:
        collection = Collection(arguments.library or Path(folder) / "library")
        report = collection.add(*(arguments.bed / row["path"] for row in rows), works=False)
        speed = f", {report.audio_seconds / report.seconds:.0f}x real time" if report.added else ""
        print(f"{len(rows)} tracks{speed}")
        held = [row for row in rows if row["work"] not in out]
        if out:
            collection = _without(
                collection, Path(folder) / "smaller", [row for row in rows if row["work"] in out], arguments
            )
        asked = [row for row in _queries(rows, arguments) if not out or row["work"] in out]
        with Library(collection.folder) as library:
            numbers = {recording.path: recording.id for recording in library.recordings()}
        ask = partial(_ask, arguments.bed, arguments.segment, numbers)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(arguments.jobs, context, _open, (collection.folder,)) as pool:
            found = list(pool.map(ask, asked, chunksize=5))
    answers = [_judged(row, each, held, arguments.bed) for row, each in zip(asked, found, strict=True)]
    if out:
        print(f"queries of works left out: {len(answers)}, accepted for {_percent(any(a.accepted) for a in answers)} %")
        return
    easy = [
        _judged(row, each, _easy(held), arguments.bed)
        for row, each in zip(asked, found, strict=True)
        if row["kind"] != _FAR
    ]
    print_table("Incipit", answers, easy)
    if arguments.calibrated:
        known = set(arguments.calibrated.read_text("utf-8").split())
        others = [[answer for answer in some if answer.row["work"] not in known] for some in (answers, easy)]
        print_table("not calibrated on", *others)
    print_accepted(answers)
    print(f"CPU seconds a query: {np.mean([answer.seconds for answer in answers]):.3f}")
    if arguments.peer:
        print_table("Qmax", *_peer(arguments, rows))


def _without(
    collection: Collection, folder: Path, rows: Sequence[dict[str, str]], arguments: argparse.Namespace
) -> Collection:
    """A copy of a library from which some tracks are removed."""
    shutil.copytree(collection.folder, folder)
    with Library(folder, write=True) as library:
        for row in rows:
            recording = library.recording_at(str((arguments.bed / row["path"]).absolute()))
            if recording is not None:
                library.remove(recording)
    return Collection(folder)


def _wanted(row: dict[str, str], arguments: argparse.Namespace) -> bool:
    return arguments.split in ("", row["split"])


_search: VersionSearch


def _open(library: Path) -> None:
    """In each process that asks."""
    global _search
    _search = Collection(library).version_search()


def _ask(bed: Path, segment: float, numbers: dict[str, int], row: dict[str, str]) -> Found:
    """The track that is asked for, whole or by a passage, is left out: nothing may be found by way of it either."""
    number = numbers.get(str((bed / row["path"]).absolute()), -1)
    audio = heard(bed / row["path"], segment) if segment or number < 0 else None
    started = time.process_time()
    query = _search.query_of(number) if audio is None else VersionQuery.of(audio, _search.encoder)
    found = _search.found(query, number)
    seconds = time.process_time() - started
    accepted = [_search.accepts(likeness, FALSE_ACCEPTS) for _, likeness in found]
    return Found([recording.path for recording, _ in found], accepted, seconds)


def heard(path: Path, seconds: float) -> Audio:
    """So much from the middle of a track, or all of it."""
    audio = read_audio(path)
    count = int(seconds * audio.rate) or len(audio.samples)
    start = max(0, (len(audio.samples) - count) // 2)
    return replace(audio, samples=audio.samples[start : start + count])


def _judged(row: dict[str, str], found: Found, candidates: Sequence[dict[str, str]], bed: Path) -> Asked:
    """An answer, if the library held these candidates alone."""
    works = {str((bed / other["path"]).absolute()): other["work"] for other in candidates if other is not row}
    known = [
        (works[path], accepted) for path, accepted in zip(found.paths, found.accepted, strict=True) if path in works
    ]
    right = [work == row["work"] for work, _ in known]
    relevant = sum(work == row["work"] for work in works.values())
    return Asked(row, right, relevant, [accepted for _, accepted in known], found.seconds)


def _easy(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    return [row for row in rows if row["kind"] != _FAR]


def _peer(arguments: argparse.Namespace, rows: Sequence[dict[str, str]]) -> tuple[list[Asked], list[Asked]]:
    """Its answers, and those among easy versions."""
    asked = _queries(rows, arguments)
    scores, seconds = qmax(arguments.peer, arguments.bed, rows, asked, arguments.segment)
    print(f"Qmax: {seconds:.4f} s a pair")
    found = [
        Found([str((arguments.bed / rows[number]["path"]).absolute()) for number in order], [False] * len(rows), 0.0)
        for order in np.argsort(-scores, axis=1, kind="stable")
    ]
    answered = list(zip(asked, found, strict=True))
    return (
        [_judged(row, each, rows, arguments.bed) for row, each in answered],
        [_judged(row, each, _easy(rows), arguments.bed) for row, each in answered if row["kind"] != _FAR],
    )


def qmax(
    python: str, bed: Path, rows: Sequence[dict[str, str]], asked: Sequence[dict[str, str]], segment: float
) -> tuple[NDArray[np.float32], float]:
    """Scores of Qmax, shape `(asked, rows)`, and the seconds of one core for a pair."""
    with tempfile.TemporaryDirectory() as folder:
        tracks, scores = Path(folder) / "tracks.csv", Path(folder) / "scores.npy"
        with tracks.open("w", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(["path", "query"])
            writer.writerows([bed / row["path"], int(row in asked)] for row in rows)
        program = Path(__file__).with_name("peer_qmax.py")
        options = ["--segment", str(segment)]
        done = subprocess.run([python, program, tracks, scores, *options], check=True, capture_output=True, text=True)
        return np.load(scores), float(done.stdout.split()[-1])


def _queries(rows: Sequence[dict[str, str]], arguments: argparse.Namespace) -> list[dict[str, str]]:
    kinds = arguments.kinds
    return [row for row in rows if row["query"] == "1" and (not kinds or row["kind"] in kinds)]


def print_table(title: str, answers: Sequence[Asked], easy: Sequence[Asked] = ()) -> None:
    """MAP with its interval, first hits, and versions found, by kind and by sound font, and among easy versions."""
    groups: dict[str, list[Asked]] = defaultdict(list)
    for answer in sorted(answers, key=lambda answer: answer.row["kind"]):
        groups[answer.row["kind"]].append(answer)
    for answer in sorted(answers, key=lambda answer: answer.row.get("font", "")):
        groups[answer.row.get("font", "no font")].append(answer)
    print(f"{title:24s}{'queries':>9s}{'MAP':>7s}{'95 %':>14s}{'first %':>9s}{'found %':>9s}")
    for name, group in [*groups.items(), ("easy among easy", easy), ("all", answers)]:
        if not group:
            continue
        low, high = interval([answer.row for answer in group], [answer.average_precision for answer in group])
        found = [sum(answer.ranks) / max(answer.relevant, 1) for answer in group]
        print(
            f"{name:24s}{len(group):9d}{np.mean([a.average_precision for a in group]):7.3f}{low:8.3f}-{high:.3f}"
            f"{_percent(a.ranks[:1] == [True] for a in group):>9s}{100 * np.mean(found):9.1f}"
        )


def print_accepted(answers: Sequence[Asked]) -> None:
    """How many of the versions are accepted, and how much of what is accepted is right."""
    accepted = [right for answer in answers for right, ok in zip(answer.ranks, answer.accepted, strict=True) if ok]
    of_versions = 100 * sum(accepted) / max(sum(answer.relevant for answer in answers), 1)
    print(f"accepted: {of_versions:.1f} % of the versions; right {_percent(accepted)} %")


def interval(rows: Sequence[dict[str, str]], values: Sequence[float]) -> tuple[float, float]:
    """That holds 95 % of the means of what queries have, by resampling works."""
    works: dict[str, list[float]] = defaultdict(list)
    for row, value in zip(rows, values, strict=True):
        works[row["work"]].append(value)
    groups = list(works.values())
    rng = np.random.default_rng(0)
    means = [
        np.mean(np.concatenate([groups[number] for number in rng.integers(0, len(groups), len(groups))]))
        for _ in range(1000)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _percent(flags: Iterable[bool]) -> str:
    values = list(flags)
    return f"{100 * np.mean(values):.1f}" if values else "-"


if __name__ == "__main__":
    main()
