"""The command line: one program, `incipit`, with a verb for each job."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the program and end the process with its exit code, also when interrupted while it is being loaded."""
    try:
        from retrieval.cli.app import main as run
    except KeyboardInterrupt:
        print("incipit: interrupted", file=sys.stderr)
        sys.exit(130)
    run()
