"""The course of a training: steps, learning rate, checkpoint, curves; interrupted, it goes on where it was."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch

from retrieval.errors import TrainingError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Course", "Watcher", "claim"]

_CHECKPOINT = "checkpoint.pt"
_SAVE_EVERY = 100
_TELL_EVERY = 20
_WARM_UP = 200

_Batch = TypeVar("_Batch")


class Watcher(Protocol):
    """Is told how a training goes."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """So much of a stage (decoding, excerpts, training) is done."""

    def say(self, text: str) -> None:
        """Something worth a line."""


def claim(folder: Path, files: Sequence[Path], recipe: DataclassInstance, made: Sequence[str]) -> None:
    """Note in a folder what is trained there; what was only made ready of another training goes.

    Args:
        folder: where the training lives.
        files: that it is on, told apart by their paths, sizes and times.
        recipe: everything else.
        made: folders in it that hold what is made of the files.

    Raises:
        TrainingError: it holds a training on other files or with another recipe that has begun.
    """
    folder.mkdir(parents=True, exist_ok=True)
    states = [(str(path), state.st_size, state.st_mtime_ns) for path in files for state in [path.stat()]]
    label = folder / "training.json"
    now = {"files": hashlib.sha256(repr(states).encode("utf-8", "surrogateescape")).hexdigest(), **asdict(recipe)}
    if label.exists() and json.loads(label.read_text("utf-8")) != now:
        if (folder / _CHECKPOINT).exists():
            raise TrainingError(f"{folder}: holds a training on other recordings or with other settings; name another")
        for name in made:
            shutil.rmtree(folder / name, ignore_errors=True)
    label.write_text(json.dumps(now, indent=1) + "\n", "utf-8")


class Course:
    """A network, its optimiser, and how far they are.

    Args:
        folder: receives `checkpoint.pt` and `curves.csv` (step, seconds, and what is measured).
        network: to be trained; takes the checkpoint's parameters if there is one.
        weight_decay: of AdamW.
        learning_rate: the highest, after the warm-up; it falls to 0 along a cosine.
        steps: how many.
        measured: names of what a step gives, for the curves.
    """

    def __init__(
        self,
        folder: Path,
        network: torch.nn.Module,
        *,
        weight_decay: float,
        learning_rate: float,
        steps: int,
        measured: Sequence[str],
    ) -> None:
        self._folder = folder
        self._network = network
        self.optimiser = torch.optim.AdamW(network.parameters(), weight_decay=weight_decay)
        self._learning_rate = learning_rate
        self._steps = steps
        self._measured = measured
        self._step = 0
        self._seconds = 0.0
        self._resume()

    def run(
        self,
        batches: Callable[[int], Iterator[_Batch]],
        learn: Callable[[_Batch], Sequence[float]],
        watcher: Watcher,
    ) -> None:
        """Train to the last step.

        Args:
            batches: gives those from a step on.
            learn: takes a step with one, and gives what is measured.
            watcher: is told how far it is.
        """
        seen: list[Sequence[float]] = []
        before = time.monotonic() - self._seconds
        watcher.progress("training", self._step, self._steps)
        for batch in _ahead(batches(self._step)):
            for group in self.optimiser.param_groups:
                group["lr"] = self._rate()
            seen.append(learn(batch))
            self._step += 1
            self._seconds = time.monotonic() - before
            watcher.progress("training", self._step, self._steps)
            if self._step % _TELL_EVERY == 0 or self._step == self._steps:
                self._tell(np.mean(seen, axis=0))
                seen = []
            if self._step % _SAVE_EVERY == 0 or self._step == self._steps:
                self._save()

    def _rate(self) -> float:
        warm = min(1.0, (self._step + 1) / _WARM_UP)
        return self._learning_rate * warm * 0.5 * (1.0 + float(np.cos(np.pi * self._step / self._steps)))

    def _tell(self, means: Sequence[float]) -> None:
        path = self._folder / "curves.csv"
        new = not path.exists()
        with path.open("a", newline="") as handle:
            writer = csv.writer(handle)
            if new:
                writer.writerow(["step", "seconds", *self._measured])
            writer.writerow([self._step, f"{self._seconds:.0f}", *(f"{mean:.4f}" for mean in means)])

    def _save(self) -> None:
        state: dict[str, Any] = {
            "network": self._network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self._step,
            "seconds": self._seconds,
        }
        unfinished = self._folder / "checkpoint.part"
        torch.save(state, unfinished)
        unfinished.replace(self._folder / _CHECKPOINT)

    def _resume(self) -> None:
        path = self._folder / _CHECKPOINT
        if path.exists():
            device = next(self._network.parameters()).device
            state = torch.load(path, map_location=device, weights_only=True)
            self._network.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            self._step, self._seconds = state["step"], state["seconds"]
        elif (self._folder / "curves.csv").exists():
            (self._folder / "curves.csv").unlink()


def _ahead(batches: Iterator[_Batch]) -> Iterator[_Batch]:
    """The same batches, the next ones made by a thread while one is used."""
    made: Queue[_Batch | BaseException | None] = Queue(2)
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
