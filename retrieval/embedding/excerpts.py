"""Excerpts to train the fingerprint network on: ten seconds of music, clean and degraded, as it sees them.

Everything that needs the sound itself (rooms, noise, codecs, another speed) is done here once, by several
processes; what can be done to a spectrogram (where a patch begins, a little faster, a little higher) is done
anew at each step of training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import soxr
from numpy.random import Generator
from numpy.typing import NDArray

from alignment.audio import ANALYSIS_RATE, read_audio
from alignment.errors import AlignmentError
from retrieval.embedding.degradation import babble, cut, degraded
from retrieval.embedding.patches import patch_spectrogram
from retrieval.embedding.processes import spread

__all__ = ["DEGRADED_VIEWS", "EXCERPT_FRAMES", "decode_all", "make_excerpts"]

DEGRADED_VIEWS = 3
EXCERPT_FRAMES = 500
_RUN_IN = 2 * ANALYSIS_RATE
"""Samples of sound before an excerpt, whose reverberation reaches into it."""

_SAMPLES = EXCERPT_FRAMES * ANALYSIS_RATE // 50
_SHORTEST = (_RUN_IN + _SAMPLES) * 1.4
_AS_IT_IS = 0.4
_RECORDED_NOISE = 0.5

Report = Callable[[str, int, int], None]
"""Is told what is being made, how many are done, and of how many."""


def decode_all(paths: Sequence[Path], folder: Path, jobs: int, report: Report) -> tuple[list[Path], list[str]]:
    """Decode recordings into 16-bit files that all processes map; what is there already is kept.

    Returns:
        the files of those that last long enough, in the order given, and what is wrong with the others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places = [folder / f"{number:06d}.npy" for number in range(len(paths))]
    missing = [pair for pair in zip(paths, places, strict=True) if not pair[1].exists()]
    failures = list(spread(_decode, missing, jobs, partial(report, "decoding")))
    return [place for place in places if place.exists()], [text for text in failures if text]


def _decode(pair: tuple[Path, Path]) -> str | None:
    path, place = pair
    try:
        samples = read_audio(path).samples
    except AlignmentError as error:
        return str(error)
    if len(samples) < _SHORTEST:
        return f"{path}: is shorter than {_SHORTEST / ANALYSIS_RATE:.0f} s"
    _save(place, np.clip(np.rint(samples * 32767.0), -32768, 32767).astype(np.int16))
    return None


def make_excerpts(
    music: Sequence[Path], noise: Sequence[Path], folder: Path, count: int, seed: int, jobs: int, report: Report
) -> list[Path]:
    """Make excerpts that are not in the folder yet.

    Args:
        music, noise: files of `decode_all`.
        folder: where excerpts lie, each a float16 array of shape `(1 + DEGRADED_VIEWS, 128, EXCERPT_FRAMES)`,
            the clean one first.
        count: how many there are to be.
        seed: of all that is random; each excerpt depends on it and its own number alone.
        jobs: how many processes work.
        report: is told how far they are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places = [folder / f"{number:06d}.npy" for number in range(count)]
    missing = [(seed, number, place) for number, place in enumerate(places) if not place.exists()]
    work = partial(_make_excerpt, tuple(music), tuple(noise))
    for _ in spread(work, missing, jobs, partial(report, "excerpts")):
        pass
    return places


@lru_cache
def _mapped(paths: tuple[Path, ...]) -> list[NDArray[np.int16]]:
    return [np.load(path, mmap_mode="r") for path in paths]


def _make_excerpt(music: tuple[Path, ...], noise: tuple[Path, ...], what: tuple[int, int, Path]) -> None:
    seed, number, place = what
    rng = np.random.default_rng([seed, number])
    tracks, noises = _mapped(music), _mapped(noise)
    chances = np.sqrt([len(track) for track in tracks])
    track = tracks[rng.choice(len(tracks), p=chances / chances.sum())]
    clean = _some_of(track, rng)

    def disturbance(rng: Generator, length: int) -> NDArray[np.float32]:
        if noises and rng.random() < _RECORDED_NOISE:
            return cut(noises, rng, length)
        return babble(tracks, rng, length)

    views = [clean, *(degraded(clean, rng, disturbance) for _ in range(DEGRADED_VIEWS))]
    spectra = np.stack([patch_spectrogram(view[_RUN_IN:], ANALYSIS_RATE)[:, :EXCERPT_FRAMES] for view in views])
    loudest = spectra.max(axis=(1, 2), keepdims=True) + 1e-9
    _save(place, (spectra / loudest).astype(np.float16))


def _some_of(track: NDArray[np.int16], rng: Generator) -> NDArray[np.float32]:
    """A place that sounds, often clearly slower or faster, as if it were other music."""
    speed = 1.0 if rng.random() < _AS_IT_IS else np.exp(rng.uniform(np.log(0.78), np.log(1.28)))
    wanted = _RUN_IN + _SAMPLES
    count = int(wanted * speed) + 1
    level = np.sqrt(np.mean(np.square(track[:: len(track) // 5000 + 1], dtype=np.float64)))
    for _ in range(10):
        start = int(rng.integers(0, len(track) - count))
        piece = track[start : start + count].astype(np.float32) / np.float32(32768.0)
        if np.sqrt(np.mean(np.square(piece[_RUN_IN:]))) * 32768.0 > 0.1 * level:
            break
    if speed != 1.0:
        piece = soxr.resample(piece, ANALYSIS_RATE * speed, ANALYSIS_RATE).astype(np.float32)
    return np.resize(piece, wanted)


def _save(place: Path, array: NDArray[np.generic]) -> None:
    """Write an array, whole or not at all."""
    unfinished = place.with_suffix(".part")
    with unfinished.open("wb") as handle:
        np.save(handle, array)
    unfinished.replace(place)
