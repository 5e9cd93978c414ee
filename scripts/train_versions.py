"""Train the version network that Incipit ships, on songs that may be trained on.

    INCIPIT_DATA=DATA python scripts/train_versions.py --folder FOLDER [--bed MANIFEST.csv] [--families 1500]
        [--steps 3000] [--jobs 2] [--device cpu] [--out FILE.onnx]

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
from retrieval.embedding.songs import pop_song, score_song
from retrieval.embedding.version_families import make_family

VERSIONS = 4


def songs(data: Path, bed: Path | None) -> list[Path]:
    """Scores and POP909 folders that may be trained on, in a fixed order."""
    measured = {row["work"] for row in csv.DictReader(bed.open())} if bed else set()
    folders = sorted(path for path in (data / "pop909").iterdir() if path.is_dir() and path.name not in measured)
    return [*lieder(None), *folders]


def render(folder: Path, count: int, jobs: int, names: Sequence[Path]) -> list[Path]:
    """Make so many families; those in the folder already are kept. Gives the files of all that could be made."""
    folder.mkdir(parents=True, exist_ok=True)
    fonts, plan = sound_fonts([]), planned(names, count)
    places = [folder / f"{seed:05d}.npz" for seed in range(count)]
    missing = [(plan[seed], seed, place) for seed, place in enumerate(places) if not place.exists()]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for done, failure in enumerate(pool.map(partial(_render, fonts), missing), 1):
            if failure:
                print(f"left out: {failure}")
            if done % 25 == 0:
                print(f"{done} of {len(missing)} families", flush=True)
    return [place for place in places if place.exists()]


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
    parser.add_argument("--bed", type=Path, help="manifest of the bed whose songs are left out")
    parser.add_argument("--families", type=int, default=1500)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    data = Path(os.environ["INCIPIT_DATA"])
    names = songs(data, arguments.bed)
    render(arguments.folder / "families", arguments.families, arguments.jobs, names)


if __name__ == "__main__":
    main()
