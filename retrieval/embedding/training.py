"""Training of the fingerprint network by triplet loss.

Each step draws places in the recordings. A place is seen once clean and twice degraded, a little earlier
or later and a little faster or slower; these three are one class of the triplet loss. Everything random
comes from one seed.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from alignment.audio import ANALYSIS_RATE
from alignment.features import HOP
from alignment.features.spectrum import log_frequency_filterbank
from retrieval.embedding.augment import Degrader, coloured_noise
from retrieval.embedding.losses import triplet_loss
from retrieval.embedding.mining import hard_positive_semi_hard_negatives
from retrieval.embedding.model import FingerprintNetwork
from retrieval.embedding.patches import COMPRESSION_FLOOR, PATCH_FRAMES, PATCH_LAYOUT

__all__ = ["Recipe", "TorchPatches", "train_fingerprint"]

_WINDOW = PATCH_LAYOUT.longest_window
_PATCH_SAMPLES = (PATCH_FRAMES - 1) * HOP + _WINDOW
_EXCERPT_SAMPLES = 49152


@dataclass(frozen=True)
class Recipe:
    """How the network is trained; with the data and the seed it fixes the weights, up to rounding.

    Attributes:
        seed: of all random choices.
        steps: how many batches; the learning rate falls to 0 over them along a cosine.
        places: places a batch; three patches each.
        margin: of the triplet loss, in squared Euclidean distance.
        learning_rate: the highest, after the warm-up.
        shift_seconds: how far a degraded view may lie from the clean one.
        speed: largest relative change of speed.
    """

    seed: int = 0
    steps: int = 1850
    places: int = 96
    margin: float = 0.5
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-4
    shift_seconds: float = 0.08
    speed: float = 0.02


class TorchPatches:
    """The patches of `retrieval.embedding.patches`, computed by torch for a batch of short signals."""

    def __init__(self, device: torch.device) -> None:
        bank = log_frequency_filterbank(PATCH_LAYOUT, ANALYSIS_RATE, _WINDOW, 0.0)
        self._bank = torch.from_numpy(bank.T.copy()).to(device)
        taper = torch.hann_window(_WINDOW, periodic=True, device=device)
        self._taper = taper * (2.0 / taper.sum())

    def __call__(self, signals: Tensor) -> Tensor:
        """Patches `(n, 1, 120, 50)` of signals `(n, samples)` whose first frame is centred half a window in."""
        framed = signals[:, :_PATCH_SAMPLES].unfold(1, _WINDOW, HOP)
        magnitude = torch.sqrt(torch.fft.rfft(framed * self._taper).abs().square() @ self._bank)
        patches = magnitude.transpose(1, 2)
        rms = patches.square().mean(dim=(1, 2), keepdim=True).sqrt()
        compressed = torch.log1p(patches / (COMPRESSION_FLOOR * rms + 1e-9))
        compressed = compressed - compressed.mean(dim=(1, 2), keepdim=True)
        deviation = compressed.square().mean(dim=(1, 2), keepdim=True).sqrt()
        return (compressed / (deviation + 1e-3))[:, None]


class _Excerpts:
    """Draws excerpts of recordings, their shifted versions, and disturbances."""

    def __init__(
        self, music: Sequence[NDArray[np.float32]], noise: Sequence[NDArray[np.float32]], recipe: Recipe
    ) -> None:
        longest = _EXCERPT_SAMPLES * 2
        self._music = [track for track in _at_other_speeds(music, recipe) if len(track) > longest]
        generator = torch.Generator().manual_seed(recipe.seed)
        made = [
            coloured_noise(20 * ANALYSIS_RATE, slope, generator).numpy() for slope in (0.0, 0.25, 0.5, 0.5, 0.75, 1.0)
        ]
        self._made_noise = made
        self._noise = [np.resize(track, max(len(track), longest)) for track in noise]
        self._recipe = recipe
        self._rng = np.random.default_rng(recipe.seed)
        seconds = np.array([len(track) for track in self._music], float)
        self._chance = np.sqrt(seconds) / np.sqrt(seconds).sum()

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Clean excerpts `(places, samples)`, and moved ones and disturbances `(2 * places, samples)`."""
        places = self._recipe.places
        chosen = self._rng.choice(len(self._music), places, p=self._chance)
        clean = np.zeros((places, _EXCERPT_SAMPLES), np.float32)
        moved = np.zeros((2 * places, _EXCERPT_SAMPLES), np.float32)
        for row, track_number in enumerate(chosen):
            track = self._music[track_number]
            end = self._place(track)
            clean[row] = track[end - _EXCERPT_SAMPLES : end]
            for copy in (row, places + row):
                moved[copy] = self._moved(track, end)
        disturbances = np.stack([self._disturbance() for _ in range(2 * places)])
        return torch.from_numpy(clean), torch.from_numpy(moved), torch.from_numpy(disturbances)

    def _place(self, track: NDArray[np.float32]) -> int:
        """End of an excerpt whose last second is not silent."""
        level = np.sqrt(np.mean(np.square(track)))
        end = 0
        for _ in range(10):
            end = int(self._rng.integers(_EXCERPT_SAMPLES + 8000, len(track) - 8000))
            heard = track[end - _PATCH_SAMPLES : end]
            if np.sqrt(np.mean(np.square(heard))) > 0.05 * level:
                break
        return end

    def _moved(self, track: NDArray[np.float32], end: int) -> NDArray[np.float32]:
        """The excerpt again, its patch up to `shift_seconds` off and, half the time, up to `speed` faster or slower."""
        recipe = self._recipe
        shift = int(self._rng.uniform(-recipe.shift_seconds, recipe.shift_seconds) * ANALYSIS_RATE)
        if self._rng.random() < 0.5:
            return track[end + shift - _EXCERPT_SAMPLES : end + shift]
        speed = 1.0 + self._rng.uniform(-recipe.speed, recipe.speed)
        middle = end + shift - _PATCH_SAMPLES / 2
        wanted = middle + (np.arange(_EXCERPT_SAMPLES) - (_EXCERPT_SAMPLES - _PATCH_SAMPLES / 2)) * speed
        first = max(int(wanted[0]) - 1, 0)
        piece = track[first : int(wanted[-1]) + 2]
        return np.interp(wanted - first, np.arange(len(piece)), piece).astype(np.float32)

    def _disturbance(self) -> NDArray[np.float32]:
        """Computed or recorded noise, or one to four other pieces of music at once."""
        kind = self._rng.random()
        if kind < 0.7:
            return self._cut(self._noise if self._noise and kind < 0.35 else self._made_noise)
        voices = [self._cut(self._music) for _ in range(int(self._rng.integers(1, 5)))]
        return np.sum([voice / (np.sqrt(np.mean(np.square(voice))) + 1e-4) for voice in voices], axis=0)

    def _cut(self, pool: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        track = pool[int(self._rng.integers(len(pool)))]
        start = int(self._rng.integers(0, len(track) - _EXCERPT_SAMPLES))
        return track[start : start + _EXCERPT_SAMPLES]


def _at_other_speeds(music: Sequence[NDArray[np.float32]], recipe: Recipe) -> Iterator[NDArray[np.float32]]:
    """Each recording, and again clearly slower and clearly faster, as if it were other music."""
    rng = np.random.default_rng(recipe.seed)
    for track in music:
        yield track
        for low, high in ((0.80, 0.93), (1.07, 1.25)):
            yield soxr.resample(track, ANALYSIS_RATE, ANALYSIS_RATE * rng.uniform(low, high)).astype(np.float32)


def train_fingerprint(
    music: Sequence[NDArray[np.float32]],
    noise: Sequence[NDArray[np.float32]],
    recipe: Recipe,
    device: str = "cpu",
    curves: Path | None = None,
    report: Callable[[str], None] = print,
) -> FingerprintNetwork:
    """Train the fingerprint network.

    Args:
        music: recordings at the analysis rate, each of shape `(n,)`.
        noise: recorded noise, likewise; may be empty.
        recipe: everything else.
        device: where torch computes, such as "cpu" or "cuda".
        curves: a CSV file to which step, seconds, loss and the share of anchors whose nearest neighbour
            is a view of the same place are written as training goes.
        report: receives a line now and then.

    Returns:
        the network in evaluation mode.
    """
    torch.manual_seed(recipe.seed)
    place = torch.device(device)
    excerpts = _Excerpts(music, noise, recipe)
    degrade = Degrader(ANALYSIS_RATE, torch.Generator(place).manual_seed(recipe.seed))
    to_patches = TorchPatches(place)
    network = FingerprintNetwork().to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    labels = torch.arange(recipe.places, device=place).repeat(3)
    started, seen = time.monotonic(), []
    report(f"{asdict(recipe)}")
    for step in range(1, recipe.steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * min(1.0, step / 100) * 0.5 * (1 + np.cos(np.pi * step / recipe.steps))
        with torch.no_grad():
            clean, moved, disturbances = (part.to(place) for part in excerpts.batch())
            heard = torch.cat([clean, degrade(moved, disturbances)])
            patches = to_patches(heard[:, -_PATCH_SAMPLES:])
        with torch.autocast(place.type, torch.bfloat16):
            vectors = network(patches).float()
        loss = triplet_loss(vectors, labels, hard_positive_semi_hard_negatives, margin=recipe.margin)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        seen.append((loss.item(), _nearest_is_right(vectors.detach(), recipe.places)))
        if step % 50 == 0 or step == recipe.steps:
            mean_loss, right = np.mean(seen, axis=0)
            seen = []
            seconds = time.monotonic() - started
            report(f"step {step}  {seconds:.0f} s  loss {mean_loss:.3f}  nearest right {right:.3f}")
            if curves:
                _append_curve(curves, step, seconds, mean_loss, right)
    return network.eval()


def _nearest_is_right(vectors: Tensor, places: int) -> float:
    """Share of degraded views whose nearest clean view is their own."""
    nearest = (vectors[places:] @ vectors[:places].T).argmax(dim=1)
    wanted = torch.arange(places, device=vectors.device).repeat(2)
    return float((nearest == wanted).float().mean())


def _append_curve(path: Path, step: int, seconds: float, loss: float, right: float) -> None:
    new = not path.exists()
    with path.open("a", newline="") as handle:
        writer = csv.writer(handle)
        if new:
            writer.writerow(["step", "seconds", "loss", "nearest_right"])
        writer.writerow([step, f"{seconds:.0f}", f"{loss:.4f}", f"{right:.4f}"])
