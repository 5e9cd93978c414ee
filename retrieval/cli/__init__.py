"""The command line: one program, `incipit`, with a verb for each job."""

from retrieval.cli.app import main

__all__ = ["main"]
