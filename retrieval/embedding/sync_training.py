"""Training of the synchroniser's encoder, which `alignment.features.encoder` runs without torch.

Each step draws passages of scenes (`retrieval.embedding.scenes`), two renderings of each. Two kinds of losses
are added:

- matching: each frame of one rendering must find its moment among all frames of the other. This is the
  cross-entropy of InfoNCE (van den Oord, Li and Vinyals, Representation Learning with Contrastive Predictive
  Coding, 2018), where negatives are the other frames of the passage, and the target is not one frame but a
  Gaussian around it, so that fractions of a frame count; both ways.
  The vectors are judged twice: mixed with the chroma and onsets beside which the synchroniser uses them
  (`alignment.features.sync`), in shares that are learnt, so that they tell what those do not; and by
  themselves, since sections are found by them alone.
- salience: a linear layer, left out of the shipped weights, tells which notes begin and which sound. The
  targets are those of Hawthorne and others, Onsets and Frames (ISMIR 2018), with begins blurred over frames.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from alignment.features.encoder import BANKS, DILATIONS
from alignment.features.frames import FEATURE_RATE
from retrieval.embedding.scenes import LOG_SCALE, RENDERINGS, Scene
from retrieval.errors import ModelError

__all__ = [
    "Batch",
    "Example",
    "SyncNetwork",
    "SyncRecipe",
    "draw_batch",
    "harmony_and_onsets",
    "load_sync",
    "louder",
    "matching_loss",
    "salience_loss",
    "salience_targets",
    "save_sync",
    "similarity",
    "train_sync",
]

_LOWEST_PITCH, _PITCHES = 21, 88
_WIDTH = 0.8
"""Standard deviation, in frames, of the targets in time: 16 ms."""

_FARTHEST = 5
"""Frames beyond which a target is nil to float32."""

_ONSET_WEIGHT = 5.0
_CURVES = ("step", "seconds", "matching", "alone", "salience", "sharpness")
_SURROUNDINGS_FRAMES = 101
_SATURATION = 1.5


@dataclass(frozen=True)
class SyncRecipe:
    """How the encoder is trained; with the scenes and the seed it fixes the weights, up to rounding.

    Attributes:
        seed: of all random choices.
        steps: how many batches; the learning rate falls over them along a cosine.
        passages: passages a batch; two renderings of each.
        frames: of a passage.
        edge: frames at either end of a passage that the matching loss does not ask for, since what surrounds
            them is cut off.
        hidden: channels of the network.
        alone_weight: of the matching loss of the vectors by themselves, beside that of the mixture.
        alone_sharpness: inverse temperature of that loss.
        salience_weight: of the salience loss, likewise.
        log_gain: lowest and highest natural logarithm of the gain, one for each rendering of a batch.
        learning_rate: the highest, after the warm-up; it ends at `lowest_learning_rate`.
        report_every: steps between lines of the curves, and between checkpoints.
    """

    seed: int = 0
    steps: int = 6500
    passages: int = 12
    frames: int = 320
    edge: int = 12
    hidden: int = 160
    alone_weight: float = 0.3
    alone_sharpness: float = 20.0
    salience_weight: float = 3.0
    log_gain: tuple[float, float] = (-1.5, 1.0)
    learning_rate: float = 2e-3
    lowest_learning_rate: float = 1e-5
    warm_up: int = 200
    weight_decay: float = 1e-3
    report_every: int = 200


class SyncNetwork(nn.Module):
    """Residual convolutions over time; `alignment.features.encoder.encode` computes the same in NumPy.

    The names `inp`, `convs` and `out` are those of the shipped weights.
    """

    def __init__(self, hidden: int = SyncRecipe.hidden, outputs: int = 64) -> None:
        super().__init__()
        self.inp = nn.Conv1d(sum(bank.bins for bank in BANKS), hidden, 3, padding=1)
        self.convs = nn.ModuleList(
            nn.Conv1d(hidden, hidden, 5, padding=2 * dilation, dilation=dilation) for dilation in DILATIONS
        )
        self.out = nn.Conv1d(hidden, outputs, 1)
        self.salience = nn.Conv1d(hidden, 2 * _PITCHES, 1)
        self.log_sharpness = nn.Parameter(torch.tensor(2.5))
        self.shares = nn.Parameter(torch.zeros(3))

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors `(n, outputs, frames)` and logits of begins, then of sounding notes `(n, 176, frames)`.

        Args:
            seen: as `alignment.features.encoder.compress` gives it, shape `(n, 203, frames)`.
        """
        hidden = functional.relu(self.inp(seen))
        for layer in self.convs:
            hidden = hidden + functional.relu(layer(hidden))
        return functional.normalize(self.out(hidden).float(), dim=1), self.salience(hidden).float()


def save_sync(network: SyncNetwork, path: Path) -> None:
    """Write what `alignment.features.encoder` wants of a network: float16, without the layers of the losses."""
    weights = {
        name: tensor.detach().cpu().numpy().astype(np.float16)
        for name, tensor in network.state_dict().items()
        if not name.startswith(("salience", "log_sharpness", "shares"))
    }
    path.write_bytes(safetensors.numpy.save(weights))


def load_sync(path: Path) -> SyncNetwork:
    """Read what `save_sync` wrote into a network in evaluation mode; its other layers are new.

    Raises:
        ModelError: the weights are not those of such a network.
    """
    weights = safetensors.numpy.load(path.read_bytes())
    try:
        hidden, outputs = len(weights["inp.bias"]), len(weights["out.bias"])
        network = SyncNetwork(hidden, outputs)
        tensors = {name: torch.from_numpy(array.astype(np.float32)) for name, array in weights.items()}
        network.load_state_dict(network.state_dict() | tensors)
    except (KeyError, RuntimeError) as error:
        raise ModelError(f"{path}: holds no weights of the synchroniser's encoder ({error})") from error
    return network.eval()


@dataclass(frozen=True)
class Example:
    """A scene and what the salience layer should tell of it.

    Attributes:
        renderings: float16, shape `(203, frames)` each.
        onsets: float16, shape `(88, frames)`: near 1 where a note begins.
        sounding: float16, shape `(88, frames)`: 1 while a note is written to sound.
    """

    renderings: tuple[NDArray[np.float16], ...]
    onsets: NDArray[np.float16]
    sounding: NDArray[np.float16]

    @classmethod
    def of(cls, scene: Scene) -> Example:
        """The example that a scene makes."""
        onsets, sounding = salience_targets(scene.notes, scene.renderings[0].shape[1])
        return cls(scene.renderings, onsets.astype(np.float16), sounding.astype(np.float16))


def salience_targets(notes: NDArray[np.float64], frames: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where the 88 notes of the piano begin and sound.

    Args:
        notes: onset and offset in seconds and MIDI pitch, shape `(n, 3)`; pitches beyond the piano are passed over.
        frames: how many.

    Returns:
        begins, each a Gaussian over five frames, and sounding notes; float32, shape `(88, frames)`.
    """
    onsets, sounding = np.zeros((2, _PITCHES, frames), np.float32)
    for onset, offset, pitch in notes:
        row = int(pitch) - _LOWEST_PITCH
        if not 0 <= row < _PITCHES:
            continue
        middle = onset * FEATURE_RATE
        first = max(0, int(middle) - 2)
        near = np.arange(first, min(frames, first + 5))
        onsets[row, near] = np.maximum(onsets[row, near], np.exp(-0.5 * ((near - middle) / _WIDTH) ** 2))
        sounding[row, max(0, round(middle)) : round(offset * FEATURE_RATE)] = 1
    return onsets, sounding


@dataclass(frozen=True)
class Batch:
    """Passages of scenes.

    Attributes:
        renderings: shape `(2 n, 203, frames)`: one rendering of each passage, then another of each.
        log_gains: shape `(2 n, 1, 1)`.
        onsets, sounding: shape `(2 n, 88, frames)`.
    """

    renderings: Tensor
    log_gains: Tensor
    onsets: Tensor
    sounding: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        parts = (self.renderings, self.log_gains, self.onsets, self.sounding)
        return Batch(*(part.to(device) for part in parts))


def draw_batch(examples: Sequence[Example], rng: np.random.Generator, recipe: SyncRecipe) -> Batch:
    """Draw passages, two different renderings of each, and gains."""
    first, second, onsets, sounding = [], [], [], []
    for _ in range(recipe.passages):
        example = examples[int(rng.integers(len(examples)))]
        one, other = rng.permutation(RENDERINGS)[:2]
        start = int(rng.integers(0, example.onsets.shape[1] - recipe.frames))
        passage = slice(start, start + recipe.frames)
        first.append(example.renderings[one][:, passage])
        second.append(example.renderings[other][:, passage])
        onsets.append(example.onsets[:, passage])
        sounding.append(example.sounding[:, passage])
    gains = rng.uniform(*recipe.log_gain, (2 * recipe.passages, 1, 1)).astype(np.float32)
    return Batch(_tensor(first + second), torch.from_numpy(gains), _tensor(onsets * 2), _tensor(sounding * 2))


def _tensor(arrays: Sequence[NDArray[np.float16]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays).astype(np.float32))


def louder(renderings: Tensor, log_gain: Tensor) -> Tensor:
    """What the encoder sees of renderings of scenes whose magnitudes are `exp(log_gain)` times as large."""
    return torch.log1p(torch.expm1(renderings) * log_gain.exp()) / LOG_SCALE


def harmony_and_onsets(seen: Tensor) -> tuple[Tensor, Tensor]:
    """The hand-made unit vectors of `alignment.features.sync`: chroma `(n, 12, frames)`, onsets `(n, 120, frames)`.

    Args:
        seen: what the encoder sees, shape `(n, 203, frames)`.
    """
    pitches = BANKS[0].bins
    fold = torch.zeros(12, pitches, device=seen.device)
    fold[(BANKS[0].lowest + torch.arange(pitches)) % 12, torch.arange(pitches)] = 1.0
    chroma = functional.normalize(torch.einsum("cp,npt->nct", fold, seen[:, :pitches]), dim=1, eps=1e-6)
    flux = functional.relu(torch.diff(seen[:, pitches:], dim=2, prepend=seen[:, pitches:, :1]))
    power = flux.square().sum(dim=1, keepdim=True)
    half = _SURROUNDINGS_FRAMES // 2
    surroundings = functional.avg_pool1d(functional.pad(power, (half, half), mode="reflect"), _SURROUNDINGS_FRAMES, 1)
    strength = torch.sqrt(power + 1e-12) / (torch.sqrt(surroundings + 1e-12) + 1e-3)
    direction = functional.normalize(flux, dim=1, eps=1e-6) * torch.clamp(strength / _SATURATION, max=1.0).sqrt()
    rest = torch.clamp(1.0 - direction.square().sum(dim=1, keepdim=True), min=0.0).sqrt()
    return chroma, torch.cat([direction, rest], dim=1)


def similarity(first: Tensor, second: Tensor) -> Tensor:
    """Inner products of all frames, shape `(n, frames, frames)`, of unit vectors of shape `(n, d, frames)`."""
    return torch.bmm(first.transpose(1, 2), second)


def matching_loss(similarity: Tensor, edge: int) -> Tensor:
    """Cross-entropy, in nats, of finding each frame's moment among the frames of the other rendering, both ways.

    The target is a Gaussian of .8 frames around the same moment, so the loss stays above its entropy, 1.2.

    Args:
        similarity: of all frames of one rendering and another on the same timeline, times the inverse
            temperature, shape `(n, frames, frames)`.
        edge: frames at either end that need not be found, though they can be mistaken for others.
    """
    frames = similarity.shape[2]
    moments = torch.arange(frames, device=similarity.device)[:, None]
    near = moments + torch.arange(-_FARTHEST, _FARTHEST + 1, device=similarity.device)
    target = torch.exp(-0.5 * ((near - moments) / _WIDTH) ** 2) * ((near >= 0) & (near < frames))
    target = target / target.sum(dim=1, keepdim=True)
    near = near.clamp(0, frames - 1)
    judged = slice(edge, frames - edge)
    there = torch.logsumexp(similarity, dim=2) - (target * similarity[:, moments, near]).sum(dim=2)
    back = torch.logsumexp(similarity, dim=1) - (target * similarity[:, near, moments]).sum(dim=2)
    return (there[:, judged].mean() + back[:, judged].mean()) / 2


def salience_loss(logits: Tensor, onsets: Tensor, sounding: Tensor) -> Tensor:
    """Binary cross-entropies of begins, which are rare and weigh five times as much, and of sounding notes.

    Args:
        logits: shape `(n, 176, frames)`, begins first.
        onsets: targets in 0..1, shape `(n, 88, frames)`.
        sounding: likewise.
    """
    weight = torch.tensor(_ONSET_WEIGHT, device=logits.device)
    of_onsets = functional.binary_cross_entropy_with_logits(logits[:, :_PITCHES], onsets, pos_weight=weight)
    return of_onsets + functional.binary_cross_entropy_with_logits(logits[:, _PITCHES:], sounding)


def train_sync(
    scenes: Iterable[Scene],
    recipe: SyncRecipe,
    device: str = "cpu",
    curves: Path | None = None,
    checkpoint: Path | None = None,
    report: Callable[[str], None] = print,
) -> SyncNetwork:
    """Train the synchroniser's encoder.

    Args:
        scenes: what it is trained on; 3.4 MB of memory each.
        recipe: everything else.
        device: where torch computes, such as "cpu" or "cuda".
        curves: a CSV file to which step, seconds, the losses and the sharpness are written as training goes.
        checkpoint: a file that is written now and then; where it exists, training goes on from it.
        report: receives a line now and then.

    Returns:
        the network in evaluation mode.

    Raises:
        ModelError: the checkpoint is of another recipe or number of scenes.
    """
    examples = [Example.of(scene) for scene in scenes]
    run = _Run(recipe, len(examples), torch.device(device))
    if checkpoint and checkpoint.exists():
        run.restore(checkpoint)
    report(f"{len(examples)} scenes, from step {run.step}: {asdict(recipe)}")
    seen: list[tuple[float, float, float]] = []
    while run.step < recipe.steps:
        seen.append(run.learn(draw_batch(examples, run.rng, recipe)))
        if run.step % recipe.report_every == 0 or run.step == recipe.steps:
            line = run.line(*np.mean(seen, axis=0))
            seen = []
            if curves:
                _append_curve(curves, line)
            if checkpoint:
                run.save(checkpoint)
            left = run.seconds / run.step * (recipe.steps - run.step) / 60
            report("  ".join(f"{name} {line[name]}" for name in _CURVES) + f"  ({left:.0f} min left)")
    return run.network.eval()


class _Run:
    """The state of a training, which a checkpoint holds."""

    def __init__(self, recipe: SyncRecipe, scenes: int, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self._recipe = recipe
        self._what = json.dumps(asdict(recipe) | {"scenes": scenes})
        self._device = device
        self.network = SyncNetwork(recipe.hidden).to(device)
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.rng = np.random.default_rng(recipe.seed)
        self.step = 0
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Spent so far, those before a checkpoint included."""
        return time.monotonic() - self._started

    def learn(self, batch: Batch) -> tuple[float, float, float]:
        """One step, the network in bfloat16.

        Returns:
            the matching losses of the mixture and of the vectors alone, and the salience loss.
        """
        recipe, network = self._recipe, self.network
        for group in self._optimiser.param_groups:
            group["lr"] = self._learning_rate()
        batch = batch.to(self._device)
        seen = louder(batch.renderings, batch.log_gains)
        with torch.autocast(self._device.type, torch.bfloat16):
            vectors, logits = network(seen)
        alike = similarity(*vectors.chunk(2))
        with torch.no_grad():
            by_hand = [similarity(*features.chunk(2)) for features in harmony_and_onsets(seen)]
        shares = torch.softmax(network.shares, dim=0)
        mixed = sum(share * part for share, part in zip(shares, (alike, *by_hand), strict=True))
        matching = matching_loss(mixed * network.log_sharpness.exp(), recipe.edge)
        alone = matching_loss(alike * recipe.alone_sharpness, recipe.edge)
        salience = salience_loss(logits, batch.onsets, batch.sounding)
        loss = matching + recipe.alone_weight * alone + recipe.salience_weight * salience
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        self._optimiser.step()
        self.step += 1
        return matching.item(), alone.item(), salience.item()

    def _learning_rate(self) -> float:
        recipe = self._recipe
        falling = 0.5 + 0.5 * math.cos(math.pi * self.step / recipe.steps)
        return recipe.learning_rate * min(1.0, self.step / recipe.warm_up) * falling + recipe.lowest_learning_rate

    def line(self, matching: float, alone: float, salience: float) -> dict[str, str]:
        """A line of the curves."""
        sharpness = self.network.log_sharpness.exp().item()
        losses = (f"{loss:.4f}" for loss in (matching, alone, salience))
        return dict(zip(_CURVES, (f"{self.step}", f"{self.seconds:.0f}", *losses, f"{sharpness:.1f}"), strict=True))

    def save(self, path: Path) -> None:
        """Write everything, whole or not at all."""
        state = {
            "what": self._what,
            "step": self.step,
            "seconds": self.seconds,
            "rng": json.dumps(self.rng.bit_generator.state),
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        unfinished = path.with_suffix(".part")
        torch.save(state, unfinished)
        unfinished.replace(path)

    def restore(self, path: Path) -> None:
        """Go on from what `save` wrote."""
        state = torch.load(path, map_location=self._device, weights_only=True)
        if state["what"] != self._what:
            raise ModelError(f"{path}: is of another training ({state['what']}); move it away to begin anew")
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = json.loads(state["rng"])
        self.step = state["step"]
        self._started = time.monotonic() - state["seconds"]


def _append_curve(path: Path, line: dict[str, str]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as handle:
        writer = csv.DictWriter(handle, _CURVES)
        if new:
            writer.writeheader()
        writer.writerow(line)
