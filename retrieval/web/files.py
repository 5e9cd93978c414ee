"""The files that clients mean: items of the library, what they sent, and what lies below the roots."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from alignment.score import is_score
from index.errors import LibraryMissing
from index.library import Library
from retrieval.web.documents import ItemSource, PathSource, Source
from retrieval.web.problems import Problem
from retrieval.web.roots import Roots
from retrieval.web.uploads import Uploads
from retrieval.work_upkeep import is_unchanged

__all__ = ["File", "Files", "opened"]

State = tuple[int, int]
"""Bytes and time of change (nanoseconds) of a file."""


@dataclass(frozen=True)
class File:
    """A file that a client named.

    Attributes:
        path: where it lies.
        name: what it is called in answers.
        kind: "recording" or "score".
        key: what is made of its content is known by that.
        state: its bytes and time of change.
        url: of what the API says of it, below /v1; empty where it has no id.
    """

    path: str
    name: str
    kind: str
    key: str
    state: State
    url: str = ""

    def require(self, kind: Literal["recording", "score"]) -> None:
        """Raise a `Problem` unless it is of that kind."""
        if kind == "recording" != self.kind:
            raise Problem(404, "no-sound", "it is a score, which has no sound of its own")
        if kind == "score" != self.kind:
            raise Problem(404, "no-score", "it is a recording, not a score")


class Files:
    """Finds them; safe to be used by several threads.

    Args:
        library: its folder; it need not be there.
        roots: folders whose files clients may name.
        uploads: files that clients sent.
    """

    def __init__(self, library: Path, roots: Roots, uploads: Uploads) -> None:
        self._library = library
        self._roots = roots
        self._uploads = uploads
        self._known: tuple[State | None, dict[str, File]] = (None, {})

    def meant(self, source: Source, stack: ExitStack) -> File:
        """The file that a client means; one that was sent stays until the stack is left.

        Raises:
            Problem: there is none, or it may not be read, or is not any more what was indexed.
        """
        if isinstance(source, ItemSource):
            return self._item(source.item)
        if isinstance(source, PathSource):
            path = self._roots.resolve(source.path)
            state = _existing_state(path)
            key = hashlib.sha256(f"{state} {path}".encode("utf-8", "surrogateescape")).hexdigest()
            return File(str(path), str(path), "score" if is_score(path) else "recording", f"file-{key}", state)
        upload = stack.enter_context(self._uploads.reading(source.upload))
        url = f"uploads/{upload.id}"
        return File(str(upload.path), upload.name, upload.kind, upload.key, _existing_state(upload.path), url)

    def now(self, source: Source) -> File:
        """Likewise, of which one that was sent may go at any time."""
        with ExitStack() as stack:
            return self.meant(source, stack)

    def named(self, path: str) -> File:
        """A file of the server's machine.

        Raises:
            Problem: there is none, or it may not be read, or is a folder.
        """
        found = self.now(PathSource.model_construct(path=path))
        if not Path(found.path).is_file():
            raise Problem(404, "no-such-file", "it is a folder, not a file")
        return found

    def _item(self, key: str) -> File:
        """What is known of items is looked up again when the library was written or the file has changed."""
        seen = _state_of(self._library / "library.sqlite")
        known_since, known = self._known
        if known_since != seen:
            known = {}
            self._known = seen, known
        found = known.get(key)
        if found is None or _state_of(Path(found.path)) != found.state:
            found = known[key] = self._found_item(key)
        return found

    def _found_item(self, key: str) -> File:
        with opened(self._library) as library:
            item = library.item(key) if library is not None else None
            if item is None or item.key != key:
                raise Problem(404, "no-such-item", "there is no such recording or score in the library")
            for file in item.files:
                if is_unchanged(file):
                    return File(file.path, file.path, item.kind, key, (file.size, file.mtime_ns), f"items/{key}")
        raise Problem(410, "file-gone", "its file is gone, or not any more what was indexed")


def opened(library: Path) -> AbstractContextManager[Library | None]:
    """A library to read, or None where it is not there yet."""
    try:
        return Library(library)
    except LibraryMissing:
        return nullcontext(None)


def _state_of(path: Path) -> State | None:
    """None where there is no file."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns


def _existing_state(path: Path) -> State:
    state = _state_of(path)
    if state is None:
        raise Problem(410, "file-gone", "the file is gone")
    return state
