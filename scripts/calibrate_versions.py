"""Set the scale of the version score and its threshold, on works that the model was not trained on.

    INCIPIT_DATA=DATA python scripts/calibrate_versions.py --folder FOLDER [--jobs 2]
    INCIPIT_DATA=DATA python scripts/calibrate_versions.py --songs

Families of versions are made of lieder and of popular songs that were not trained on, popular songs being the hardest
to tell apart, since they share their harmony: of each song two versions near and far, and two near ones. Those are
songs of POP909 that `scripts/train_versions.py` leaves out, but the first 120: a bed of 60 works and 60 distractors has
none of them, a larger one has, and measures too well; --songs only names them. With the recordings of
`recordings/train` they make a library, which is asked for each of them, whole and by passages of 10, 20 and 40 s. They
are split in two by work; prints what is found and falsely accepted in each half with the numbers fitted to the other,
then writes the numbers fitted to both beside the model. Wants the program `fluidsynth`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from train_sync import sound_fonts
from train_versions import KEPT_LIEDER, left_out_songs, order_of_held_out_lieder

from alignment.audio import read_audio
from alignment.errors import ScoreError
from alignment.features import estimate_tuning
from index.library import FileState, Library, NewRecording
from retrieval.correspondence import VersionQuery
from retrieval.embedding.songs import pop_song, score_song
from retrieval.embedding.version_encoder import VERSION_MODEL_PATH, VersionEncoder
from retrieval.embedding.version_families import MOSTLY_FAR, MOSTLY_NEAR, NEAR_AND_FAR, Family, make_family
from retrieval.embedding.version_patches import FRAME_SECONDS, version_spectrogram
from retrieval.logistic import TAIL
from retrieval.version_calibration import VersionCalibration, VersionEvidence, level_of_rest
from retrieval.version_search import VersionSearch

LENGTHS = (0, 10, 20, 40)
_LIEDER, _LIEDER_VERSIONS, _LIEDER_SECONDS = 60, 3, 110.0
_POP_SONGS, _POP_VERSIONS, _POP_SECONDS = 130, 2, 200.0
_IN_THE_BED = 120
_RANKS = 0.1
"""Weight of how likely each version is to come before all that is none, beside how likely each pair is."""

_SHRINKING = 1e-5
_RESAMPLED = 200
_NOTHING, _MOST = -20.0, 50.0

Spectrogram = NDArray[np.float32]


class Item(NamedTuple):
    """A version or a recording: its kind, its work, or the source of a recording, and what the model sees of it."""

    kind: str
    work: str
    spectrogram: Spectrogram


class Sample(NamedTuple):
    """A query and a candidate: number of the query, kind and work, work of the candidate, and what speaks for it."""

    query: int
    length: int
    kind: str
    work: str
    other: str
    evidence: VersionEvidence


def main() -> None:
    """Measure, fit, and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--folder", type=Path, help="where families lie, or shall")
    what.add_argument("--songs", action="store_true", help="name the songs of POP909 that are used, and end")
    parser.add_argument("--model", type=Path, default=VERSION_MODEL_PATH)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    if arguments.songs:
        print("\n".join(song.name for song in _pop_songs()))
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.jobs, context) as pool:
        families = pool.map(partial(_make, arguments.folder, sound_fonts([])), _plan())
        recorded = sorted((Path(os.environ["INCIPIT_DATA"]) / "recordings" / "train").iterdir())
        items = [item for family in families for item in family] + list(pool.map(_recording, recorded))
    recordings = min(Counter(item.kind for item in items).values())
    with tempfile.TemporaryDirectory() as folder:
        make_library(Path(folder), arguments.model, items)
        opened = arguments.model, Path(folder), items
        with ProcessPoolExecutor(arguments.jobs, context, _open, opened) as pool:
            samples = [sample for found in pool.map(_ask, range(len(items)), chunksize=4) for sample in found]
    halves = [[sample for sample in samples if _half(sample.work) == half] for half in (0, 1)]
    for fitted, judged in (halves, halves[::-1]):
        judge(fit(fitted, recordings), judged)
    calibration = fit(samples, recordings)
    target = arguments.model.with_name("versions.calibration.json")
    target.write_text(json.dumps(asdict(calibration), indent=1) + "\n", "utf-8")
    print(calibration)


class Planned(NamedTuple):
    """A family to be made: its song, its seed, how many versions of how many seconds, and how far they are."""

    kind: str
    song: Path
    seed: tuple[int, int]
    versions: int
    seconds: float
    chances: Sequence[float]


def _plan() -> list[Planned]:
    chosen = order_of_held_out_lieder()[:KEPT_LIEDER][:_LIEDER]
    return [
        *(
            Planned(
                "lied", song, (number, 77), _LIEDER_VERSIONS, _LIEDER_SECONDS, (MOSTLY_FAR, NEAR_AND_FAR)[number % 2]
            )
            for number, song in enumerate(chosen)
        ),
        *(
            Planned(kind, song, (number, seed), _POP_VERSIONS, _POP_SECONDS, chances)
            for number, song in enumerate(_pop_songs())
            for kind, seed, chances in (("pop", 78, NEAR_AND_FAR), ("near", 79, MOSTLY_NEAR))
        ),
    ]


def _pop_songs() -> list[Path]:
    return left_out_songs(Path(os.environ["INCIPIT_DATA"]))[_IN_THE_BED:][:_POP_SONGS]


def _half(work: str) -> int:
    return sum(work.encode()) % 2


def _make(folder: Path, fonts: Sequence[Path], planned: Planned) -> list[Item]:
    """The versions of a family; none where its song cannot be read."""
    place = folder / f"{planned.kind}-{planned.seed[0]:05d}.npz"
    folder.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        try:
            song = pop_song(planned.song) if planned.song.is_dir() else score_song(planned.song)
        except ScoreError:
            return []
        rng = np.random.default_rng(planned.seed)
        make_family(song, planned.versions, rng, fonts, planned.seconds, planned.chances).save(place)
    versions = Family.load(place).versions[: planned.versions]
    return [Item(planned.kind, planned.song.stem, version.spectrogram.astype(np.float32)) for version in versions]


def _recording(path: Path) -> Item:
    audio = read_audio(path)
    tuning = estimate_tuning(audio.samples, audio.rate)
    return Item("recording", path.name.split("__")[0], version_spectrogram(audio.samples, audio.rate, tuning))


def make_library(folder: Path, model: Path, items: Sequence[Item]) -> None:
    """A library of all items, each titled by its number."""
    encoder = VersionEncoder(model)
    with Library(folder, write=True) as library:
        for number, item in enumerate(items):
            recording = NewRecording(f"{number:012x}", item.spectrogram.shape[1] * FRAME_SECONDS, str(number))
            library.add(recording, FileState(f"/{number}", 0, 0), encoder.stored(encoder.encode(item.spectrogram)))
        library.refresh_store(encoder.segments)


class _ByGain(VersionCalibration):
    """Before there are weights: what has most in common comes first."""

    def logit(self, evidence: VersionEvidence) -> float:
        """The gain."""
        return evidence.gain

    logit_in_any_key = logit


_items: Sequence[Item]
_search: VersionSearch
_ids: dict[int, int]


def _open(model: Path, folder: Path, items: Sequence[Item]) -> None:
    global _items, _search, _ids
    library = Library(folder)
    _items, _search = items, VersionSearch(library, VersionEncoder(model), _ByGain((), (), (), 1))
    _ids = {int(recording.title): recording.id for recording in library.recordings()}


def _ask(number: int) -> list[Sample]:
    """What speaks for those that come into question for one item, whole and by passages.

    Recordings of one source may be of one work, or not: they are no samples.
    """
    item = _items[number]
    samples = []
    for length in LENGTHS:
        frames = round(length / FRAME_SECONDS)
        start = int(np.random.default_rng(number).integers(0, max(item.spectrogram.shape[1] - frames, 0) + 1))
        passage = item.spectrogram[:, start : start + frames]
        query = VersionQuery(*_search.encoder.encode(passage)) if length else _search.query_of(_ids[number])
        for recording, likeness in _search.candidates(query, _ids[number]):
            other = _items[int(recording.title)].work
            if item.kind != "recording" or other != item.work:
                samples.append(Sample(number, length, item.kind, item.work, other, likeness.evidence))
    return samples


def fit(samples: Sequence[Sample], recordings: int) -> VersionCalibration:
    """Weights of the pairs, those of all lengths together, then the outsiders' tails.

    The false ones of a query are of its own kind, so the size of the library is that of the smallest kind.
    """
    by_length = {}
    for length in _from_short_to_long():
        some = [sample for sample in samples if sample.length == length]
        by_length[round(float(np.log2(np.median([sample.evidence.query for sample in some]))), 4)] = some
    lengths = list(by_length)
    evidence = [sample.evidence.of_no_more_than(lengths[-1]) for sample in samples]
    columns = np.array([each.regressors() for each in evidence])
    octaves = [each.octaves for each in evidence]
    near = np.stack([np.interp(octaves, lengths, each) for each in np.eye(len(lengths))], axis=1)
    columns = (near[:, :, None] * columns[:, None, :]).reshape(len(samples), -1)
    right = np.array([sample.work == sample.other for sample in samples])
    _, query = np.unique([(sample.query, sample.length) for sample in samples], axis=0, return_inverse=True)
    spreads = np.maximum(np.sqrt(np.mean(np.square(columns), axis=0)), 1e-9)
    columns /= spreads
    standard = minimize(_loss, np.zeros(len(spreads)), (columns, right, query), "L-BFGS-B", jac=True).x
    rounded = np.round((standard / spreads).reshape(len(lengths), -1), 4)
    weights = tuple(tuple(map(float, row)) for row in rounded)
    flat = tuple((octave, 0.0, 0.0) for octave in lengths)
    return with_tails(VersionCalibration(weights, flat, flat, recordings), samples)


def with_tails(calibration: VersionCalibration, samples: Sequence[Sample]) -> VersionCalibration:
    """With the tails of the outsiders' logits and leads, for the calibration's lengths."""
    tails, leads = [], []
    answered = _answered(calibration, samples)
    for (octave, *_), length in zip(calibration.tails, _from_short_to_long(), strict=True):
        some = [one for one in answered if one.length == length]
        tails.append((octave, *_tail([(one.kind, one.highest) for one in some])))
        leads.append((octave, *_tail([(one.kind, one.highest - one.rest_beside_highest) for one in some])))
    return replace(calibration, tails=tuple(tails), leads=tuple(leads))


def _from_short_to_long() -> list[int]:
    return sorted(LENGTHS, key=lambda length: length or np.inf)


class Answered(NamedTuple):
    """A query and what was found.

    Attributes:
        length, kind: of the query.
        versions: what speaks for each.
        rest: what the query reaches with the rest of the library, of works that are none.
        outsider: what speaks for the likeliest that is none, if there is any.
        highest: its logit.
        rest_beside_highest: what the query reaches with the rest of the works that are none, the outsider's left out.
    """

    length: int
    kind: str
    versions: list[VersionEvidence]
    rest: float
    outsider: VersionEvidence | None
    highest: float
    rest_beside_highest: float


def _answered(calibration: VersionCalibration, samples: Sequence[Sample]) -> list[Answered]:
    asked: dict[tuple[int, int], list[Sample]] = {}
    for sample in samples:
        asked.setdefault((sample.query, sample.length), []).append(sample)
    return [_answer(calibration, some) for some in asked.values()]


def _answer(calibration: VersionCalibration, samples: Sequence[Sample]) -> Answered:
    versions = [sample.evidence for sample in samples if sample.work == sample.other]
    others = [sample for sample in samples if sample.work != sample.other]
    likeliest = max(others, key=lambda one: calibration.logit(one.evidence), default=None)
    in_any_key = [(calibration.logit_in_any_key(one.evidence), one.other) for one in others]
    works: dict[str, float] = {}
    for logit, work in sorted(in_any_key, reverse=True):
        works.setdefault(work, logit)
    return Answered(
        samples[0].length,
        samples[0].kind,
        versions,
        level_of_rest(works.values()),
        likeliest.evidence if likeliest else None,
        calibration.logit(likeliest.evidence) if likeliest else _NOTHING,
        level_of_rest(logit for work, logit in works.items() if likeliest and work != likeliest.other),
    )


def _loss(
    weights: NDArray[np.float64], columns: NDArray[np.float64], right: NDArray[np.bool_], query: NDArray[np.int64]
) -> tuple[float, NDArray[np.float64]]:
    """Of a logistic regression, and of each version being picked among it and all that is none; and its gradient."""
    logits = columns @ weights
    versions = np.flatnonzero(right)
    loss = np.mean(np.logaddexp(0.0, logits) - right * logits)
    slopes = (1.0 / (1.0 + np.exp(-logits)) - right) / len(logits)
    odds = np.exp(np.clip(logits, -_MOST, _MOST))
    false = np.bincount(query, odds * ~right)
    lost = false[query[versions]] / (false[query[versions]] + odds[versions])
    loss += _RANKS * np.mean(-np.log(np.maximum(1.0 - lost, 1e-12)))
    slopes[versions] -= _RANKS * lost / len(versions)
    shares = np.bincount(query[versions], lost / len(versions), len(false)) / np.maximum(false, 1e-12)
    slopes += _RANKS * np.where(right, 0.0, odds * shares[query])
    return float(loss + _SHRINKING * weights @ weights), columns.T @ slopes + 2 * _SHRINKING * weights


def _tail(values: Sequence[tuple[str, float]]) -> tuple[float, float]:
    """Start and scale of the tail of what outsiders reach, given with the kind of each.

    Each kind is looked at by itself, and there are few of any: of 200 samples of each with replacement, the tail is
    that which asks for more at a rate of 1 % than nineteen in twenty do; of all kinds that which asks for most.
    """
    kinds = []
    for kind in sorted({kind for kind, _ in values}):
        reached = np.array([value for its, value in values if its == kind])
        rng = np.random.default_rng(0)
        tails = sorted((_exponential(rng.choice(reached, len(reached))) for _ in range(_RESAMPLED)), key=_level)
        kinds.append(tails[int(0.95 * _RESAMPLED)])
    start, scale = max(kinds, key=_level)
    return round(start, 4), round(scale, 4)


def _exponential(reached: NDArray[np.float64]) -> tuple[float, float]:
    start = float(np.quantile(reached, 1.0 - TAIL))
    above = reached[reached > start]
    return start, float(np.mean(above - start)) if len(above) else 0.0


def _level(tail: tuple[float, float]) -> float:
    """What is exceeded at a rate of 1 %."""
    return tail[0] + tail[1] * float(np.log(TAIL / 0.01))


def judge(calibration: VersionCalibration, samples: Sequence[Sample]) -> None:
    """Print, by length and kind, the versions found and the queries with a false one, at a rate of 1 %.

    Only versions that are in the shortlist, and alike at all, count as not found.
    """
    answered = _answered(calibration, samples)
    print("length  kind        found%  queries with a false one%  queries")
    for length in LENGTHS:
        for kind in sorted({one.kind for one in answered}):
            chosen = [one for one in answered if (one.length, one.kind) == (length, kind)]
            accepts = partial(calibration.accepts, max_false_accepts=0.01, recordings=calibration.recordings)
            found = [accepts(evidence, rest=one.rest) for one in chosen for evidence in one.versions]
            false = [one.outsider is not None and accepts(one.outsider, rest=one.rest_beside_highest) for one in chosen]
            shown = f"{100 * np.mean(found):6.1f}" if found else "     -"
            print(f"{length or 'whole':>6}  {kind:10s}  {shown}  {100 * np.mean(false):6.1f}  {len(false):6d}")


if __name__ == "__main__":
    main()
