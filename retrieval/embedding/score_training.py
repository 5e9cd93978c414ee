"""Training of the embedding of scores by triplet loss.

Each step draws works, of each a moment of a performance and the place in the score: the window of the performance is
the anchor, that of the score at the same place the positive, and those of the other works are the negatives (and the
other way round). The performance is heard at nearly the tempo of the score, as the search tries several tempi, and
often only a part of the window, as clips are short. Everything random comes from one seed.
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

from retrieval.embedding.course import Course, Watcher, claim
from retrieval.embedding.losses import triplet_loss
from retrieval.embedding.mining import any_positive_violating_negatives
from retrieval.embedding.score_model import ScoreNetwork
from retrieval.embedding.score_performances import ScorePerformance, perform_scores
from retrieval.embedding.score_windows import COMPONENTS, WINDOW_FRAMES, WINDOW_SECONDS, windows
from retrieval.embedding.sonority import SONORITY_RATE
from retrieval.errors import TrainingError

__all__ = ["ScoreRecipe", "draw_windows", "train_on_scores", "train_scores"]

_FEWEST_WORKS = 2
_SLOPE_SECONDS = 1.0


@dataclass(frozen=True)
class ScoreRecipe:
    """How the network is trained; with the data it fixes the weights, up to rounding.

    Attributes:
        seed: of all random choices.
        performances: of each score.
        steps: how many batches; the learning rate falls to 0 over them along a cosine.
        works: a batch.
        margin: of the triplet loss, in squared Euclidean distance.
        tempo_jitter: how far the tempo of the window of a performance is off, as a logarithm, at most.
        place_jitter: how far its place is off, in seconds, at most.
        learning_rate: the highest, after the warm-up.
        weight_decay: of AdamW.
    """

    seed: int = 0
    performances: int = 1
    steps: int = 2000
    works: int = 192
    margin: float = 0.4
    tempo_jitter: float = 0.22
    place_jitter: float = 0.6
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3


class Batch(NamedTuple):
    """Windows of performances and of scores, of one place each, float32, shape `(n, 50, 32)`."""

    performances: NDArray[np.float32]
    scores: NDArray[np.float32]


def train_on_scores(
    scores: Sequence[Path],
    folder: Path,
    recipe: ScoreRecipe,
    watcher: Watcher,
    *,
    fonts: Sequence[Path] = (),
    jobs: int = 1,
    device: str = "cpu",
) -> ScoreNetwork:
    """Perform scores, then train the embedding on them.

    Args:
        scores: files; scores that cannot be read are left out, which is told.
        folder: where the training lives: it receives the performances, `checkpoint.pt` and `curves.csv` (step,
            seconds, loss, and the share of performances whose nearest score is right).
        recipe: everything else.
        watcher: is told how it goes.
        fonts: sound fonts for FluidSynth; without any, the tones of performances are added up from partials.
        jobs: processes that perform, and threads that train.
        device: where torch computes, such as "cpu" or "cuda".

    Returns:
        the network in evaluation mode.

    Raises:
        TrainingError: fewer than two scores can be performed, or the folder holds another training.
        RenderError: FluidSynth cannot play.
    """
    claim(folder, [*scores, *fonts], recipe, ("performances",))
    works, failures = perform_scores(
        scores,
        folder / "performances",
        fonts,
        watcher.progress,
        performances=recipe.performances,
        seed=recipe.seed,
        jobs=jobs,
    )
    for failure in failures:
        watcher.say(f"left out: {failure}")
    if len(works) < _FEWEST_WORKS:
        raise TrainingError(f"Two scores or more are wanted. Of {len(scores)} files {len(works)} can be performed.")
    return train_scores(works, folder, recipe, watcher, threads=jobs, device=device)


def train_scores(
    works: Sequence[Sequence[Path]],
    folder: Path,
    recipe: ScoreRecipe,
    watcher: Watcher,
    *,
    threads: int = 1,
    device: str = "cpu",
) -> ScoreNetwork:
    """Train the embedding on performances, those of one work given together; else as `train_on_scores`."""
    torch.set_num_threads(threads)
    torch.manual_seed(recipe.seed)
    network = ScoreNetwork().to(device).train()
    course = Course(
        folder,
        network,
        weight_decay=recipe.weight_decay,
        learning_rate=recipe.learning_rate,
        steps=recipe.steps,
        measured=("loss", "nearest_right"),
    )

    def learn(batch: Batch) -> tuple[float, float]:
        count = len(batch.scores)
        vectors = network(torch.from_numpy(np.concatenate(batch)).to(device))
        labels = torch.arange(count, device=vectors.device).repeat(2)
        loss = triplet_loss(vectors, labels, any_positive_violating_negatives, margin=recipe.margin)
        course.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        course.optimiser.step()
        nearest = (vectors[:count] @ vectors[count:].T).argmax(dim=1)
        return loss.item(), float((nearest == labels[:count]).float().mean())

    performed = [[ScorePerformance.load(path) for path in paths] for paths in works]
    course.run(partial(_batches, performed, recipe), learn, watcher)
    return network.eval()


def _batches(works: Sequence[Sequence[ScorePerformance]], recipe: ScoreRecipe, first: int) -> Iterator[Batch]:
    for step in range(first, recipe.steps):
        rng = np.random.default_rng([recipe.seed, 6, step])
        chosen = rng.choice(len(works), min(recipe.works, len(works)), replace=False)
        drawn = [works[number][int(rng.integers(len(works[number])))] for number in chosen]
        yield draw_windows(drawn, recipe, rng)


def draw_windows(performances: Sequence[ScorePerformance], recipe: ScoreRecipe, rng: Generator) -> Batch:
    """A window of each performance, heard a little differently, and the one of its score at the same place."""
    heard = np.empty((len(performances), WINDOW_FRAMES, COMPONENTS), np.float32)
    written = np.empty_like(heard)
    for number, one in enumerate(performances):
        frame = int(rng.choice(np.flatnonzero(np.isfinite(one.moments))))
        centre = frame / SONORITY_RATE
        ratio = _slope(one.moments, frame) * float(np.exp(rng.uniform(-1, 1) * recipe.tempo_jitter))
        heard[number] = _partly(windows(one.performance.astype(np.float32), np.array([centre]), ratio)[0], rng)
        place = float(one.moments[frame]) + rng.uniform(-1, 1) * recipe.place_jitter
        written[number] = windows(one.score.astype(np.float32), np.array([place]))[0]
    return Batch(heard, written)


def _slope(moments: NDArray[np.float32], frame: int) -> float:
    """Seconds of the score a second of the performance, in the window around a frame."""
    reach = int((WINDOW_SECONDS / 2 + _SLOPE_SECONDS) * SONORITY_RATE)
    around = moments[max(frame - reach, 0) : frame + reach + 1]
    around = around[np.isfinite(around)]
    return max(float(around[-1] - around[0]), 0.1) / max((len(around) - 1) / SONORITY_RATE, 0.1)


def _partly(window: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """One time in two only the middle of a window, half of it or more, and always in a little noise."""
    window = window + rng.normal(0, 0.03, window.shape).astype(np.float32)
    if rng.random() < 0.5:
        margin = int(rng.integers(0, WINDOW_FRAMES // 4 + 1))
        window[:margin] = 0.0
        window[WINDOW_FRAMES - margin :] = 0.0
    return window
