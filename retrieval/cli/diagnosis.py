"""`incipit doctor`: what is installed, and whether the library is sound."""

from __future__ import annotations

import platform
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.cli.console import json_line, library_folder, line
from retrieval.cli.options import Json, LibraryFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from index.runs import Model

__all__ = ["doctor"]

_FAISS_DISTRIBUTIONS = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cu11", "faiss-gpu-cu12")


def doctor(library: LibraryFolder = None, json: Json = False) -> int:
    """Tell what is installed, what it can do, and whether the library is sound.

    Example: incipit doctor
    """
    from index.errors import LibraryError
    from retrieval.encoders import Encoders

    models = Encoders().models
    document: dict[str, Any] = {
        "incipit": metadata.version("incipit-music"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": metadata.version("numpy"),
        "decoders": _decoders(),
        **_search(),
        "models": [f"{model.name} {model.hash[:12]}" for model in models],
    }
    folder = library_folder(library)
    problems: list[str] = document.pop("problems")
    document["library"] = str(folder.absolute())
    if (folder / "library.sqlite").is_file():
        try:
            state, damage = _library(folder, models)
            document |= state
            problems += damage
        except LibraryError as error:
            problems.append(str(error))
    else:
        document["recordings"] = None
    document["problems"] = problems
    if json:
        json_line(document)
    else:
        for name, value in document.items():
            line(name.replace("_", " "), _cell(value))
    return 1 if problems else 0


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "-" if value is None else str(value)


def _decoders() -> list[str]:
    import soundfile

    found = [f"libsndfile {soundfile.__libsndfile_version__}"]
    if find_spec("av") is not None:
        found.append(f"PyAV {metadata.version('av')}")
    return found


def _search() -> dict[str, Any]:
    """The FAISS distributions, their GPUs, and what is wrong with them."""
    from index.faiss_store import faiss_is_installed, gpu_count

    present = []
    for name in _FAISS_DISTRIBUTIONS:
        try:
            present.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    problems = []
    if len(present) > 1:
        problems.append(f"several FAISS distributions share one folder and break each other: {', '.join(present)}")
    if present and not faiss_is_installed():
        problems.append("faiss is installed but cannot be used; keep one of its distributions and reinstall it")
    usable = faiss_is_installed()
    return {
        "faiss": present,
        "store": "FAISS" if usable else "NumPy, exact (FAISS is not installed: pip install 'incipit-music[cpu]')",
        "gpus": gpu_count() if usable else 0,
        "problems": problems,
    }


def _library(folder: Path, models: Sequence[Model]) -> tuple[dict[str, Any], list[str]]:
    from index.errors import ModelMissing
    from index.library import Library
    from retrieval.analysis import KEPT

    with Library(folder) as opened:
        files = opened.files().values()
        try:
            vectors = int(opened.runs(models[0]).count.sum())
        except ModelMissing:
            vectors = 0
        state = {
            "recordings": opened.count("recording"),
            "scores": opened.count("score"),
            "files": len(files),
            "missing": sum(file.missing for file in files),
            "failed": len(opened.failures()),
            "pending": opened.count_pending((*models, *KEPT)),
            "vectors": vectors,
            "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        }
        return state, opened.damage()
