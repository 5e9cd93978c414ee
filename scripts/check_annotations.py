"""Ask the notes who is wrong where an alignment is far from a bed's annotation: the annotation or the alignment.

    python scripts/check_annotations.py PAIRS.csv

PAIRS.csv has a row for each pair: a folder as `scripts/bench_alignment.py` takes it, and the MIDI files from which
its a.wav and b.wav were played, on the same clocks. Each pair is aligned. For a point beyond 50 or 100 ms the notes
within .7 s of it in a are laid into b, once so that the point falls where the annotation has it, once where the
alignment has it, at that tempo from .7 to 1.4 times the annotation's at which most of them meet the same pitch (a
Gaussian of 30 ms). Who is .08 ahead is right; else nothing is decided, as where a figure returns or hands are apart.
Printed are percentages of all points: beyond, of these the annotation's fault, the alignment's, undecided.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping
from pathlib import Path

import mido
import numpy as np
from bench_alignment import errors_of, incipit, struck
from numpy.typing import NDArray

_WINDOWS_MS = (50, 100)
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


def judged(folder: Path, first: Path, second: Path) -> list[float]:
    """Of each window: percentage of points beyond, the annotation's fault, the alignment's, undecided."""
    truth = struck(folder)
    errors = errors_of(incipit(folder / "a.wav", folder / "b.wav"), truth) / 1000
    notes, others = notes_of(first), notes_of(second)
    by_pitch = {int(pitch): others[others[:, 1] == pitch, 0] for pitch in np.unique(others[:, 1])}
    row: list[float] = []
    for window in _WINDOWS_MS:
        counts = {"annotation": 0, "alignment": 0, "neither": 0}
        for index in np.flatnonzero(~(np.abs(errors) * 1000 <= window)):
            counts[_fault(int(index), truth, float(errors[index]), notes, by_pitch)] += 1
        row += [100 * count / len(truth) for count in (sum(counts.values()), *counts.values())]
    return row


def _fault(
    index: int,
    truth: NDArray[np.float64],
    error: float,
    notes: NDArray[np.float64],
    others: Mapping[int, NDArray[np.float64]],
) -> str:
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
    pairs = list(csv.reader(parser.parse_args().pairs.read_text("utf-8").splitlines()))
    heads = "".join(f"{f'>{window} ms':>10s}{'annot.':>8s}{'align.':>8s}{'?':>8s}" for window in _WINDOWS_MS)
    print(f"{'':44s}{heads}")
    rows = []
    for folder, first, second in pairs:
        rows.append(judged(Path(folder), Path(first), Path(second)))
        print(f"{Path(folder).name[:44]:44s}{_cells(rows[-1])}", flush=True)
    print(f"{f'mean over {len(rows)} pairs':44s}{_cells(list(np.mean(rows, axis=0)))}")


def _cells(row: list[float]) -> str:
    return "".join(f"{value:{10 if column % 4 == 0 else 8}.2f}" for column, value in enumerate(row))


if __name__ == "__main__":
    main()
