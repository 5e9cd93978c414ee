"""Set the weights by which timing tells a recording from other performances of its music (`retrieval.timing`).

    INCIPIT_DATA=DATA python scripts/calibrate_timing.py --folder FOLDER [--pairs 140] [--rounds 1] [--jobs 2]

Lieder that the fingerprint was not trained on are played twice: at tempos of their own that wander, each moment a
little early or late, two times in three by the same instruments. The first performances go into a library together
with the recordings of `recordings/train`. Clips of both, clean, degraded, at other speeds and pitches, are asked for.
The surest lines of each lie along the recording itself, along the other performance, or along unrelated music.

One logistic regression weighs what speaks for the recording and against unrelated music. Another weighs what speaks for
it and against another performance, where either is accepted; its thresholds let 14 % of the recordings' own lines go,
which are degraded much harder than most queries, one in five first heard in a room that reverberates for long. Prints
how many of each kind are accepted and pass. What has been asked is kept in the folder, so that it can be weighed anew.
Wants the `train` extra and the program `fluidsynth`.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import pickle
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
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
from retrieval.embedding.degradation import babble, coloured_noise, degraded, in_a_room, room_response
from retrieval.embedding.renders import fluidsynth_sound, played, score_notes
from retrieval.identification import Identifier
from retrieval.lines import Line
from retrieval.timing import TIMING_PATH, TimingEvidence, TimingTest, lay

LENGTHS = (1, 2, 3, 5, 10)
_LOST = 0.14
_SECONDS = 45.0
_FEWEST_NOTES = 60
_SAME_INSTRUMENTS = 0.65
_EXCERPT = 16.0
_HEARD = 14.0
_RUN_IN = 2.0
_SAME_PLACE_SECONDS = 0.35
_REVERBERANT = 0.2
_LINES = 4

Samples = NDArray[np.float32]
Clip = NDArray[np.int16]


class Question(NamedTuple):
    """A line of a clip: along its own recording where the clip lies there, another performance, or unrelated music."""

    kind: str
    length: int
    recording: str
    line: Line
    rises: NDArray[np.float16]


class Sample(NamedTuple):
    """A question's line, and what its timing says."""

    kind: str
    length: int
    line: Line
    evidence: TimingEvidence


def main() -> None:
    """Play, ask, fit, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where performances and library lie, or shall")
    parser.add_argument("--pairs", type=int, default=140)
    parser.add_argument("--rounds", type=int, default=1, help="clips of each performance")
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
    jobs = [(path, path) for path in (*recordings, *(one for one, _ in pairs))] + [(two, one) for one, two in pairs]
    identifier = collection.identifier()
    asked = questions(arguments.folder / "questions", identifier, jobs, arguments.rounds, noise)
    samples = laid(asked, identifier, {str(path) for path in disturbing})
    supporting = fit_support(samples)
    test = fit(samples, identifier, supporting)
    judge(test, samples, identifier)
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
    tempo, start = rng.uniform(40, 140), rng.uniform(0, 0.3) * notes[:, 0].max()
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


def questions(
    folder: Path, identifier: Identifier, jobs: Sequence[tuple[Path, Path]], rounds: int, noise: Sequence[Clip]
) -> list[Question]:
    """Lines of a clip of each file in each round; what is in the folder already is kept."""
    folder.mkdir(exist_ok=True)
    found: list[Question] = []
    for turn in range(rounds):
        for number, (path, wanted) in enumerate(jobs):
            place = folder / f"{turn}-{number:04d}.pickle"
            if not place.exists():
                asked = ask(identifier, path, wanted, np.random.default_rng([1, turn, number]), noise)
                unfinished = place.with_suffix(".part")
                unfinished.write_bytes(pickle.dumps(asked))
                unfinished.replace(place)
            found += pickle.loads(place.read_bytes())
    return found


def ask(identifier: Identifier, path: Path, wanted: Path, rng: Generator, noise: Sequence[Clip]) -> list[Question]:
    """The surest lines of the clips, of each length, of one place in a file.

    Args:
        wanted: the file itself, or the other performance of its music.
    """
    track = read_audio(path).samples
    if len(track) < (_EXCERPT + 1) * ANALYSIS_RATE:
        return []
    clip, start = _clip(track, rng, noise)
    found = []
    for length in LENGTHS:
        windows = identifier.windows(Audio(clip[: length * ANALYSIS_RATE]))
        lines = identifier.lines(windows)[:_LINES]
        if not any(identifier.accepts(line, 1e-4) for line in lines[:1]):
            lines += identifier.moved_lines(windows)[:_LINES]
        for line in lines:
            recording = identifier.recording(line.position)
            if recording is None:
                continue
            there = recording.path == str(wanted)
            if there and path == wanted and abs(line.offset - start) > _SAME_PLACE_SECONDS:
                continue
            kind = "unrelated" if not there else "same" if path == wanted else "other"
            heard = windows.rises(line.quarter_tones).astype(np.float16)
            found.append(Question(kind, length, recording.path, line, heard))
    return found


def _clip(track: Samples, rng: Generator, noise: Sequence[Clip]) -> tuple[Samples, float]:
    """A little more than ten seconds, often degraded and sometimes at another speed, and where it begins."""
    first = int(rng.integers(0, len(track) - int(_EXCERPT * ANALYSIS_RATE)))
    heard, speed = track[first : first + int(_EXCERPT * ANALYSIS_RATE)], 1.0
    if rng.random() < 0.3:
        heard, speed = _changed(heard, rng)
    heard = heard[: int(_HEARD * ANALYSIS_RATE)]
    if rng.random() < _REVERBERANT:
        heard = in_a_room(heard, _long_response(rng))
    if rng.random() < 0.75:
        heard = degraded(
            heard,
            rng,
            lambda rng, count: babble(noise, rng, count, most=4) + np.float32(1e-3) * coloured_noise(count, rng),
        )
    return heard[int(_RUN_IN * ANALYSIS_RATE) :], first / ANALYSIS_RATE + _RUN_IN * speed


def _long_response(rng: Generator) -> Samples:
    """Of a room that reverberates for more than a second."""
    response = room_response(rng)
    while len(response) < ANALYSIS_RATE:
        response = room_response(rng)
    return response


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


def laid(asked: Sequence[Question], identifier: Identifier, disturbing: set[str]) -> list[Sample]:
    """Samples of questions; the music that disturbs the clips is not unrelated to them."""
    recordings = [identifier.recording(position) for position in range(identifier.runs)]
    positions = {recording.path: position for position, recording in enumerate(recordings) if recording is not None}
    samples = []
    for kind, length, recording, line, heard in asked:
        stored = identifier.stored_rises(positions[recording])
        if stored is None or (kind == "unrelated" and recording in disturbing):
            continue
        found = lay(heard.astype(np.float32), stored, line)
        if found is not None:
            samples.append(Sample(kind, length, line, found[1]))
    return samples


def fit_support(samples: Sequence[Sample]) -> tuple[float, ...]:
    """Weights of what tells the recording itself from unrelated music, both being equally likely before."""
    chosen = [sample for sample in samples if sample.kind != "other"]
    columns = np.array([TimingTest.supporters(sample.evidence) for sample in chosen])
    return logistic(columns, np.array([sample.kind == "same" for sample in chosen], float))


def fit(samples: Sequence[Sample], identifier: Identifier, supporting: tuple[float, ...]) -> TimingTest:
    """Weights of what tells the recording itself from another performance where either is accepted.

    There is a threshold for a second and one for longer clips.
    """
    blank = TimingTest((), (), supporting)
    alike = [sample for sample in samples if sample.kind != "unrelated" and accepted(sample, identifier, blank)]
    columns = np.array([TimingTest.regressors(sample.evidence, sample.line.evidence.similarity) for sample in alike])
    weights = logistic(columns, np.array([sample.kind == "same" for sample in alike], float))
    logits = columns @ weights
    thresholds = []
    for lengths in (LENGTHS[:1], LENGTHS[1:]):
        chosen = [number for number, s in enumerate(alike) if s.kind == "same" and s.length in lengths]
        thresholds.append((round(math.log2(lengths[0]), 4), round(float(np.quantile(logits[chosen], _LOST)), 4)))
    return TimingTest(weights, tuple(thresholds), supporting)


def accepted(sample: Sample, identifier: Identifier, test: TimingTest) -> bool:
    """Whether a line is accepted, before it is asked whether it lies along another performance."""
    evidence = replace(sample.line.evidence, timing=test.support(sample.evidence))
    return identifier.accepts(replace(sample.line, evidence=evidence), 0.01)


def logistic(columns: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[float, ...]:
    """Logistic regression in which those that are right and those that are not weigh alike; the first column is 1."""
    shares = np.where(right == 1, 0.5 / right.mean(), 0.5 / (1 - right.mean()))
    centre, spread = columns[:, 1:].mean(axis=0), columns[:, 1:].std(axis=0)
    scaled = np.column_stack([columns[:, 0], (columns[:, 1:] - centre) / spread])

    def loss(weights: NDArray[np.float64]) -> float:
        logits = scaled @ weights
        return float(np.mean(shares * (np.logaddexp(0.0, logits) - right * logits)) + 1e-3 * np.sum(weights[1:] ** 2))

    found = minimize(loss, np.zeros(scaled.shape[1]), method="BFGS").x
    weights = np.concatenate([[found[0] - np.sum(found[1:] * centre / spread)], found[1:] / spread])
    return tuple(round(float(weight), 4) for weight in weights)


def judge(test: TimingTest, samples: Sequence[Sample], identifier: Identifier) -> None:
    """Print, by clip length, which share of lines is accepted by the fingerprint, with support, and passes as well."""
    for kind in ("same", "other", "unrelated"):
        print(f"{kind:10s}  fingerprint  with timing  and passes")
        for length in LENGTHS:
            chosen = [sample for sample in samples if sample.kind == kind and sample.length == length]
            shares = np.zeros(3)
            for sample in chosen:
                found = accepted(sample, identifier, test)
                passes = found and test.passes(sample.evidence, sample.line.evidence.similarity)
                shares += identifier.accepts(sample.line, 0.01), found, passes
            cells = "".join(f"{share:13.1f}" for share in 100 * shares / max(len(chosen), 1))
            print(f"{length:9d}s {cells} % of {len(chosen)}")


if __name__ == "__main__":
    main()
