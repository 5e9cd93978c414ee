"""The program `incipit`: its verbs, and how errors become one line and an exit code.

Exit codes: 0 done, 1 something failed (the rest is done), 2 misuse, 3 nothing accepted, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import Annotated

import typer

from retrieval.cli import (
    aligning,
    comparing,
    diagnosis,
    duplicates,
    following,
    indexing,
    listing,
    querying,
    serving,
    switching,
    tempo,
    training,
    works,
)
from retrieval.cli.console import warn

__all__ = ["app", "main"]

app = typer.Typer(
    name="incipit",
    help="Align performances of a work, and find recordings by their sound.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: incipit index ~/Music && incipit query clip.wav && incipit align a.flac b.mp3",
)
app.command("index")(indexing.index)
app.command("query")(querying.query)
app.command("align")(aligning.align)
app.command("follow")(following.follow)
app.command("switch")(switching.switch)
app.command("tempo")(tempo.tempo)
app.command("compare")(comparing.compare)
app.command("list")(listing.list_items)
app.command("show")(listing.show)
app.command("duplicates")(duplicates.duplicates)
app.add_typer(works.app, name="works")
app.command("serve")(serving.serve)
app.command("remove")(listing.remove)
app.add_typer(training.app, name="train")
app.command("doctor")(diagnosis.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"incipit {version('incipit-music')}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Align performances of a work, and find recordings by their sound."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # one thread a worker; pools of pools only fight


def main() -> None:
    """Run the program and end the process with its exit code."""
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115, PTH123  a closed stream is None
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False) or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        warn("interrupted")
        code = 130
    except BrokenPipeError:
        code = _let_go_of_stdout()
    except SystemExit as end:
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        code = _let_go_of_stdout()  # typer ends with 1 where a verb writes to a closed pipe
    except Exception as error:
        code = _explain(error)
    # Worker threads may still be inside a decoder; what they would bring is not wanted any more.
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.stderr.flush()
    if code == 130:
        os._exit(code)
    sys.exit(code)


def _let_go_of_stdout() -> int:
    """What is not written yet to a pipe that was closed is not wanted; that is no error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether an error only tells that Ctrl-C came while a library was being loaded."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _explain(error: Exception) -> int:
    """Print an error that a room raised on purpose as one line; raise others again."""
    from alignment.errors import AlignmentError
    from index.errors import LibraryError, LibraryMissing
    from retrieval.errors import RetrievalError

    if hasattr(error, "show") and hasattr(error, "exit_code"):  # the argument parser's own
        error.show()
        return int(error.exit_code)
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.Abort) or _was_interrupted(error):
        warn("interrupted")
        return 130
    if isinstance(error, (AlignmentError, LibraryError, RetrievalError)):
        warn(str(error))
        return 2 if isinstance(error, LibraryMissing) else 1
    if isinstance(error, OSError):
        warn(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return 1
    raise error
