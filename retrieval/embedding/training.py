"""Training of the fingerprint network by triplet loss.

Each step draws places in the excerpts. A place is seen once clean and twice degraded, there a little earlier
or later, faster or slower, higher or lower; these three are one class of the triplet loss. Several places of a
batch lie in one excerpt: its other seconds are the hardest negatives. Everything random comes from one seed.

A training lives in a folder: decoded recordings, excerpts, a checkpoint, the curves. Begun again there it goes
on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from retrieval.embedding.course import Course, Watcher, claim
from retrieval.embedding.excerpts import DEGRADED_VIEWS, EXCERPT_FRAMES, decode_all, make_excerpts
from retrieval.embedding.losses import triplet_loss
from retrieval.embedding.mining import hard_positive_semi_hard_negatives
from retrieval.embedding.model import FingerprintNetwork
from retrieval.embedding.patches import MOST_SHIFT, PATCH_FRAMES, PATCH_LAYOUT, standardise
from retrieval.errors import TrainingError

__all__ = ["Recipe", "draw_batch", "train_fingerprint"]

_MARGIN_FRAMES = 20
_VIEWS = 3


@dataclass(frozen=True)
class Recipe:
    """How the network is trained; with the data it fixes the weights, up to rounding.

    Attributes:
        seed: of all random choices.
        excerpts: how many ten-second excerpts are made of the recordings.
        steps: how many batches; the learning rate falls to 0 over them along a cosine.
        places: places a batch; three patches each.
        together: how many of them lie in the same excerpt.
        margin: of the triplet loss, in squared Euclidean distance.
        learning_rate: the highest, after the warm-up.
        weight_decay: of AdamW.
        shift_seconds: how far a degraded view may lie from the clean one.
        tempo: largest relative change of tempo in a degraded view.
        quarter_tones: largest change of pitch in a degraded view.
    """

    seed: int = 0
    excerpts: int = 4000
    steps: int = 5000
    places: int = 128
    together: int = 4
    margin: float = 0.5
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-4
    shift_seconds: float = 0.26
    tempo: float = 0.07
    quarter_tones: float = 0.6


def train_fingerprint(
    music: Sequence[Path],
    noise: Sequence[Path],
    folder: Path,
    recipe: Recipe,
    watcher: Watcher,
    *,
    jobs: int = 1,
    device: str = "cpu",
) -> FingerprintNetwork:
    """Train the fingerprint network.

    Args:
        music: recordings.
        noise: recorded noise; may be empty.
        folder: where the training lives: it receives decoded sound, excerpts, `checkpoint.pt` and `curves.csv`
            (step, seconds, loss, and the share of degraded views whose nearest clean view is their own).
        recipe: everything else.
        watcher: is told how it goes.
        jobs: processes that make excerpts, and threads that train.
        device: where torch computes, such as "cpu" or "cuda".

    Returns:
        the network in evaluation mode.

    Raises:
        TrainingError: no recording is long enough, or the folder holds another training.
    """
    claim(folder, [*music, *noise], recipe, ("music", "noise", "excerpts"))
    tracks, failures = decode_all(music, folder / "music", jobs, watcher.progress)
    noises, noise_failures = decode_all(noise, folder / "noise", jobs, watcher.progress)
    for failure in (*failures, *noise_failures):
        watcher.say(f"left out: {failure}")
    if not tracks:
        raise TrainingError("None of the recordings can be used; each must last 17 s or more.")
    excerpts = make_excerpts(tracks, noises, folder / "excerpts", recipe.excerpts, recipe.seed, jobs, watcher.progress)
    torch.set_num_threads(jobs)
    torch.manual_seed(recipe.seed)
    network = FingerprintNetwork().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    course = Course(
        folder,
        network,
        weight_decay=recipe.weight_decay,
        learning_rate=recipe.learning_rate,
        steps=recipe.steps,
        measured=("loss", "nearest_right"),
    )
    labels = torch.arange(recipe.places, device=device).repeat(_VIEWS)

    def learn(batch: NDArray[np.float32]) -> tuple[float, float]:
        patches = torch.from_numpy(batch).to(device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            vectors = network(patches).float()
        loss = triplet_loss(vectors, labels, hard_positive_semi_hard_negatives, margin=recipe.margin)
        course.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        course.optimiser.step()
        return loss.item(), _nearest_is_right(vectors.detach(), recipe.places)

    course.run(partial(_batches, excerpts, recipe), learn, watcher)
    return cast("FingerprintNetwork", network.eval())


def draw_batch(excerpts: Sequence[NDArray[np.float16]], recipe: Recipe, rng: Generator) -> NDArray[np.float32]:
    """Patches of places in some excerpts.

    Args:
        excerpts: of shape `(1 + DEGRADED_VIEWS, 128, EXCERPT_FRAMES)`, the clean view first.
        recipe: how many places in each, and how far views may lie apart.
        rng: source of all randomness.

    Returns:
        shape `(3 * places, 120, 50)`, not yet standardised: all clean views, then all first, then all second ones.
    """
    places = [(excerpt, start) for excerpt in excerpts for start in _starts(recipe.together, rng)]
    patches = np.empty((_VIEWS, len(places), PATCH_LAYOUT.bins, PATCH_FRAMES), np.float32)
    for number, (excerpt, start) in enumerate(places):
        patches[0, number] = excerpt[0, MOST_SHIFT:-MOST_SHIFT, start : start + PATCH_FRAMES]
        for view, source in enumerate(rng.choice(DEGRADED_VIEWS, _VIEWS - 1, replace=False) + 1, 1):
            patches[view, number] = _varied(excerpt[source], start, recipe, rng)
    return patches.reshape(-1, PATCH_LAYOUT.bins, PATCH_FRAMES)


def _starts(count: int, rng: Generator) -> NDArray[np.int64]:
    """Frames at which patches begin, spread over an excerpt with room for their variations."""
    room = EXCERPT_FRAMES - PATCH_FRAMES - 2 * _MARGIN_FRAMES
    cells = (np.arange(count) + rng.random(count)) * room / count
    return _MARGIN_FRAMES + cells.astype(np.int64)


def _varied(spectrogram: NDArray[np.float16], start: int, recipe: Recipe, rng: Generator) -> NDArray[np.float32]:
    """The patch a little earlier or later and, three times in four, at another tempo and pitch."""
    shift = rng.uniform(-recipe.shift_seconds, recipe.shift_seconds) * 50
    if rng.random() < 0.25:
        first = start + round(shift)
        return spectrogram[MOST_SHIFT:-MOST_SHIFT, first : first + PATCH_FRAMES].astype(np.float32)
    tempo = 1.0 + rng.uniform(-recipe.tempo, recipe.tempo)
    middle = start + shift + (PATCH_FRAMES - 1) / 2
    frames = middle + (np.arange(PATCH_FRAMES) - (PATCH_FRAMES - 1) / 2) * tempo
    first, last = int(frames[0]), int(frames[-1]) + 2
    bins = MOST_SHIFT + rng.uniform(-recipe.quarter_tones, recipe.quarter_tones)
    low = int(bins)
    part = spectrogram[low : low + PATCH_LAYOUT.bins + 1, first:last].astype(np.float32)
    moved = part[:-1] + np.float32(bins - low) * (part[1:] - part[:-1])
    left = (frames - first).astype(np.int64)
    return moved[:, left] + (frames - first - left).astype(np.float32) * (moved[:, left + 1] - moved[:, left])


def _batches(excerpts: Sequence[Path], recipe: Recipe, first: int) -> Iterator[NDArray[np.float32]]:
    """Standardised patches `(n, 1, 120, 50)` of each step from one on."""
    for step in range(first, recipe.steps):
        rng = np.random.default_rng([recipe.seed, 1, step])
        chosen = rng.choice(len(excerpts), recipe.places // recipe.together, replace=False)
        yield standardise(draw_batch([np.load(excerpts[number]) for number in chosen], recipe, rng))[:, None]


def _nearest_is_right(vectors: Tensor, places: int) -> float:
    """Share of degraded views whose nearest clean view is their own."""
    nearest = (vectors[places:] @ vectors[:places].T).argmax(dim=1)
    wanted = torch.arange(places, device=vectors.device).repeat(_VIEWS - 1)
    return float((nearest == wanted).float().mean())
