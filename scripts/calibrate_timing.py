"""Set the weights by which timing tells a recording from other performances of its music (`retrieval.timing`).

    INCIPIT_DATA=DATA python scripts/calibrate_timing.py --folder FOLDER [--pairs 140] [--rounds 3] [--jobs 2]

Lieder that the fingerprint was not trained on are played twice: at tempos of their own that wander, each moment a
little early or late, two times in three by the same instruments. The first performances go into a library together
with the recordings of `recordings/train`. Clips of both, clean, degraded, at other speeds and pitches, are asked for.
Of the lines that the fingerprint accepts, those of the recording itself are to be kept and those of the other
performance to be dropped: a logistic regression weighs the evidence, and its thresholds let 3 % of the former go,
which are degraded harder than most queries. Prints how many of both pass. Wants the `train` extra and the program
`fluidsynth`.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.optimize import minimize
from train import HELD_OUT
from train_sync import held_out_lieder, sound_fonts

from alignment.audio import ANALYSIS_RATE, Audio, read_audio
from alignment.errors import ScoreError
from retrieval.collection import Collection
from retrieval.embedding.degradation import babble, coloured_noise, degraded
from retrieval.embedding.renders import fluidsynth_sound, played, score_notes
from retrieval.timing import TIMING_PATH, TimingEvidence, TimingTest, lay

LENGTHS = (1, 2, 3, 5, 10)
_LOST = 0.03
_SECONDS = 45.0
_FEWEST_NOTES = 60
_SAME_INSTRUMENTS = 0.65
_EXCERPT = 16.0
_HEARD = 14.0
_RUN_IN = 2.0
_SAME_PLACE_SECONDS = 0.35

Samples = NDArray[np.float32]


class Sample(NamedTuple):
    """An accepted line: the evidence, and whether it lies along the clip's own recording."""

    evidence: TimingEvidence
    similarity: float
    same: bool
    length: int


def main() -> None:
    """Play, ask, fit, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where performances and library lie, or shall")
    parser.add_argument("--pairs", type=int, default=140)
    parser.add_argument("--rounds", type=int, default=3, help="clips of each performance")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    data = Path(os.environ["INCIPIT_DATA"])
    pairs = perform_pairs(arguments.folder / "performances", arguments.pairs, arguments.jobs)
    recordings = sorted((data / "recordings" / "train").iterdir())
    collection = Collection(arguments.folder / "library")
    collection.add(*recordings, *(one for one, _ in pairs), jobs=arguments.jobs)
    disturbing = [path for path in recordings if path.name.split("__")[0] in HELD_OUT][::3]
    heard = [read_audio(path).samples for path in (*sorted((data / "noise" / "train").iterdir()), *disturbing)]
    noise = [np.asarray(32767 * samples.clip(-1, 1), np.int16) for samples in heard]
    rng = np.random.default_rng(1)
    samples = []
    started = time.monotonic()
    for _ in range(arguments.rounds):
        for path in (*recordings, *(one for one, _ in pairs)):
            samples += ask(collection, path, path, rng, noise)
        for one, other in pairs:
            samples += ask(collection, other, one, rng, noise)
    print(f"{len(samples)} accepted lines, {time.monotonic() - started:.0f} s")
    test = fit(samples)
    judge(test, samples)
    TIMING_PATH.write_text(json.dumps(asdict(test), indent=1) + "\n", "utf-8")
    print(test)


def perform_pairs(folder: Path, count: int, jobs: int) -> list[tuple[Path, Path]]:
    """Two performances of so many lieder; what is in the folder already is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    scores = held_out_lieder()
    chosen = [scores[number] for number in np.random.default_rng(7).permutation(len(scores))[:count]]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        found = pool.map(partial(_perform_pair, folder, sound_fonts([])), range(len(chosen)), chosen)
        return [pair for pair in found if pair is not None]


def _perform_pair(folder: Path, fonts: Sequence[Path], number: int, score: Path) -> tuple[Path, Path] | None:
    places = folder / f"{number:03d}a.flac", folder / f"{number:03d}b.flac"
    if places[1].exists():
        return places
    try:
        notes = score_notes(score)
    except ScoreError:
        return None
    rng = np.random.default_rng([11, number])
    tempo, start = rng.uniform(60, 140), rng.uniform(0, 0.3) * notes[:, 0].max()
    roughness = rng.uniform(0.01, 0.05)
    seeds = [int(seed) for seed in rng.integers(1 << 30, size=3)]
    instruments = [seeds[2], seeds[2] if rng.random() < _SAME_INSTRUMENTS else seeds[2] + 1]
    sounds = []
    for seed, instrument, faster in zip(seeds[:2], instruments, (1.0, np.exp(rng.normal(0, 0.03))), strict=True):
        player = np.random.default_rng(seed)
        performance = played(_timed(notes, player, tempo * faster, start, roughness), player)
        if len(performance) < _FEWEST_NOTES:
            return None
        sounds.append(fluidsynth_sound(performance, np.random.default_rng(instrument), fonts)[0])
    for place, sound in zip(places, sounds, strict=True):
        unfinished = place.with_suffix(".part")
        soundfile.write(unfinished, 0.5 * sound / (np.abs(sound).max() + 1e-9), ANALYSIS_RATE, format="FLAC")
        unfinished.replace(place)
    return places


def _timed(
    notes: NDArray[np.float64], rng: Generator, tempo: float, start: float, roughness: float
) -> NDArray[np.float64]:
    """Notes in quarters, from one quarter on, in seconds at a tempo that wanders, each moment early or late."""
    quarters = np.arange(0, notes[:, 0].max() + 9, 0.5)
    walk = np.cumsum(rng.normal(0, roughness, len(quarters)))
    walk -= np.linspace(walk[0], walk[-1], len(quarters))
    steps = 0.5 * 60 / tempo * np.exp(np.clip(walk, -0.5, 0.5) + rng.normal(0, roughness, len(quarters)))
    times = np.concatenate([[0], np.cumsum(steps)])[: len(quarters)]
    rounded = np.round(notes[:, 0], 3)
    moments = np.unique(rounded)
    early = rng.normal(0, rng.uniform(0.003, 0.02), len(moments))[np.searchsorted(moments, rounded)]
    on = np.interp(notes[:, 0], quarters, times) + early
    off = np.maximum(np.interp(notes[:, 0] + notes[:, 1], quarters, times) + early, on + 0.05)
    begun = float(np.interp(start, quarters, times))
    inside = (notes[:, 0] >= start) & (on < begun + _SECONDS)
    return np.column_stack([on[inside] - begun + 0.5, off[inside] - begun + 0.5, notes[inside, 2:]])


def ask(
    collection: Collection, path: Path, wanted: Path, rng: Generator, noise: Sequence[NDArray[np.int16]]
) -> list[Sample]:
    """Samples of the clips, of each length, of one place in a file: the best line, if it lies along the wanted one."""
    identifier = collection.identifier()
    track = read_audio(path).samples
    if len(track) < (_EXCERPT + 1) * ANALYSIS_RATE:
        return []
    clip, start = _clip(track, rng, noise)
    found = []
    for length in LENGTHS:
        windows = identifier.windows(Audio(clip[: length * ANALYSIS_RATE]))
        for line in identifier.alike(windows, 0.01)[:1]:
            recording, stored = identifier.recording(line.position), identifier.stored_rises(line.position)
            there = recording is not None and recording.path == str(wanted) and stored is not None
            if not there or (path == wanted and abs(line.offset - start) > _SAME_PLACE_SECONDS):
                continue
            laid = lay(windows.rises(line.quarter_tones), stored, line)
            if laid is not None:
                found.append(Sample(laid[1], line.evidence.similarity, path == wanted, length))
    return found


def _clip(track: Samples, rng: Generator, noise: Sequence[NDArray[np.int16]]) -> tuple[Samples, float]:
    """A little more than ten seconds, often degraded and sometimes at another speed, and where it begins."""
    first = int(rng.integers(0, len(track) - int(_EXCERPT * ANALYSIS_RATE)))
    heard, speed = track[first : first + int(_EXCERPT * ANALYSIS_RATE)], 1.0
    if rng.random() < 0.3:
        heard, speed = _changed(heard, rng)
    heard = heard[: int(_HEARD * ANALYSIS_RATE)]
    if rng.random() < 0.75:
        heard = degraded(
            heard,
            rng,
            lambda rng, count: babble(noise, rng, count, most=4) + np.float32(1e-3) * coloured_noise(count, rng),
        )
    return heard[int(_RUN_IN * ANALYSIS_RATE) :], first / ANALYSIS_RATE + _RUN_IN * speed


def _changed(samples: Samples, rng: Generator) -> tuple[Samples, float]:
    """At another speed, tempo or pitch; and the speed."""
    how = rng.integers(5)
    speed = float(np.exp(rng.uniform(-np.log(1.08), np.log(1.08))))
    if how < 2:
        return soxr.resample(samples, ANALYSIS_RATE * speed, ANALYSIS_RATE), speed
    if how < 4:
        return stretched(samples, speed, rng), speed
    factor = 2.0 ** (rng.choice([-1, -0.5, 0.5, 1]) / 12)
    return soxr.resample(stretched(samples, 1 / factor, rng), ANALYSIS_RATE * factor, ANALYSIS_RATE), 1.0


def stretched(samples: Samples, speed: float, rng: Generator) -> Samples:
    """So many times as fast at its own pitch: pieces are added where they fit best (WSOLA), as most players do it."""
    hop = int(rng.uniform(0.015, 0.04) * ANALYSIS_RATE)
    reach = int(rng.uniform(0.006, 0.015) * ANALYSIS_RATE)
    taper = np.hanning(2 * hop + 1)[: 2 * hop].astype(np.float32)
    count = int(len(samples) / speed)
    out = np.zeros(count + 4 * hop, np.float32)
    padded = np.pad(samples, (reach, 6 * hop + reach))
    last = 0
    for place in range(0, count, hop):
        start = int(place * speed) + reach
        if place:
            follows = padded[last + hop : last + 2 * hop]
            region = padded[start - reach : start + reach + hop]
            power = np.convolve(np.square(region), np.ones(hop), "valid")
            start += int(np.argmax(np.correlate(region, follows, "valid") / np.sqrt(power + 1e-6))) - reach
        out[place : place + 2 * hop] += taper * padded[start : start + 2 * hop]
        last = start
    return out[:count]


def fit(samples: Sequence[Sample]) -> TimingTest:
    """Logistic regression in which both kinds weigh alike; then a threshold for a second and one for longer clips."""
    columns = np.array([TimingTest.regressors(sample.evidence, sample.similarity) for sample in samples])
    same = np.array([sample.same for sample in samples], float)
    shares = np.where(same == 1, 0.5 / same.mean(), 0.5 / (1 - same.mean()))
    centre, spread = columns[:, 1:].mean(axis=0), columns[:, 1:].std(axis=0)
    scaled = np.column_stack([columns[:, 0], (columns[:, 1:] - centre) / spread])

    def loss(weights: NDArray[np.float64]) -> float:
        logits = scaled @ weights
        return float(np.mean(shares * (np.logaddexp(0.0, logits) - same * logits)) + 1e-4 * np.sum(weights**2))

    found = minimize(loss, np.zeros(scaled.shape[1]), method="BFGS").x
    weights = np.concatenate([[found[0] - np.sum(found[1:] * centre / spread)], found[1:] / spread])
    logits = columns @ weights
    thresholds = []
    for lengths in (LENGTHS[:1], LENGTHS[1:]):
        chosen = [number for number, sample in enumerate(samples) if sample.same and sample.length in lengths]
        thresholds.append((round(math.log2(lengths[0]), 4), round(float(np.quantile(logits[chosen], _LOST)), 4)))
    return TimingTest(tuple(round(float(weight), 4) for weight in weights), tuple(thresholds))


def judge(test: TimingTest, samples: Sequence[Sample]) -> None:
    """Print, by clip length, the shares of both kinds that pass."""
    print("length   the recording itself   another performance")
    for length in LENGTHS:
        cells = []
        for same in (True, False):
            chosen = [s for s in samples if s.length == length and s.same == same]
            passed = [test.passes(s.evidence, s.similarity) for s in chosen]
            cells.append(f"{100 * float(np.mean(passed)):6.1f} % of {len(chosen):4d}" if chosen else "none")
        print(f"{length:5d}s   {cells[0]:>20s}   {cells[1]:>19s}")


if __name__ == "__main__":
    main()
