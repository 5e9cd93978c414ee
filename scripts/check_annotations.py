"""Ask the notes who is wrong where an alignment is far from a bed's annotation: the annotation or the alignment.

    python scripts/check_annotations.py PAIRS.csv [--debias]

PAIRS.csv has a row for each pair: a folder as `scripts/bench_structure.py` takes it, and the MIDI files from which its
a.wav and b.wav were played, on the same clocks; without them nothing is decided. Each pair is aligned. For a point
beyond 50 or 100 ms the notes within .7 s of it in a are laid into b, once so that the point falls where the annotation
has it, once where the alignment has it, at that tempo from .7 to 1.4 times the annotation's at which most of them meet
the same pitch (a Gaussian of 30 ms). Who is .08 ahead is right; else nothing is decided, as where a figure returns or
hands are apart. Printed are percentages of all points: beyond, of these the annotation's fault, the alignment's,
undecided. Then, of all pairs together, how well the confidence tells what is beyond 100 ms (AUROC), with all points and
without those where the annotation is wrong, and the share of points that the interval holds. With --debias each pair's
median error is taken off first, since slow attacks lag their MIDI time.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import mido
import numpy as np
from bench_alignment import carry, struck
from calibrate_alignment import auroc
from numpy.typing import NDArray

from alignment import read_audio, synchronise

_WINDOWS_MS = (50, 100)
_FAULTS = ("annotation", "alignment", "neither")
_AROUND_SECONDS = 0.7
_SPREAD_SECONDS = 0.03
_TEMPI = np.geomspace(0.7, 1.43, 21)
_AHEAD = 0.08
_NEIGHBOURS = 4


def notes_of(path: Path) -> NDArray[np.float64]:
    """Seconds and pitch of all notes that begin."""
    now, found = 0.0, []
    for message in mido.MidiFile(path):
        now += message.time
        if message.type == "note_on" and message.velocity:
            found.append((now, message.note))
    return np.array(found, np.float64)


def agreement(
    point: tuple[float, float], tempo: float, notes: NDArray[np.float64], others: Mapping[int, NDArray[np.float64]]
) -> float:
    """How well the notes around a point meet those of the other side, 0 to 1, at the tempo that serves best."""
    near = notes[np.abs(notes[:, 0] - point[0]) < _AROUND_SECONDS]
    if not len(near):
        return 0.0
    met = np.zeros((len(near), len(_TEMPI)))
    for row, (seconds, pitch) in enumerate(near):
        onsets = others.get(int(pitch), np.zeros(0))
        if len(onsets):
            expected = point[1] + tempo * _TEMPI * (seconds - point[0])
            met[row] = np.exp(-0.5 * (np.abs(onsets[:, None] - expected).min(axis=0) / _SPREAD_SECONDS) ** 2)
    return float(met.mean(axis=0).max())


class Judged(NamedTuple):
    """The struck points of a pair: error in seconds, infinite where none is aligned, confidence, interval in seconds.

    Attributes:
        faults: whose an error beyond a window is, of each window; empty of the others.
    """

    errors: NDArray[np.float64]
    confidence: NDArray[np.float64]
    interval: NDArray[np.float64]
    faults: tuple[NDArray[np.str_], ...]

    def shares(self) -> list[float]:
        """Of each window: percentage of points beyond, the annotation's fault, the alignment's, undecided."""
        return [
            100.0 * float(np.mean(fault == name if name else fault != ""))
            for fault in self.faults
            for name in ("", *_FAULTS)
        ]


def judged(folder: Path, played: Sequence[Path], *, debias: bool) -> Judged:
    """Align a pair, and say who is wrong where, if it is known from which two MIDI files it was played."""
    truth = struck(folder)
    errors, confidence, interval = _aligned(folder, truth)
    known = np.isfinite(errors)
    if debias and known.any():
        errors = errors - np.median(errors[known])
    notes, others = [notes_of(path) for path in played] or [np.zeros((0, 2))] * 2
    by_pitch = {int(pitch): others[others[:, 1] == pitch, 0] for pitch in np.unique(others[:, 1])}
    faults = []
    for window in _WINDOWS_MS:
        beyond = ~(np.abs(errors) * 1000 <= window)
        fault = [
            _fault(index, truth, float(errors[index]), notes, by_pitch) if beyond[index] else ""
            for index in range(len(truth))
        ]
        faults.append(np.array(fault, "U10"))
    return Judged(errors, confidence, interval, tuple(faults))


def _aligned(folder: Path, truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Errors, confidences and intervals of the points, shape `(3, points)`; of several segments' the least error."""
    found = np.stack([np.full(len(truth), np.inf), np.zeros(len(truth)), np.zeros(len(truth))])
    for segment in synchronise(read_audio(folder / "a.wav"), read_audio(folder / "b.wav")).segments:
        if segment.path is None:
            continue
        carried = carry(np.column_stack([segment.path.ref, segment.path.other]), truth[:, 0])
        errors = np.stack([carried - true for true in (truth[:, 1], *truth.T[3:])])
        error = np.take_along_axis(errors, np.argmin(np.abs(errors), axis=0)[None], axis=0)[0]
        sure = (np.interp(truth[:, 0], segment.path.ref, each) for each in (segment.confidence, segment.interval))
        found = np.where(np.abs(error) < np.abs(found[0]), np.stack([error, *sure]), found)
    return found


def _fault(
    index: int,
    truth: NDArray[np.float64],
    error: float,
    notes: NDArray[np.float64],
    others: Mapping[int, NDArray[np.float64]],
) -> str:
    """Of `_FAULTS`, whose an error in seconds is."""
    if not np.isfinite(error):
        return "alignment"
    low, high = max(index - _NEIGHBOURS, 0), min(index + _NEIGHBOURS, len(truth) - 1)
    tempo = (truth[high, 1] - truth[low, 1]) / (truth[high, 0] - truth[low, 0])
    at, there = truth[index, :2]
    annotated = agreement((at, there), tempo, notes, others)
    aligned = agreement((at, there + error), tempo, notes, others)
    if abs(annotated - aligned) < _AHEAD:
        return "neither"
    return "annotation" if aligned > annotated else "alignment"


def main() -> None:
    """Judge all pairs and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--debias", action="store_true", help="take off each pair's median error")
    arguments = parser.parse_args()
    heads = "".join(f"{f'>{window} ms':>10s}{'annot.':>8s}{'align.':>8s}{'?':>8s}" for window in _WINDOWS_MS)
    print(f"{'':44s}{heads}")
    pairs = []
    for row in csv.reader(arguments.pairs.read_text("utf-8").splitlines()):
        folder, *played = map(Path, row)
        pairs.append(judged(folder, played, debias=arguments.debias))
        print(f"{folder.name[:44]:44s}{_cells(pairs[-1].shares())}", flush=True)
    print(f"{f'mean over {len(pairs)} pairs':44s}{_cells(list(np.mean([pair.shares() for pair in pairs], axis=0)))}")
    print_confidence(pairs)


def print_confidence(pairs: Sequence[Judged]) -> None:
    """What confidence and interval are worth, with the annotation's mistakes and without."""
    errors, confidence, interval = (np.concatenate(each) for each in list(zip(*pairs, strict=True))[:3])
    fault = np.concatenate([pair.faults[-1] for pair in pairs])
    near, right = np.abs(errors) * 1000 <= _WINDOWS_MS[-1], fault != _FAULTS[0]
    print(f"AUROC of the confidence: {auroc(confidence, near):.3f}, ", end="")
    print(f"without the annotation's mistakes {auroc(confidence[right], near[right]):.3f}")
    print(f"the interval holds {100 * np.mean(np.abs(errors) <= interval):.1f} % of the points")


def _cells(row: list[float]) -> str:
    return "".join(f"{value:{10 if column % 4 == 0 else 8}.2f}" for column, value in enumerate(row))


if __name__ == "__main__":
    main()
