"""Train the fingerprint network that Incipit ships, on recordings that may be trained on.

    INCIPIT_DATA=DATA python scripts/train.py [--out FILE.onnx] [--steps 1850] [--device cpu]

Names the data and calls `retrieval.embedding.training.train_fingerprint`; wants the `train` extra. The
recordings of the sources in HELD_OUT are not trained on: `scripts/calibrate.py` sets the score's scale
with them.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from alignment.audio import read_audio
from retrieval.embedding.checkpoint import save_network
from retrieval.embedding.encoder import MODEL_PATH
from retrieval.embedding.training import Recipe, train_fingerprint

HELD_OUT = ("gcompris-gtk", "opensurge", "tbftss", "valyriatear")
"""Sources of `recordings/train` (the part of a file name before `__`) that calibrate instead of training."""


def sources(folder: Path, held_out: bool) -> list[Path]:
    """The files of a folder whose source is, or is not, held out, in a fixed order."""
    return sorted(path for path in folder.iterdir() if (path.name.split("__")[0] in HELD_OUT) == held_out)


def main() -> None:
    """Train and write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=MODEL_PATH)
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--curves", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    data = Path(os.environ["INCIPIT_DATA"])

    def read(paths: list[Path]) -> list[NDArray[np.float32]]:
        return [read_audio(path).samples for path in paths]

    network = train_fingerprint(
        read(sources(data / "recordings" / "train", held_out=False)),
        read(sorted((data / "noise" / "train").iterdir())),
        Recipe(steps=arguments.steps),
        arguments.device,
        arguments.curves,
        lambda line: print(line, flush=True),
    )
    save_network(network, arguments.out)


if __name__ == "__main__":
    main()
