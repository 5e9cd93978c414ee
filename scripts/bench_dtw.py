"""Measure exact dynamic time warping with its path: Incipit beside its peers, in one run.

    python scripts/bench_dtw.py [--frames 20000] [--only NAME,NAME] [--repeats 2]

Two sequences of random unit features of 12 dimensions are warped by cosine distance with the steps (1, 1),
(1, 0), (0, 1), all of weight 1. What wants a matrix of costs gets one, within the time. What measures squared
Euclidean distance (tslearn, dtaidistance) finds the same path: of unit vectors that is twice the cosine distance.

Each kernel runs in a process of its own, after a warm-up of a few frames; the best of the repeats counts, by CPU
time on one thread, by the clock on two. Bytes a cell is the peak of resident memory over what the process held
before the first run. A kernel that would fill more than half of the free memory gets fewer frames. The cost of
its path, added up along it in float64, is compared with that of Incipit's path of the same frames: 0 where both
are exact. Wants the `bench` extra.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench_alignment import ONE_THREAD, in_own_process, machine
from numpy.typing import NDArray

Features = NDArray[np.float32]
PathFrames = NDArray[np.int64]
Warp = Callable[[Features, Features], PathFrames]

_DIMENSIONS = 12
_WARM_UP_FRAMES = 50


class Kernel(NamedTuple):
    """A way to warp.

    Attributes:
        warp: features of shape `(dims, frames)` to path of shape `(points, 2)`.
        package: that must be installed.
        bytes_a_cell: expected, to see what fits.
        threads: that it uses.
    """

    warp: Warp
    package: str
    bytes_a_cell: float
    threads: int = 1


class Measured(NamedTuple):
    """A kernel on `frames` by `frames` cells; `excess` is its path's cost over that of Incipit's, relative."""

    frames: int
    seconds: float
    bytes_a_cell: float
    excess: float

    @property
    def gigacells(self) -> float:
        """Cells in a second, in 1e9."""
        return self.frames**2 / self.seconds / 1e9


def incipit(x: Features, y: Features, threads: int = 1) -> PathFrames:
    """`alignment.dtw.dtw`."""
    from alignment.dtw import dtw

    return dtw(x, y, threads=threads).path


def librosa(x: Features, y: Features) -> PathFrames:
    """`librosa.sequence.dtw`."""
    from librosa.sequence import dtw

    return dtw(X=x, Y=y, metric="cosine")[1]


def tslearn(x: Features, y: Features) -> PathFrames:
    """`tslearn.metrics.dtw_path`."""
    from tslearn.metrics import dtw_path

    return np.array(dtw_path(x.T, y.T)[0])


def dtaidistance(x: Features, y: Features) -> PathFrames:
    """`dtaidistance.dtw_ndim.warping_paths_fast`, and `best_path` through them."""
    from dtaidistance import dtw, dtw_ndim

    _, paths = dtw_ndim.warping_paths_fast(*[np.ascontiguousarray(side.T, np.float64) for side in (x, y)])
    return np.array(dtw.best_path(paths))


def libfmp(x: Features, y: Features) -> PathFrames:
    """`libfmp.c3`: matrix of costs, accumulated costs, path."""
    from libfmp import c3

    costs = c3.compute_cost_matrix(x, y, metric="cosine")
    return c3.compute_optimal_warping_path(c3.compute_accumulated_cost_matrix(costs))


def synctoolbox(x: Features, y: Features) -> PathFrames:
    """`synctoolbox.dtw.core.compute_warping_path` of its own cosine distance."""
    from synctoolbox.dtw.core import compute_warping_path
    from synctoolbox.dtw.cost import cosine_distance

    costs = cosine_distance(x, y, cos_meas_max=1.0, cos_meas_min=0.0).astype(np.float64)
    return compute_warping_path(costs, implementation="synctoolbox")[2].T


KERNELS: dict[str, Kernel] = {
    "incipit": Kernel(incipit, "incipit-music", 0.3),
    "incipit, 2 threads": Kernel(partial(incipit, threads=2), "incipit-music", 0.3, threads=2),
    "librosa": Kernel(librosa, "librosa", 20),
    "tslearn": Kernel(tslearn, "tslearn", 9),
    "dtaidistance": Kernel(dtaidistance, "dtaidistance", 8),
    "libfmp": Kernel(libfmp, "libfmp", 16),
    "synctoolbox": Kernel(synctoolbox, "synctoolbox", 32),
}


def main() -> None:
    """Run all kernels and print the table."""
    arguments = _arguments()
    os.environ.update(ONE_THREAD | {"NUMBA_NUM_THREADS": "2"})
    names = [name for name in KERNELS if _wanted(name, arguments.only)]
    print(machine("numpy", "numba", *dict.fromkeys(KERNELS[name].package for name in names)))
    print(f"load when it began {os.getloadavg()[0]:.1f}; two threads want both cores idle")
    results: dict[str, Measured] = {}
    for name in names:
        frames = _frames_that_fit(arguments.frames, KERNELS[name].bytes_a_cell)
        try:
            results[name] = in_own_process(partial(measure, name, frames, arguments.repeats))
        except Exception as error:
            print(f"{name} failed: {error!r}"[:160])
    _print_table(results)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--only", default="", help="kernels, separated by commas")
    parser.add_argument("--repeats", type=int, default=2)
    return parser.parse_args()


def _wanted(name: str, only: str) -> bool:
    return not only or name.partition(",")[0] in only.split(",")


def _frames_that_fit(frames: int, bytes_a_cell: float) -> int:
    """The frames asked for, or as many thousands as leave half of the free memory alone."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    fitting = int(np.sqrt(free / 2 / bytes_a_cell))
    return frames if fitting >= frames else max(fitting // 1000 * 1000, 1000)


def measure(name: str, frames: int, repeats: int) -> Measured:
    """Warp random features with one kernel."""
    kernel = KERNELS[name]
    clock = time.process_time if kernel.threads == 1 else time.perf_counter
    rng = np.random.default_rng(0)
    x, y = _unit_features(rng, frames), _unit_features(rng, frames)
    seconds = []
    with contextlib.redirect_stdout(io.StringIO()):
        kernel.warp(*[np.ascontiguousarray(side[:, :_WARM_UP_FRAMES]) for side in (x, y)])
        gc.collect()
        _forget_peak()
        before = _memory("VmRSS")
        for _ in range(repeats):
            started = clock()
            path = kernel.warp(x, y)
            seconds.append(clock() - started)
        held = _memory("VmHWM") - before
    exact, reached = _cost(x, y, incipit(x, y)), _cost(x, y, path)
    return Measured(frames, min(seconds), held / frames**2, reached / exact - 1)


def _unit_features(rng: np.random.Generator, frames: int) -> Features:
    features = np.abs(rng.standard_normal((_DIMENSIONS, frames)))
    return (features / np.linalg.norm(features, axis=0)).astype(np.float32)


def _cost(x: Features, y: Features, path: PathFrames) -> float:
    """Sum of the cosine distances along a path.

    Raises:
        ValueError: it does not lead from the first frames to the last by single steps.
    """
    path = (path[::-1] if path[0, 0] > path[-1, 0] else path).astype(np.int64)
    steps = np.diff(path, axis=0)
    whole = not path[0].any() and (path[-1] == (x.shape[1] - 1, y.shape[1] - 1)).all()
    if not whole or steps.min() < 0 or steps.max() > 1 or not steps.any(axis=1).all():
        raise ValueError("This is no warping path.")
    both = np.einsum("dp,dp->p", x[:, path[:, 0]], y[:, path[:, 1]], dtype=np.float64)
    return float((1 - both).sum())


def _forget_peak() -> None:
    """Let the peak of resident memory start anew from what is resident."""
    Path("/proc/self/clear_refs").write_text("5")


def _memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def _print_table(results: dict[str, Measured]) -> None:
    rates = {name: measured.gigacells for name, measured in results.items()}
    peers = [rate for name, rate in rates.items() if KERNELS[name].package != "incipit-music"]
    print(f"\n{'kernel':20s}{'frames':>16s}{'seconds':>9s}{'Gcells/s':>10s}{'bytes/cell':>12s}", end="")
    print(f"{'x librosa':>11s}{'x best peer':>13s}{'cost over Incipit':>20s}")
    for name, measured in results.items():
        size = f"{measured.frames} x {measured.frames}"
        print(f"{name:20s}{size:>16s}{measured.seconds:9.2f}{measured.gigacells:10.3f}", end="")
        print(f"{measured.bytes_a_cell:12.3f}{rates[name] / rates.get('librosa', np.nan):11.2f}", end="")
        print(f"{rates[name] / max(peers, default=np.nan):13.2f}{measured.excess:20.1e}")


if __name__ == "__main__":
    main()
