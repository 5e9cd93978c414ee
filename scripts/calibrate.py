"""Set the scale of the identification score and its threshold, on recordings that the model was not trained on.

    INCIPIT_DATA=DATA python scripts/calibrate.py [--model FILE.onnx] [--cuts 40]

Indexes `recordings/train` and asks for clips of the recordings held out from training, clean and degraded,
once with their recording in the library and once without (by leaving its lines out). Prints the rates on
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
from retrieval.calibration import Calibration
from retrieval.collection import Collection
from retrieval.embedding.augment import Degrader, coloured_noise
from retrieval.embedding.encoder import MODEL_PATH, Encoder
from retrieval.fingerprint import QUERY_HOP_FRAMES, fingerprint
from retrieval.identification import Identifier, Line

LENGTHS = (1, 2, 3, 5, 10)
_EXCERPT = 12 * ANALYSIS_RATE
_START = Calibration(bias=-10.0, similarity=15.0, windows=0.0, product=1.0, tail_start=0.0, tail_scale=1.0, vectors=1)


class Sample(NamedTuple):
    """The best line of one question: was it right, could it be, and from which recording was the clip."""

    similarity: float
    windows: int
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
    pool = [
        np.resize(read_audio(path).samples, 40 * ANALYSIS_RATE) for path in sorted((data / "noise/train").iterdir())
    ]
    pool += [coloured_noise(40 * ANALYSIS_RATE, slope, generator).numpy() for slope in (0.0, 0.5, 1.0)] + music
    runs = library.runs(encoder.model)
    samples = []
    for path, track in zip(paths, music, strict=True):
        recording = library.recording_at(str(path))
        assert recording is not None, f"{path} was indexed"
        position = int(np.flatnonzero(runs.recordings == recording.id)[0])
        for _ in range(cuts if len(track) > _EXCERPT + ANALYSIS_RATE else 0):
            start = int(rng.integers(0, len(track) - _EXCERPT))
            clip = track[start : start + _EXCERPT]
            if rng.random() < 0.7:
                clip = _degraded(clip, pool, degrade, rng)
            seconds = start / ANALYSIS_RATE + 2.0
            for length in LENGTHS:
                piece = clip[2 * ANALYSIS_RATE :][: length * ANALYSIS_RATE]
                lines = identifier.lines(fingerprint(Audio(piece), encoder, QUERY_HOP_FRAMES))
                source = path.name.split("__")[0]
                samples += _samples(lines, position, seconds, source, length)
    return samples


def _degraded(
    clip: NDArray[np.float32], pool: list[NDArray[np.float32]], degrade: Degrader, rng: np.random.Generator
) -> NDArray[np.float32]:
    other = pool[int(rng.integers(len(pool)))]
    at = int(rng.integers(0, len(other) - len(clip)))
    pair = torch.from_numpy(clip)[None], torch.from_numpy(other[at : at + len(clip)].copy())[None]
    return degrade(*pair)[0].numpy()


def _samples(lines: list[Line], position: int, seconds: float, source: str, length: int) -> list[Sample]:
    """The best line with the recording in the library, and the best without it."""
    found = []
    if lines:
        best = lines[0]
        right = best.position == position
        found.append(Sample(best.similarity, best.windows, right, True, source, length))
    others = [line for line in lines if line.position != position]
    if others:
        found.append(Sample(others[0].similarity, others[0].windows, False, False, source, length))
    return found


def fit(samples: list[Sample], size: int) -> Calibration:
    """Logistic regression of being right, then the tail of the logits of those who cannot be."""
    columns = np.array([_columns(s.similarity, s.windows) for s in samples])
    right = np.array([s.right for s in samples], float)

    def loss(weights: NDArray[np.float64]) -> float:
        logits = columns @ weights
        return float(np.mean(np.logaddexp(0.0, logits) - right * logits) + 1e-5 * np.sum(weights**2))

    weights = minimize(loss, np.zeros(4), method="BFGS").x
    outside = np.sort((columns @ weights)[[not s.inside for s in samples]])
    start = float(np.quantile(outside, 0.9))
    excess = outside[outside > start] - start
    return Calibration(*(round(float(w), 4) for w in weights), round(start, 4), round(float(excess.mean()), 4), size)


def _columns(similarity: float, windows: int) -> tuple[float, float, float, float]:
    octaves = float(np.log2(max(windows, 1)))
    return 1.0, similarity, octaves, similarity * octaves


def judge(calibration: Calibration, samples: list[Sample], size: int) -> None:
    """Print, by clip length, the shares found and falsely accepted at a rate of 1 %."""
    threshold = calibration.threshold(0.01, size)
    print("length  right%  found%  false%  clips")
    for length in LENGTHS:
        chosen = [s for s in samples if s.length == length]
        accepted = [calibration.logit(s.similarity, s.windows) >= threshold for s in chosen]
        inside = [(s.right, s.right and ok) for s, ok in zip(chosen, accepted, strict=True) if s.inside]
        outside = [ok for s, ok in zip(chosen, accepted, strict=True) if not s.inside]
        right, found = (100 * float(np.mean([pair[i] for pair in inside])) for i in (0, 1))
        print(f"{length:5d}s  {right:6.1f}  {found:6.1f}  {100 * float(np.mean(outside)):6.1f}  {len(inside):5d}")


if __name__ == "__main__":
    main()
