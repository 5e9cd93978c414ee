"""`incipit train`: train a model on one's own recordings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from retrieval.cli.console import StageBars, explain, hush_decoders, warn
from retrieval.cli.options import Quiet

__all__ = ["app"]

app = typer.Typer(help="Train a model on your own recordings (wants the train extra).", no_args_is_help=True)


@app.callback()
def _train() -> None:
    """Train a model on your own recordings (wants the train extra)."""


@app.command("fingerprint")
def fingerprint(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Recordings to train on.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.onnx", help="Where the model goes.")],
    work: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the training lives, to go on from; FILE.training if not given."),
    ] = None,
    noise: Annotated[str | None, typer.Option(metavar="FOLDER", help="Recorded noise to mix in.")] = None,
    excerpts: Annotated[int, typer.Option(min=64, help="Ten-second excerpts to make; half a megabyte each.")] = 4000,
    steps: Annotated[int, typer.Option(min=1, help="Batches; 5000 take an hour on two cores.")] = 5000,
    seed: Annotated[int, typer.Option(help="Of all that is random.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, or cuda where there is a GPU.")] = "cpu",
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Cores to use; all if not given.")] = None,
    quiet: Quiet = False,
) -> int:
    """Train the fingerprint model. Interrupt it at any time and run it again to go on.

    The curves are written to curves.csv in the training's folder as it goes. The new model is used where its file
    and its calibration replace the shipped ones.

    Example: incipit train fingerprint ~/Music --noise ~/Noise -o my.onnx
    """
    hush_decoders()
    try:
        from retrieval.embedding.checkpoint import save_network
        from retrieval.embedding.training import Recipe, train_fingerprint
    except ImportError as error:
        warn(f"{error.name} is not installed: pip install 'incipit-music[train]'")
        return 1
    folder_of_training = work or out.with_suffix(".training")
    with StageBars(quiet) as bars:
        try:
            network = train_fingerprint(
                _files(folder),
                _files(noise) if noise else [],
                folder_of_training,
                Recipe(seed=seed, excerpts=excerpts, steps=steps),
                bars,
                jobs=jobs or os.cpu_count() or 1,
                device=device,
            )
        except KeyboardInterrupt:
            warn(f"interrupted; the same command goes on from what is in {folder_of_training}")
            return 130
    save_network(network, out)
    explain(f"{out}: written; the curves are in {folder_of_training / 'curves.csv'}", quiet)
    return 0


@app.command("versions")
def versions(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="A folder of recordings for each work.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.onnx", help="Where the model goes.")],
    work: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the training lives, to go on from; FILE.training if not given."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Batches; 1000 take half an hour on two cores.")] = 2500,
    seed: Annotated[int, typer.Option(help="Of all that is random.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, or cuda where there is a GPU.")] = "cpu",
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="Cores to use; all if not given.")] = None,
    quiet: Quiet = False,
) -> int:
    """Train the version model on works of which you have several recordings, beginning with the shipped model.

    The recordings of each work lie in a subfolder of their own. Each is aligned with the first of its work; those
    that do not correspond are left out. Interrupt it at any time and run it again to go on.

    Example: incipit train versions ~/Covers -o my.onnx
    """
    hush_decoders()
    try:
        from retrieval.embedding.checkpoint import save_version_network
        from retrieval.embedding.version_training import VersionRecipe, train_on_recordings
    except ImportError as error:
        warn(f"{error.name} is not installed: pip install 'incipit-music[train]'")
        return 1
    folder_of_training = work or out.with_suffix(".training")
    with StageBars(quiet) as bars:
        try:
            network = train_on_recordings(
                _works(folder),
                folder_of_training,
                VersionRecipe(seed=seed, steps=steps),
                bars,
                threads=jobs or os.cpu_count() or 1,
                device=device,
            )
        except KeyboardInterrupt:
            warn(f"interrupted; the same command goes on from what is in {folder_of_training}")
            return 130
    save_version_network(network, out)
    explain(f"{out}: written; the curves are in {folder_of_training / 'curves.csv'}", quiet)
    return 0


def _works(folder: str) -> list[list[Path]]:
    """The recordings of each subfolder that holds two or more."""
    by_folder: dict[Path, list[Path]] = {}
    for path in _files(folder):
        by_folder.setdefault(path.parent, []).append(path)
    return [recordings for _, recordings in sorted(by_folder.items()) if len(recordings) > 1]


def _files(folder: str) -> list[Path]:
    from retrieval.discovery import discover
    from retrieval.errors import TrainingError

    found = discover([folder], ())
    for path, cause in found.absent.items():
        raise TrainingError(f"{path}: {cause}")
    return [Path(path) for path in found.files]
