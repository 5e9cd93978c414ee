"""`incipit train`: train a model on one's own recordings or scores."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from retrieval.cli.console import StageBars, explain, hush_decoders, warn
from retrieval.cli.options import Quiet, Verbose
from retrieval.cli.targets import require_targets

__all__ = ["app"]

app = typer.Typer(help="Train a model on your own recordings or scores (wants the train extra).", no_args_is_help=True)

_ModelFile = Annotated[Path, typer.Option("--out", "-o", metavar="FILE.onnx", help="Where the model goes.")]
_TrainingFolder = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where the training lives, to go on from; FILE.training if not given."),
]
_Seed = Annotated[int, typer.Option(help="Of all that is random.")]
_Device = Annotated[str, typer.Option(help="cpu, or cuda where there is a GPU.")]
_Jobs = Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Cores to use; all if not given.")]


@app.callback()
def _train() -> None:
    """Train a model on your own recordings or scores (wants the train extra)."""


@app.command("fingerprint")
def fingerprint(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Recordings to train on.")],
    out: _ModelFile,
    work: _TrainingFolder = None,
    noise: Annotated[str | None, typer.Option(metavar="FOLDER", help="Recorded noise to mix in.")] = None,
    excerpts: Annotated[int, typer.Option(min=64, help="Ten-second excerpts to make; half a megabyte each.")] = 4000,
    steps: Annotated[int, typer.Option(min=1, help="Batches; 5000 take an hour on two cores.")] = 5000,
    seed: _Seed = 0,
    device: _Device = "cpu",
    jobs: _Jobs = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Train the fingerprint model. Interrupt it at any time and run it again to go on.

    The curves are written to curves.csv in the training's folder as it goes. The new model is used where its file
    and its calibration replace the shipped ones.

    Example: incipit train fingerprint ~/Music --noise ~/Noise -o my.onnx
    """

    def train(training: Path, bars: StageBars, threads: int) -> None:
        from retrieval.embedding.checkpoint import save_network
        from retrieval.embedding.training import Recipe, train_fingerprint

        network = train_fingerprint(
            _files(folder),
            _files(noise) if noise else [],
            training,
            Recipe(seed=seed, excerpts=excerpts, steps=steps),
            bars,
            jobs=threads,
            device=device,
        )
        save_network(network, out)

    return _run(train, out, work, jobs, quiet)


@app.command("versions")
def versions(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="A folder of recordings for each work.")],
    out: _ModelFile,
    work: _TrainingFolder = None,
    steps: Annotated[int, typer.Option(min=1, help="Batches; 1000 take half an hour on two cores.")] = 2500,
    seed: _Seed = 0,
    device: _Device = "cpu",
    jobs: _Jobs = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Train the version model on works of which you have several recordings, beginning with the shipped model.

    The recordings of each work lie in a subfolder of their own. Each is aligned with the first of its work; those
    that do not correspond are left out. Interrupt it at any time and run it again to go on.

    Example: incipit train versions ~/Covers -o my.onnx
    """

    def train(training: Path, bars: StageBars, threads: int) -> None:
        from retrieval.embedding.checkpoint import save_version_network
        from retrieval.embedding.version_training import VersionRecipe, train_on_recordings

        recipe = VersionRecipe(seed=seed, steps=steps)
        network = train_on_recordings(_works(folder), training, recipe, bars, threads=threads, device=device)
        save_version_network(network, out)

    return _run(train, out, work, jobs, quiet)


@app.command("scores")
def scores(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Scores to train on.")],
    out: _ModelFile,
    work: _TrainingFolder = None,
    font: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.sf2", help="Sound font that FluidSynth performs them by; repeatable."),
    ] = None,
    performances: Annotated[int, typer.Option(min=1, help="Of each score; three seconds of a core each.")] = 1,
    steps: Annotated[int, typer.Option(min=1, help="Batches; 2000 take ten minutes on a core.")] = 2000,
    seed: _Seed = 0,
    device: _Device = "cpu",
    jobs: _Jobs = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Train the model that finds scores, on scores of your own, which are performed for it.

    Without a sound font the performances are tones added up from partials. Interrupt it at any time and run it again to
    go on.

    Example: incipit train scores ~/Scores --font /usr/share/sounds/sf2/TimGM6mb.sf2 -o my.onnx
    """

    def train(training: Path, bars: StageBars, threads: int) -> None:
        from retrieval.embedding.checkpoint import save_score_network
        from retrieval.embedding.score_training import ScoreRecipe, train_on_scores

        recipe = ScoreRecipe(seed=seed, performances=performances, steps=steps)
        named = _files(folder, scores=True)
        network = train_on_scores(named, training, recipe, bars, fonts=font or (), jobs=threads, device=device)
        save_score_network(network, out)

    return _run(train, out, work, jobs, quiet)


def _run(
    train: Callable[[Path, StageBars, int], None], out: Path, work: Path | None, jobs: int | None, quiet: bool
) -> int:
    """Train in the folder given, or in one beside the model; tell how it ended."""
    require_targets({"-o": out})
    hush_decoders()
    training = work or out.with_suffix(".training")
    with StageBars(quiet) as bars:
        try:
            train(training, bars, jobs or os.cpu_count() or 1)
        except ImportError as error:
            warn(f"{error.name} is not installed: pip install 'incipit-music[train]'")
            return 1
        except KeyboardInterrupt:
            warn(f"interrupted; the same command goes on from what is in {training}")
            return 130
    explain(f"{out}: written; the curves are in {training / 'curves.csv'}", quiet)
    return 0


def _works(folder: str) -> list[list[Path]]:
    """The recordings of each subfolder that holds two or more."""
    by_folder: dict[Path, list[Path]] = {}
    for path in _files(folder):
        by_folder.setdefault(path.parent, []).append(path)
    return [recordings for _, recordings in sorted(by_folder.items()) if len(recordings) > 1]


def _files(folder: str, *, scores: bool = False) -> list[Path]:
    """The recordings, or the scores, at and below a path."""
    from alignment.score import is_score
    from retrieval.discovery import discover
    from retrieval.errors import TrainingError

    found = discover([folder], ())
    for path, cause in found.absent.items():
        raise TrainingError(f"{path}: {cause}")
    files = [Path(path) for path in found.files if is_score(path) == scores]
    if not files:
        raise TrainingError(f"{folder}: holds no {'scores' if scores else 'recordings'}")
    return files
