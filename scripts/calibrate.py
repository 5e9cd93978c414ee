"""Set the scale of the identification score and its threshold, on recordings that the model was not trained on.

    INCIPIT_DATA=DATA python scripts/calibrate.py [--model FILE.onnx] [--cuts 40]

Indexes `recordings/train` and asks for clips of the recordings held out from training, clean and degraded,
once with their recording in the library and once without (by leaving its lines out; those of music that was
mixed in as a disturbance too). Prints the rates on
the half of the held-out recordings that the numbers were not fitted to, then writes the numbers fitted to
all of them beside the model. Wants the `train` extra.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from train import HELD_OUT, sources

from alignment.audio import ANALYSIS_RATE, Audio, read_audio
from index.library import Library
from index.runs import Runs
from retrieval.calibration import Calibration, Evidence
from retrieval.collection import Collection
from retrieval.embedding.augment import Degrader, coloured_noise
from retrieval.embedding.encoder import MODEL_PATH, Encoder
from retrieval.fingerprint import QUERY_HOP_FRAMES, fingerprint
from retrieval.identification import Identifier, Line

LENGTHS = (1, 2, 3, 5, 10)
_EXCERPT = 12 * ANALYSIS_RATE
_LONG = 40 * ANALYSIS_RATE
_START = Calibration(-10.0, 15.0, 0.0, 0.0, 1.0, 0.0, tails=((0.0, 0.0, 1.0),), vectors=1)


class Sample(NamedTuple):
    """The best line of one question: was it right, could it be, and from which recording was the clip."""

    evidence: Evidence
    right: bool
    inside: bool
    source: str
    length: int


def main() -> None:
    """Measure, fit, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL_PATH)
    parser.add_argument("--cuts", type=int, default=40)
    arguments = parser.parse_args()
    data = Path(os.environ["INCIPIT_DATA"])
    folder = data / "recordings" / "train"
    encoder = Encoder(arguments.model)
    with tempfile.TemporaryDirectory() as temporary:
        collection = Collection(temporary)
        collection._encoder = encoder
        collection.add(folder)
        with Library(temporary) as library:
            identifier = Identifier(library, encoder, _START)
            size = int(library.runs(encoder.model).count.sum())
            samples = measure(library, identifier, encoder, sources(folder, held_out=True), data, arguments.cuts)
    halves = [[s for s in samples if (HELD_OUT.index(s.source) % 2 == half)] for half in (0, 1)]
    for fitted, judged in (halves, halves[::-1]):
        judge(fit(fitted, size), judged, size)
    calibration = fit(samples, size)
    target = arguments.model.with_name("fingerprint.calibration.json")
    target.write_text(json.dumps(asdict(calibration), indent=1) + "\n", "utf-8")
    print(calibration)


def measure(
    library: Library, identifier: Identifier, encoder: Encoder, paths: list[Path], data: Path, cuts: int
) -> list[Sample]:
    """Ask for clips of some recordings; every question gives a sample with its recording and one without."""
    rng = np.random.default_rng(0)
    generator = torch.Generator().manual_seed(0)
    degrade = Degrader(ANALYSIS_RATE, generator)
    music = [read_audio(path).samples for path in paths]
    runs = library.runs(encoder.model)
    positions = [_position(library, runs, path) for path in paths]
    noise = [np.resize(read_audio(path).samples, _LONG) for path in sorted((data / "noise" / "train").iterdir())]
    noise += [coloured_noise(_LONG, slope, generator).numpy() for slope in (0.0, 0.5, 1.0)]
    pool = [(-1, samples) for samples in noise]
    pool += [(at, samples) for at, samples in zip(positions, music, strict=True) if len(samples) > _EXCERPT]
    found = []
    for path, position, track in zip(paths, positions, music, strict=True):
        for _ in range(cuts if len(track) > _EXCERPT + ANALYSIS_RATE else 0):
            start = int(rng.integers(0, len(track) - _EXCERPT))
            clip = track[start : start + _EXCERPT]
            disturbing = -1
            if rng.random() < 0.7:
                disturbing, other = pool[int(rng.integers(len(pool)))]
                clip = _degraded(clip, other, degrade, rng)
            for length in LENGTHS:
                piece = clip[2 * ANALYSIS_RATE :][: length * ANALYSIS_RATE]
                lines = identifier.lines(fingerprint(Audio(piece), encoder, QUERY_HOP_FRAMES))
                lines = [line for line in lines if line.position == position or line.position != disturbing]
                found += _samples(lines, position, path.name.split("__")[0], length)
    return found


def _position(library: Library, runs: Runs, path: Path) -> int:
    recording = library.recording_at(str(path))
    assert recording is not None, f"{path} was indexed"
    return int(np.flatnonzero(runs.recordings == recording.id)[0])


def _degraded(
    clip: NDArray[np.float32], other: NDArray[np.float32], degrade: Degrader, rng: np.random.Generator
) -> NDArray[np.float32]:
    at = int(rng.integers(0, len(other) - len(clip) + 1))
    pair = torch.from_numpy(clip.copy())[None], torch.from_numpy(other[at : at + len(clip)].copy())[None]
    return degrade(*pair)[0].numpy()


def _samples(lines: list[Line], position: int, source: str, length: int) -> list[Sample]:
    """The best line with the recording in the library, and the best without it."""
    found = []
    if lines:
        best = lines[0]
        found.append(Sample(best.evidence, best.position == position, True, source, length))
    others = [line for line in lines if line.position != position]
    if others:
        found.append(Sample(others[0].evidence, False, False, source, length))
    return found


def fit(samples: list[Sample], size: int) -> Calibration:
    """Logistic regression of being right; then the tails of those who cannot be."""
    columns = np.array([s.evidence.regressors() for s in samples])
    right = np.array([s.right for s in samples], float)

    def loss(weights: NDArray[np.float64]) -> float:
        logits = columns @ weights
        return float(np.mean(np.logaddexp(0.0, logits) - right * logits) + 1e-5 * np.sum(weights**2))

    weights = minimize(loss, np.zeros(columns.shape[1]), method="BFGS").x
    logits = columns @ weights
    tails = tuple(_hardest_tail(samples, logits, length) for length in LENGTHS)
    return Calibration(*(round(float(w), 4) for w in weights), tails, size)


def _hardest_tail(samples: list[Sample], logits: NDArray[np.float64], length: int) -> tuple[float, float, float]:
    """Octaves of windows, start and scale of the outsiders' tail, of the source with the highest threshold at 1 %."""
    tails = []
    for source in {s.source for s in samples}:
        chosen = [s.source == source and s.length == length and not s.inside for s in samples]
        outside = logits[chosen]
        start = float(np.quantile(outside, 0.9))
        tails.append((start, float((outside[outside > start] - start).mean())))
    start, scale = max(tails, key=lambda tail: tail[0] + tail[1] * np.log(10.0))
    windows = np.median([s.evidence.windows for s in samples if s.length == length])
    return round(float(np.log2(windows)), 4), round(start, 4), round(scale, 4)


def judge(calibration: Calibration, samples: list[Sample], size: int) -> None:
    """Print, by clip length, the shares found and falsely accepted at a rate of 1 %."""
    print("length  right%  found%  false%  clips")
    for length in LENGTHS:
        chosen = [s for s in samples if s.length == length]
        thresholds = [calibration.threshold(0.01, size, s.evidence.windows) for s in chosen]
        accepted = [calibration.logit(s.evidence) >= t for s, t in zip(chosen, thresholds, strict=True)]
        inside = [(s.right, s.right and ok) for s, ok in zip(chosen, accepted, strict=True) if s.inside]
        outside = [ok for s, ok in zip(chosen, accepted, strict=True) if not s.inside]
        right, found = (100 * float(np.mean([pair[i] for pair in inside])) for i in (0, 1))
        print(f"{length:5d}s  {right:6.1f}  {found:6.1f}  {100 * float(np.mean(outside)):6.1f}  {len(inside):5d}")


if __name__ == "__main__":
    main()
