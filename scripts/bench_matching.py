"""Measure matching on a bed of performances and passages: the peer and Incipit in one run.

    python scripts/bench_matching.py BED [--split dev] [--without WORK ...] [--library DIR] [--no-peer]
        [--results FILE.json]

BED holds tracks.json, a list of {id, work, split, path, seconds}, and queries.json, a list of {id, split, work, track,
start, end, truth}; truth is a list of [track, start, end, own], own being 1 for the place that the query is cut from,
which is neither right nor wrong. A hit is right where it shares half of its union with a place not yet found. The peer
is subsequence dynamic time warping of CENS, five a second, steps (1, 1), (1, 2), (2, 1), from librosa's chroma.

Prints mean average precision and how far starts are off, each with the interval that holds 95 % of bootstrap samples
of works, the share of right places and of wrong ones among what is accepted, and the share of passages accepted when
a third of the works is left out of the library and their passages are asked for. The library (made in DIR if it
is not there, else for this run) holds what matching needs, and no fingerprints. Wants the `dev` extra.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peer_cens import CensMatcher

from alignment.audio import Audio, read_audio
from alignment.features import estimate_tuning
from index.library import FileState, Library, NewRecording
from index.runs import Vectors
from retrieval.embedding.sonority import SONORITY, SONORITY_RATE, sonority
from retrieval.hits import Wanted
from retrieval.matching import Matcher
from retrieval.plausibility import Plausibility

_TOP = 100
_RIGHT = 0.5
_OWN = 0.3
_SAMPLES = 2000
_PARTS = 3

Found = list[tuple[str, float, float]]
"""Track, start and end of each hit, best first."""


@dataclass
class Answer:
    """What is found of one query.

    Attributes:
        work: that the query is from.
        precision: average precision.
        errors: seconds by which the starts of right hits are late.
        rights: of each hit, whether it is right; None for the query's own place.
        places: how many there are to be found.
    """

    work: str
    precision: float
    errors: list[float]
    rights: list[bool | None]
    places: int
    accepted: list[bool] = field(default_factory=list)


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bed", type=Path)
    parser.add_argument("--split", help="dev or holdout; all if not given")
    parser.add_argument("--without", nargs="*", default=[], help="works that are left out, as twins of others")
    parser.add_argument("--library", type=Path)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--results", type=Path, help="where the hits go, for other scripts to judge")
    arguments = parser.parse_args()
    tracks, queries = (
        [
            row
            for row in json.loads((arguments.bed / name).read_text())
            if arguments.split in (None, row["split"]) and row["work"] not in arguments.without
        ]
        for name in ("tracks.json", "queries.json")
    )
    clips = [_clip(arguments.bed, tracks, query) for query in queries]
    hours = sum(track["seconds"] for track in tracks) / 3600
    lengths = [clip.duration for clip in clips]
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "librosa"))
    print(f"{processor()}, Python {platform.python_version()}, {packages}")
    works = len({query["work"] for query in queries})
    print(f"{works} works, {len(tracks)} recordings of {hours:.2f} h, {len(queries)} passages of", end=" ")
    print(f"{min(lengths):.0f} to {max(lengths):.0f} s, median {np.median(lengths):.0f} s; times are CPU of one thread")
    if not arguments.no_peer:
        _measure_peer(arguments.bed, tracks, queries, clips, hours)
    with tempfile.TemporaryDirectory() as temporary:
        _measure(arguments, arguments.library or Path(temporary), tracks, queries, clips, hours)


def _measure_peer(bed: Path, tracks: list[Any], queries: list[Any], clips: list[Audio], hours: float) -> None:
    started = time.process_time()
    peer = CensMatcher((track["id"], read_audio(bed / track["path"])) for track in tracks)
    taken_in = time.process_time() - started
    peer.match(clips[0])  # compiles
    found, seconds = _asked(peer.match, clips)
    print(f"CENS subsequence DTW: {3600 * hours / taken_in:.0f}x real time to take in, ", end="")
    _print_answers(queries, [_judged(query, hits) for query, hits in zip(queries, found, strict=True)])
    print(f"  {np.mean(seconds) / hours:.4f} s a query and hour")


def _measure(
    arguments: argparse.Namespace,
    folder: Path,
    tracks: list[Any],
    queries: list[Any],
    clips: list[Audio],
    hours: float,
) -> None:
    taken_in = fill(folder, [arguments.bed / track["path"] for track in tracks])
    with Library(folder) as library:
        names = {str((arguments.bed / track["path"]).absolute()): track for track in tracks}
        known = {recording.id: names.get(recording.path) for recording in library.recordings()}
        strangers = frozenset(number for number, track in known.items() if track is None)
        matcher = Matcher(library, Plausibility.load(), without=strangers)
        matcher.search(clips[0], Wanted())
        asked, seconds = _asked(lambda clip: matcher.search(clip, Wanted(top=_TOP)), clips)
        speed = f"{3600 * hours / taken_in:.0f}x real time to take in, " if taken_in else ""
        print(f"Incipit: {speed}", end="")
        found = [[(names[hit.path]["id"], hit.places[0].start, hit.places[0].end) for hit in hits] for hits in asked]
        answers = [_judged(query, hits) for query, hits in zip(queries, found, strict=True)]
        for answer, hits in zip(answers, asked, strict=True):
            answer.accepted = [hit.accepted for hit in hits]
        _print_answers(queries, answers)
        print(f"  {np.mean(seconds) / hours:.4f} s a query and hour, its features included")
        _print_accepted(answers)
        _print_outsiders(library, known, strangers, queries, clips)
        size = SONORITY.format.row_bytes * SONORITY_RATE * 3600 / 1e6
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"  {size:.2f} MB an hour; peak {peak:.0f} MB, the clips included")
    if arguments.results:
        lines = (
            {"query": query["id"], "hits": [[*hit, -rank] for rank, hit in enumerate(hits)]}
            for query, hits in zip(queries, found, strict=True)
        )
        arguments.results.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


def fill(folder: Path, paths: Sequence[Path]) -> float:
    """Put the sonority of recordings into a library, nothing else; gives the seconds of CPU that it took."""
    started, lacking = time.process_time(), 0
    with Library(folder, write=True) as library:
        for path in (path.absolute() for path in paths):
            if library.recording_at(str(path)) is not None:
                continue
            lacking += 1
            audio, state = read_audio(path), path.stat()
            values = sonority(audio.samples, audio.rate, estimate_tuning(audio.samples, audio.rate))
            name = hashlib.sha256(str(path).encode()).hexdigest()
            library.add(
                NewRecording(name, audio.duration),
                FileState(str(path), state.st_size, state.st_mtime_ns),
                [Vectors(SONORITY, values, 1.0 / SONORITY_RATE)],
            )
    return time.process_time() - started if lacking == len(paths) else 0.0


def _asked(ask: Callable[[Audio], Any], clips: Sequence[Audio]) -> tuple[list[Any], list[float]]:
    answers, seconds = [], []
    for clip in clips:
        started = time.process_time()
        answers.append(ask(clip))
        seconds.append(time.process_time() - started)
    return answers, seconds


def _clip(bed: Path, tracks: list[Any], query: dict[str, Any]) -> Audio:
    path = next(track["path"] for track in tracks if track["id"] == query["track"])
    audio = read_audio(bed / path)
    return Audio(audio.samples[int(query["start"] * audio.rate) : int(query["end"] * audio.rate)].copy())


def _judged(query: dict[str, Any], hits: Found) -> Answer:
    own = [place for place in query["truth"] if place[3]]
    others = [place for place in query["truth"] if not place[3]]
    taken: set[int] = set()
    rights: list[bool | None] = []
    errors, precision, wrong = [], 0.0, 0
    for track, start, end in hits:
        if any(place[0] == track and _shared(place[1:3], (start, end)) >= _OWN for place in own):
            rights.append(None)
            continue
        fits = [
            (_shared(place[1:3], (start, end)), number)
            for number, place in enumerate(others)
            if place[0] == track and number not in taken
        ]
        share, number = max(fits, default=(0.0, -1))
        rights.append(share >= _RIGHT)
        if share >= _RIGHT:
            taken.add(number)
            errors.append(start - others[number][1])
            precision += len(taken) / (len(taken) + wrong)
        else:
            wrong += 1
    return Answer(query["work"], precision / len(others), errors, rights, len(others))


def _shared(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two stretches."""
    common = max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
    return common / max(max(one[1], other[1]) - min(one[0], other[0]), 1e-9)


def _print_answers(queries: list[Any], answers: list[Answer]) -> None:
    rows = {
        "MAP": lambda chosen: float(np.mean([answer.precision for answer in chosen])),
        "start error, median": lambda chosen: float(np.median(_errors(chosen))),
        "start error, 90 %": lambda chosen: float(np.quantile(_errors(chosen), 0.9)),
    }
    print(f"{len(queries)} queries")
    for name, statistic in rows.items():
        low, high = _interval(answers, statistic)
        print(f"  {name:22s}{statistic(answers):7.3f}  [{low:.3f}, {high:.3f}]")


def _errors(answers: Sequence[Answer]) -> NDArray[np.float64]:
    return np.abs([error for answer in answers for error in answer.errors])


def _interval(answers: list[Answer], statistic: Callable[[list[Answer]], float]) -> tuple[float, float]:
    """Where 95 % of the bootstrap samples of whole works lie."""
    by_work: dict[str, list[Answer]] = {}
    for answer in answers:
        by_work.setdefault(answer.work, []).append(answer)
    works, rng = list(by_work.values()), np.random.default_rng(0)
    drawn = rng.integers(0, len(works), (_SAMPLES, len(works)))
    values = [statistic([answer for number in row for answer in works[number]]) for row in drawn]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _print_accepted(answers: list[Answer]) -> None:
    pairs = [
        (right, accepted)
        for answer in answers
        for right, accepted in zip(answer.rights, answer.accepted, strict=True)
        if right is not None
    ]
    right = sum(right and accepted for right, accepted in pairs)
    accepted = sum(accepted for _, accepted in pairs)
    places = sum(answer.places for answer in answers)
    print(f"  accepted at 1 %: {100 * right / places:.1f} % of the places, ", end="")
    print(f"{100 * (accepted - right) / max(accepted, 1):.1f} % of what is accepted is another place")


def _print_outsiders(
    library: Library, known: dict[int, Any], strangers: frozenset[int], queries: list[Any], clips: list[Audio]
) -> None:
    works = sorted({query["work"] for query in queries})
    accepted = 0
    for part in range(_PARTS):
        out = set(works[part::_PARTS])
        without = {number for number, track in known.items() if track is not None and track["work"] in out}
        matcher = Matcher(library, Plausibility.load(), without=strangers | without)
        for query, clip in zip(queries, clips, strict=True):
            if query["work"] in out:
                accepted += any(hit.accepted for hit in matcher.search(clip, Wanted()))
    print(f"  a third of the works left out: {100 * accepted / len(queries):.1f} % of their passages accepted")


def processor() -> str:
    """The name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
