"""`python -m retrieval.cli` is `incipit`."""

from retrieval.cli import main

main()
