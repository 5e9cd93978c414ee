"""Which files below the given paths are recordings or scores."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alignment.audio import AUDIO_SUFFIXES
from alignment.score import SCORE_SUFFIXES, begins_like_score

__all__ = ["Discovered", "discover"]

_SUFFIXES = AUDIO_SUFFIXES | SCORE_SUFFIXES


@dataclass
class Discovered:
    """What lies below the given paths.

    Attributes:
        files: absolute paths to try, without doubles, in the order found.
        absent: given paths that do not exist or cannot be read, with the cause.
        roots: folders that were walked completely, and files that were named.
        skipped: how many files below folders are of no known kind, hidden, or excluded.
    """

    files: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    roots: list[str] = field(default_factory=list)
    skipped: int = 0


def discover(paths: Iterable[str], exclude: Iterable[str] = (), inside: Sequence[Path] = ()) -> Discovered:
    """Walk folders for files with a known ending; take files that are named outright as they are.

    Hidden files and folders are passed over, links to folders followed once.

    Args:
        paths: files and folders.
        exclude: glob patterns matched against the name and the path of what is passed over.
        inside: folders, links resolved; below a walked folder, links that lead out of all of these are passed over.
    """
    found = Discovered()
    patterns = tuple(exclude)
    seen: set[str] = set()
    for given in paths:
        path = os.path.abspath(given)
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            found.absent[given] = "no such file or folder"
            continue
        except OSError as error:
            found.absent[given] = error.strerror or "cannot be read"
            continue
        found.roots.append(path)
        is_folder = os.path.isdir(path)  # noqa: PTH112 - that of Path raises where it cannot be told
        candidates: Iterable[str] = _walk(path, patterns, tuple(inside), found) if is_folder else [path]
        for candidate in candidates:
            if candidate not in seen:
                seen.add(candidate)
                found.files.append(candidate)
    return found


def is_gone(path: str) -> bool:
    """Whether nothing lies there any more; not where that cannot be told, as in a folder that may not be read."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _walk(root: str, patterns: tuple[str, ...], inside: tuple[Path, ...], found: Discovered) -> Iterator[str]:
    visited: set[tuple[int, int]] = set()

    def unreadable(error: OSError) -> None:
        found.absent[str(error.filename)] = error.strerror or "cannot be read"

    for folder, folders, names in os.walk(root, onerror=unreadable, followlinks=True):
        state = Path(folder).stat()
        if (state.st_dev, state.st_ino) in visited:
            folders.clear()
            continue
        visited.add((state.st_dev, state.st_ino))
        folders[:] = sorted(
            name
            for name in folders
            if _wanted(name, folder, patterns) and not _leads_up(name, folder) and _stays(name, folder, inside)
        )
        for name in sorted(names):
            path = Path(folder, name)
            if _is_known(path) and _wanted(name, folder, patterns) and _stays(name, folder, inside):
                yield str(path)
            else:
                found.skipped += 1


def _is_known(path: Path) -> bool:
    """Whether it ends like a recording or a score; of XML files it is scores that begin like one."""
    suffix = path.suffix.lower()
    return begins_like_score(path) if suffix == ".xml" else suffix in _SUFFIXES


def _wanted(name: str, folder: str, patterns: tuple[str, ...]) -> bool:
    """Whether a file or folder is neither hidden nor excluded, by its name or by its path."""
    path = str(Path(folder, name))
    excluded = any(fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(path, pattern) for pattern in patterns)
    return not name.startswith(".") and not excluded


def _leads_up(name: str, folder: str) -> bool:
    """Whether a folder is a link to one that it lies in."""
    path = Path(folder, name)
    return path.is_symlink() and Path(folder).resolve().is_relative_to(path.resolve())


def _stays(name: str, folder: str, inside: tuple[Path, ...]) -> bool:
    """Whether a file or folder is no link, or lies in one of some folders; anywhere if there are none."""
    path = Path(folder, name)
    if not inside or not path.is_symlink():
        return True
    try:
        target = path.resolve()
    except (OSError, RuntimeError):  # links in a circle
        return False
    return any(target.is_relative_to(folder) for folder in inside)
