"""Set the scale of the identification score and its threshold, on recordings that the model was not trained on.

    INCIPIT_DATA=DATA python scripts/calibrate.py --renders FOLDER [--model FILE.onnx] [--cuts 20] [--jobs 2]

The recordings held out from training and renderings of lieder that were not trained on are split in two by their
source. One half goes into a library together with the recordings that were trained on; clips of both halves,
clean, degraded and at other speeds, are asked for; then the halves change places. Prints what is found and falsely
accepted in each turn with the numbers fitted to the other, then writes the numbers fitted to both beside the
model. Wants the `train` extra and the program `fluidsynth`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.optimize import minimize
from train import HELD_OUT, render, sources
from train_sync import held_out_lieder

from alignment.audio import ANALYSIS_RATE, Audio, read_audio
from index.library import Library
from retrieval.calibration import Calibration, Evidence
from retrieval.collection import Collection
from retrieval.embedding.degradation import babble, coloured_noise, degraded
from retrieval.embedding.encoder import MODEL_PATH, Encoder
from retrieval.encoders import Encoders
from retrieval.fingerprint import Windows
from retrieval.identification import Identifier
from retrieval.lines import Line
from retrieval.logistic import TAIL
from retrieval.timing import TimingTest

LENGTHS = (1, 2, 3, 5, 10)
_RUN_IN = 2.0
_EXCERPT = 14.0
_CLEAN = 0.2
_MOVED = 0.3
_START = Calibration((-10.0, 0.0, 0.0, 15.0, -5.0, -5.0, 1.0, 0.0, 0.0), 0.3, ((0.0, 0.0, 1.0),), ((0.0, 0.0, 1.0),), 1)


class Sample(NamedTuple):
    """The best line of one question: was it right, could it be, and from which source was the clip."""

    evidence: Evidence
    right: bool
    inside: bool
    source: str
    length: int


def main() -> None:
    """Measure, fit, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renders", type=Path, required=True, help="where the renderings of lieder lie, or shall")
    parser.add_argument("--model", type=Path, default=MODEL_PATH)
    parser.add_argument("--cuts", type=int, default=20, help="clips of each recording; of a rendering a quarter")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    data = Path(os.environ["INCIPIT_DATA"])
    folder = data / "recordings" / "train"
    known = sources(folder, held_out=False)
    kept = [*sources(folder, held_out=True), *render(arguments.renders, 60, arguments.jobs, held_out_lieder())]
    halves = [[path for path in kept if _half(path) == half] for half in (0, 1)]
    turns = [measure(arguments, [*known, *halves[half]], halves[half], halves[1 - half], data) for half in (0, 1)]
    for fitted, judged in (turns, turns[::-1]):
        judge(fit(fitted[0], fitted[1]), *judged)
    calibration = fit(turns[0][0] + turns[1][0], turns[0][1])
    target = arguments.model.with_name("fingerprint.calibration.json")
    target.write_text(json.dumps(asdict(calibration), indent=1) + "\n", "utf-8")
    print(calibration)


def _half(path: Path) -> int:
    source = path.name.split("__")[0]
    return HELD_OUT.index(source) % 2 if source in HELD_OUT else int(path.stem) % 2


def measure(
    arguments: argparse.Namespace, library: Sequence[Path], inside: Sequence[Path], outside: Sequence[Path], data: Path
) -> tuple[list[Sample], int]:
    """Ask a library for clips that it holds and clips that it does not; gives samples and the library's size."""
    with tempfile.TemporaryDirectory() as folder:
        collection = Collection(folder)
        collection.encoders = Encoders(Encoder(arguments.model))
        collection.add(*library, jobs=arguments.jobs)
        with Library(folder) as opened:
            size = int(opened.runs(collection.encoders.fingerprint.model).count.sum())
        asked = [(path, held, arguments) for held, paths in ((True, inside), (False, outside)) for path in paths]
        context = multiprocessing.get_context("spawn")
        initial = (folder, arguments.model, outside, data / "noise" / "train")
        with ProcessPoolExecutor(arguments.jobs, context, _open, initial) as pool:
            return [sample for found in pool.map(_ask, asked) for sample in found], size


class _Asker(NamedTuple):
    encoder: Encoder
    identifier: Identifier
    disturbing: list[NDArray[np.int16]]


_asker: _Asker


def _open(folder: str, model: Path, music: Sequence[Path], noise: Path) -> None:
    """Disturbances are noise, and music that is not in the library."""
    global _asker
    encoder = Encoder(model)
    heard = (read_audio(path).samples for path in (*sorted(noise.iterdir()), *music))
    disturbing = [np.asarray(32767 * samples.clip(-1, 1), np.int16) for samples in heard]
    _asker = _Asker(encoder, Identifier(Library(folder), encoder, _START, TimingTest.load()), disturbing)


def _ask(what: tuple[Path, bool, argparse.Namespace]) -> list[Sample]:
    """Samples of clips of one recording: for each length the best line as it is and the best moved one."""
    path, inside, arguments = what
    track = read_audio(path).samples
    count = arguments.cuts if path.suffix != ".flac" else max(arguments.cuts // 4, 1)
    rng = np.random.default_rng([len(track), int(1e6 * float(np.abs(track[:ANALYSIS_RATE]).mean()))])
    source = path.name.split("__")[0] if path.suffix != ".flac" else "lieder"
    found = []
    for _ in range(count if len(track) > 1.5 * _EXCERPT * ANALYSIS_RATE else 0):
        clip = _clip(track, rng)
        for length in LENGTHS:
            windows = Windows(Audio(clip[: length * ANALYSIS_RATE]), _asker.encoder)
            for lines in (_asker.identifier.lines(windows), _asker.identifier.moved_lines(windows)):
                found += [Sample(line.evidence, _is(line, path), inside, source, length) for line in lines[:1]]
    return found


def _is(line: Line, path: Path) -> bool:
    recording = _asker.identifier.recording(line.position)
    return recording is not None and recording.path == str(path)


def _clip(track: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Ten seconds and a little, clean or degraded, often at another speed."""
    speed = float(np.exp(rng.uniform(np.log(0.92), np.log(1.08)))) if rng.random() < _MOVED else 1.0
    count = int(_EXCERPT * ANALYSIS_RATE * speed)
    start = int(rng.integers(0, len(track) - count))
    clip = track[start : start + count]
    if speed != 1.0:
        clip = soxr.resample(clip, ANALYSIS_RATE * speed, ANALYSIS_RATE)
    if rng.random() >= _CLEAN:
        clip = degraded(clip, rng, _disturbance)
    return clip[int(_RUN_IN * ANALYSIS_RATE) :]


def _disturbance(rng: Generator, count: int) -> NDArray[np.float32]:
    return babble(_asker.disturbing, rng, count, most=4) + np.float32(1e-3) * coloured_noise(count, rng)


def fit(samples: list[Sample], size: int) -> Calibration:
    """Logistic regression of being right; then the tails of those who cannot be."""
    rivals = [s.evidence.rivals for s in samples if s.evidence.rivals is not None]
    blank = Calibration((), round(float(np.mean(rivals)), 4), (), (), size)
    columns = np.array([blank.regressors(s.evidence) for s in samples])
    right = np.array([s.right for s in samples], float)

    def loss(weights: NDArray[np.float64]) -> float:
        logits = columns @ weights
        return float(np.mean(np.logaddexp(0.0, logits) - right * logits) + 1e-5 * np.sum(weights**2))

    weights = minimize(loss, np.zeros(columns.shape[1]), method="BFGS").x
    logits = columns @ weights
    plain, moved = (tuple(_tail(samples, logits, length, how) for length in LENGTHS) for how in (False, True))
    return Calibration(tuple(round(float(w), 4) for w in weights), blank.rivals, plain, moved, size)


def _tail(samples: list[Sample], logits: NDArray[np.float64], length: int, moved: bool) -> tuple[float, float, float]:
    """Octaves of windows, start and scale of the outsiders' tail; each source counts alike."""
    chosen = [
        number for number, s in enumerate(samples) if s.length == length and s.evidence.moved == moved and not s.inside
    ]
    names = np.array([samples[number].source for number in chosen])
    weights = np.array([1.0 / np.count_nonzero(names == name) for name in names])
    order = np.argsort(logits[chosen])
    outside, weights = logits[chosen][order], weights[order]
    start = float(np.interp(1.0 - TAIL, np.cumsum(weights) / weights.sum(), outside))
    above = outside > start
    scale = float(np.average(outside[above] - start, weights=weights[above]))
    windows = np.median([samples[number].evidence.windows for number in chosen])
    return round(float(np.log2(windows)), 4), round(start, 4), round(scale, 4)


def judge(calibration: Calibration, samples: list[Sample], size: int) -> None:
    """Print, by clip length, the shares found and falsely accepted at a rate of 1 %; plain and moved."""
    print("length          right%  found%  false%  clips")
    for length in LENGTHS:
        for moved in (False, True):
            chosen = [s for s in samples if s.length == length and s.evidence.moved == moved]
            accepted = [calibration.logit(s.evidence) >= calibration.threshold(0.01, size, s.evidence) for s in chosen]
            inside = [(s.right, s.right and ok) for s, ok in zip(chosen, accepted, strict=True) if s.inside]
            outside = [ok for s, ok in zip(chosen, accepted, strict=True) if not s.inside]
            right, found = (100 * float(np.mean([pair[i] for pair in inside])) for i in (0, 1))
            false = 100 * float(np.mean(outside))
            name = "moved" if moved else ""
            print(f"{length:5d}s {name:6s}  {right:6.1f}  {found:6.1f}  {false:6.1f}  {len(inside):5d}")


if __name__ == "__main__":
    main()
