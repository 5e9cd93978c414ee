"""Train the version network that Incipit ships, on songs that may be trained on.

    INCIPIT_DATA=DATA python scripts/train_versions.py --folder FOLDER --bed MANIFEST.csv [--families 774]
        [--steps 2500] [--jobs 2] [--device cpu] [--out FILE.onnx]

Makes families of versions of POP909 songs and of OpenScore lieder, then trains on them as `incipit train versions`
does on recordings; wants the `train` extra and the program `fluidsynth`. Stopped, it goes on where it was. Songs of
the bed that measures are left out, and so is the half of the lieder that `train_sync.trained_on` does not name.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from train_sync import lieder, planned, sound_fonts

from alignment.errors import ScoreError
from retrieval.cli.console import StageBars
from retrieval.embedding.songs import pop_song, score_song
from retrieval.embedding.version_encoder import VERSION_MODEL_PATH
from retrieval.embedding.version_families import make_family

VERSIONS = 4


def songs(data: Path, bed: Path) -> list[Path]:
    """Scores and POP909 folders that may be trained on, in a fixed order."""
    measured = {row["work"] for row in csv.DictReader(bed.open())}
    folders = sorted(path for path in (data / "pop909").iterdir() if path.is_dir() and path.name not in measured)
    return [*lieder(None), *folders]


def render(folder: Path, count: int, jobs: int, names: Sequence[Path], bars: StageBars) -> list[list[Path]]:
    """Make so many families; those in the folder already are kept. Gives the files of each song's."""
    folder.mkdir(parents=True, exist_ok=True)
    fonts, plan = sound_fonts([]), planned(names, count)
    places = [folder / f"{seed:05d}.npz" for seed in range(count)]
    missing = [(plan[seed], seed, place) for seed, place in enumerate(places) if not place.exists()]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for done, failure in enumerate(pool.map(partial(_render, fonts), missing), 1):
            bars.progress("families", done, len(missing))
            if failure:
                bars.say(f"left out: {failure}")
    families: dict[Path, list[Path]] = {}
    for name, place in zip(plan, places, strict=True):
        if place.exists():
            families.setdefault(name, []).append(place)
    return list(families.values())


def _render(fonts: Sequence[Path], what: tuple[Path, int, Path]) -> str | None:
    name, seed, place = what
    try:
        song = pop_song(name) if name.is_dir() else score_song(name)
        make_family(song, VERSIONS, np.random.default_rng([seed, 5]), fonts).save(place)
    except ScoreError as error:
        return str(error)
    return None


def main() -> None:
    """Render, train and write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the training lives")
    parser.add_argument("--bed", type=Path, required=True, help="manifest of the bed whose songs are left out")
    parser.add_argument("--families", type=int, default=774)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=VERSION_MODEL_PATH)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that render
    names = songs(Path(os.environ["INCIPIT_DATA"]), arguments.bed)
    with StageBars(quiet=False) as bars:
        works = render(arguments.folder / "families", arguments.families, arguments.jobs, names, bars)

        # Not on top: the processes that render import this file too, and need no torch.
        from retrieval.embedding.checkpoint import save_version_network
        from retrieval.embedding.version_training import VersionRecipe, train_versions

        recipe = VersionRecipe(steps=arguments.steps)
        threads, device = arguments.jobs, arguments.device
        network = train_versions(works, arguments.folder, recipe, bars, threads=threads, device=device)
    save_version_network(network, arguments.out)


if __name__ == "__main__":
    main()
