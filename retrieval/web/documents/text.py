"""Text as JSON can hold it."""

from __future__ import annotations

from typing import Any

__all__ = ["clean"]


def clean(document: Any) -> Any:
    """A document whose strings are valid Unicode; what is not in a file's name is escaped."""
    if isinstance(document, str):
        return document.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(document, dict):
        return {name: clean(value) for name, value in document.items()}
    if isinstance(document, (list, tuple)) and document and not isinstance(document[0], (float, int)):
        return [clean(value) for value in document]
    return document
