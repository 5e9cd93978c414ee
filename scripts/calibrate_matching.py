"""Set the scale of the matching score and its threshold, on music that may be trained on.

    INCIPIT_DATA=DATA python scripts/calibrate_matching.py FOLDER [--songs 60] [--jobs 1] [--samples FILE.json]

Lieder are rendered as two performers play them (into FOLDER, see `performed_lieder.py`) and go into a library together
with the recordings of `recordings/train`. Passages of 3 to 55 s of each performance, from anywhere and from its end,
are asked for with that performance left out, and so are passages of the recordings with all recordings of their source
left out, and noise. The numbers are fitted to one half of the songs and sources and judged on the other, then fitted to
all and written beside the models. SAMPLES keeps what was measured, and where it is there nothing is measured again.
Wants the `train` extra and the program `fluidsynth`.
"""

from __future__ import annotations

import argparse
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from bench_matching import fill
from numpy.random import Generator
from numpy.typing import NDArray
from performed_lieder import Song, perform
from scipy.optimize import minimize

from alignment.audio import ANALYSIS_RATE, Audio, read_audio
from index.library import Library
from retrieval.logistic import TAIL
from retrieval.matching import Matcher, Occurrence
from retrieval.passages import passage_of
from retrieval.plausibility import PLAUSIBILITY_PATH, CourseLikeness, Likeness, Plausibility

_LENGTHS = (3, 5, 8, 13, 21, 34, 55)
_LENGTHS_OF_STRANGERS = (3, 5, 8, 13, 21)
_TAILS = (3, 5), (8, 13), (21, 34, 55)
_PLACES = 20
_SAME, _ALIKE = 0.8, 0.4
_RIGHT, _NEAR = 0.5, 0.3
_PENALTY = 1e-5
_RATE = 0.01


class Sample(NamedTuple):
    """A place that was found: is the passage played there, could it be anywhere, and which passage is it."""

    likeness: Likeness
    right: bool
    inside: bool
    passage: str
    source: str

    @classmethod
    def load(cls, row: list[Any]) -> Sample:
        """From what `row` gives."""
        kind = CourseLikeness if "unevenness" in row[0] else Likeness
        return cls(kind(**row[0]), *row[1:])

    @property
    def seconds(self) -> int:
        """How long the passage was to be."""
        return int(self.passage.split()[-1])

    def row(self) -> list[Any]:
        """As JSON has it."""
        return [asdict(self.likeness), *self[1:]]


def main() -> None:
    """Measure, fit, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--songs", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--samples", type=Path)
    arguments = parser.parse_args()
    set_numbers(PLAUSIBILITY_PATH, partial(_measured, arguments), arguments.samples, _TAILS)


def set_numbers(
    place: Path, measured: Callable[[], tuple[list[Sample], float]], kept: Path | None, tails: Sequence[Sequence[int]]
) -> None:
    """Fit a plausibility and write it, after judging it by halves of the sources.

    Args:
        place: of the numbers.
        measured: gives samples, and the hours of the library that they were found in.
        kept: where these are kept, or shall be.
        tails: lengths of passages in seconds, as many together as share a tail.
    """
    if kept and kept.exists():
        hours, rows = json.loads(kept.read_text("utf-8"))
        samples = [Sample.load(row) for row in rows]
    else:
        samples, hours = measured()
        if kept:
            kept.write_text(json.dumps([hours, [sample.row() for sample in samples]]), "utf-8")
    halves = [[sample for sample in samples if zlib.crc32(sample.source.encode()) % 2 == half] for half in (0, 1)]
    for fitted, judged in (halves, halves[::-1]):
        _judge(fit(fitted, hours, tails), judged, tails)
    plausibility = fit(samples, hours, tails)
    _judge(plausibility, samples, tails)
    place.write_text(json.dumps(asdict(plausibility), indent=1) + "\n", "utf-8")
    print(plausibility)


def _measured(arguments: argparse.Namespace) -> tuple[list[Sample], float]:
    data = Path(os.environ["INCIPIT_DATA"])
    songs = perform(arguments.folder, arguments.songs, arguments.jobs, sorted((data / "lieder").rglob("*.mxl")))
    recordings = sorted((data / "recordings" / "train").iterdir())
    paths = [path for song in songs for path in song.paths]
    fill(arguments.folder / "library", [*paths, *recordings])
    with Library(arguments.folder / "library") as library:
        samples = [sample for song in songs for sample in _of_song(library, song)]
        samples += [sample for path in recordings for sample in _of_recording(library, path, recordings)]
        for path in sorted((data / "noise" / "train").iterdir()):
            samples += _of_stranger(Matcher(library, START), path, path.name)
        return samples, Matcher(library, START).hours


def by_cost(regressors: int) -> Plausibility:
    """The less the cost, the likelier."""
    return Plausibility((0.0, -1.0, *[0.0] * (regressors - 2)), (0.0, 0.0, 0.0), ((0.0, 0.0, 1.0),), 1.0)


START = by_cost(7)


def _of_song(library: Library, song: Song) -> Iterator[Sample]:
    """Places of passages of both performances; of each the performance that it is cut from is left out."""
    for number, path in enumerate(song.paths):
        rng = _random(path)
        matcher = Matcher(library, START, without=_ids(library, [path]))
        audio, others = read_audio(path), [other for other in range(len(song.paths)) if other != number]
        for seconds in _LENGTHS:
            quarters = _quarters(song, number, seconds)
            if not 2 <= quarters <= song.quarters[-1] - 4:
                continue
            final = int(song.quarters[-1]) - quarters - 1
            for start in (int(rng.integers(0, final)), final):
                first, last = song.time(number, start), song.time(number, start + quarters)
                places = [
                    (
                        str(song.paths[other].absolute()),
                        song.time(other, there),
                        song.time(other, there + quarters),
                        alike,
                    )
                    for there, alike in song.places(start, quarters)
                    for other in others
                    if alike >= _ALIKE
                ]
                for occurrence in _occurrences(matcher, _cut(audio, first, last), _PLACES):
                    recording = matcher.recording(occurrence)
                    found = recording.path if recording is not None else ""
                    right = _right(found, occurrence, places)
                    if right is not None:
                        inside = found in [str(path.absolute()) for path in song.paths]
                        name = f"{path.name} {start} {seconds}"
                        yield Sample(occurrence.likeness, right, inside, name, path.name[:5])


def _occurrences(matcher: Matcher, clip: Audio, top: int) -> list[Occurrence]:
    passage = passage_of(clip)
    return matcher.occurrences(passage, top) if passage.usable else []


def _quarters(song: Song, number: int, seconds: float) -> int:
    """How many quarters last about so long."""
    return round(seconds * song.quarters[-1] / (song.seconds[number, -1] - song.seconds[number, 0]))


def _right(path: str, occurrence: Occurrence, places: list[tuple[str, float, float, float]]) -> bool | None:
    """Whether the passage is played there; None where something like it is."""
    near = False
    for other, start, end, alike in places:
        common = min(end, occurrence.end) - max(start, occurrence.start)
        share = common / (max(end, occurrence.end) - min(start, occurrence.start)) if other == path else 0.0
        if share >= _RIGHT and alike >= _SAME:
            return True
        near = near or share >= _NEAR
    return None if near else False


def _of_recording(library: Library, path: Path, recordings: list[Path]) -> Iterator[Sample]:
    """Places of passages of a recording; all of its source are left out."""
    source = path.name.split("__")[0]
    without = _ids(library, [other for other in recordings if other.name.split("__")[0] == source])
    yield from _of_stranger(Matcher(library, START, without=without), path, source)


def _of_stranger(matcher: Matcher, path: Path, source: str) -> Iterator[Sample]:
    audio, rng = read_audio(path), _random(path)
    for seconds in _LENGTHS_OF_STRANGERS:
        if audio.duration > seconds:
            final = audio.duration - seconds
            for first in (float(rng.uniform(0, final)), final):
                for occurrence in _occurrences(matcher, _cut(audio, first, first + seconds), 3):
                    yield Sample(occurrence.likeness, False, False, f"{path.name} {first:.1f} {seconds}", source)


def _random(path: Path) -> Generator:
    return np.random.default_rng(zlib.crc32(path.name.encode()))


def _ids(library: Library, paths: list[Path]) -> frozenset[int]:
    found = (library.recording_at(str(path.absolute())) for path in paths)
    return frozenset(recording.id for recording in found if recording is not None)


def _cut(audio: Audio, first: float, last: float) -> Audio:
    return Audio(audio.samples[round(first * ANALYSIS_RATE) : round(last * ANALYSIS_RATE)].copy())


def fit(samples: list[Sample], hours: float, tails: Sequence[Sequence[int]]) -> Plausibility:
    """The background expected, the logistic regression of being right, the tails of passages that are not there."""
    passages = {sample.passage: sample.likeness for sample in samples}.values()
    known = np.array([(1.0, one.variety, one.octaves) for one in passages])
    measured = np.array([one.background for one in passages])
    expected = tuple(round(float(weight), 4) for weight in np.linalg.lstsq(known, measured)[0])
    blank = Plausibility((), (expected[0], expected[1], expected[2]), (), round(hours, 2))
    columns = np.array([sample.likeness.regressors(blank.background(sample.likeness)) for sample in samples])
    right = np.array([sample.right for sample in samples], float)

    def loss(weights: NDArray[np.float64]) -> float:
        logits = columns @ weights
        errors = np.mean(np.logaddexp(0.0, logits) - right * logits)
        return float(errors + _PENALTY * np.mean(np.square(weights[1:])))

    weights = minimize(loss, np.zeros(columns.shape[1]), method="BFGS").x
    blank = replace(blank, weights=tuple(round(float(weight), 4) for weight in weights))
    outside = [sample for sample in samples if not sample.inside]
    return replace(blank, tails=tuple(_tail(blank, [one for one in outside if one.seconds in some]) for some in tails))


def _tail(plausibility: Plausibility, outside: list[Sample]) -> tuple[float, float, float]:
    best = _best(plausibility, outside)
    start = float(np.quantile(best, 1.0 - TAIL))
    octaves = {sample.passage: sample.likeness.octaves for sample in outside}
    scale = float(np.mean(best[best > start] - start))
    return round(float(np.mean(list(octaves.values()))), 2), round(start, 4), round(scale, 4)


def _best(plausibility: Plausibility, samples: list[Sample]) -> NDArray[np.float64]:
    """The highest logit of each passage."""
    best: dict[str, float] = {}
    for sample in samples:
        best[sample.passage] = max(best.get(sample.passage, -np.inf), plausibility.logit(sample.likeness))
    return np.array(list(best.values()))


def _judge(plausibility: Plausibility, samples: list[Sample], tails: Sequence[Sequence[int]]) -> None:
    """Print what is found and falsely accepted, by the length of the passage, and how well probabilities hold."""
    print("length  right accepted %  outsiders accepted %")
    for seconds in chain.from_iterable(tails):
        chosen = [sample for sample in samples if sample.seconds == seconds]
        threshold = plausibility.threshold(_RATE, plausibility.hours, seconds)
        right = [plausibility.logit(sample.likeness) >= threshold for sample in chosen if sample.right]
        outside = _best(plausibility, [sample for sample in chosen if not sample.inside]) >= threshold
        print(f"{seconds:4d} s  {100 * np.mean(right):8.1f} of {len(right):4d}", end="")
        print(f"  {100 * np.mean(outside):8.2f} of {len(outside):4d}")
    scores = np.array([plausibility.probability(sample.likeness) for sample in samples])
    truth = np.array([sample.right for sample in samples], float)
    error = 0.0
    for low in np.arange(0.0, 1.0, 0.1):
        inside = (scores >= low) & (scores < low + 0.1 + 1e-9)
        if inside.any():
            error += abs(scores[inside].mean() - truth[inside].mean()) * inside.mean()
    print(f"expected calibration error {error:.4f}")


if __name__ == "__main__":
    main()
