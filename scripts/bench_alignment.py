"""Measure alignment on a bed of pairs, beside librosa's CQT chroma with full DTW, in one run.

    python scripts/bench_alignment.py BED [--only SUBSTRING]

BED holds SET/NAME/{a.wav, b.wav, truth.csv}; truth.csv has the columns time_a, time_b and struck (1 where a
note begins on both sides; only these are judged). Each aligner and pair runs in a process of its own, after
a warm-up on 20 s so that compilation is not counted. CPU is in seconds a minute of audio (both sides), from
samples to path. Wants the `dev` extra (librosa).
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio, read_audio

Aligner = Callable[[Audio, Audio], NDArray[np.float64]]
_WINDOWS_MS = (20, 50, 100)


class Measured(NamedTuple):
    """One aligner on one pair: errors in ms, CPU seconds a minute of audio, peak megabytes."""

    errors: NDArray[np.float64]
    cpu: float
    megabytes: float


def incipit(ref: Audio, other: Audio) -> NDArray[np.float64]:
    """Path of `alignment.synchronise`, nothing where it does not accept the pair."""
    from alignment import synchronise

    path = synchronise(ref, other).path
    return np.zeros((1, 2)) if path is None else np.column_stack([path.ref, path.other])


def librosa_cqt(ref: Audio, other: Audio) -> NDArray[np.float64]:
    """librosa's CQT chroma at 21.5 Hz with full DTW by cosine distance."""
    import librosa

    features = [librosa.feature.chroma_cqt(y=audio.samples, sr=audio.rate, hop_length=1024) for audio in (ref, other)]
    _, path = librosa.sequence.dtw(X=features[0] + 1e-9, Y=features[1] + 1e-9, metric="cosine")
    return path[::-1] * 1024 / ref.rate


ALIGNERS: dict[str, Aligner] = {"incipit": incipit, "librosa CQT": librosa_cqt}


def main() -> None:
    """Run all pairs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bed", type=Path)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "librosa")))
    print(
        f"{'pair':44s} {'aligner':12s}  mean ms  median"
        + "".join(f"  <{w:3d} ms" for w in _WINDOWS_MS)
        + "   CPU    MB"
    )
    every: dict[str, list[Measured]] = {name: [] for name in ALIGNERS}
    for truth in sorted(arguments.bed.glob("*/*/truth.csv")):
        if arguments.only not in str(truth):
            continue
        for name in ALIGNERS:
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, context) as pool:
                measured = pool.submit(measure, name, truth.parent).result()
            every[name].append(measured)
            print(f"{truth.parent.name[:44]:44s} {name:12s} {_row([measured])}", flush=True)
    for name, results in every.items():
        print(f"{'mean over pairs':44s} {name:12s} {_row(results)}")


def measure(name: str, folder: Path) -> Measured:
    """Align one pair with one aligner."""
    truth = np.loadtxt(folder / "truth.csv", delimiter=",", skiprows=1)
    truth = truth[truth[:, 2] > 0]
    sides = [read_audio(folder / f"{side}.wav") for side in "ab"]
    ALIGNERS[name](*[Audio(side.samples[: 20 * side.rate], side.rate) for side in sides])
    started = time.process_time()
    path = ALIGNERS[name](*sides)
    cpu = (time.process_time() - started) * 60 / sum(side.duration for side in sides)
    times, inverse, count = np.unique(path[:, 0], return_inverse=True, return_counts=True)
    carried = np.interp(truth[:, 0], times, np.bincount(inverse, path[:, 1]) / count)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(1000 * np.abs(carried - truth[:, 1]), cpu, peak)


def _row(results: list[Measured]) -> str:
    def mean(value: Callable[[Measured], float]) -> float:
        return float(np.mean([value(result) for result in results]))

    within = "".join(f"  {mean(lambda r, w=w: 100 * np.mean(r.errors <= w)):7.1f}" for w in _WINDOWS_MS)
    text = f"{mean(lambda r: r.errors.mean()):8.1f} {mean(lambda r: float(np.median(r.errors))):7.1f}{within}"
    return f"{text} {mean(lambda r: r.cpu):6.2f} {mean(lambda r: r.megabytes):5.0f}"


if __name__ == "__main__":
    main()
