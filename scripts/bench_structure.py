"""Measure what is said of pairs whose structure differs, and of pairs whose structure does not.

    python scripts/bench_structure.py BED... [--only SUBSTRING] [--peers librosa,synctoolbox] [--jobs 2]

A bed is a folder of NAME/{a.wav, b.wav, truth.csv}, or a folder of such folders. truth.csv has the columns
time_a, time_b, struck (only 1 is judged) and, where a passage is played twice, time_b2, which is as right as
time_b. alone.csv, where there is one, has side, start, end of what stands alone: `ref`, `other`, or
`other-either` around two playings of one passage, of which either stands alone. Where there is none, a stretch
of more than 10 s between two points that takes the other side less than a quarter of that stands alone.

The table says of each pair how many percent of the points a match carries within 100 ms; and of either side, in
seconds: what stands alone in truth, what is said to, what is both, and what is wrong, said between the first and
the last point though it does not. The boundary error is that of the worse end of the nearest stretch that is
said, for every true one, those that touch taken together. Where music returns, a cut may slide without being
wrong, and then the boundary error says little; only for `other-either` it takes the slide into account.
Peers have one path each, and say of nothing that it stands alone.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import warnings
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench_alignment import ALIGNERS, ONE_THREAD, Matches, beds_in, errors_of, in_own_process, machine, peers, struck
from numpy.typing import NDArray

Span = tuple[float, float]

_WITHIN_MS = 100.0
_STEPS_A_SECOND = 10
_GAP_SECONDS, _GAP_RATIO = 10.0, 4.0
_SIDES = ("ref", "other")


class Alone(NamedTuple):
    """A stretch of one side that stands alone; moved later by up to `slide` seconds, it is as right."""

    start: float
    end: float
    slide: float = 0.0

    def boundary_error(self, said: list[Span]) -> float:
        """How far the worse end of the nearest stretch is from the truth, in seconds; infinite without any."""
        errors = [np.inf]
        for start, end in said:
            move = np.clip((start - self.start + end - self.end) / 2, 0, self.slide)
            errors.append(max(abs(start - self.start - move), abs(end - self.end - move)))
        return min(errors)


class Sided(NamedTuple):
    """Seconds of one side: alone in truth, said to be, both, and wrongly said between the points."""

    true: float
    said: float
    both: float
    wrong: float


class Measured(NamedTuple):
    """What was said of one pair: percent of points within the window, seconds of both sides, boundary errors."""

    within: float
    sides: tuple[Sided, Sided]
    boundaries: list[float]


def main() -> None:
    """Run all pairs of all beds and print a table for each bed."""
    arguments = _arguments()
    os.environ.update(ONE_THREAD)
    names = ["incipit", *arguments.peers]
    print(machine("numpy", "numba", *arguments.peers))
    with ThreadPoolExecutor(arguments.jobs) as threads:
        for bed, pairs in beds_in(arguments.beds):
            asked = [(name, folder) for folder in pairs if arguments.only in str(folder) for name in names]
            answers = threads.map(lambda task: in_own_process(partial(measure, *task)), asked)
            _print_head(bed)
            kinds: dict[tuple[str, str], list[Measured]] = defaultdict(list)
            for (name, folder), measured in zip(asked, answers, strict=True):
                print(f"{folder.name[:44]:44s} {name:12s}{_row([measured])}", flush=True)
                kinds[_kind(folder), name].append(measured)
            for (kind, name), results in kinds.items():
                print(f"{f'{len(results)} {kind} together':44s} {name:12s}{_row(results)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("beds", type=Path, nargs="+", metavar="BED")
    parser.add_argument("--only", default="", help="pairs whose path contains this")
    parser.add_argument("--peers", type=peers, default=[], help="also measure the points of these")
    parser.add_argument("--jobs", type=int, default=1)
    return parser.parse_args()


def measure(name: str, folder: Path) -> Measured:
    """Align one pair with one aligner and judge what it says."""
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(io.StringIO()):
        matches, said = _incipit(folder) if name == "incipit" else (_peer(name, folder), ([], []))
    points = struck(folder)
    errors = np.abs(errors_of(matches, points))
    if points.shape[1] > 3:
        errors = np.minimum(errors, np.abs(errors_of(matches, points[:, [0, 3]])))
    truth = np.loadtxt(folder / "truth.csv", delimiter=",", skiprows=1)
    alone = _told(folder / "alone.csv") if (folder / "alone.csv").exists() else _gaps(truth)
    spans = [(truth[0, 0], truth[-1, 0]), (truth[:, 1].min(), truth[:, 1].max())]
    sides = [_sided(*side) for side in zip(alone, said, spans, strict=True)]
    boundaries = [one.boundary_error(spoken) for true, spoken in zip(alone, said, strict=True) for one in true]
    return Measured(100 * float(np.mean(errors <= _WITHIN_MS)), (sides[0], sides[1]), boundaries)


def _incipit(folder: Path) -> tuple[Matches, tuple[list[Span], list[Span]]]:
    """The matches, and what is said to stand alone on either side."""
    from alignment import read_audio, synchronise

    segments = synchronise(*[read_audio(folder / f"{side}.wav") for side in "ab"]).segments
    paths = [segment.path for segment in segments if segment.path is not None]
    matches = [np.column_stack([path.ref, path.other]) for path in paths]
    only_ref = [segment.ref for segment in segments if segment.kind == "only_ref" and segment.ref]
    only_other = [segment.other for segment in segments if segment.kind == "only_other" and segment.other]
    return matches, (only_ref, only_other)


def _peer(name: str, folder: Path) -> Matches:
    return ALIGNERS[name](folder / "a.wav", folder / "b.wav")


def _told(path: Path) -> tuple[list[Alone], list[Alone]]:
    """What stands alone on either side as alone.csv tells it."""
    spans: dict[str, list[Alone]] = {side: [] for side in _SIDES}
    with path.open(newline="") as handle:
        for row in csv.DictReader(handle):
            side, _, either = row["side"].partition("-")
            start, end = float(row["start"]), float(row["end"])
            if either:
                half = (end - start) / 2
                spans[side].append(Alone(start, start + half, half))
            elif spans[side] and abs(spans[side][-1].end - start) < 1 / _STEPS_A_SECOND:
                spans[side][-1] = spans[side][-1]._replace(end=end)
            else:
                spans[side].append(Alone(start, end))
    return spans["ref"], spans["other"]


def _gaps(truth: NDArray[np.float64]) -> tuple[list[Alone], list[Alone]]:
    """What stands alone where the truth leaps on one side: all but as much as the other side plays meanwhile."""
    spans: tuple[list[Alone], list[Alone]] = ([], [])
    for before, after in zip(truth[:-1, :2], truth[1:, :2], strict=True):
        passed = after - before
        long = int(np.argmax(passed))
        if passed[long] > max(_GAP_SECONDS, _GAP_RATIO * passed[1 - long]):
            spans[long].append(Alone(before[long] + passed[1 - long], after[long]))
    return spans


def _sided(true: list[Alone], said: list[Span], points: Span) -> Sided:
    """Seconds of one side; of two playings of a passage no more than one counts as both."""
    times = np.arange(0, max([points[1], *[end for _, end in said]]) + 1, 1 / _STEPS_A_SECOND)
    certain = _within(times, [(one.start, one.end) for one in true if not one.slide])
    claimed = _within(times, said)
    both = float((certain & claimed).sum())
    length = float(certain.sum())
    either = np.zeros_like(claimed)
    for one in true:
        if one.slide:
            around = _within(times, [(one.start, one.end + one.slide)])
            seconds = _STEPS_A_SECOND * (one.end - one.start)
            both += min(float((around & claimed).sum()), seconds)
            length += seconds
            either |= around
    wrong = claimed & ~certain & ~either & _within(times, [points])
    return Sided(*[float(count) / _STEPS_A_SECOND for count in (length, claimed.sum(), both, wrong.sum())])


def _within(times: NDArray[np.float64], spans: list[Span]) -> NDArray[np.bool_]:
    inside = np.zeros(len(times), bool)
    for start, end in spans:
        inside |= (times >= start) & (times < end)
    return inside


def _kind(folder: Path) -> str:
    """The edit, by which the names of edited pairs begin."""
    return folder.name.partition("_")[0] if (folder / "alone.csv").exists() else "pairs"


def _print_head(bed: str) -> None:
    sides = "".join(f" |{f'{side}: true':>12s}{'said':>8s}{'both':>8s}{'wrong':>8s}" for side in _SIDES)
    print(f"\n{bed:44s} {'aligner':12s}{f'<{_WITHIN_MS:.0f} ms %':>10s}{sides} |  boundary errors s")


def _row(results: list[Measured]) -> str:
    """Mean percentage, seconds added up, and all boundary errors; of many their median and greatest."""
    within = np.mean([result.within for result in results])
    seconds = np.sum([result.sides for result in results], axis=0)
    sides = "".join(f" |{true:12.1f}{said:8.1f}{both:8.1f}{wrong:8.1f}" for true, said, both, wrong in seconds)
    boundaries = [error for result in results for error in result.boundaries]
    words = " ".join(f"{error:.1f}" for error in boundaries)
    if len(results) > 1 and boundaries:
        words = f"median {np.median(boundaries):.1f}, greatest {max(boundaries):.1f}"
    return f"{within:10.1f}{sides} |  {words}"


if __name__ == "__main__":
    main()
