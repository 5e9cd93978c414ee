"""What the command line prints: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = [
    "ProgressBar",
    "StageBars",
    "absolute",
    "clock",
    "explain",
    "hush_decoders",
    "json_line",
    "library_folder",
    "line",
    "printable",
    "tell_all",
    "warn",
    "working",
]


def printable(text: str) -> str:
    """Text on one line: control characters and bytes that are not UTF-8 are escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in text
    )


def line(*cells: str) -> None:
    """Print one line of tab-separated cells to stdout."""
    print("\t".join(printable(cell) for cell in cells))


def json_line(document: dict[str, Any]) -> None:
    """Print one JSON document on one line, ASCII only, and at once."""
    print(json.dumps(document, ensure_ascii=True, allow_nan=False), flush=True)


def explain(text: str, quiet: bool = False) -> None:
    """Say something to the user on stderr, unless asked to be quiet."""
    if not quiet:
        print(printable(text), file=sys.stderr)


def warn(text: str) -> None:
    """Report what failed, on stderr."""
    print(f"incipit: {printable(text)}", file=sys.stderr)


class _Told(logging.Handler):
    """Says what is logged, as long after the start as it is."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line on stderr."""
        explain(f"{record.relativeCreated / 1000:8.2f} s  {record.getMessage()}")


def tell_all(wanted: bool) -> None:
    """If wanted, say on stderr from now on what the rooms log."""
    for room in ("alignment", "index", "retrieval") if wanted else ():
        logger = logging.getLogger(room)
        logger.setLevel(logging.INFO)
        logger.addHandler(_Told())


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss.s or m:ss.s; a time before the start with a minus."""
    tenths = round(abs(seconds) * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{minutes}:{rest / 10:04.1f}" if not hours else f"{hours}:{minutes:02d}:{rest / 10:04.1f}"
    return f"-{text}" if seconds < 0 and tenths else text


def hush_decoders() -> None:
    """Keep what decoders written in C print of their own from the terminal; Python's stderr stays."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # stderr is closed
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = os.fdopen(kept, "w", buffering=1, encoding="utf-8", errors="backslashreplace")


def absolute(path: str) -> str:
    """Absolute path, links left as they are."""
    return os.path.abspath(path)


def library_folder(given: Path | None) -> Path:
    """The library that a command works on: the option, else INCIPIT_LIBRARY, else the platform's data folder."""
    if given is not None:
        return given
    if named := os.environ.get("INCIPIT_LIBRARY"):
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_data_dir("incipit", appauthor=False)) / "library"


@contextmanager
def working(what: str, quiet: bool) -> Iterator[None]:
    """Show on a terminal that something is under way."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield
        return
    with console.status(printable(what)):
        yield


class ProgressBar:
    """A bar over files on stderr, shown only on a terminal; also tells of failures and warnings."""

    def __init__(self, title: str, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._progress.add_task(title, total=None)

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._progress.stop()

    def planned(self, files: int) -> None:
        """So many files are to be looked at."""
        self._progress.update(self._task, total=files)

    def finished(self, path: str, error: str | None, warnings: Sequence[str]) -> None:
        """One of them is done."""
        if error is not None:
            self._say(f"{path}: {error}")
        for text in warnings:
            self._say(f"{path}: warning: {text}")
        self._progress.advance(self._task)

    def _say(self, text: str) -> None:
        if self._progress.disable:
            warn(text)
        else:
            self._progress.console.print(f"incipit: {printable(text)}", markup=False, highlight=False, soft_wrap=True)


class StageBars:
    """A bar for each stage of a long work on stderr, shown only on a terminal."""

    def __init__(self, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self._progress = Progress(console=console, disable=quiet or not console.is_terminal)
        self._stages: dict[str, Any] = {}

    def __enter__(self) -> StageBars:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._progress.stop()

    def progress(self, stage: str, done: int, total: int) -> None:
        """So much of a stage is done."""
        if stage not in self._stages:
            self._stages[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._stages[stage], completed=done, total=total)

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        if self._progress.disable:
            warn(text)
        else:
            self._progress.console.print(f"incipit: {printable(text)}", markup=False, highlight=False, soft_wrap=True)
