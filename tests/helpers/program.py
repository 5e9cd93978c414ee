"""The program `incipit`, run as a user runs it."""

import json
import os
import subprocess
import sys


def incipit(*arguments, **options):
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
