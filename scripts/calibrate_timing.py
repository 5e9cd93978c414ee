"""Set the weights by which timing tells a recording from other performances of its music (`retrieval.timing`).

    INCIPIT_DATA=DATA python scripts/calibrate_timing.py --folder FOLDER [--pairs 140] [--rounds 1] [--jobs 2]

Lieder that the fingerprint was not trained on are played twice: at tempos of their own that wander, each moment a
little early or late, two times in three by the same instruments. The first performances go into a library together
with the recordings of `recordings/train`. Clips of both, clean, degraded, at other speeds and pitches, are asked for.
The surest lines of each lie along the recording itself, along the other performance, or along unrelated music.

Shorter clips, clean and in light noise, are asked for as well: of them more is accepted along another performance.

One logistic regression weighs what speaks for the recording and against unrelated music. Another weighs what speaks for
it and against another performance, where either is accepted; a line must be likelier to be the recording's own by the
log odds from which on hardly any clip of 10 s passes that is another performance's. Prints how many of each kind are
accepted and pass, where each half of the works is judged by what was fitted to the other. What has been asked is kept
in the folder, so that it can be weighed anew. Wants the `train` extra and the program `fluidsynth`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import pickle
import zlib
from collections.abc import Callable, Iterator, Sequence
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
from retrieval.embedding.fluidsynth import fluidsynth_sound
from retrieval.embedding.notes import played, score_notes
from retrieval.identification import Identifier
from retrieval.lines import Line
from retrieval.rises import PHASES, rises_in_phases
from retrieval.timing import TIMING_PATH, TimingEvidence, TimingTest, lay

LENGTHS = (1, 2, 3, 5, 10)
LIGHT_LENGTHS = (1, 2, 3)
_THRESHOLD = 0.5
_LIGHT_CLIPS = (2, 4)
_LIGHT_NOISE_DB = (5.0, 20.0)
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
    """A line of a clip: along its own recording where the clip lies there, another performance, or unrelated music.

    The clip is its first seconds, as many as the length; the source is the file that the library has of its music.
    """

    source: str
    kind: str
    length: int
    recording: str
    line: Line
    clip: Samples


class Sample(NamedTuple):
    """A question's line, and what its timing says; works of the same half are fitted and judged together."""

    half: int
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
    asked += light_questions(arguments.folder / "questions", identifier, pairs)
    samples = laid(asked, identifier, {str(path) for path in disturbing})
    halves = [[sample for sample in samples if sample.half == half] for half in (0, 1)]
    judge([(fit(fitted, identifier), judged) for fitted, judged in (halves, halves[::-1])], identifier)
    test = fit(samples, identifier)
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
    found: list[Question] = []
    for turn in range(rounds):
        for number, (path, wanted) in enumerate(jobs):
            rng = np.random.default_rng([1, turn, number])
            found += _kept(folder / f"{turn}-{number:04d}.pickle", partial(_ask, identifier, path, wanted, rng, noise))
    return found


def light_questions(folder: Path, identifier: Identifier, pairs: Sequence[tuple[Path, Path]]) -> list[Question]:
    """Lines of short clips of both performances, clean and in light noise; what is in the folder already is kept."""
    found: list[Question] = []
    for number, pair in enumerate(pairs):
        found += _kept(folder / f"light-{number:04d}.pickle", partial(_ask_lightly, identifier, pair, number))
    return found


def _kept(place: Path, ask: Callable[[], list[Question]]) -> list[Question]:
    """What is asked, or was asked before."""
    place.parent.mkdir(exist_ok=True)
    if not place.exists():
        unfinished = place.with_suffix(".part")
        unfinished.write_bytes(pickle.dumps(ask()))
        unfinished.replace(place)
    found: list[Question] = pickle.loads(place.read_bytes())
    return found


def _ask(identifier: Identifier, path: Path, wanted: Path, rng: Generator, noise: Sequence[Clip]) -> list[Question]:
    """The surest lines of the clips, of each length, of one place in a file.

    Args:
        wanted: the file itself, or the other performance of its music.
    """
    track = read_audio(path).samples
    if len(track) < (_EXCERPT + 1) * ANALYSIS_RATE:
        return []
    clip, start = _clip(track, rng, noise)
    clip = np.asarray(clip[: max(LENGTHS) * ANALYSIS_RATE], np.float32)
    found = []
    for length in LENGTHS:
        windows = identifier.windows(Audio(clip[: length * ANALYSIS_RATE]))
        lines = identifier.lines(windows)[:_LINES]
        if not any(identifier.accepts(line, 1e-4) for line in lines[:1]):
            lines += identifier.moved_lines(windows)[:_LINES]
        found += _questions(identifier, lines, clip, length, wanted, start if path == wanted else None)
    return found


def _ask_lightly(identifier: Identifier, pair: tuple[Path, Path], number: int) -> list[Question]:
    """The surest lines, at their own pitch, of short clips of both performances, every second in light noise."""
    found = []
    rng = np.random.default_rng([2, number])
    for path, count in zip(pair, _LIGHT_CLIPS, strict=True):
        track = read_audio(path).samples
        for turn in range(count):
            first = int(rng.integers(0, len(track) - max(LIGHT_LENGTHS) * ANALYSIS_RATE))
            clip = track[first : first + max(LIGHT_LENGTHS) * ANALYSIS_RATE]
            if turn % 2:
                noise = coloured_noise(len(clip), rng)
                level = np.sqrt(np.mean(clip**2) / np.mean(noise**2)) * 10 ** (-rng.uniform(*_LIGHT_NOISE_DB) / 20)
                clip = clip + np.float32(level) * noise
            start = first / ANALYSIS_RATE if path == pair[0] else None
            for length in LIGHT_LENGTHS:
                lines = identifier.lines(identifier.windows(Audio(clip[: length * ANALYSIS_RATE])))[:_LINES]
                found += _questions(identifier, lines, clip, length, pair[0], start)
    return found


def _questions(
    identifier: Identifier, lines: Sequence[Line], clip: Samples, length: int, wanted: Path, start: float | None
) -> Iterator[Question]:
    """Questions of lines of a clip; those along its own recording must lie where it begins.

    Args:
        wanted: the file that the library has of the clip's music.
        start: seconds in that where the clip begins; None where it is another performance.
    """
    for line in lines:
        recording = identifier.recording(line.position)
        if recording is None:
            continue
        there = recording.path == str(wanted)
        if there and start is not None and abs(line.offset - start) > _SAME_PLACE_SECONDS:
            continue
        kind = "unrelated" if not there else "other" if start is None else "same"
        yield Question(str(wanted), kind, length, recording.path, line, clip)


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
    taken: dict[tuple[int, int], NDArray[np.float32]] = {}
    before: Samples | None = None
    for source, kind, length, recording, line, clip in asked:
        if clip is not before:
            before, taken = clip, {}
        stored = identifier.stored_rises(positions[recording])
        if stored is None or (kind == "unrelated" and recording in disturbing):
            continue
        key = length, line.quarter_tones
        if key not in taken:
            taken[key] = rises_in_phases(clip[: length * ANALYSIS_RATE], line.quarter_tones)
        found = lay(taken[key], stored, line, PHASES)
        if found is not None:
            samples.append(Sample(zlib.crc32(Path(source).name.encode()) % 2, kind, length, line, found[1]))
    return samples


def fit_support(samples: Sequence[Sample]) -> tuple[float, ...]:
    """Weights of what tells the recording itself from unrelated music, both being equally likely before."""
    chosen = [sample for sample in samples if sample.kind != "other"]
    columns = np.array([TimingTest.supporters(sample.evidence) for sample in chosen])
    return logistic(columns, np.array([sample.kind == "same" for sample in chosen], float))


def fit(samples: Sequence[Sample], identifier: Identifier) -> TimingTest:
    """Weights of what tells the recording itself from another performance where either is accepted."""
    blank = TimingTest((), _THRESHOLD, fit_support(samples))
    alike = [sample for sample in samples if sample.kind != "unrelated" and accepted(sample, identifier, blank)]
    columns = np.array([TimingTest.regressors(sample.evidence, sample.line.evidence.similarity) for sample in alike])
    return replace(blank, weights=logistic(columns, np.array([sample.kind == "same" for sample in alike], float)))


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


def judge(turns: Sequence[tuple[TimingTest, Sequence[Sample]]], identifier: Identifier) -> None:
    """Print, by clip length, which share of lines is accepted by the fingerprint, with support, and passes as well."""
    for kind in ("same", "other", "unrelated"):
        print(f"{kind:10s}  fingerprint  with timing  and passes")
        for length in LENGTHS:
            shares, count = np.zeros(3), 0
            for test, samples in turns:
                for sample in samples:
                    if sample.kind == kind and sample.length == length:
                        found = accepted(sample, identifier, test)
                        passes = found and test.passes(sample.evidence, sample.line.evidence.similarity)
                        shares += identifier.accepts(sample.line, 0.01), found, passes
                        count += 1
            print(
                f"{length:9d}s " + "".join(f"{share:13.1f}" for share in 100 * shares / max(count, 1)), f"% of {count}"
            )


if __name__ == "__main__":
    main()
