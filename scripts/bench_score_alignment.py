"""Measure the alignment of whole recordings with scores: how many beats are carried to where they are played.

    python scripts/bench_score_alignment.py BED... [--only SUBSTRING] [--jobs 2]

A bed is a folder of NAME/{score.mid, b.wav, truth.csv}, or a folder of such folders; with score.mxl beside them,
the printed score is measured too. truth.csv has a row for each beat: time_a in seconds of score.mid, time_b in
seconds of b.wav, and struck, 1 where a note begins on both sides; all beats are judged.

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
from typing import TYPE_CHECKING

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
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    os.environ.update(ONE_THREAD)
    print(machine("numpy", "numba", "partitura"))
    with ThreadPoolExecutor(arguments.jobs) as threads:
        for bed, folders in beds_in(arguments.beds):
            pairs = [folder for folder in folders if arguments.only in str(folder) and (folder / "score.mid").exists()]
            works = [partial(errors, folder, kind) for folder, kind in itertools.product(pairs, ("mid", "mxl"))]
            answers = list(threads.map(in_own_process, works))
            _print_bed(bed, pairs, answers[::2], answers[1::2])


def errors(folder: Path, kind: str) -> NDArray[np.float64] | None:
    """Carried less true time of every beat in ms, infinite where it is missed; None where it cannot be counted."""
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
    return errors_of([np.column_stack([path.ref, path.other]) for path in paths], truth)


def agreement(played: Score, printed: Score) -> float:
    """How many in 1 of the notes of one score begin where the other has a note of that pitch, in quarters."""
    found = 0
    mine, others = (
        np.column_stack([score.clock.quarters(score.notes[:, 0]), score.notes[:, 2]]) for score in (played, printed)
    )
    for quarters, pitch in mine:
        found += bool((np.abs(others[others[:, 1] == pitch, 0] - quarters) <= _SAME_QUARTERS).any())
    return found / len(mine)


def _print_bed(
    bed: str,
    pairs: list[Path],
    from_midi: list[NDArray[np.float64] | None],
    from_print: list[NDArray[np.float64] | None],
) -> None:
    windows = "".join(f"{f'<{window} ms':>9s}" for window in _WINDOWS_MS)
    print(f"\n{bed[:52]:52s}{'beats':>7s}{windows}{'missed %':>10s}{'printed:':>10s}{windows}{'missed %':>10s}")
    for folder, played, printed in zip(pairs, from_midi, from_print, strict=True):
        told = _row(printed) if printed is not None else "other notes"
        print(f"{folder.name[:52]:52s}{_row(played)}{told:>35s}", flush=True)
    for name, columns in (("all beats", from_midi), ("all beats, printed", from_print)):
        held = [column for column in columns if column is not None]
        if held:
            together = np.concatenate(held)
            good = sum(np.mean(np.abs(column) <= _WINDOWS_MS[-1]) >= 0.95 for column in held)
            print(f"{name[:52]:52s}{_row(together)}   95 % within {_WINDOWS_MS[-1]} ms in {good} of {len(held)} pairs")


def _row(errors: NDArray[np.float64] | None) -> str:
    if errors is None:
        return ""
    within = "".join(f"{100 * np.mean(np.abs(errors) <= window):9.1f}" for window in _WINDOWS_MS)
    return f"{len(errors):7d}{within}{100 * np.mean(np.isinf(errors)):10.1f}"


if __name__ == "__main__":
    main()
