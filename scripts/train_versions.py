"""Train the version network that Incipit ships, on songs that may be trained on.

    INCIPIT_DATA=DATA python scripts/train_versions.py --folder FOLDER [--families 775 500] [--steps 1500 3500 8000]
        [--jobs 2] [--device cpu] [--out FILE.onnx]

Makes families of versions of POP909 songs and of OpenScore lieder, first those whose versions are near and far, then
those whose are mostly far; then trains on the first, and on from there on all of them, twice, as `incipit train
versions` does on recordings; wants the `train` extra and the program `fluidsynth`. Stopped, it goes on where it was.
Left out are the songs of POP909 that may be in the bed that measures (`MEASURED`), and the half of the lieder that
`train_sync.trained_on` does not name.
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
from train_sync import lieder, planned, sound_fonts

from alignment.errors import ScoreError
from retrieval.cli.console import StageBars
from retrieval.embedding.songs import pop_song, score_song
from retrieval.embedding.version_encoder import VERSION_MODEL_PATH
from retrieval.embedding.version_families import MOSTLY_FAR, NEAR_AND_FAR, make_family

VERSIONS = 4
MEASURED = 300
"""Songs that are left out: those that the bed, its seed 909, takes first, for 150 works and 150 distractors."""


def songs(data: Path) -> list[Path]:
    """Scores and POP909 folders that may be trained on, in a fixed order."""
    return [*lieder(None), *sorted(_shuffled(data)[MEASURED:])]


def left_out_songs(data: Path) -> list[Path]:
    """POP909 folders that may not, in the order in which the bed takes them."""
    return _shuffled(data)[:MEASURED]


def _shuffled(data: Path) -> list[Path]:
    folders = sorted(path for path in (data / "pop909").iterdir() if path.is_dir())
    return [folders[number] for number in np.random.default_rng(909).permutation(len(folders))]


def render(folder: Path, counts: Sequence[int], jobs: int, names: Sequence[Path], bars: StageBars) -> list[Path | None]:
    """Make families near and far, and mostly far, so many of each; those in the folder already are kept.

    Gives the file of each, None where its song cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fonts, plan = sound_fonts([]), planned(names, sum(counts))
    chances = [NEAR_AND_FAR] * counts[0] + [MOSTLY_FAR] * counts[1]
    places = [folder / f"{seed:05d}.npz" for seed in range(len(plan))]
    missing = [(plan[seed], seed, chances[seed], place) for seed, place in enumerate(places) if not place.exists()]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for done, failure in enumerate(pool.map(partial(_render, fonts), missing), 1):
            bars.progress("families", done, len(missing))
            if failure:
                bars.say(f"left out: {failure}")
    return [place if place.exists() else None for place in places]


def by_song(names: Sequence[Path], places: Sequence[Path | None]) -> list[list[Path]]:
    """The files of the families of each song."""
    families: dict[Path, list[Path]] = {}
    for name, place in zip(planned(names, len(places)), places, strict=True):
        if place:
            families.setdefault(name, []).append(place)
    return list(families.values())


def _render(fonts: Sequence[Path], what: tuple[Path, int, Sequence[float], Path]) -> str | None:
    name, seed, chances, place = what
    try:
        song = pop_song(name) if name.is_dir() else score_song(name)
        make_family(song, VERSIONS, np.random.default_rng([seed, 5]), fonts, chances=chances).save(place)
    except ScoreError as error:
        return str(error)
    return None


def main() -> None:
    """Render, train and write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the training lives")
    parser.add_argument("--families", type=int, nargs=2, default=(775, 500), help="near and far, mostly far")
    parser.add_argument("--steps", type=int, nargs=3, default=(1500, 3500, 8000), help="on the first, then on all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=VERSION_MODEL_PATH)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that render
    names = songs(Path(os.environ["INCIPIT_DATA"]))
    with StageBars(quiet=False) as bars:
        places = render(arguments.folder / "families", arguments.families, arguments.jobs, names, bars)

        # Not on top: the processes that render import this file too, and need no torch.
        from retrieval.embedding.checkpoint import save_version_network
        from retrieval.embedding.version_training import VersionRecipe, train_versions

        start, threads, device = None, arguments.jobs, arguments.device
        for seed, steps in enumerate(arguments.steps):
            known = len(places) if seed else arguments.families[0]
            folder, recipe = arguments.folder / f"stage{seed + 1}", VersionRecipe(seed=seed, steps=steps)
            folder.mkdir(exist_ok=True)
            works = by_song(names, places[:known])
            network = train_versions(works, folder, recipe, bars, threads=threads, device=device, start=start)
            start = folder / "versions.onnx"
            save_version_network(network, start)
    save_version_network(network, arguments.out)


if __name__ == "__main__":
    main()
