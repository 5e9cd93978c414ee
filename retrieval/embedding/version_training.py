"""Training of the version network by triplet loss.

Each step draws families of versions of different works, and of each a place in the song. What 20 seconds of its
versions around that place give is one class of the triplet loss on segment vectors; what six moments there give are
six classes of the loss on local vectors. Distances are those in the nearest of twelve transpositions. Everything
random comes from one seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from retrieval.embedding.checkpoint import load_parameters
from retrieval.embedding.course import Course, Watcher, claim
from retrieval.embedding.losses import triplet_loss
from retrieval.embedding.mining import any_positive_violating_negatives
from retrieval.embedding.recorded_families import make_recorded_families
from retrieval.embedding.version_encoder import VERSION_MODEL_PATH
from retrieval.embedding.version_families import Family, Version
from retrieval.embedding.version_model import FRAMES_A_VECTOR, VersionNetwork, unit
from retrieval.embedding.version_patches import SEMITONES
from retrieval.errors import TrainingError

__all__ = ["SEGMENT_FRAMES", "VersionRecipe", "draw_batch", "train_on_recordings", "train_versions"]

SEGMENT_FRAMES = 100
"""Of a segment, 20 seconds."""

_FEWEST_WORKS = 2
_MOMENTS = (0, -1, 1, -2, 2, 3)
_NEAR_BEATS = 0.75
_COMPRESSION = 0.4
_PACE = 0.2
"""Greatest logarithm of how much faster or slower a segment is heard."""


@dataclass(frozen=True)
class VersionRecipe:
    """How the network is trained; with the data it fixes the weights, up to rounding.

    Attributes:
        seed: of all random choices.
        steps: how many batches; the learning rate falls to 0 over them along a cosine.
        families: works a batch.
        versions: of each.
        margin: of the triplet losses, in squared Euclidean distance.
        learning_rate: the highest, after the warm-up.
        weight_decay: of AdamW.
    """

    seed: int = 0
    steps: int = 2500
    families: int = 14
    versions: int = 4
    margin: float = 0.4
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3


class Batch(NamedTuple):
    """Segments, and where moments of the song lie in them.

    Attributes:
        spectrograms: float32, shape `(n, 84, SEGMENT_FRAMES)`.
        families: which family each is of, int64, shape `(n,)`.
        moments: output frame of each moment, -1 where the segment lacks it, int64, shape `(n, 6)`;
            the first is that around which the segment lies.
    """

    spectrograms: NDArray[np.float32]
    families: NDArray[np.int64]
    moments: NDArray[np.int64]


def train_versions(
    works: Sequence[Sequence[Path]],
    folder: Path,
    recipe: VersionRecipe,
    watcher: Watcher,
    *,
    threads: int = 1,
    device: str = "cpu",
    start: Path | None = None,
    kept: float = 0.0,
) -> VersionNetwork:
    """Train the version network.

    Args:
        works: files of families, those of one work together.
        folder: where the training lives: it receives `checkpoint.pt` and `curves.csv` (step, seconds, loss of
            segments, loss of moments, and the share of segments whose nearest other is of their own family).
        recipe: everything else.
        watcher: is told how it goes.
        threads: that train.
        device: where torch computes, such as "cpu" or "cuda".
        start: a model file whose parameters it begins with; at random if not given.
        kept: the share of these in those that come out, the rest is what was learnt. A mean of both may be right more
            often than either (Wortsman et al., Robust Fine-Tuning of Zero-Shot Models, CVPR 2022).

    Returns:
        the network in evaluation mode.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(recipe.seed)
    network = VersionNetwork()
    if start is not None:
        load_parameters(network, start)
    network = network.to(device).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    course = Course(
        folder,
        network,
        weight_decay=recipe.weight_decay,
        learning_rate=recipe.learning_rate,
        steps=recipe.steps,
        measured=("segment_loss", "moment_loss", "nearest_right"),
    )

    def learn(batch: Batch) -> tuple[float, float, float]:
        segment_loss, moment_loss, right = _losses(network, batch, recipe.margin, torch.device(device))
        course.optimiser.zero_grad()
        (segment_loss + moment_loss).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        course.optimiser.step()
        return segment_loss.item(), moment_loss.item(), right

    course.run(partial(_batches, works, recipe), learn, watcher)
    if start is not None:
        _mix_in(network, start, kept)
    return network.eval()


def _mix_in(network: VersionNetwork, start: Path, share: float) -> None:
    """Bring the parameters so far back to those of a model file."""
    begun = VersionNetwork()
    load_parameters(begun, start)
    before = begun.state_dict()
    mixed = {
        name: torch.lerp(value, before[name].to(value.device), share) if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    network.load_state_dict(mixed)


def train_on_recordings(
    works: Sequence[Sequence[Path]],
    folder: Path,
    recipe: VersionRecipe,
    watcher: Watcher,
    *,
    threads: int = 1,
    device: str = "cpu",
) -> VersionNetwork:
    """Train the shipped network further on recordings, those of each work given together; else as `train_versions`.

    Raises:
        TrainingError: fewer than two works have recordings that correspond, or the folder holds another training.
    """
    claim(folder, [path for recordings in works for path in recordings], recipe, ("families",))
    families, failures = make_recorded_families(works, folder / "families", watcher.progress)
    for failure in failures:
        watcher.say(f"left out: {failure}")
    if len(families) < _FEWEST_WORKS:
        raise TrainingError(
            "Two works or more are wanted, the recordings of each in a folder of its own. "
            f"Of {len(works)} such folders {len(families)} can be used."
        )
    works_of_files = [[family] for family in families]
    return train_versions(
        works_of_files, folder, recipe, watcher, threads=threads, device=device, start=VERSION_MODEL_PATH
    )


def _batches(works: Sequence[Sequence[Path]], recipe: VersionRecipe, first: int) -> Iterator[Batch]:
    for step in range(first, recipe.steps):
        rng = np.random.default_rng([recipe.seed, 2, step])
        chosen = rng.choice(len(works), min(recipe.families, len(works)), replace=False)
        files = [works[number][int(rng.integers(len(works[number])))] for number in chosen]
        yield draw_batch([Family.load(file) for file in files], recipe.versions, rng)


def draw_batch(families: Sequence[Family], versions: int, rng: Generator) -> Batch:
    """A place in each family, as so many of its versions have it, each heard a little differently."""
    spectrograms, moments = [], []
    for family in families:
        beats = _places(family, rng)
        beat = float(beats[0])
        having = [version for version in family.versions if _frame(version, beat) is not None]
        for number in range(versions):
            version = having[number % len(having)]
            frame = _frame(version, beat)
            assert frame is not None
            places = _places_around(frame, len(version.beats), rng)
            moments.append([_output(version, place, places) for place in beats])
            spectrograms.append(_varied(_at(version.spectrogram, places), rng))
    labels = np.repeat(np.arange(len(families)), versions)
    return Batch(np.stack(spectrograms), labels, np.array(moments, np.int64))


def _places(family: Family, rng: Generator) -> NDArray[np.float64]:
    """A beat that some version has, and others around it, four to eight beats apart."""
    version = family.versions[rng.integers(len(family.versions))]
    beat = float(rng.choice(version.beats[np.isfinite(version.beats)]))
    return beat + rng.uniform(4, 8) * np.array(_MOMENTS)


def _frame(version: Version, beat: float) -> int | None:
    """Where a beat of the song is nearest, if it is there."""
    distance = _distances(version.beats, beat)
    frame = int(np.argmin(distance))
    return frame if distance[frame] < _NEAR_BEATS else None


def _distances(beats: NDArray[np.float32], beat: float) -> NDArray[np.float32]:
    return np.where(np.isfinite(beats), np.abs(beats - np.float32(beat)), np.float32(np.inf))


def _places_around(frame: int, frames: int, rng: Generator) -> NDArray[np.float64]:
    """Where the frames of a segment lie in a version: around a frame, up to a fifth faster or slower."""
    pace = float(np.exp(rng.uniform(-_PACE, _PACE)))
    reach = pace * (SEGMENT_FRAMES - 1)
    start = np.clip(frame - reach / 2 + rng.integers(-10, 11), 0.0, max(frames - 1 - reach, 0.0))
    places = start + pace * np.arange(SEGMENT_FRAMES)
    return places[places <= frames - 1 + 1e-9]


def _at(spectrogram: NDArray[np.float16], places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Between its frames, shape `(84, places)`."""
    below = np.minimum(places.astype(np.int64), spectrogram.shape[1] - 1)
    above = np.minimum(below + 1, spectrogram.shape[1] - 1)
    share = (places - below).astype(np.float32)
    return np.asarray((1 - share) * spectrogram[:, below] + share * spectrogram[:, above], np.float32)


def _output(version: Version, beat: float, places: NDArray[np.float64]) -> int:
    """Output frame of a beat within a segment, -1 where it is not."""
    distance = _distances(version.beats[np.rint(places).astype(np.int64)], beat)
    frame = int(np.argmin(distance))
    return frame // FRAMES_A_VECTOR if distance[frame] < _NEAR_BEATS else -1


def _varied(spectrogram: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """A segment a little higher or lower, coloured, in noise, of full length, a register of some all but gone."""
    out = np.zeros((SEMITONES, SEGMENT_FRAMES), np.float32)
    shift = int(rng.integers(-3, 4))
    low, high = max(shift, 0), SEMITONES + min(shift, 0)
    out[low:high, : spectrogram.shape[1]] = spectrogram[low - shift : high - shift]
    magnitudes = np.expm1(out / _COMPRESSION)
    colour = np.interp(np.arange(SEMITONES), np.linspace(0, SEMITONES, 6), rng.normal(0, 0.8, 6))
    magnitudes *= np.exp(colour, dtype=np.float32)[:, None]
    if rng.random() < 0.25:
        lowest = int(rng.integers(0, SEMITONES))
        magnitudes[lowest : lowest + int(rng.integers(6, 25))] *= np.float32(0.1)
    if rng.random() < 0.5:
        level = 10 ** rng.uniform(-0.5, 1.2)
        tilt = np.exp(np.linspace(1, -1, SEMITONES) * rng.normal(0, 1.0))
        magnitudes += (level * tilt[:, None] * rng.random(magnitudes.shape)).astype(np.float32)
    return np.asarray(np.log1p(magnitudes) * np.float32(_COMPRESSION * rng.uniform(0.85, 1.15)), np.float32)


def _losses(network: VersionNetwork, batch: Batch, margin: float, device: torch.device) -> tuple[Tensor, Tensor, float]:
    """Those of segments and of moments, and how often the nearest segment is right."""
    labels = torch.from_numpy(batch.families).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        local, contributions = network(torch.from_numpy(batch.spectrograms).to(device))
    segments = unit(contributions.float().sum(dim=3), (1, 2))
    rows, which = np.nonzero(batch.moments >= 0)
    moments = local.float()[rows, :, :, batch.moments[rows, which]]
    moment_labels = torch.from_numpy(batch.families[rows] * len(_MOMENTS) + which).to(device)
    right = _nearest_is_right(segments.detach(), labels)
    return _loss(segments, labels, margin), _loss(moments, moment_labels, margin), right


def _loss(vectors: Tensor, labels: Tensor, margin: float) -> Tensor:
    return triplet_loss(
        vectors, labels, any_positive_violating_negatives, distance=squared_euclidean_in_nearest_key, margin=margin
    )


def squared_euclidean_in_nearest_key(vectors: Tensor) -> Tensor:
    """Squared distances of unit vectors `(n, channels, 12)` when one of each pair is rolled to the nearest key."""
    rolled = torch.stack([torch.roll(vectors, semitones, 2) for semitones in range(12)])
    similarities = torch.einsum("ncp,kmcp->knm", vectors, rolled)
    return 2.0 - 2.0 * similarities.amax(dim=0)


def _nearest_is_right(vectors: Tensor, labels: Tensor) -> float:
    distances = squared_euclidean_in_nearest_key(vectors)
    distances.fill_diagonal_(9.0)
    return float((labels[distances.argmin(dim=1)] == labels).float().mean())
