"""Train the version network that Incipit ships, on songs that may be trained on.

    INCIPIT_DATA=DATA python scripts/train_versions.py --folder FOLDER [--jobs 2] [--device cpu] [--out FILE.onnx]

Makes families of versions of POP909 songs and of OpenScore lieder and trains on them in stages (`STAGES`), as `incipit
train versions` does on recordings; wants the `train` extra and the program `fluidsynth`. Stopped, it goes on where it
was. Left out are the songs of POP909 that may be in the bed that measures (`MEASURED`), and the lieder that calibrate
(`KEPT_LIEDER`).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from train_sync import held_out_lieder, lieder, planned, sound_fonts

from alignment.errors import ScoreError
from retrieval.cli.console import StageBars
from retrieval.embedding.songs import pop_song, score_song
from retrieval.embedding.version_encoder import VERSION_MODEL_PATH
from retrieval.embedding.version_families import MOSTLY_FAR, NEAR_AND_FAR, SOME_DROWNED, make_family

VERSIONS = 4
MEASURED = 300
"""Songs that are left out: those that the bed, its seed 909, takes first, for 150 works and 150 distractors."""

KEPT_LIEDER = 120
"""Lieder that are left out, of those that `train_sync.py` does not train on; with the first `calibrate_versions.py`
calibrates."""

_NEAR_AND_FAR, _MOSTLY_FAR, _SOME_DROWNED = 775, 500, 700
"""How many families of each of these kinds."""


class FamilyPlan(NamedTuple):
    """A family to be made: of which song, from which seed, and how often its versions are how far."""

    song: Path
    seed: int
    chances: Sequence[float]


class Stage(NamedTuple):
    """Batches on some kinds of families, and what of the weights begun with is kept."""

    kinds: tuple[str, ...]
    steps: int
    learning_rate: float = 2e-3
    kept: float = 0.0


STAGES = (
    Stage(("near and far",), 1500),
    Stage(("near and far", "mostly far"), 3500),
    Stage(("near and far", "mostly far"), 8000),
    Stage(("further lieder", "some drowned", "mostly far"), 4000, 1.5e-3, 0.6),
)


def songs(data: Path) -> list[Path]:
    """Scores and POP909 folders that may be trained on, in a fixed order."""
    return [*lieder(None), *sorted(_shuffled(data)[MEASURED:])]


def order_of_held_out_lieder() -> list[Path]:
    """The lieder that `train_sync.py` does not train on, those first that are left out here."""
    scores = held_out_lieder()
    return [scores[number] for number in np.random.default_rng(99).permutation(len(scores))]


def left_out_songs(data: Path) -> list[Path]:
    """POP909 folders that may not, in the order in which the bed takes them."""
    return _shuffled(data)[:MEASURED]


def _shuffled(data: Path) -> list[Path]:
    folders = sorted(path for path in (data / "pop909").iterdir() if path.is_dir())
    return [folders[number] for number in np.random.default_rng(909).permutation(len(folders))]


def all_families(data: Path) -> dict[str, list[FamilyPlan]]:
    """The families of each kind, a seed each; those near and far and those mostly far are of one round of songs."""
    first, further = songs(data), sorted(order_of_held_out_lieder()[KEPT_LIEDER:])
    in_turn = planned(first, _NEAR_AND_FAR + _MOSTLY_FAR)

    def numbered(songs: Sequence[Path], seed: int, chances: Sequence[float]) -> list[FamilyPlan]:
        return [FamilyPlan(song, number, chances) for number, song in enumerate(songs, seed)]

    return {
        "near and far": numbered(in_turn[:_NEAR_AND_FAR], 0, NEAR_AND_FAR),
        "mostly far": numbered(in_turn[_NEAR_AND_FAR:], _NEAR_AND_FAR, MOSTLY_FAR),
        "some drowned": numbered(planned([*first, *further], _SOME_DROWNED), 10_000, SOME_DROWNED),
        "further lieder": numbered(planned(further, len(further)), 20_000, NEAR_AND_FAR),
    }


def render(folder: Path, families: Sequence[FamilyPlan], jobs: int, bars: StageBars) -> None:
    """Make families but those that the folder holds."""
    folder.mkdir(parents=True, exist_ok=True)
    fonts = sound_fonts([])
    missing = [(family, place) for family in families if not (place := place_of(folder, family)).exists()]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for done, failure in enumerate(pool.map(partial(_render, fonts), missing), 1):
            bars.progress("families", done, len(missing))
            if failure:
                bars.say(f"left out: {failure}")


def place_of(folder: Path, family: FamilyPlan) -> Path:
    """The file of a family."""
    return folder / f"{family.seed:05d}.npz"


def by_song(folder: Path, families: Sequence[FamilyPlan]) -> list[list[Path]]:
    """The files of the families of each song, but of those that could not be made."""
    places: dict[Path, list[Path]] = {}
    for family in families:
        if (place := place_of(folder, family)).exists():
            places.setdefault(family.song, []).append(place)
    return list(places.values())


def _render(fonts: Sequence[Path], what: tuple[FamilyPlan, Path]) -> str | None:
    """Make a family; gives why its song cannot be read, if it cannot."""
    (name, seed, chances), place = what
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
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=VERSION_MODEL_PATH)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that render
    families, folder = all_families(Path(os.environ["INCIPIT_DATA"])), arguments.folder / "families"
    with StageBars(quiet=False) as bars:
        render(folder, [family for some in families.values() for family in some], arguments.jobs, bars)

        # Not on top: the processes that render import this file too, and need no torch.
        from retrieval.embedding.checkpoint import save_version_network
        from retrieval.embedding.version_training import VersionRecipe, train_versions

        start = None
        for seed, stage in enumerate(STAGES):
            place = arguments.folder / f"stage{seed + 1}"
            place.mkdir(exist_ok=True)
            recipe = VersionRecipe(seed=seed, steps=stage.steps, learning_rate=stage.learning_rate)
            works = by_song(folder, [family for kind in stage.kinds for family in families[kind]])
            network = train_versions(
                works,
                place,
                recipe,
                bars,
                threads=arguments.jobs,
                device=arguments.device,
                start=start,
                kept=stage.kept,
            )
            start = place / "versions.onnx"
            save_version_network(network, start)
    save_version_network(network, arguments.out)


if __name__ == "__main__":
    main()
