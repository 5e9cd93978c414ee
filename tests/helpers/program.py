"""The program `incipit`, run as a user runs it."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from unittest import mock


def incipit(*arguments, cwd="."):
    """Run it within this process, which saves the seconds of starting one; a traceback fails the test."""
    from retrieval.cli import app

    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        typed = mock.patch.object(sys, "argv", ["incipit", *map(str, arguments)])
        with _instead_of(1, out, "stdout"), _instead_of(2, err, "stderr"), contextlib.chdir(cwd), typed:
            code = _exit_code(app.main)
        done = subprocess.CompletedProcess(arguments, code, _text(out), _text(err))
    assert "Traceback" not in done.stderr, done.stderr
    return done


def incipit_process(*arguments, **options):
    """Run it in a process of its own; a traceback fails the test."""
    environment = {**os.environ, **options.pop("env", {})}
    done = subprocess.run(
        [sys.executable, "-m", "retrieval.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        errors="surrogateescape",
        **options,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def documents(done):
    """The JSON documents that it printed, one a line."""
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextlib.contextmanager
def _instead_of(number, file, name):
    """What is written to a stream, by Python or beneath it, goes to a file for a while."""
    kept, stream = os.dup(number), getattr(sys, name)
    stream.flush()
    os.dup2(file.fileno(), number)
    try:
        with os.fdopen(os.dup(number), "w", encoding="utf-8", errors="surrogateescape") as written:
            setattr(sys, name, written)
            yield
            if getattr(sys, name) is not written:  # the program has put its own in its place
                getattr(sys, name).close()
    finally:
        setattr(sys, name, stream)
        os.dup2(kept, number)
        os.close(kept)


def _exit_code(main):
    try:
        main()
    except SystemExit as stopped:
        return stopped.code
    raise AssertionError("it ended without an exit code")


def _text(file):
    file.seek(0)
    return file.read().decode("utf-8", "surrogateescape")
