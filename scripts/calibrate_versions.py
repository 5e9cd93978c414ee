"""Set the scale of the version score and its threshold, on works that the model was not trained on.

    INCIPIT_DATA=DATA python scripts/calibrate_versions.py --families FOLDER [--model FILE.onnx] [--jobs 2]

Families of versions are made of lieder that were not trained on, and anew of POP909 songs that were, since the others
are in the bed that measures: popular songs share their harmony, and are the hardest to tell apart. Each version and
each of the recordings of `recordings/train` is asked for, whole and by passages of 10, 20 and 40 s, among 90 others of
its kind. They are split in two by work; prints what is found and falsely accepted in each half with the numbers fitted
to the other, then writes the numbers fitted to both beside the model. Wants the program `fluidsynth`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from train_sync import held_out_lieder, planned, sound_fonts
from train_versions import songs

from alignment.audio import read_audio
from alignment.errors import ScoreError
from alignment.features import estimate_tuning
from retrieval.correspondence import VersionQuery, correspondence_in_any_tempo, likely_keys, likeness_where
from retrieval.embedding.songs import pop_song, score_song
from retrieval.embedding.version_encoder import VERSION_MODEL_PATH, VersionEncoder
from retrieval.embedding.version_families import Family, make_family
from retrieval.embedding.version_patches import FRAME_SECONDS, version_spectrogram
from retrieval.logistic import TAIL
from retrieval.version_calibration import VersionCalibration, VersionEvidence

LENGTHS = (0, 10, 20, 40)
_LIEDER, _POP_SONGS = 70, 36
_VERSIONS, _SECONDS = 3, 150.0
_OTHERS = 90
_RESAMPLED = 200
_NOTHING = -20.0


class Item(NamedTuple):
    """A version or a recording: its work, or the source of a recording, and what the model sees of it."""

    work: str
    spectrogram: NDArray[np.float32]


class Sample(NamedTuple):
    """A query and a candidate: numbers and works of both, and what speaks for them."""

    query: int
    length: int
    work: str
    other: str
    evidence: VersionEvidence


def main() -> None:
    """Measure, fit, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", type=Path, required=True, help="where families of lieder lie, or shall")
    parser.add_argument("--model", type=Path, default=VERSION_MODEL_PATH)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.jobs, context) as pool:
        pop = [name for name in songs(Path(os.environ["INCIPIT_DATA"])) if name.is_dir()]
        plan = list(enumerate([*planned(held_out_lieder(), _LIEDER), *planned(pop, _POP_SONGS)]))
        list(pool.map(partial(_make, arguments.families, sound_fonts([])), plan))
        recordings = sorted((Path(os.environ["INCIPIT_DATA"]) / "recordings" / "train").iterdir())
        items = [*_versions(arguments.families), *pool.map(_recording, recordings)]
    with ProcessPoolExecutor(arguments.jobs, context, _open, (arguments.model, items)) as pool:
        samples = [sample for found in pool.map(_ask, range(len(items)), chunksize=4) for sample in found]
    halves = [[sample for sample in samples if _half(sample.work) == half] for half in (0, 1)]
    for fitted, judged in (halves, halves[::-1]):
        judge(fit(fitted), judged)
    calibration = fit(samples)
    target = arguments.model.with_name("versions.calibration.json")
    target.write_text(json.dumps(asdict(calibration), indent=1) + "\n", "utf-8")
    print(calibration)


def _is_recorded(work: str) -> bool:
    """Whether it is the source of recordings, whose works are not known."""
    return not work.isdigit()


def _half(work: str) -> int:
    return sum(work.encode()) % 2


def _make(folder: Path, fonts: Sequence[Path], what: tuple[int, Path]) -> None:
    number, name = what
    place = folder / f"{number:05d}.npz"
    folder.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        try:
            song = pop_song(name) if name.is_dir() else score_song(name)
        except ScoreError:
            return
        make_family(song, _VERSIONS, np.random.default_rng([number, 7]), fonts, _SECONDS).save(place)


def _versions(folder: Path) -> list[Item]:
    places = sorted(folder.glob("*.npz"))
    return [
        Item(place.stem, version.spectrogram.astype(np.float32))
        for place in places
        for version in Family.load(place).versions
    ]


def _recording(path: Path) -> Item:
    audio = read_audio(path)
    tuning = estimate_tuning(audio.samples, audio.rate)
    return Item(path.name.split("__")[0], version_spectrogram(audio.samples, audio.rate, tuning))


_encoder: VersionEncoder
_items: list[Item]
_known: list[VersionQuery]


def _open(model: Path, items: list[Item]) -> None:
    global _encoder, _items, _known
    _encoder, _items = VersionEncoder(model), items
    _known = [_query(item.spectrogram) for item in items]


def _query(spectrogram: NDArray[np.float32]) -> VersionQuery:
    return VersionQuery(*_encoder.encode(spectrogram))


def _ask(number: int) -> list[Sample]:
    """One item, whole and in passages, beside its versions and some others."""
    rng = np.random.default_rng(number)
    work, spectrogram = _items[number]
    others = rng.permutation([place for place, item in enumerate(_items) if item.work != work])
    others = sorted(others, key=lambda place: _is_recorded(_items[place].work) != _is_recorded(work))[:_OTHERS]
    own = [place for place, item in enumerate(_items) if item.work == work and place != number]
    samples = []
    for length in LENGTHS:
        frames = round(length / FRAME_SECONDS) or spectrogram.shape[1]
        start = int(rng.integers(0, max(spectrogram.shape[1] - frames, 0) + 1))
        query = _query(spectrogram[:, start : start + frames]) if length else _known[number]
        for place in (*([] if _is_recorded(work) else own), *others):
            reference = _known[place]
            keys = likely_keys(query.segments, reference.segments)
            evidence = likeness_where(correspondence_in_any_tempo(query, reference, keys)).evidence
            samples.append(Sample(number, length, work, _items[place].work, evidence))
    return samples


def fit(samples: Sequence[Sample]) -> VersionCalibration:
    """Logistic regression of being of one work, over those that have anything in common; then the outsiders' tails."""
    alike = [sample for sample in samples if sample.evidence.matched]
    columns = np.array([sample.evidence.regressors() for sample in alike])
    right = np.array([sample.work == sample.other for sample in alike], float)

    def loss(weights: NDArray[np.float64]) -> float:
        logits = columns @ weights
        return float(np.mean(np.logaddexp(0.0, logits) - right * logits) + 1e-5 * np.sum(weights**2))

    weights = minimize(loss, np.zeros(columns.shape[1]), method="BFGS").x
    rounded = tuple(round(float(weight), 4) for weight in weights)
    blank = VersionCalibration(rounded, (), _OTHERS)
    tails = (_tail(blank, [sample for sample in samples if sample.length == length]) for length in LENGTHS)
    return VersionCalibration(rounded, tuple(sorted(tails)), _OTHERS)


def _tail(calibration: VersionCalibration, samples: Sequence[Sample]) -> tuple[float, float, float]:
    """Octaves of local vectors, start and scale of the tail of the highest false logits.

    Versions and recordings are looked at by themselves, and there are few of either: of both and of 200 samples of each
    with replacement, the tail is that which asks for more at a rate of 1 % than nineteen in twenty do.
    """
    octaves = float(np.log2(np.median([sample.evidence.query for sample in samples])))
    kinds = []
    for recorded in (False, True):
        chosen = [sample for sample in samples if _is_recorded(sample.work) == recorded]
        highest = np.array(list(_highest(calibration, chosen).values()))
        rng = np.random.default_rng(0)
        tails = sorted((_exponential(rng.choice(highest, len(highest))) for _ in range(_RESAMPLED)), key=_level)
        kinds.append(tails[int(0.95 * _RESAMPLED)])
    start, scale = max(kinds, key=_level)
    return round(octaves, 4), round(start, 4), round(scale, 4)


def _exponential(highest: NDArray[np.float64]) -> tuple[float, float]:
    start = float(np.quantile(highest, 1.0 - TAIL))
    above = highest[highest > start]
    return start, float(np.mean(above - start)) if len(above) else 0.0


def _level(tail: tuple[float, float]) -> float:
    """Logit at a rate of 1 %."""
    return tail[0] + tail[1] * float(np.log(TAIL / 0.01))


def _highest(calibration: VersionCalibration, samples: Sequence[Sample]) -> dict[tuple[int, int], float]:
    """The highest logit of each query among candidates of other works."""
    highest: dict[tuple[int, int], float] = {}
    for sample in samples:
        if sample.work != sample.other:
            logit = calibration.logit(sample.evidence) if sample.evidence.matched else _NOTHING
            key = sample.query, sample.length
            highest[key] = max(highest.get(key, _NOTHING), logit)
    return highest


def judge(calibration: VersionCalibration, samples: Sequence[Sample]) -> None:
    """Print, by length, the versions found and the queries with a false one, at a rate of 1 %."""
    print("length  found%  queries with a false one%  queries")
    for length in LENGTHS:
        chosen = [sample for sample in samples if sample.length == length]
        own = [sample for sample in chosen if sample.work == sample.other]
        threshold = calibration.threshold(0.01, _OTHERS, int(np.median([s.evidence.query for s in chosen])))
        found = [s.evidence.matched > 0 and calibration.logit(s.evidence) >= threshold for s in own]
        false = [logit >= threshold for logit in _highest(calibration, chosen).values()]
        queries = len({sample.query for sample in chosen})
        print(f"{length or 'whole':>6}  {100 * np.mean(found):6.1f}  {100 * sum(false) / queries:6.1f}  {queries:6d}")


if __name__ == "__main__":
    main()
