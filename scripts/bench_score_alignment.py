"""Measure the alignment of whole recordings with scores: how many beats are carried to where they are played.

    python scripts/bench_score_alignment.py BED... [--only SUBSTRING] [--debias] [--jobs 2]

A bed is a folder of NAME/{score.mid, b.wav, truth.csv}, or a folder of such folders; with score.mxl beside them,
the printed score is measured too. truth.csv has a row for each beat: time_a in seconds of score.mid, time_b in
seconds of b.wav, and struck, 1 where a note begins on both sides. All beats are judged; those that are struck,
which alone `bench_alignment.py` judges, have a line of their own.

A beat of the printed score is the one as many quarters from the beginning as in score.mid, tempi aside. Where fewer
than nine in ten notes begin at the same quarter in both (other repeats, cadenzas), the printed score is not
measured. A beat in no match is missed, and beyond every window.
"""

from __future__ import annotations

import argparse
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from bench_alignment import ONE_THREAD, beds_in, errors_of, in_own_process, machine
from numpy.typing import NDArray

if TYPE_CHECKING:
    from alignment.score import Score

_WINDOWS_MS = (50, 100)
_SAME_QUARTERS, _SAME_SHARE = 0.1, 0.9


def main() -> None:
    """Align all pairs and print a table for each bed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("beds", type=Path, nargs="+", metavar="BED")
    parser.add_argument("--only", default="", help="pairs whose path contains this")
    parser.add_argument("--debias", action="store_true", help="take the median error of each pair out")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    os.environ.update(ONE_THREAD)
    print(machine("numpy", "numba", "partitura"))
    with ThreadPoolExecutor(arguments.jobs) as threads:
        for bed, folders in beds_in(arguments.beds):
            pairs = [folder for folder in folders if arguments.only in str(folder) and (folder / "score.mid").exists()]
            works = [partial(judged, folder, kind) for folder, kind in itertools.product(pairs, ("mid", "mxl"))]
            answers = list(threads.map(in_own_process, works))
            if arguments.debias:
                bed, answers = f"{bed}, constant offset removed", list(map(_debiased, answers))
            _print_bed(bed, pairs, answers[::2], answers[1::2])


class Judged(NamedTuple):
    """Beats of a pair: carried less true time in ms, infinite where it is missed, and whether notes strike them."""

    errors: NDArray[np.float64]
    struck: NDArray[np.bool_]


def judged(folder: Path, kind: str) -> Judged | None:
    """All beats of a pair; None where they cannot be counted."""
    from alignment import read_audio, synchronise
    from alignment.score import read_score
    from alignment.score_sound import score_sound

    truth = np.loadtxt(folder / "truth.csv", delimiter=",", skiprows=1)
    score = played = read_score(folder / "score.mid")
    if kind == "mxl":
        if not (folder / "score.mxl").exists():
            return None
        score = read_score(folder / "score.mxl")
        if agreement(played, score) < _SAME_SHARE:
            return None
        truth[:, 0] = score.clock(played.clock.quarters(truth[:, 0]))
    segments = synchronise(score_sound(score), read_audio(folder / "b.wav")).segments
    paths = [segment.path for segment in segments if segment.path is not None]
    errors = errors_of([np.column_stack([path.ref, path.other]) for path in paths], truth)
    return Judged(errors, truth[:, 2] > 0)


def agreement(played: Score, printed: Score) -> float:
    """How many in 1 of the notes of one score begin where the other has a note of that pitch, in quarters."""
    found = 0
    mine, others = (
        np.column_stack([score.clock.quarters(score.notes[:, 0]), score.notes[:, 2]]) for score in (played, printed)
    )
    for quarters, pitch in mine:
        found += bool((np.abs(others[others[:, 1] == pitch, 0] - quarters) <= _SAME_QUARTERS).any())
    return found / len(mine)


def _debiased(beats: Judged | None) -> Judged | None:
    if beats is None or np.isinf(beats.errors).all():
        return beats
    return beats._replace(errors=beats.errors - np.median(beats.errors[np.isfinite(beats.errors)]))


def _print_bed(bed: str, pairs: list[Path], from_midi: list[Judged | None], from_print: list[Judged | None]) -> None:
    windows = "".join(f"{f'<{window} ms':>9s}" for window in _WINDOWS_MS)
    print(f"\n{bed[:52]:52s}{'beats':>7s}{windows}{'missed %':>10s}{'printed:':>10s}{windows}{'missed %':>10s}")
    for folder, played, printed in zip(pairs, from_midi, from_print, strict=True):
        told = _row(printed) if printed is not None else "other notes"
        print(f"{folder.name[:52]:52s}{_row(played)}{told:>35s}", flush=True)
    for name, columns in (("beats", from_midi), ("beats, printed", from_print)):
        held = [column for column in columns if column is not None]
        for which, kept in (("all", held), ("struck", [Judged(h.errors[h.struck], h.struck[h.struck]) for h in held])):
            if kept:
                together = Judged(*map(np.concatenate, zip(*kept, strict=True)))
                good = sum(np.mean(np.abs(column.errors) <= _WINDOWS_MS[-1]) >= 0.95 for column in kept)
                told = f"95 % within {_WINDOWS_MS[-1]} ms in {good} of {len(kept)} pairs"
                print(f"{f'{which} {name}':52s}{_row(together)}   {told}")


def _row(beats: Judged | None) -> str:
    if beats is None:
        return ""
    errors = beats.errors
    within = "".join(f"{100 * np.mean(np.abs(errors) <= window):9.1f}" for window in _WINDOWS_MS)
    return f"{len(errors):7d}{within}{100 * np.mean(np.isinf(errors)):10.1f}"


if __name__ == "__main__":
    main()
