"""What a command is to write: looked at before its work, which may be long, and written before it prints anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

__all__ = ["put_text", "require_folder", "require_picture_name", "require_sound_name", "require_targets"]


def require_targets(targets: dict[str, Path | None], inputs: Sequence[str | None] = ()) -> None:
    """Refuse targets, by their options: in no folder, that are one or none, in the place of another or of what is read.

    Raises:
        typer.BadParameter: one is.
    """
    taken: dict[Path, str] = {}
    for option, target in targets.items():
        if target is None:
            continue
        if (other := taken.setdefault(target.resolve(), option)) != option:
            raise typer.BadParameter(f"{target} is that of {other}, too", param_hint=f"'{option}'")
        require_folder(option, target)
        if str(target) == "-":
            raise typer.BadParameter("'-' is no file; leave it out to write to stdout", param_hint=f"'{option}'")
        if target.is_dir():
            raise typer.BadParameter(f"{target} is a folder", param_hint=f"'{option}'")
        if target.exists() and any(name and Path(name).exists() and target.samefile(name) for name in inputs):
            raise typer.BadParameter(f"{target} is read, and would be overwritten", param_hint=f"'{option}'")


def require_folder(option: str, target: Path) -> None:
    """Refuse a target in no folder."""
    if not target.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {target.parent} to write to", param_hint=f"'{option}'")


def require_picture_name(option: str, target: Path | None) -> None:
    """Refuse a picture whose name does not end as one; raises AlignmentError where none can be drawn."""
    if target is None:
        return
    from alignment.plot import PICTURE_SUFFIXES, require_picture

    if target.suffix.lower() not in PICTURE_SUFFIXES:
        raise typer.BadParameter(f"{target} must end in {', '.join(PICTURE_SUFFIXES)}", param_hint=f"'{option}'")
    require_picture(target)


def require_sound_name(option: str, target: Path | None) -> None:
    """Refuse sound whose name does not end as a format that can be written."""
    if target is None:
        return
    from alignment.errors import AlignmentError
    from alignment.warp import sound_format

    try:
        sound_format(target)
    except AlignmentError as error:
        raise typer.BadParameter(str(error), param_hint=f"'{option}'") from error


def put_text(text: str, target: Path) -> None:
    """Write a file; raises FileError where that fails."""
    from alignment.errors import FileError

    try:
        target.write_text(text, "utf-8", errors="surrogateescape", newline="")
    except OSError as error:
        raise FileError(str(target), error.strerror or str(error)) from error
