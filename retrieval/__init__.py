"""Finding music: collections, their queries, and the command line."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrieval.collection import Collection

__all__ = ["Collection"]


def __getattr__(name: str) -> object:
    """Import `Collection` when it is first asked for: the command line must start without the models."""
    if name == "Collection":
        from retrieval.collection import Collection

        return Collection
    raise AttributeError(f"module 'retrieval' has no attribute {name!r}")
