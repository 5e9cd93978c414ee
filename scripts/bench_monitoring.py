"""Measure monitoring: put a stream together, listen to it, print what was found, missed, made up, and how exactly.

    python scripts/bench_monitoring.py FOLDER [--noise FOLDER] [--pieces 120] [--seed 0] [--model FILE.onnx]

Half of the recordings of FOLDER go into a library. The stream is made of pieces of them (15 to 60 s as they are, at
3 to 6 % other speeds, or in noise at 5 dB; jingles of 5 to 9 s), of pieces of the other half, and of silence.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr
from numpy.random import Generator
from numpy.typing import NDArray

from alignment.audio import ANALYSIS_RATE, AUDIO_SUFFIXES, read_audio
from retrieval.collection import Collection
from retrieval.embedding.encoder import MODEL_PATH, Encoder
from retrieval.encoders import Encoders
from retrieval.monitoring import Detection, Monitor

KINDS = ("as it is", "as it is", "as it is", "another speed", "noise at 5 dB", "jingle", "unknown", "silence")

Samples = NDArray[np.float32]


class Piece(NamedTuple):
    """A piece of the stream: its samples, its kind, and from where in which recording at what speed it is."""

    samples: Samples
    kind: str
    path: str
    start: float
    speed: float


class Played(NamedTuple):
    """A piece of a recording of the library, from when to when in the stream."""

    begin: float
    end: float
    piece: Piece


def main() -> None:
    """Make the stream, listen, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--pieces", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, default=MODEL_PATH)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    files = sorted(path for path in arguments.folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    shuffled = [files[number] for number in rng.permutation(len(files))]
    known, unknown = shuffled[::2], shuffled[1::2]
    noise = [read_audio(path).samples for path in sorted(arguments.noise.iterdir())] if arguments.noise else []
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in ("numpy", "onnxruntime")))
    with tempfile.TemporaryDirectory() as folder:
        collection = Collection(folder)
        collection.encoders = Encoders(Encoder(arguments.model))
        collection.add(*known)
        monitor = Monitor(collection.identifier(), 0.01)
        played: list[Played] = []
        heard: list[Detection] = []
        now, seconds = 0.0, 0.0
        for _ in range(arguments.pieces):
            piece = draw(known, unknown, noise, rng)
            end = now + len(piece.samples) / ANALYSIS_RATE
            if piece.path:
                played.append(Played(now, end, piece))
            now = end
            started = time.process_time()
            heard += monitor.feed(piece.samples)
            seconds += time.process_time() - started
        heard += monitor.finish()
        report(collection, played, heard)
        kept = monitor.kept_seconds
        print(f"{now / 60:.0f} minutes at {now / seconds:.0f}x real time on one core; {kept:.0f} s of sound kept")


def draw(known: list[Path], unknown: list[Path], noise: list[Samples], rng: Generator) -> Piece:
    """The next piece of the stream."""
    kind = str(rng.choice(KINDS))
    if kind == "silence":
        return Piece(np.zeros(int(rng.uniform(4, 12) * ANALYSIS_RATE), np.float32), kind, "", 0.0, 1.0)
    pool = unknown if kind == "unknown" else known
    path = pool[int(rng.integers(len(pool)))]
    track = read_audio(path).samples
    wanted = rng.uniform(5, 9) if kind == "jingle" else rng.uniform(15, 60)
    count = int(min(wanted, len(track) / ANALYSIS_RATE - 1) * ANALYSIS_RATE)
    start = int(rng.integers(0, len(track) - count))
    samples, speed = track[start : start + count], 1.0
    if kind == "another speed":
        speed = float(rng.choice([0.94, 0.97, 1.03, 1.06]))
        samples = soxr.resample(samples, ANALYSIS_RATE * speed, ANALYSIS_RATE)
    if kind == "noise at 5 dB" and noise:
        other = np.resize(noise[int(rng.integers(len(noise)))], len(samples))
        samples = samples + other * (np.std(samples) / (np.std(other) + 1e-9) * 10 ** (-5 / 20))
    samples = np.asarray(0.5 * samples / (np.abs(samples).max() + 1e-9), np.float32)
    return Piece(samples, kind, "" if kind == "unknown" else str(path), start / ANALYSIS_RATE, speed)


def report(collection: Collection, played: list[Played], heard: list[Detection]) -> None:
    """Print by kind what was found, then what was made up, and how far off times are."""
    found: dict[str, list[bool]] = {}
    begins, ends, places, used = [], [], [], set()
    for item in played:
        mine = [number for number, one in enumerate(heard) if _is(collection, one, item)]
        found.setdefault(item.piece.kind, []).append(bool(mine))
        used.update(mine)
        if not mine:
            continue
        longest = max((heard[number] for number in mine), key=lambda one: one.end - one.start)
        begins.append(abs(min(heard[number].start for number in mine) - item.begin))
        ends.append(abs(max(heard[number].end for number in mine) - item.end))
        middle = (longest.start + longest.end) / 2
        assert longest.line is not None, "only lines are of a recording"
        place = longest.line.offset + longest.line.tempo_ratio * middle
        places.append(abs(place - item.piece.start - item.piece.speed * (middle - item.begin)))
    for kind, results in found.items():
        print(f"{kind:16s} {sum(results):4d} of {len(results):4d} found")
    others = [one for number, one in enumerate(heard) if one.line is not None and number not in used]
    print(f"{len(others)} detections of what does not play there, {sum(o.end - o.start for o in others):.0f} s")
    for name, errors in (("beginnings", begins), ("ends", ends), ("places", places)):
        within = 100 * np.mean(np.array(errors) <= 1.0)
        print(f"{name:16s} median error {np.median(errors):.2f} s, {within:.0f} % within a second")


def _is(collection: Collection, one: Detection, item: Played) -> bool:
    """Whether a detection is of that recording and mostly at that time."""
    if one.line is None:
        return False
    recording = collection.identifier().recording(one.line.position)
    common = min(one.end, item.end) - max(one.start, item.begin)
    return recording is not None and recording.path == item.piece.path and common > 0.5 * (one.end - one.start)


if __name__ == "__main__":
    main()
