"""A collection of music in three lines: open it, add folders, ask it questions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from alignment.audio import read_audio
from index.library import Library
from index.schema import Recording
from retrieval.calibration import Calibration
from retrieval.embedding.encoder import Encoder
from retrieval.errors import QueryError
from retrieval.hits import Hit
from retrieval.identification import Identifier
from retrieval.ingest import IngestReport, Watcher, ingest
from retrieval.timing import TimingTest

__all__ = ["TASKS", "Collection", "SilentWatcher"]

TASKS = ("identify",)


class SilentWatcher:
    """Tells nobody."""

    def planned(self, files: int) -> None:
        """Nothing."""

    def finished(self, path: str, error: str | None, warnings: Sequence[str]) -> None:
        """Nothing."""


class Collection:
    """Recordings in a library folder, to add to and to query.

        collection = Collection("my-library")
        collection.add("Music")
        hits = collection.query("clip.wav")

    Args:
        folder: of the library; made by the first `add`.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._encoder: Encoder | None = None
        self._identifier: Identifier | None = None
        self._seen: tuple[int, int] | None = None

    @property
    def encoder(self) -> Encoder:
        """The fingerprint encoder, loaded when first wanted."""
        if self._encoder is None:
            self._encoder = Encoder()
        return self._encoder

    @encoder.setter
    def encoder(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._identifier = None

    def add(
        self,
        *paths: str | os.PathLike[str],
        jobs: int | None = None,
        exclude: Sequence[str] = (),
        prune: bool = False,
        watcher: Watcher | None = None,
    ) -> IngestReport:
        """Take in recordings and folders of them; what is known and unchanged costs next to nothing.

        Raises:
            LibraryLocked, LibraryReadOnly, LibraryDamaged: the library cannot be written.
        """
        self._identifier = None
        names = [os.fspath(path) for path in paths]
        with Library(self.folder, write=True) as library:
            return ingest(
                library, self.encoder, names, watcher or SilentWatcher(), jobs=jobs, exclude=exclude, prune=prune
            )

    def query(
        self,
        clip: str | os.PathLike[str],
        task: str = "identify",
        *,
        top: int = 10,
        max_false_accepts: float = 0.01,
    ) -> list[Hit]:
        """Find what a clip is; see `TASKS`.

        Raises:
            AudioError: the clip cannot be decoded.
            LibraryMissing, LibraryDamaged, ModelMissing: the library cannot be searched.
            QueryError: there is no such task.
        """
        if task not in TASKS:
            raise QueryError(f"The 'task' must be one of {', '.join(TASKS)}. Got {task!r} instead.")
        identifier = self.identifier()
        return identifier.identify(read_audio(clip), top=top, max_false_accepts=max_false_accepts)

    def copies(self) -> list[Recording]:
        """Recordings whose very content lies at several paths that are there."""
        with Library(self.folder) as library:
            found = library.recordings()
        return [recording for recording in found if sum(not file.missing for file in recording.files) > 1]

    def identifier(self) -> Identifier:
        """The identifier over the library as it is; made anew when the library has been written."""
        database = self.folder / "library.sqlite"
        state = (database.stat().st_mtime_ns, database.stat().st_size) if database.is_file() else None
        if self._identifier is None or state != self._seen:
            self._seen = state
            self._identifier = Identifier(Library(self.folder), self.encoder, Calibration.load(), TimingTest.load())
        return self._identifier
