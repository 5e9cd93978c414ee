"""Train the fingerprint network that Incipit ships, on recordings and scores that may be trained on.

    INCIPIT_DATA=DATA python scripts/train.py --folder FOLDER [--renders 200] [--excerpts 4000] [--steps 5000]
        [--jobs 2] [--device cpu] [--out FILE.onnx]

Renders passages of the OpenScore lieder, names them and the recordings, and trains on them as `incipit train
fingerprint` does; wants the `train` extra and the program `fluidsynth`. Stopped, it goes on where it was. The
recordings of the sources in HELD_OUT are not trained on: `scripts/calibrate.py` sets the score's scale with them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from train_sync import lieder, planned, sound_fonts

from alignment.audio import ANALYSIS_RATE
from alignment.errors import ScoreError
from retrieval.cli.console import StageBars
from retrieval.embedding.additive import additive_sound
from retrieval.embedding.encoder import MODEL_PATH
from retrieval.embedding.fluidsynth import fluidsynth_sound
from retrieval.embedding.notes import played, score_notes, timed_excerpt

HELD_OUT = ("gcompris-gtk", "opensurge", "tbftss", "valyriatear")
"""Sources of `recordings/train` (the part of a file name before `__`) that calibrate instead of training."""

_RENDERED_SECONDS = 60.0


def sources(folder: Path, held_out: bool) -> list[Path]:
    """The files of a folder whose source is, or is not, held out, in a fixed order."""
    return sorted(path for path in folder.iterdir() if (path.name.split("__")[0] in HELD_OUT) == held_out)


def render(folder: Path, count: int, jobs: int, scores: Sequence[Path]) -> list[Path]:
    """Render so many passages of some scores; what is in the folder already is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    fonts, plan = sound_fonts([]), planned(scores, count)
    places = [folder / f"{seed:05d}.flac" for seed in range(count)]
    missing = [(plan[seed], seed, place) for seed, place in enumerate(places) if not place.exists()]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(partial(_render, fonts), missing))
    return [place for place in places if place.exists()]


def _render(fonts: Sequence[Path], what: tuple[Path, int, Path]) -> None:
    score, seed, place = what
    rng = np.random.default_rng(seed)
    try:
        notes = played(timed_excerpt(score_notes(score), rng, _RENDERED_SECONDS), rng)
    except ScoreError:
        return
    if len(notes) < 60:
        return
    sound = additive_sound(notes, rng)[0] if rng.random() < 0.15 else fluidsynth_sound(notes, rng, fonts)[0]
    unfinished = place.with_suffix(".part")
    soundfile.write(unfinished, 0.5 * sound / (np.abs(sound).max() + 1e-9), ANALYSIS_RATE, format="FLAC")
    unfinished.replace(place)


def main() -> None:
    """Render, train and write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the training lives")
    parser.add_argument("--renders", type=int, default=200)
    parser.add_argument("--excerpts", type=int, default=4000)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=MODEL_PATH)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that render and degrade
    data = Path(os.environ["INCIPIT_DATA"])
    rendered = render(arguments.folder / "renders", arguments.renders, arguments.jobs, lieder(None))

    # Not on top: the processes that render import this file too, and need no torch.
    from retrieval.embedding.checkpoint import save_network
    from retrieval.embedding.training import Recipe, train_fingerprint

    with StageBars(quiet=False) as bars:
        network = train_fingerprint(
            [*sources(data / "recordings" / "train", held_out=False), *rendered],
            sorted((data / "noise" / "train").iterdir()),
            arguments.folder,
            Recipe(excerpts=arguments.excerpts, steps=arguments.steps),
            bars,
            jobs=arguments.jobs,
            device=arguments.device,
        )
    save_network(network, arguments.out)


if __name__ == "__main__":
    main()
