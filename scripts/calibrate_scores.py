"""Set the scale of the score search's probability and its threshold, on music that may be trained on.

    INCIPIT_DATA=DATA python scripts/calibrate_scores.py FOLDER [--songs 150] [--jobs 2] [--samples FILE.json]

Lieder that no model was trained on are performed (into FOLDER, see `retrieval.embedding.score_performances`), and what
is played of them goes into a library as scores, with as many whole lieder that were trained on beside them. Clips of 3
to 110 s of each performance are asked for, with its score in the library and without; so are passages of the recordings
of `recordings/train`, and noise. The numbers are fitted to one half of the songs and sources and judged on the other,
then fitted to all and written beside the model. SAMPLES keeps what was measured, and where it is there nothing is
measured again. Wants the `train` extra and the program `fluidsynth`.
"""

from __future__ import annotations

import argparse
import os
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha1, sha256
from pathlib import Path

import numpy as np
from calibrate_matching import Sample, by_cost, set_numbers
from rich.progress import Progress, track
from train_sync import held_out_lieder, lieder, sound_fonts

from alignment.audio import ANALYSIS_RATE, Audio, read_audio
from index.library import FileState, Library, NewScore
from index.runs import Vectors
from index.sheets import KeptScore
from retrieval.collection import Collection
from retrieval.embedding.score_encoder import WINDOW_HOP_SECONDS, ScoreEncoder
from retrieval.embedding.score_performances import ScorePerformance, perform_scores
from retrieval.embedding.sonority import SCORE_SONORITY, SONORITY_RATE
from retrieval.passages import Passage, passage_of
from retrieval.score_search import SCORE_PLAUSIBILITY_PATH, ScoreSearch

_LENGTHS = (3, 5, 8, 13, 20, 30, 55, 110)
_LENGTHS_OF_STRANGERS = (3, 8, 20, 55)
_TOP = 5
_START = by_cost(6)


def for_calibration(path: Path) -> bool:
    """Whether a lied that is held out is for calibration; the others are for measuring."""
    return int(sha1(path.name.encode()).hexdigest(), 16) // 100 % 2 == 0


def main() -> None:
    """Measure, fit, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--songs", type=int, default=150)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--samples", type=Path)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that perform
    set_numbers(SCORE_PLAUSIBILITY_PATH, partial(_measured, arguments), arguments.samples, (_LENGTHS,))


def _measured(arguments: argparse.Namespace) -> tuple[list[Sample], float]:
    data = Path(os.environ["INCIPIT_DATA"])
    asked = [path for path in held_out_lieder() if for_calibration(path)][: arguments.songs]
    with Progress() as progress:
        bar = progress.add_task("performances")
        files, failures = perform_scores(
            asked,
            arguments.folder / "performances",
            sound_fonts([]),
            lambda _, done, total: progress.update(bar, completed=done, total=total),
            seed=1,
            jobs=arguments.jobs,
        )
    print(*failures, sep="\n")
    performances = {paths[0].stem: ScorePerformance.load(paths[0]) for paths in files}
    encoder = ScoreEncoder()
    collection = Collection(arguments.folder / "library")
    collection.add(*lieder(None)[: len(asked)], jobs=arguments.jobs, works=False)
    ids = _fill(arguments.folder / "library", encoder, performances)
    with Library(arguments.folder / "library") as library:
        samples = []
        for name, performance in track(performances.items(), "clips"):
            samples += _of_performance(library, encoder, name, performance, ids)
        search = ScoreSearch(library, encoder, _START)
        for path in sorted((data / "recordings" / "train").iterdir()):
            samples += _of_stranger(search, path, path.name.split("__")[0])
        for path in sorted((data / "noise" / "train").iterdir()):
            samples += _of_stranger(search, path, path.name)
        return samples, search.hours


def _fill(folder: Path, encoder: ScoreEncoder, performances: dict[str, ScorePerformance]) -> dict[str, int]:
    """Take in what is played of each score, if it is not there; gives the ids in the library."""
    with Library(folder, write=True) as library:
        pending = {item.path for item in library.pending((encoder.model,))}
        known = {row.path: row.id for row in library.scores() if row.path not in pending}
        for name, performance in performances.items():
            if name not in known:
                frames = performance.score.astype(np.float32)
                sheet = KeptScore(name, len(frames) / SONORITY_RATE, np.zeros((0, 4)), ())
                vectors = (
                    Vectors(SCORE_SONORITY, frames, 1.0 / SONORITY_RATE),
                    Vectors(encoder.model, encoder.encode_score(frames), WINDOW_HOP_SECONDS),
                )
                new = NewScore(sha256(name.encode()).hexdigest(), sheet)
                known[name] = library.add(new, FileState(name, 0, 0), vectors).id
        library.refresh_store(encoder.model)
        return known


def _of_performance(
    library: Library, encoder: ScoreEncoder, name: str, performance: ScorePerformance, ids: dict[str, int]
) -> Iterator[Sample]:
    """Scores found for clips of a performance, with its score in the library and without."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    clips = _clips(performance, rng)
    for inside in (True, False):
        search = ScoreSearch(library, encoder, _START, without=frozenset() if inside else frozenset([ids[name]]))
        for seconds, passage in clips:
            for place in search.places(passage, _TOP):
                right = search.number(place) == ids[name]
                yield Sample(place.likeness, right, inside, f"{name} {inside} {seconds}", name)


def _clips(performance: ScorePerformance, rng: np.random.Generator) -> Sequence[tuple[int, Passage]]:
    """A clip of each length from somewhere in a performance."""
    inside = np.flatnonzero(np.isfinite(performance.moments))
    clips = []
    for seconds in _LENGTHS:
        latest = inside[-1] - inside[0] - seconds * SONORITY_RATE
        if latest > 0:
            first = inside[0] + int(rng.uniform(0, latest))
            frames = performance.performance[first : first + int(seconds * SONORITY_RATE)].astype(np.float32)
            clips.append((seconds, Passage({0: frames}, float(seconds))))
    return clips


def _of_stranger(search: ScoreSearch, path: Path, source: str) -> Iterator[Sample]:
    audio, rng = read_audio(path), np.random.default_rng(zlib.crc32(path.name.encode()))
    for seconds in _LENGTHS_OF_STRANGERS:
        if audio.duration > seconds:
            first = round(float(rng.uniform(0, audio.duration - seconds)) * ANALYSIS_RATE)
            clip = Audio(audio.samples[first : first + seconds * ANALYSIS_RATE].copy())
            for place in search.places(passage_of(clip), _TOP):
                yield Sample(place.likeness, False, False, f"{path.name} {seconds}", source)


if __name__ == "__main__":
    main()
