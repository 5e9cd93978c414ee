"""The folders of the server's machine from which clients may name files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from retrieval.web.problems import Problem

__all__ = ["Roots"]


class Roots:
    """Some folders; what lies elsewhere is not told to be there or not.

    Args:
        folders: that are there.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self.folders = tuple(folder.resolve() for folder in folders)

    def resolve(self, name: str) -> Path:
        """The file or folder of an absolute path, links followed.

        Raises:
            Problem: it lies in none of the folders, or is not there.
        """
        try:
            path = Path(name)
            found = path.resolve() if path.is_absolute() else None
        except (OSError, ValueError, RuntimeError):  # too long, with a null, or links in a circle
            found = None
        if found is None or not any(found.is_relative_to(folder) for folder in self.folders):
            raise Problem(403, "path-not-allowed", "the path is not below a folder that the server was given as --root")
        if not _exists(found):
            raise Problem(404, "no-such-file", "there is no such file or folder")
        return found


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # its name is too long, or its folder is another user's
        return False
