"""Measure alignment on beds of pairs: Incipit beside librosa and Sync Toolbox, in one run.

    python scripts/bench_alignment.py BED... [--only SUBSTRING] [--peers librosa,synctoolbox | none]
        [--debias] [--symmetry] [--jobs 2] [--cache FILE.json]

A bed is a folder of NAME/{a.wav, b.wav, truth.csv}, or a folder of such folders. truth.csv has the columns
time_a, time_b and struck (1 where a note begins on both sides; only these points are judged).

A point is carried over by the match that holds its reference time, by the one that serves it best where
several do. In none it is missed: beyond every window, an infinite error to the median, and left out of the
mean. --debias takes each aligner's median error on a pair out first, for instruments of slow attack.

CPU is in seconds a minute of audio (both sides), from the files to the path, on one thread. Each aligner and
pair runs in a process of its own, where 20 s of the pair have been aligned before so that neither imports nor
compilation count; MB is the peak of that process. What peers reach is kept in FILE and read from there; the
table marks these rows. Wants the `bench` extra.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import platform
import resource
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import soundfile
from numpy.typing import NDArray

Matches = list[NDArray[np.float64]]
"""What corresponds, one array `(points, 2)` a match: seconds in the reference and in the other."""

Aligner = Callable[[Path, Path], Matches]
Answer = TypeVar("Answer")

_RATE = 22050
_WINDOWS_MS = (20, 50, 100)
_WARM_UP_SECONDS = 20
_GRID_SECONDS = 0.1

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""For the environment, before numpy is loaded: its pools get one thread."""


class Measured(NamedTuple):
    """One aligner on one pair.

    Attributes:
        errors: carried less true time of every point, in ms; infinite where no match holds the point.
        cpu: seconds a minute of audio.
        megabytes: peak.
        origin: where and when it was measured if not in this run, else empty.
    """

    errors: NDArray[np.float64]
    cpu: float
    megabytes: float
    origin: str = ""


def incipit(ref: Path, other: Path) -> Matches:
    """Matches of `alignment.synchronise`; none where it does not accept the pair."""
    from alignment import read_audio, synchronise

    segments = synchronise(read_audio(ref), read_audio(other)).segments
    paths = [segment.path for segment in segments if segment.path is not None]
    return [np.column_stack([path.ref, path.other]) for path in paths]


def librosa_cqt(ref: Path, other: Path) -> Matches:
    """librosa's CQT chroma at 21.5 Hz with full DTW by cosine distance."""
    import librosa

    hop = 1024
    samples = [librosa.load(path, sr=_RATE)[0] for path in (ref, other)]
    chroma = [librosa.feature.chroma_cqt(y=y, sr=_RATE, hop_length=hop) + 1e-9 for y in samples]
    _, path = librosa.sequence.dtw(X=chroma[0], Y=chroma[1], metric="cosine")
    return [path[::-1] * hop / _RATE]


def sync_toolbox(ref: Path, other: Path) -> Matches:
    """Sync Toolbox as its own notebooks use it: chroma and DLNCO at 50 Hz, MrMsDTW, the path made strict."""
    import librosa
    from synctoolbox.dtw.mrmsdtw import sync_via_mrmsdtw
    from synctoolbox.dtw.utils import make_path_strictly_monotonic, shift_chroma_vectors
    from synctoolbox.feature.utils import estimate_tuning

    rate = 50
    samples = [librosa.load(path, sr=_RATE)[0] for path in (ref, other)]
    tunings = [estimate_tuning(y, _RATE) for y in samples]
    chroma = [_toolbox_chroma(y, tuning, rate) for y, tuning in zip(samples, tunings, strict=True)]
    onsets = [
        _toolbox_onsets(y, tuning, rate, c.shape[1]) for y, tuning, c in zip(samples, tunings, chroma, strict=True)
    ]
    shift = _toolbox_shift(chroma, rate)
    path = sync_via_mrmsdtw(
        f_chroma1=chroma[0],
        f_onset1=onsets[0],
        f_chroma2=shift_chroma_vectors(chroma[1], shift),
        f_onset2=shift_chroma_vectors(onsets[1], shift),
        input_feature_rate=rate,
        step_weights=np.array([1.5, 1.5, 2.0]),
        threshold_rec=10**6,
    )
    return [make_path_strictly_monotonic(path).T / rate]


def _toolbox_chroma(samples: NDArray[np.float32], tuning: float, rate: int) -> Any:
    from synctoolbox.feature.chroma import pitch_to_chroma, quantize_chroma
    from synctoolbox.feature.pitch import audio_to_pitch_features

    pitches = audio_to_pitch_features(f_audio=samples, Fs=_RATE, tuning_offset=tuning, feature_rate=rate, verbose=False)
    return quantize_chroma(f_chroma=pitch_to_chroma(f_pitch=pitches))


def _toolbox_onsets(samples: NDArray[np.float32], tuning: float, rate: int, frames: int) -> Any:
    from synctoolbox.feature.dlnco import pitch_onset_features_to_DLNCO
    from synctoolbox.feature.pitch_onset import audio_to_pitch_onset_features

    peaks = audio_to_pitch_onset_features(f_audio=samples, Fs=_RATE, tuning_offset=tuning, verbose=False)
    return pitch_onset_features_to_DLNCO(
        f_peaks=peaks, feature_rate=rate, feature_sequence_length=frames, visualize=False
    )


def _toolbox_shift(chroma: list[Any], rate: int) -> int:
    from synctoolbox.dtw.utils import compute_optimal_chroma_shift
    from synctoolbox.feature.chroma import quantized_chroma_to_CENS

    return int(compute_optimal_chroma_shift(*[quantized_chroma_to_CENS(c, 201, 50, rate)[0] for c in chroma]))


PEERS: dict[str, Aligner] = {"librosa": librosa_cqt, "synctoolbox": sync_toolbox}
ALIGNERS: dict[str, Aligner] = {"incipit": incipit, **PEERS}


class Cache:
    """What peers reached in earlier runs: a JSON file, or nothing at all when `path` is None."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._rows = json.loads(path.read_text()) if path and path.exists() else {}

    def find(self, name: str, folder: Path) -> Measured | None:
        """The row of a peer on a pair; None where there is none for this sound and truth."""
        row = self._rows.get(self._key(name, folder))
        return Measured(np.array(row["errors"]), row["cpu"], row["megabytes"], row["origin"]) if row else None

    def keep(self, name: str, folder: Path, measured: Measured) -> None:
        """Add a row and write the file."""
        if self._path is None or name not in PEERS:
            return
        row = measured._asdict() | {
            "errors": measured.errors.round(3).tolist(),
            "origin": machine("numpy", "numba", name),
        }
        self._rows[self._key(name, folder)] = row
        partial_file = self._path.with_suffix(".partial")
        partial_file.write_text(json.dumps(self._rows))
        partial_file.replace(self._path)

    @staticmethod
    def _key(name: str, folder: Path) -> str:
        content = (folder / "truth.csv").read_bytes()
        for side in "ab":
            with (folder / f"{side}.wav").open("rb") as sound:
                sound.seek(-min(1 << 16, os.fstat(sound.fileno()).st_size), os.SEEK_END)
                content += sound.read() + str(sound.tell()).encode()
        return f"{name} {folder.parent.name}/{folder.name} {blake2b(content, digest_size=8).hexdigest()}"


def main() -> None:
    """Run all pairs of all beds and print a table for each bed."""
    arguments = _arguments()
    os.environ.update(ONE_THREAD)
    cache = Cache(arguments.cache)
    beds = {name: [f for f in folders if arguments.only in str(f)] for name, folders in beds_in(arguments.beds)}
    names = ["incipit", *arguments.peers]
    print(machine("numpy", "numba", *arguments.peers))
    with ThreadPoolExecutor(arguments.jobs) as threads:
        running = {
            (name, folder): _start(threads, cache, name, folder)
            for folders in beds.values()
            for folder in folders
            for name in names
        }
        both_ways = [
            threads.submit(in_own_process, partial(disagreement, folder))
            for folders in beds.values()
            for folder in folders
            if arguments.symmetry
        ]
        origins = set[str]()
        for bed, folders in beds.items():
            origins |= _print_bed(bed, folders, names, running, cache, arguments.debias)
        if both_ways:
            folders = [folder for folders in beds.values() for folder in folders]
            _print_symmetry(folders, both_ways)
    for origin in sorted(origins):
        print(f"* from the cache, measured on {origin}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("beds", type=Path, nargs="+", metavar="BED")
    parser.add_argument("--only", default="", help="pairs whose path contains this")
    parser.add_argument("--peers", type=peers, default=list(PEERS), help=f"{','.join(PEERS)} (the default) or none")
    parser.add_argument("--debias", action="store_true", help="take the median error of each pair out")
    parser.add_argument("--symmetry", action="store_true", help="also compare align(a, b) with align(b, a)")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, help="file that keeps what the peers reach")
    return parser.parse_args()


def peers(text: str) -> list[str]:
    """The peers that an option names, for argparse."""
    names = [] if text == "none" else text.split(",")
    if unknown := set(names) - set(PEERS):
        raise argparse.ArgumentTypeError(f"unknown peers: {', '.join(sorted(unknown))}")
    return names


def beds_in(folders: Sequence[Path]) -> Iterator[tuple[str, list[Path]]]:
    """Name and pairs of every bed that is one of the folders or lies in one."""
    for folder in folders:
        for bed in [folder, *sorted(folder.iterdir())]:
            if pairs := sorted(truth.parent for truth in bed.glob("*/truth.csv")):
                yield bed.resolve().name, pairs


def machine(*packages: str) -> str:
    """The processor, and the versions of Python and of the packages, in words."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    words = [f"{model} x {os.cpu_count()}", f"Python {platform.python_version()}"]
    for package in packages:
        try:
            words.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            words.append(f"{package} absent")
    return ", ".join(words)


def in_own_process(work: Callable[[], Answer]) -> Answer:
    """The answer of a function that a fresh process runs."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work).result()


def _start(threads: ThreadPoolExecutor, cache: Cache, name: str, folder: Path) -> Future[Measured]:
    if found := cache.find(name, folder):
        future = Future[Measured]()
        future.set_result(found)
        return future
    return threads.submit(in_own_process, partial(measure, name, folder))


def measure(name: str, folder: Path) -> Measured:
    """Align one pair with one aligner."""
    warnings.simplefilter("ignore")
    align = ALIGNERS[name]
    sides = [folder / f"{side}.wav" for side in "ab"]
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(io.StringIO()):
        align(*[_beginning(side, Path(scratch) / side.name) for side in sides])
        started = time.process_time()
        matches = align(*sides)
        seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(errors_of(matches, struck(folder)), 60 * seconds / sum(map(_duration, sides)), peak)


def struck(folder: Path) -> NDArray[np.float64]:
    """The points of a pair where a note begins on both sides; rows of truth.csv."""
    truth = np.loadtxt(folder / "truth.csv", delimiter=",", skiprows=1)
    return truth[truth[:, 2] > 0]


def errors_of(matches: Matches, truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Carried less true time in ms, of least size over the matches that hold a point; infinite if none does."""
    best = np.full(len(truth), np.inf)
    for match in matches:
        error = 1000 * (carry(match, truth[:, 0]) - truth[:, 1])
        best = np.where(np.abs(error) < np.abs(best), error, best)
    return best


def carry(match: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reference times in the other recording, infinite outside the match; a standstill counts as its middle."""
    known, inverse, count = np.unique(match[:, 0], return_inverse=True, return_counts=True)
    other = np.bincount(inverse.ravel(), match[:, 1]) / count
    return np.interp(times, known, other, left=np.inf, right=np.inf)


def disagreement(folder: Path) -> tuple[NDArray[np.float64], float]:
    """How far align(b, a) is from align(a, b).

    Returns:
        The distance in ms in the other recording, ten times a second of the reference where both have a
        match, and the percentage of what either matches that both do.
    """
    first, second = folder / "a.wav", folder / "b.wav"
    grid = np.arange(0, _duration(first), _GRID_SECONDS)
    points = np.column_stack([grid, np.zeros_like(grid)])
    forwards, backwards = incipit(first, second), [match[:, ::-1] for match in incipit(second, first)]
    points[:, 1] = errors_of(forwards, points) / 1000
    held = np.isfinite(points[:, 1])
    held_by_either = held | np.isfinite(errors_of(backwards, np.column_stack([grid, 0 * grid])))
    distance = np.abs(errors_of(backwards, points[held]))
    both = np.isfinite(distance)
    return distance[both], 100 * float(both.sum()) / max(int(held_by_either.sum()), 1)


def _beginning(source: Path, target: Path) -> Path:
    samples, rate = soundfile.read(source, stop=_WARM_UP_SECONDS * soundfile.info(source).samplerate)
    soundfile.write(target, samples, rate)
    return target


def _duration(path: Path) -> float:
    return float(soundfile.info(path).duration)


def _print_bed(
    bed: str,
    folders: list[Path],
    names: list[str],
    running: dict[tuple[str, Path], Future[Measured]],
    cache: Cache,
    debias: bool,
) -> set[str]:
    """Print the table as results come in; returns where its cached rows are from."""
    windows = "".join(f"{f'<{window} ms':>9s}" for window in _WINDOWS_MS)
    print(f"\n{bed + (', constant offset removed' if debias else ''):44s} {'aligner':13s}", end="")
    print(f"{'mean ms':>9s}{'median':>9s}{windows}{'missed %':>10s}{'CPU':>7s}{'MB':>7s}", flush=True)
    every: dict[str, list[Measured]] = {name: [] for name in names}
    for folder in folders:
        for name in names:
            try:
                measured = running[name, folder].result()
            except Exception as error:
                print(f"{folder.name[:44]:44s} {name:13s} failed: {error!r}"[:160], flush=True)
                continue
            if not measured.origin:
                cache.keep(name, folder, measured)
            every[name].append(measured)
            print(f"{folder.name[:44]:44s} {_row(name, [measured], debias)}", flush=True)
    for name, results in every.items():
        if results:
            print(f"{f'mean over {len(results)} pairs':44s} {_row(name, results, debias)}", flush=True)
    return {result.origin for results in every.values() for result in results} - {""}


def _row(name: str, results: list[Measured], debias: bool) -> str:
    rows = np.mean([_figures(result, debias) for result in results], axis=0)
    mark = "*" if any(result.origin for result in results) else ""
    mean, median, *within, missed, cpu, megabytes = rows
    windows = "".join(f"{percent:9.1f}" for percent in within)
    return f"{name + mark:13s}{mean:9.1f}{median:9.1f}{windows}{missed:10.1f}{cpu:7.2f}{megabytes:7.0f}"


def _figures(measured: Measured, debias: bool) -> list[float]:
    held = measured.errors[np.isfinite(measured.errors)]
    offset = float(np.median(held)) if debias and len(held) else 0.0
    errors = np.abs(measured.errors - offset)
    within = [100 * float(np.mean(errors <= window)) for window in _WINDOWS_MS]
    missed = 100 * (1 - len(held) / len(errors))
    mean = float(np.abs(held - offset).mean()) if len(held) else np.inf
    return [mean, float(np.median(errors)), *within, missed, measured.cpu, measured.megabytes]


def _print_symmetry(folders: list[Path], answers: list[Future[tuple[NDArray[np.float64], float]]]) -> None:
    print(f"\n{'align(b, a) against align(a, b)':66s}{'median ms':>11s}{'95 % ms':>11s}{'both match %':>14s}")
    rows = []
    for folder, answer in zip(folders, answers, strict=True):
        distance, both = answer.result()
        rows.append([*np.percentile(distance, [50, 95]), both] if len(distance) else [np.inf, np.inf, both])
        print(f"{f'{folder.parent.name}/{folder.name}'[:66]:66s}{_symmetry_row(rows[-1])}", flush=True)
    print(f"{f'mean over {len(rows)} pairs':66s}{_symmetry_row(np.mean(rows, axis=0))}")


def _symmetry_row(row: Sequence[float]) -> str:
    return f"{row[0]:11.1f}{row[1]:11.1f}{row[2]:14.1f}"


if __name__ == "__main__":
    main()
