"""Training of the fingerprint network by triplet loss.

Each step draws places in the excerpts. A place is seen once clean and twice degraded, there a little earlier
or later, faster or slower, higher or lower; these three are one class of the triplet loss. Several places of a
batch lie in one excerpt: its other seconds are the hardest negatives. Everything random comes from one seed.

A training lives in a folder: decoded recordings, excerpts, a checkpoint, the curves. Begun again there it goes
on where it was.
"""

from __future__ import annotations

import csv
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue
from typing import Any, Protocol

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from retrieval.embedding.excerpts import DEGRADED_VIEWS, EXCERPT_FRAMES, decode_all, make_excerpts
from retrieval.embedding.losses import triplet_loss
from retrieval.embedding.mining import hard_positive_semi_hard_negatives
from retrieval.embedding.model import FingerprintNetwork
from retrieval.embedding.patches import MOST_SHIFT, PATCH_FRAMES, PATCH_LAYOUT, standardise
from retrieval.errors import TrainingError

__all__ = ["Recipe", "Watcher", "draw_batch", "train_fingerprint"]

_MARGIN_FRAMES = 20
_VIEWS = 3
_SAVE_EVERY = 100
_TELL_EVERY = 20


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


class Watcher(Protocol):
    """Is told how a training goes."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """So much of a stage (decoding, excerpts, training) is done."""

    def say(self, text: str) -> None:
        """Something worth a line."""


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
    _claim(folder, music, noise, recipe)
    tracks, failures = decode_all(music, folder / "music", jobs, watcher.progress)
    noises, noise_failures = decode_all(noise, folder / "noise", jobs, watcher.progress)
    for failure in (*failures, *noise_failures):
        watcher.say(f"left out: {failure}")
    if not tracks:
        raise TrainingError("None of the recordings can be used; each must last 17 s or more.")
    excerpts = make_excerpts(tracks, noises, folder / "excerpts", recipe.excerpts, recipe.seed, jobs, watcher.progress)
    torch.set_num_threads(jobs)
    return _Training(excerpts, folder, recipe, torch.device(device)).run(watcher)


def _claim(folder: Path, music: Sequence[Path], noise: Sequence[Path], recipe: Recipe) -> None:
    """Note in the folder what is trained there; refuse if that is something else."""
    folder.mkdir(parents=True, exist_ok=True)
    names = "\n".join(str(path) for path in (*music, "", *noise))
    claim = {"recordings": hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest(), **asdict(recipe)}
    label = folder / "training.json"
    if label.exists() and json.loads(label.read_text("utf-8")) != claim:
        raise TrainingError(f"{folder}: holds a training on other recordings or with other settings; name another")
    label.write_text(json.dumps(claim, indent=1) + "\n", "utf-8")


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


class _Training:
    """A network, its optimiser, and how far they are."""

    def __init__(self, excerpts: Sequence[Path], folder: Path, recipe: Recipe, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self._excerpts = excerpts
        self._folder = folder
        self._recipe = recipe
        self._device = device
        self._network = FingerprintNetwork().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimiser = torch.optim.AdamW(self._network.parameters(), weight_decay=recipe.weight_decay)
        self._step = 0
        self._seconds = 0.0
        self._resume()

    def run(self, watcher: Watcher) -> FingerprintNetwork:
        """Train to the last step."""
        recipe = self._recipe
        labels = torch.arange(recipe.places, device=self._device).repeat(_VIEWS)
        before = time.monotonic() - self._seconds
        seen: list[tuple[float, float]] = []
        watcher.progress("training", self._step, recipe.steps)
        for patches in _ahead(self._batches()):
            for group in self._optimiser.param_groups:
                group["lr"] = _learning_rate(recipe, self._step)
            seen.append(self._learn(torch.from_numpy(patches).to(self._device), labels))
            self._step += 1
            self._seconds = time.monotonic() - before
            watcher.progress("training", self._step, recipe.steps)
            if self._step % _TELL_EVERY == 0 or self._step == recipe.steps:
                self._tell(*np.mean(seen, axis=0))
                seen = []
            if self._step % _SAVE_EVERY == 0 or self._step == recipe.steps:
                self._save()
        return self._network.eval()

    def _batches(self) -> Iterator[NDArray[np.float32]]:
        """Standardised patches `(n, 1, 120, 50)` of each step that is left."""
        recipe = self._recipe
        for step in range(self._step, recipe.steps):
            rng = np.random.default_rng([recipe.seed, 1, step])
            chosen = rng.choice(len(self._excerpts), recipe.places // recipe.together, replace=False)
            excerpts = [np.load(self._excerpts[number]) for number in chosen]
            yield standardise(draw_batch(excerpts, recipe, rng))[:, None]

    def _learn(self, patches: Tensor, labels: Tensor) -> tuple[float, float]:
        with torch.autocast(self._device.type, torch.bfloat16):
            vectors = self._network(patches.contiguous(memory_format=torch.channels_last)).float()
        loss = triplet_loss(vectors, labels, hard_positive_semi_hard_negatives, margin=self._recipe.margin)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        return loss.item(), _nearest_is_right(vectors.detach(), self._recipe.places)

    def _tell(self, loss: float, right: float) -> None:
        path = self._folder / "curves.csv"
        new = not path.exists()
        with path.open("a", newline="") as handle:
            writer = csv.writer(handle)
            if new:
                writer.writerow(["step", "seconds", "loss", "nearest_right"])
            writer.writerow([self._step, f"{self._seconds:.0f}", f"{loss:.4f}", f"{right:.4f}"])

    def _save(self) -> None:
        state: dict[str, Any] = {
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "step": self._step,
            "seconds": self._seconds,
        }
        unfinished = self._folder / "checkpoint.part"
        torch.save(state, unfinished)
        unfinished.replace(self._folder / "checkpoint.pt")

    def _resume(self) -> None:
        path = self._folder / "checkpoint.pt"
        if path.exists():
            state = torch.load(path, map_location=self._device, weights_only=True)
            self._network.load_state_dict(state["network"])
            self._optimiser.load_state_dict(state["optimiser"])
            self._step, self._seconds = state["step"], state["seconds"]
        elif (self._folder / "curves.csv").exists():
            (self._folder / "curves.csv").unlink()


def _learning_rate(recipe: Recipe, step: int) -> float:
    warm = min(1.0, (step + 1) / 200)
    return recipe.learning_rate * warm * 0.5 * (1.0 + float(np.cos(np.pi * step / recipe.steps)))


def _ahead(batches: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """The same batches, the next ones made by a thread while one is used."""
    made: Queue[NDArray[np.float32] | BaseException | None] = Queue(2)
    stopped = threading.Event()

    def make() -> None:
        try:
            for batch in batches:
                made.put(batch)
                if stopped.is_set():
                    return
            made.put(None)
        except BaseException as error:  # raised again where the batch is wanted
            made.put(error)

    threading.Thread(target=make, daemon=True).start()
    try:
        while (batch := made.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        stopped.set()


def _nearest_is_right(vectors: Tensor, places: int) -> float:
    """Share of degraded views whose nearest clean view is their own."""
    nearest = (vectors[places:] @ vectors[:places].T).argmax(dim=1)
    wanted = torch.arange(places, device=vectors.device).repeat(_VIEWS - 1)
    return float((nearest == wanted).float().mean())
