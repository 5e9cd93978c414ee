"""Train the synchroniser's encoder that Incipit ships, on scores that may be trained on.

    python scripts/train_sync.py --cache FOLDER [--lieder FOLDER] [--font FILE.sf2]... [--scenes 800] [--jobs 2]
        [--steps 6500] [--device cpu] [--curves FILE.csv] [--out FILE.safetensors]

Renders scenes of the OpenScore lieder into the cache folder, then trains on them; wants the `train` extra and
the program `fluidsynth`. Stopped, it goes on where it was: scenes that are in the folder are not rendered again,
and `checkpoint.pt` beside them holds the training. Only the half of the lieder that `trained_on` names is
rendered; the other is left out.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from hashlib import sha1
from pathlib import Path

import numpy as np
from rich.progress import Progress

from alignment.errors import ScoreError
from alignment.features import encoder
from retrieval.embedding.fluidsynth import RenderError
from retrieval.embedding.scenes import Scene, make_scene

FONT_FOLDER = Path("/usr/share/sounds/sf2")
FONT_NAMES = ("TimGM6mb.sf2", "OPL-3_FM_128M.sf2")
"""Sound fonts for training. The family of FluidR3 is not among them: it is kept for measuring."""

MODEL_PATH = Path(encoder.__file__).parent / "models" / "sync.safetensors"


def trained_on(scores: Iterable[Path]) -> list[Path]:
    """The half of the scores that may be trained on, by a hash of the file's name, in a fixed order."""
    chosen = [path for path in scores if int(sha1(path.name.encode()).hexdigest(), 16) % 100 < 50]
    return sorted(chosen, key=lambda path: path.as_posix())


def held_out_lieder() -> list[Path]:
    """The lieder of `INCIPIT_DATA` that are left out, in a fixed order."""
    scores = list((Path(os.environ["INCIPIT_DATA"]) / "lieder").rglob("*.mxl"))
    return sorted(set(scores) - set(trained_on(scores)))


def planned(scores: Sequence[Path], count: int) -> list[Path]:
    """The score of each scene: all of them in a random order, then all again in another."""
    rng = np.random.default_rng(0)
    rounds = [rng.permutation(len(scores)) for _ in range(1 + count // len(scores))]
    return [scores[number] for number in np.concatenate(rounds)[:count]]


def render(plan: Sequence[Path], fonts: Sequence[Path], cache: Path, jobs: int) -> list[Path]:
    """Render the scenes that the cache lacks; gives the files of all that could be made."""
    places = [cache / f"{seed:05d}.npz" for seed in range(len(plan))]
    missing = [seed for seed, place in enumerate(places) if not place.exists()]
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
    try:
        with Progress() as progress:
            bar = progress.add_task("scenes", total=len(plan), completed=len(plan) - len(missing))
            tasks = [pool.submit(_render, plan[seed], seed, fonts, places[seed]) for seed in missing]
            for task in as_completed(tasks):
                if failure := task.result():
                    progress.console.print(f"left out: {failure}", markup=False)
                progress.advance(bar)
    finally:
        pool.shutdown(cancel_futures=True)
    return [place for place in places if place.exists()]


def _render(score: Path, seed: int, fonts: Sequence[Path], place: Path) -> str | None:
    """Render a scene; gives why it could not be made of this score."""
    try:
        make_scene(score, seed, fonts).save(place)
    except ScoreError as error:
        return str(error)
    return None


def claim(cache: Path, scores: Sequence[Path], fonts: Sequence[Path]) -> None:
    """Make the cache folder, or end the program if it holds scenes of other scores or fonts."""
    cache.mkdir(parents=True, exist_ok=True)
    names = "\n".join(path.name for path in scores)
    made_of = {"fonts": [font.name for font in fonts], "scores": sha1(names.encode()).hexdigest()}
    label = cache / "made_of.json"
    if label.exists() and json.loads(label.read_text()) != made_of:
        raise SystemExit(f"{cache}: holds scenes of other scores or sound fonts. Name another folder by --cache.")
    label.write_text(json.dumps(made_of))


def sound_fonts(named: Sequence[Path]) -> list[Path]:
    """The fonts named, else those of `FONT_NAMES`; ends the program if one is missing."""
    fonts = list(named) or [FONT_FOLDER / name for name in FONT_NAMES]
    for font in fonts:
        if not font.is_file():
            raise SystemExit(f"{font}: no such sound font. Debian: timgm6mb-soundfont, opl3-soundfont; or --font.")
    return fonts


def lieder(folder: Path | None) -> list[Path]:
    """Scores that may be trained on, in the folder named, else in that of `INCIPIT_DATA`."""
    if folder is None:
        folder = Path(os.environ.get("INCIPIT_DATA", ".")) / "lieder"
    scores = trained_on(folder.rglob("*.mxl"))
    if not scores:
        raise SystemExit(f"{folder}: holds no lieder (.mxl). Name the folder by --lieder or set INCIPIT_DATA.")
    return scores


def main() -> None:
    """Render, train and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--lieder", type=Path)
    parser.add_argument("--font", type=Path, action="append", default=[])
    parser.add_argument("--scenes", type=int, default=800)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--steps", type=int, default=6500)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--curves", type=Path)
    parser.add_argument("--out", type=Path, default=MODEL_PATH)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that render
    scores, fonts = lieder(arguments.lieder), sound_fonts(arguments.font)
    claim(arguments.cache, scores, fonts)
    try:
        files = render(planned(scores, arguments.scenes), fonts, arguments.cache, arguments.jobs)
    except RenderError as error:
        raise SystemExit(str(error)) from None

    # Not on top: the processes that render import this file too, and need no torch.
    import torch

    from retrieval.embedding.sync_training import SyncRecipe, save_sync, train_sync

    torch.set_num_threads(os.cpu_count() or 1)
    network = train_sync(
        map(Scene.load, files),
        SyncRecipe(steps=arguments.steps),
        arguments.device,
        arguments.curves,
        arguments.cache / "checkpoint.pt",
        partial(print, flush=True),
    )
    save_sync(network, arguments.out)


if __name__ == "__main__":
    main()
