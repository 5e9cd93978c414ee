"""Measure the division of concerts into works: put some together, listen, print what was found and how exactly.

    python scripts/bench_version_monitoring.py DATA [--seeds 5] [--played 7] [--distractors 40]

DATA holds `anthems`, two recordings of each named NAME-a and NAME-b, and `recordings/train` and `recordings/measure`.
The library holds the first of all anthems and distractors from `recordings/train`. A concert plays the second of some
anthems in any order, whole or from 30 to 90 s of them, with applause, silence and recordings of `recordings/measure`
between them.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import lfilter

from alignment.audio import ANALYSIS_RATE, read_audio
from retrieval.collection import Collection
from retrieval.hits import Stretch
from retrieval.version_monitoring import VersionMonitor

Samples = NDArray[np.float32]

_BLOCK = 10 * ANALYSIS_RATE


class Part(NamedTuple):
    """A part of a concert: what sounds, and the name of the anthem that it is of, if it is of one."""

    samples: Samples
    name: str


class Played(NamedTuple):
    """An anthem in a concert, from when to when."""

    name: str
    start: float
    end: float


class Result(NamedTuple):
    """What came of a concert: played and told, and how long that took.

    Attributes:
        played: anthems.
        told: all stretches.
        seconds: of the concert.
        spent: seconds of processor time.
    """

    played: list[Played]
    told: list[Stretch]
    seconds: float
    spent: float


def main() -> None:
    """Make the library and the concerts, listen, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--played", type=int, default=7)
    parser.add_argument("--distractors", type=int, default=40)
    parser.add_argument("--max-false-accepts", type=float, default=0.01)
    parser.add_argument("--library", type=Path, help="folder to keep the library in")
    parser.add_argument("--verbose", action="store_true", help="print every stretch")
    arguments = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in ("numpy", "onnxruntime")))
    anthems = sorted((arguments.data / "anthems").glob("*-b.mp3"))
    strangers = sorted((arguments.data / "recordings" / "measure").iterdir())
    with tempfile.TemporaryDirectory() as folder:
        collection = Collection(arguments.library or folder)
        distractors = sorted((arguments.data / "recordings" / "train").iterdir())[: arguments.distractors]
        collection.add(*(path.with_name(path.name.replace("-b", "-a")) for path in anthems), *distractors)
        results = []
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            rng = np.random.default_rng(seed)
            parts = concert([anthems[n] for n in rng.permutation(len(anthems))[: arguments.played]], strangers, rng)
            results.append(listen(collection, parts, arguments.max_false_accepts))
            report(f"concert {seed}", results[-1:])
            if arguments.verbose:
                tell(results[-1])
    report("all", results)


def concert(anthems: Sequence[Path], strangers: Sequence[Path], rng: Generator) -> list[Part]:
    """Anthems with applause, silence and three strangers between them."""
    strange = {int(place) for place in rng.choice(len(anthems), 3, replace=False)}
    parts = []
    for place, path in enumerate(anthems):
        parts.append(Part(excerpt(read_audio(path).samples, rng), path.stem.removesuffix("-b")))
        parts += [Part(samples, "") for samples in between(rng)]
        if place in strange:
            stranger = strangers[int(rng.integers(len(strangers)))]
            parts.append(Part(excerpt(read_audio(stranger).samples, rng), ""))
            parts += [Part(samples, "") for samples in between(rng)]
    return parts


def excerpt(samples: Samples, rng: Generator) -> Samples:
    """The whole, or 30 to 90 s, at a level of its own."""
    seconds = len(samples) / ANALYSIS_RATE
    wanted = float(rng.uniform(30, 90))
    if rng.random() < 0.5 and wanted < seconds:
        start = int(rng.uniform(0, seconds - wanted) * ANALYSIS_RATE)
        samples = samples[start : start + int(wanted * ANALYSIS_RATE)]
    elif seconds > 180:
        samples = samples[: 180 * ANALYSIS_RATE]
    return np.asarray(rng.uniform(0.3, 0.8) * samples / (np.abs(samples).max() + 1e-9), np.float32)


def between(rng: Generator) -> list[Samples]:
    """Nothing, silence, applause, or both."""
    kind = rng.choice(["nothing", "silence", "applause", "applause and silence"])
    parts = []
    if "applause" in kind:
        parts.append(applause(rng.uniform(4, 15), rng))
    if "silence" in kind:
        parts.append(np.zeros(int(rng.uniform(2, 10) * ANALYSIS_RATE), np.float32))
    return parts


def applause(seconds: float, rng: Generator) -> Samples:
    """Claps of many hands: bursts of coloured noise, that swell and fade."""
    count = int(seconds * ANALYSIS_RATE)
    claps = np.zeros(count)
    claps[rng.integers(0, count, int(80 * seconds))] = rng.uniform(0.3, 1.0, int(80 * seconds))
    envelope = lfilter([1.0], [1.0, -np.exp(-1 / (0.01 * ANALYSIS_RATE))], claps)
    coloured = lfilter([1.0, -0.9], [1.0, -0.6], rng.standard_normal(count))
    swell = np.minimum(1.0, np.minimum(np.arange(count), np.arange(count)[::-1]) / ANALYSIS_RATE)
    sound = envelope * coloured * swell
    return np.asarray(0.2 * sound / (np.abs(sound).max() + 1e-9), np.float32)


def listen(collection: Collection, parts: Sequence[Part], max_false_accepts: float) -> Result:
    """Monitor a concert."""
    monitor = VersionMonitor(collection.version_search(), max_false_accepts)
    played, now = [], 0.0
    for part in parts:
        end = now + len(part.samples) / ANALYSIS_RATE
        if part.name:
            played.append(Played(part.name, now, end))
        now = end
    samples = np.concatenate([part.samples for part in parts])
    told: list[Stretch] = []
    started = time.process_time()
    for first in range(0, len(samples), _BLOCK):
        told += monitor.feed(samples[first : first + _BLOCK])
    told += monitor.finish()
    return Result(played, told, now, time.process_time() - started)


def report(title: str, results: Sequence[Result]) -> None:
    """Print what was found and made up, and how far off its ends are."""
    found = made_up = total = 0
    starts, ends = [], []
    for result in results:
        used = set()
        for item in result.played:
            mine = [number for number, one in enumerate(result.told) if _is(one, item)]
            total, found = total + 1, found + bool(mine)
            used.update(mine)
            if mine:
                starts.append(abs(min(result.told[number].start for number in mine) - item.start))
                ends.append(abs(max(result.told[number].end for number in mine) - item.end))
        made_up += sum(one.hit is not None and number not in used for number, one in enumerate(result.told))
    seconds, spent = sum(one.seconds for one in results), sum(one.spent for one in results)
    print(f"{title}: {found} of {total} found, {made_up} made up, {seconds / 60:.0f} minutes, ", end="")
    print(f"{seconds / spent:.0f} times real time", end="")
    for name, errors in (("start", starts), ("end", ends)):
        if errors:
            print(f"; {name} {np.median(errors):.2f} s median, {np.percentile(errors, 90):.2f} s 90 %", end="")
    print(flush=True)


def tell(result: Result) -> None:
    """Print what was played and what was told."""
    lines = [(item.start, f"  played {item.start:7.1f} {item.end:7.1f} {item.name}") for item in result.played]
    for one in result.told:
        what = f"{Path(one.hit.path).stem} {one.hit.score:.3f} {one.hit.transposition:+d}" if one.hit else "-"
        what = "silence" if one.silent else what
        lines.append((one.start, f"    told {one.start:7.1f} {one.end:7.1f} {what}"))
    print("\n".join(line for _, line in sorted(lines)), flush=True)


def _is(one: Stretch, item: Played) -> bool:
    """Whether a stretch is of that work, and the two have more than half of either in common."""
    common = min(one.end, item.end) - max(one.start, item.start)
    right = one.hit is not None and Path(one.hit.path).stem == f"{item.name}-a"
    return right and common > 0.5 * (item.end - item.start) and common > 0.5 * (one.end - one.start)


if __name__ == "__main__":
    main()
