"""Libraries of millions of vectors: recordings as they are, and stretches made anew of the vectors of most of them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from alignment.audio import ANALYSIS_RATE, read_audio
from index.library import FileState, Library, NewRecording
from index.runs import Model, Runs, Vectors
from index.schema import Recording
from retrieval.rises import RISES, RISES_HOP, RISES_RATE

__all__ = ["STRETCH", "Source", "cut_clip", "make_library", "noisy", "read_source", "unit"]

Floats = NDArray[np.float32]

STRETCH = 1000
_HOP = 0.5
_CLIP_SECONDS = 10.0
_LEAST_SECONDS = 30.0
"""Of a recording from which a clip is cut."""


class Source(NamedTuple):
    """Recordings of a library, by what becomes of them in a large one.

    Attributes:
        folder: of their library.
        model: of their fingerprints.
        asked: are in it, and asked for.
        others: are in it, as they are and many times made anew.
        left_out: are not in it, and asked for.
        real: vectors of the others that sound, shape `(n, dimensions)`.
        numbers: of these vectors in the large library, shape `(n,)`.
    """

    folder: Path
    model: Model
    asked: list[Recording]
    others: list[Recording]
    left_out: list[Recording]
    real: Floats
    numbers: NDArray[np.int64]


def read_source(folder: Path, model: Model, clips: int) -> Source:
    """Choose, by a seed, so many recordings of a library that are asked for, and as many that are left out.

    Raises:
        LibraryError: it cannot be read, or lacks vectors of the model.
    """
    with Library(folder) as library:
        recordings, runs = library.recordings(), library.runs(model)
        there = [one for one in recordings if one.duration >= _LEAST_SECONDS and _file(one).is_file()]
        order = np.random.default_rng(2).permutation(len(there))
        asked, left_out = ([there[number] for number in order[first : 2 * clips : 2]] for first in (0, 1))
        others = [one for one in recordings if one not in asked and one not in left_out]
        vectors = [stored for one in others if (stored := _vectors_of(one, runs)) is not None]
    real = np.concatenate(vectors) if vectors else np.zeros((0, model.format.dimensions), np.float32)
    sounding = np.flatnonzero(real.any(axis=1))
    return Source(folder, model, asked, others, left_out, real[sounding], sounding)


def make_library(folder: Path, source: Source, vectors: int) -> None:
    """Make a library of so many fingerprint vectors, if it is not there."""
    if folder.exists():
        return
    started = time.process_time()
    unfinished = folder.with_name(folder.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    with Library(unfinished, write=True) as library:
        held = _copy(source, library)
        for number, values in enumerate(_stretches(source.real, vectors - held)):
            rng = np.random.default_rng(number)
            rises = rng.integers(0, 256, (round(len(values) * _HOP * RISES_RATE), RISES.format.dimensions))
            kept = [
                Vectors(source.model, values, _HOP),
                Vectors(RISES, rises.astype(np.float32), RISES_HOP / ANALYSIS_RATE),
            ]
            recording = NewRecording(f"made{number:08d}", len(values) * _HOP, f"Recording {number}")
            library.add(recording, FileState(f"/{number}.flac", 0, 0), kept)
    unfinished.rename(folder)
    print(f"made {folder} in {time.process_time() - started:.0f} s")


def cut_clip(recording: Recording, path: Path) -> None:
    """Write ten seconds from somewhere in a recording, as 16-bit WAV."""
    samples = read_audio(_file(recording)).samples
    length = int(_CLIP_SECONDS * ANALYSIS_RATE)
    start = int(np.random.default_rng(recording.id).integers(len(samples) - length))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples[start : start + length], ANALYSIS_RATE)


def _copy(source: Source, library: Library) -> int:
    """Take in the recordings that are not left out, as they are, first the others; how many vectors they have."""
    held = 0
    with Library(source.folder) as former:
        runs = [(model, former.runs(model)) for model in (source.model, RISES)]
        for one in [*source.others, *source.asked]:
            kept = [
                Vectors(model, stored, float(runs_of_model.hop[0]))
                for model, runs_of_model in runs
                if (stored := _vectors_of(one, runs_of_model)) is not None
            ]
            library.add(NewRecording(one.content_hash, one.duration, one.title), FileState(str(_file(one)), 0, 0), kept)
            held += len(kept[0].values)
    return held


def _file(recording: Recording) -> Path:
    return Path(recording.files[0].path)


def _vectors_of(recording: Recording, runs: Runs) -> Floats | None:
    found = np.flatnonzero(runs.items == recording.id)
    return runs.vectors(int(found[0])) if len(found) else None


def _stretches(real: Floats, vectors: int) -> Iterator[Floats]:
    """Made of real vectors, so many in all."""
    rng = np.random.default_rng(0)
    for first in range(0, vectors, STRETCH):
        yield _made(real, rng, min(STRETCH, vectors - first))


def _made(real: Floats, rng: np.random.Generator, length: int) -> Floats:
    one, other = (real[first : first + length] for first in rng.integers(len(real) - length, size=2))
    if rng.random() < 0.5:
        return noisy(one, rng.uniform(0.2, 0.8), rng)
    share = np.float32(rng.random())
    return noisy(unit(share * one + (1 - share) * other), rng.uniform(0.1, 0.4), rng)


def noisy(vectors: Floats, noise: float, rng: np.random.Generator) -> Floats:
    """With isotropic noise of that length, on average, beside their own of 1."""
    noises = rng.standard_normal(vectors.shape, np.float32) * np.float32(noise / vectors.shape[1] ** 0.5)
    return unit(vectors + noises)


def unit(vectors: Floats) -> Floats:
    """Vectors brought to unit length."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
