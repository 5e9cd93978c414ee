"""The library: recordings, where their files lie, and their vectors.

A folder with `library.sqlite` (the truth), `vectors/` (append-only files that committed rows point into)
and `index/` (caches). A recording is added by writing its vectors, forcing them to the disk, and
committing one transaction: a crash leaves all of it or nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from index.alignments import Alignments
from index.database import open_database, transaction
from index.errors import LibraryMissing, LibraryReadOnly, ModelMissing
from index.exact import ExactStore
from index.faiss_store import FaissStore, faiss_is_installed
from index.lock import writer_lock
from index.runs import Model, Runs, Vectors
from index.schema import ModelRow, Recording, RecordingFile, Shard, VectorRun
from index.shards import ShardFile, VectorFormat
from index.spec import IndexSpec
from index.store import VectorStore
from index.versions import Versions
from index.works import Works

__all__ = ["FileState", "Library", "NewRecording"]

_SHARD_BYTES = 256 * 2**20

_SAME_DURATION_SECONDS = 0.05
"""A file whose content changed, and its length by no more, has got other tags."""


@dataclass(frozen=True)
class FileState:
    """A file as the file system shows it."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class NewRecording:
    """What is known of a recording when it is taken in."""

    content_hash: str
    duration: float
    title: str = ""
    artist: str = ""
    flags: tuple[str, ...] = ()


class Library:
    """An open library; a context manager.

    Attributes:
        works: which recordings play the same work.
        versions: which were accepted as versions of each other.
        alignments: their corresponding times.

    Args:
        folder: where it lies.
        write: hold the writer lock, and make the library if it is not there.

    Raises:
        LibraryMissing: it is not there, and `write` is false.
        LibraryLocked, LibraryReadOnly: it cannot be written now, or at all.
        LibraryDamaged: its database cannot be read.
    """

    def __init__(self, folder: str | os.PathLike[str], *, write: bool = False) -> None:
        self.folder = Path(folder).absolute()
        database = self.folder / "library.sqlite"
        self._stack = ExitStack()
        self.writable = write
        if write:
            _make_writable(self.folder, database)
            self._stack.enter_context(writer_lock(self.folder))
        elif not database.is_file():
            raise LibraryMissing(f"{self.folder}: there is no library here; `incipit index FOLDER` makes one")
        try:
            engine = open_database(database, write=write)
            self._stack.callback(engine.dispose)
            self._session = self._stack.enter_context(Session(engine, expire_on_commit=False))
        except BaseException:
            self._stack.close()
            raise
        self.works = Works(self._session)
        self.versions = Versions(self._session)
        self.alignments = Alignments(self._session)

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the lock and the database."""
        self._stack.close()

    # Reading

    def __len__(self) -> int:
        return self._session.scalar(select(func.count(Recording.id))) or 0

    def recordings(self) -> Sequence[Recording]:
        """All recordings with their files, in the order in which they came."""
        query = select(Recording).options(selectinload(Recording.files)).order_by(Recording.id)
        return self._session.scalars(query).all()

    def recording(self, key: str) -> Recording | None:
        """The recording of that key, or of that path, or None."""
        found = self._session.scalar(select(Recording).where(Recording.key == key))
        return found or self.recording_at(os.path.abspath(key))

    def recordings_by_id(self, ids: Iterable[int]) -> dict[int, Recording]:
        """The recordings of these ids, with their files."""
        query = select(Recording).options(selectinload(Recording.files)).where(Recording.id.in_(list(ids)))
        return {recording.id: recording for recording in self._session.scalars(query)}

    def recording_at(self, path: str) -> Recording | None:
        """The recording whose file lies at an absolute path, or None."""
        return self._session.scalar(select(Recording).join(RecordingFile).where(RecordingFile.path == path))

    def recording_of(self, content_hash: str) -> Recording | None:
        """The recording of that content, or None."""
        return self._session.scalar(select(Recording).where(Recording.content_hash == content_hash))

    def files(self) -> dict[str, RecordingFile]:
        """Every known file by its path."""
        return {file.path: file for file in self._session.scalars(select(RecordingFile))}

    def pending(self, models: Iterable[Model]) -> list[Recording]:
        """Recordings that lack vectors of any of these models."""
        lacking: dict[int, Recording] = {}
        for model in models:
            row = self._model_row(model)
            have = select(VectorRun.recording_id).where(VectorRun.model_id == (row.id if row else -1))
            query = select(Recording).options(selectinload(Recording.files)).where(Recording.id.not_in(have))
            lacking.update((recording.id, recording) for recording in self._session.scalars(query))
        return [lacking[id] for id in sorted(lacking)]

    def runs(self, model: Model) -> Runs:
        """Where the vectors of each recording lie.

        Raises:
            ModelMissing: no recording has any.
        """
        row = self._model_row(model)
        found = self._session.execute(
            select(VectorRun.recording_id, VectorRun.first, VectorRun.count, VectorRun.hop)
            .where(VectorRun.model_id == (row.id if row else -1), VectorRun.count > 0)
            .order_by(VectorRun.first)
        ).all()
        if not found and len(self) and row is None:
            raise ModelMissing(
                f"{self.folder}: was filled by an older {model.name} model; `incipit index` brings it up to date"
            )
        columns = list(zip(*found, strict=True)) or [()] * 4
        ids, first, count = (np.array(column, np.int64) for column in columns[:3])
        shards = tuple(self._shard_file(row, shard) for shard in self._shards(row)) if row else ()
        return Runs(ids, first, count, np.array(columns[3], np.float64), shards)

    def store(self, model: Model, runs: Runs, spec: IndexSpec | None = None) -> VectorStore:
        """Something that searches all vectors of a model.

        Args:
            model: whose vectors.
            runs: of that model.
            spec: how they are indexed; chosen by how many there are if not given. Without FAISS search is exact.
        """
        spec = spec or IndexSpec.choose(runs.end, model.format.dimensions)
        if spec.kind == "exact" or not faiss_is_installed():
            return ExactStore(model.format, runs.stretches())
        cache = self.folder / "index" / f"{model.name}-{model.hash[:12]}.faiss"
        return FaissStore(model.format, runs.stretches(), runs.end, cache, spec, writable=self.writable)

    def damage(self) -> list[str]:
        """What contradicts itself: SQLite's own check, and vector files shorter than their rows."""
        checked = self._session.connection().exec_driver_sql("PRAGMA integrity_check").scalars().all()
        found = [str(line) for line in checked if line != "ok"]
        for row in self._session.scalars(select(ModelRow)):
            for shard in (self._shard_file(row, shard) for shard in self._shards(row)):
                size = shard.path.stat().st_size if shard.path.exists() else 0
                if size < shard.committed_bytes:
                    found.append(f"{shard.path}: {size} bytes where {shard.committed_bytes} are wanted")
        return found

    # Writing

    def add(self, recording: NewRecording, file: FileState, vectors: Sequence[Vectors]) -> Recording:
        """Take in a recording with all its vectors, or fill in what a known one lacks, in one transaction."""
        with transaction(self._session):
            row = self.recording_of(recording.content_hash)
            if row is None:
                key = "r" + recording.content_hash[:12]
                row = Recording(key=key, content_hash=recording.content_hash)
                self._session.add(row)
            row.title, row.artist = recording.title, recording.artist
            row.duration, row.flags = recording.duration, list(recording.flags)
            self._session.flush()
            self._put_file(row, file)
            appended = [self._append(row, part) for part in vectors]
            row.versions_sought = row.versions_sought and not any(appended)
        return row

    def put_file(self, recording: Recording, file: FileState) -> None:
        """Note that a recording lies at a path, whatever lay there before."""
        with transaction(self._session):
            self._put_file(recording, file)

    def set_missing(self, paths: Iterable[str], missing: bool = True) -> None:
        """Mark files as gone, or as back."""
        known = self.files()
        with transaction(self._session):
            for path in paths:
                known[path].missing = missing

    def drop_file(self, path: str) -> None:
        """Forget a path; a recording that lies nowhere else is removed."""
        with transaction(self._session):
            self._drop_file(path)

    def remove(self, recording: Recording) -> None:
        """Remove a recording; its vectors are no longer found, the files of the user are not touched."""
        with transaction(self._session):
            self._session.delete(recording)
            self.works.drop_empty()

    def refresh_store(self, model: Model) -> None:
        """Bring the search cache of a model up to what has been written."""
        self.store(model, self.runs(model))

    def _put_file(self, recording: Recording, file: FileState) -> None:
        known = self._session.scalar(select(RecordingFile).where(RecordingFile.path == file.path))
        if known is not None and known.recording_id != recording.id:
            _inherit(recording, known.recording)
            self._drop_file(file.path)
            known = None
        if known is None:
            known = RecordingFile(path=file.path, recording=recording)
            self._session.add(known)
        known.size, known.mtime_ns, known.missing = file.size, file.mtime_ns, False
        self._session.flush()

    def _drop_file(self, path: str) -> None:
        file = self._session.scalar(select(RecordingFile).where(RecordingFile.path == path))
        if file is None:
            return
        recording = file.recording
        recording.files.remove(file)
        if not recording.files:
            self._session.delete(recording)
            self.works.drop_empty()
        self._session.flush()

    def _append(self, recording: Recording, part: Vectors) -> bool:
        """Write the vectors of a model that a recording lacks; whether it lacked them."""
        row = self._model_row(part.model) or self._new_model(part.model)
        if self._session.get(VectorRun, (recording.id, row.id)) is not None:
            return False
        stored = part.model.format.encode(part.values)
        shards = self._shards(row)
        shard = shards[-1] if shards else self._new_shard(row, 0)
        if shard.rows and (shard.rows + len(stored)) * part.model.format.row_bytes > _SHARD_BYTES:
            shard = self._new_shard(row, shard.base + shard.rows)
        self._shard_file(row, shard).append(stored)
        first = shard.base + shard.rows
        shard.rows += len(stored)
        self._session.add(
            VectorRun(recording_id=recording.id, model_id=row.id, first=first, count=len(stored), hop=part.hop)
        )
        self._session.flush()
        return True

    def _new_model(self, model: Model) -> ModelRow:
        row = ModelRow(
            name=model.name,
            hash=model.hash,
            dimensions=model.format.dimensions,
            dtype=model.format.dtype,
            scale=model.format.scale,
            metric=model.metric,
            parameters=model.parameters,
        )
        self._session.add(row)
        self._session.flush()
        return row

    def _new_shard(self, model: ModelRow, base: int) -> Shard:
        (self.folder / "vectors").mkdir(exist_ok=True)
        shard = Shard(model_id=model.id, base=base, rows=0, file=f"{model.name}-{model.hash[:12]}-{base}.vectors")
        self._session.add(shard)
        self._session.flush()
        return shard

    # Where vectors lie

    def _model_row(self, model: Model) -> ModelRow | None:
        return self._session.scalar(select(ModelRow).where(ModelRow.name == model.name, ModelRow.hash == model.hash))

    def _shards(self, model: ModelRow) -> Sequence[Shard]:
        return self._session.scalars(select(Shard).where(Shard.model_id == model.id).order_by(Shard.base)).all()

    def _shard_file(self, model: ModelRow, shard: Shard) -> ShardFile:
        format = VectorFormat(model.dimensions, model.dtype, model.scale)
        return ShardFile(self.folder / "vectors" / shard.file, shard.base, shard.rows, format)


def _inherit(recording: Recording, former: Recording) -> None:
    """Put a recording to the work of the one whose file it takes, where it is the same sound with other tags."""
    if recording.work is None and abs(recording.duration - former.duration) <= _SAME_DURATION_SECONDS:
        recording.work, recording.work_confirmed = former.work, former.work_confirmed


def _make_writable(folder: Path, database: Path) -> None:
    """Make the folder if it is not there; whoever took the write permission away meant it, even for root."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LibraryReadOnly(f"{folder}: cannot be made ({error.strerror})") from error
    for path in (folder, database):
        if path.exists() and not (os.access(path, os.W_OK) and path.stat().st_mode & 0o222):
            raise LibraryReadOnly(f"{path}: is read-only")
