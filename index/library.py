"""The library: recordings and scores, where their files lie, and their vectors.

A folder with `library.sqlite` (the truth), `vectors/` (append-only files that committed rows point into)
and `index/` (caches). An item is added by writing its vectors, forcing them to the disk, and
committing one transaction: a crash leaves all of it or nothing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from sqlalchemy import ColumnElement, and_, delete, false, func, not_, or_, select, update
from sqlalchemy.orm import Session, selectinload

from index.alignments import Alignments
from index.catalogue import Catalogue
from index.database import open_database, transaction
from index.errors import LibraryMissing, LibraryReadOnly, ModelMissing
from index.exact import ExactStore
from index.faiss_store import FaissStore, faiss_is_installed
from index.lock import writer_lock
from index.runs import ItemKind, Model, Runs, Vectors
from index.schema import (
    FailureRow,
    Item,
    ItemFile,
    ModelRow,
    MovementRow,
    PartRow,
    Recording,
    ScoreRow,
    Shard,
    SheetRow,
    VectorRun,
)
from index.shards import ShardFile, VectorFormat
from index.sheets import KeptScore, pack, unpack
from index.spec import IndexSpec
from index.store import VectorStore
from index.told_recordings import ToldRecording, told_recordings
from index.told_scores import ToldScore, told_scores
from index.versions import Versions
from index.works import Works

__all__ = ["FileState", "Library", "NewRecording", "NewScore", "Retagged"]

_log = logging.getLogger(__name__)

_SHARD_BYTES = 256 * 2**20

Retagged = Callable[[Item, Item], bool]
"""Whether the first is the second with other tags."""


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


@dataclass(frozen=True)
class NewScore:
    """What is known of a score when it is taken in; `artist` is the composer."""

    content_hash: str
    sheet: KeptScore
    artist: str = ""


class Library:
    """An open library; a context manager.

    Attributes:
        works: which recordings play the same work.
        versions: which were accepted as versions of each other.
        alignments: their corresponding times.
        catalogue: pages of what there is.

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
        self.catalogue = Catalogue(self._session)

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the lock and the database."""
        self._stack.close()

    # Reading

    def __len__(self) -> int:
        return self.count("recording")

    def count(self, kind: ItemKind) -> int:
        """How many recordings or scores there are."""
        return self._session.scalar(select(func.count()).where(Item.kind == kind)) or 0

    def items(self) -> Sequence[Item]:
        """All recordings and scores with their files, in the order in which they came."""
        return self._session.scalars(select(Item).options(selectinload(Item.files)).order_by(Item.id)).all()

    def recordings(self) -> Sequence[Recording]:
        """All recordings with their files, in the order in which they came."""
        query = select(Recording).options(selectinload(Recording.files)).order_by(Recording.id)
        return self._session.scalars(query).all()

    def scores(self) -> Sequence[ScoreRow]:
        """All scores with their files, in the order in which they came."""
        query = select(ScoreRow).options(selectinload(ScoreRow.files)).order_by(ScoreRow.id)
        return self._session.scalars(query).all()

    def item(self, key: str) -> Item | None:
        """The recording or score of that key, or of that path, or None."""
        found = self._session.scalar(select(Item).where(Item.key == key)) if key.isascii() else None
        return found or self.item_at(os.path.abspath(key))

    def members(self, name: str) -> Sequence[Item]:
        """What is in a work, by its key or name; or in the work of an item, or that alone if it is in none.

        Raises:
            WorkError: there is neither such an item nor such a work.
        """
        item = self.item(name)
        if item is None:
            return self.works.find(name).items
        return item.work.items if item.work else [item]

    def item_at(self, path: str) -> Item | None:
        """The recording or score whose file lies at an absolute path, or None."""
        return self._session.scalar(select(Item).join(ItemFile).where(ItemFile.path == path))

    def item_of(self, content_hash: str) -> Item | None:
        """The recording or score of that content, or None."""
        return self._session.scalar(select(Item).where(Item.content_hash == content_hash))

    def recordings_by_id(self, ids: Iterable[int]) -> dict[int, Recording]:
        """The recordings of these ids, with their files."""
        query = select(Recording).options(selectinload(Recording.files)).where(Recording.id.in_(list(ids)))
        return {recording.id: recording for recording in self._session.scalars(query)}

    def scores_by_id(self, ids: Iterable[int]) -> dict[int, ScoreRow]:
        """The scores of these ids, with their files."""
        query = select(ScoreRow).options(selectinload(ScoreRow.files)).where(ScoreRow.id.in_(list(ids)))
        return {score.id: score for score in self._session.scalars(query)}

    def recording_at(self, path: str) -> Recording | None:
        """The recording whose file lies at an absolute path, or None."""
        return self._session.scalar(select(Recording).join(ItemFile).where(ItemFile.path == path))

    def recording_of(self, content_hash: str) -> Recording | None:
        """The recording of that content, or None."""
        return self._session.scalar(select(Recording).where(Recording.content_hash == content_hash))

    def score_sheet(self, id: int) -> KeptScore | None:
        """What is played of the score of that id; None of anything else."""
        return self.score_sheets([id]).get(id)

    def score_sheets(self, ids: Iterable[int]) -> dict[int, KeptScore]:
        """What is played of the scores of these ids."""
        query = select(ScoreRow, SheetRow).join(SheetRow, SheetRow.item_id == ScoreRow.id)
        query = query.options(selectinload(ScoreRow.parts), selectinload(ScoreRow.movements))
        found = self._session.execute(query.where(ScoreRow.id.in_(list(ids))))
        return {score.id: unpack(score, sheet) for score, sheet in found}

    def told_recordings(self, ids: Iterable[int]) -> dict[int, ToldRecording]:
        """What is told of the recordings of these ids where they are found."""
        return told_recordings(self._session.connection(), ids)

    def told_scores(self, ids: Iterable[int]) -> dict[int, ToldScore]:
        """What is told of the scores of these ids where they are found."""
        return told_scores(self._session.connection(), ids)

    def files(self) -> dict[str, ItemFile]:
        """Every known file by its path."""
        return {file.path: file for file in self._session.scalars(select(ItemFile))}

    def failures(self) -> Sequence[FailureRow]:
        """Files that could not be taken in when that was last tried, by their path."""
        return self._session.scalars(select(FailureRow).order_by(FailureRow.path)).all()

    def pending(self, models: Iterable[Model]) -> list[Item]:
        """Recordings and scores that lack vectors of any of these models that makes vectors of their kind.

        So do scores whose parts are not known, having been taken in before these were kept.
        """
        lacking: dict[int, Item] = {}
        for model in models:
            found = self._session.scalars(select(Item).where(self._lacks(model)).options(selectinload(Item.files)))
            lacking.update((item.id, item) for item in found)
        return [lacking[id] for id in sorted(lacking)]

    def count_pending(self, models: Iterable[Model]) -> int:
        """How many `pending` gives, without loading them."""
        lacking = or_(false(), *map(self._lacks, models))
        return self._session.scalar(select(func.count(Item.id)).where(lacking)) or 0

    def _lacks(self, model: Model) -> ColumnElement[bool]:
        """That an item lacks vectors of a model that makes some of its kind, or is a score without parts."""
        row = self._model_row(model)
        have = select(VectorRun.item_id).where(VectorRun.model_id == (row.id if row else -1))
        known = select(PartRow.item_id) if model.kind == "score" else select(Item.id)
        return (Item.kind == model.kind) & not_(and_(Item.id.in_(have), Item.id.in_(known)))

    def runs(self, model: Model) -> Runs:
        """Where the vectors of each item lie.

        Raises:
            ModelMissing: no item has any, though there are such of its kind.
        """
        row = self._model_row(model)
        found = self._session.execute(
            select(VectorRun.item_id, VectorRun.first, VectorRun.count, VectorRun.hop)
            .where(VectorRun.model_id == (row.id if row else -1), VectorRun.count > 0)
            .order_by(VectorRun.first)
        ).all()
        if not found and row is None and self.count(model.kind):
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
        _log.info("%s: %d vectors, index %s", model.name, runs.end, spec.kind)
        if spec.kind == "exact" or not faiss_is_installed():
            return ExactStore(model.format, runs.stretches())
        cache = self.index_file(model)
        return FaissStore(model.format, runs.stretches(), runs.end, cache, spec, writable=self.writable)

    def index_file(self, model: Model) -> Path:
        """Where the FAISS index of a model's vectors lies, if there is one."""
        return self.folder / "index" / f"{model.name}-{model.hash[:12]}.faiss"

    def forget_lost_vectors(self) -> int:
        """Forget rows that vector files lack, so that their items are pending; gives of how many items there were some.

        The numbers of what is lost are not used again.
        """
        lost: set[int] = set()
        with transaction(self._session):
            for row in self._session.scalars(select(ModelRow)).all():
                for shard in self._shards(row):
                    end = shard.base + shard.rows
                    file = self._shard_file(row, shard)
                    kept = min(shard.rows, file.present_bytes // file.format.row_bytes)
                    if kept == shard.rows:
                        continue
                    gone = (VectorRun.model_id == row.id) & (VectorRun.first < end)
                    gone &= VectorRun.first + VectorRun.count > shard.base + kept
                    lost.update(self._session.scalars(select(VectorRun.item_id).where(gone)))
                    self._session.execute(delete(VectorRun).where(gone))
                    shard.rows = kept
                    if shard is self._shards(row)[-1]:
                        self._new_shard(row, end)
        return len(lost)

    def damage(self) -> list[str]:
        """What contradicts itself: SQLite's own check, and vector files shorter than their rows."""
        checked = self._session.connection().exec_driver_sql("PRAGMA integrity_check").scalars().all()
        found = [str(line) for line in checked if line != "ok"]
        for row in self._session.scalars(select(ModelRow)):
            for shard in (self._shard_file(row, shard) for shard in self._shards(row)):
                if shard.present_bytes < shard.committed_bytes:
                    wanted = f"{shard.present_bytes} bytes where {shard.committed_bytes} are wanted"
                    found.append(f"{shard.path}: {wanted}; `incipit index` of its recordings mends it")
        return found

    # Writing

    def add(
        self,
        new: NewRecording | NewScore,
        file: FileState,
        vectors: Sequence[Vectors],
        retagged: Retagged | None = None,
    ) -> Item:
        """Take in a recording or a score with all its vectors, or fill in what a known one lacks, in one transaction.

        The sheet of a score takes the place of any that it has. For `retagged` see `put_files`.
        """
        with transaction(self._session):
            item = self.item_of(new.content_hash) or _new_item(new)
            item.artist = new.artist
            self._session.add(item)
            if isinstance(new, NewScore):
                self._put_sheet(item, new.sheet)
            else:
                item.title, item.duration, item.flags = new.title, new.duration, list(new.flags)
                self._session.flush()
            appended = [self._append(item, part) for part in vectors]
            self._put_files([(item, file)], retagged)
            if isinstance(item, Recording):
                item.versions_sought = bool(item.versions_sought) and not any(appended)
                item.scores_sought = bool(item.scores_sought) and not any(appended)
            else:
                self._session.execute(update(Recording).where(Recording.scores_sought).values(scores_sought=False))
        return item

    def put_files(self, files: Sequence[tuple[Item, FileState]], retagged: Retagged | None = None) -> None:
        """Note that items lie at paths, whatever lay there before; what then lies nowhere is removed.

        An item that is in no work and is what it replaces with other tags takes the work of that.
        """
        with transaction(self._session):
            self._put_files(files, retagged)

    def put_failures(self, causes: Mapping[str, str]) -> None:
        """Note that files could not be taken in, and why; that is forgotten once they are."""
        now = datetime.now(UTC)
        with transaction(self._session):
            for path, cause in causes.items():
                error = cause.encode("utf-8", "backslashreplace").decode()  # it may name a file
                self._session.merge(FailureRow(path=path, error=error, time=now))

    def forget_failures(self, paths: Iterable[str]) -> None:
        """Forget that files could not be taken in."""
        with transaction(self._session):
            for path in paths:
                self._forget_failure(path)

    def set_missing(self, paths: Iterable[str], missing: bool = True) -> None:
        """Mark files as gone, or as back."""
        known = self.files()
        with transaction(self._session):
            for path in paths:
                known[path].missing = missing

    def drop_file(self, path: str) -> None:
        """Forget a path; an item that lies nowhere else is removed."""
        with transaction(self._session):
            self._drop_file(path)

    def remove(self, item: Item) -> None:
        """Remove an item; its vectors are no longer found, the files of the user are not touched."""
        with transaction(self._session):
            self._session.delete(item)
            self.works.drop_empty()

    def refresh_store(self, model: Model) -> None:
        """Bring the search cache of a model up to what has been written."""
        self.store(model, self.runs(model))

    def _put_sheet(self, item: Item, sheet: KeptScore) -> None:
        """What a score states and what is played of it, in the place of what was known."""
        assert isinstance(item, ScoreRow), "one content is of one kind"
        item.title, item.duration = sheet.title, sheet.duration
        item.work_title, item.work_number = sheet.work_title, sheet.work_number
        item.parts, item.movements = [], []
        self._session.flush()
        item.parts = [PartRow(position=position, **part._asdict()) for position, part in enumerate(sheet.parts)]
        item.movements = [
            MovementRow(position=position, **movement._asdict()) for position, movement in enumerate(sheet.movements)
        ]
        notes, beats = pack(sheet)
        self.alignments.forget(item)
        self._session.merge(SheetRow(item_id=item.id, notes=notes, beats=beats))

    def _put_files(self, files: Sequence[tuple[Item, FileState]], retagged: Retagged | None) -> None:
        """What lay at these paths is looked at last: files that change places are all still there."""
        replaced = []
        for item, file in files:
            known = self._session.scalar(select(ItemFile).where(ItemFile.path == file.path))
            if known is None:
                known = ItemFile(path=file.path, item=item)
                self._session.add(known)
            elif known.item_id != item.id:
                replaced.append((item, known.item))
                known.item = item
            known.size, known.mtime_ns, known.missing = file.size, file.mtime_ns, False
            self._forget_failure(file.path)
            self._session.flush()
        for item, former in replaced:
            if item.work is None and former.work is not None and retagged is not None and retagged(item, former):
                item.work, item.work_confirmed = former.work, former.work_confirmed
            if not former.files:
                self._session.delete(former)
        if replaced:
            self.works.drop_empty()
        self._session.flush()

    def _drop_file(self, path: str) -> None:
        file = self._session.scalar(select(ItemFile).where(ItemFile.path == path))
        if file is None:
            return
        item = file.item
        item.files.remove(file)
        if not item.files:
            self._session.delete(item)
            self.works.drop_empty()
        self._session.flush()

    def _forget_failure(self, path: str) -> None:
        self._session.execute(delete(FailureRow).where(FailureRow.path == path))

    def _append(self, item: Item, part: Vectors) -> bool:
        """Write the vectors of a model that an item lacks; whether it lacked them."""
        row = self._model_row(part.model) or self._new_model(part.model)
        if self._session.get(VectorRun, (item.id, row.id)) is not None:
            return False
        stored = part.model.format.encode(part.values)
        shards = self._shards(row)
        shard = shards[-1] if shards else self._new_shard(row, 0)
        if shard.rows and (shard.rows + len(stored)) * part.model.format.row_bytes > _SHARD_BYTES:
            shard = self._new_shard(row, shard.base + shard.rows)
        self._shard_file(row, shard).append(stored)
        first = shard.base + shard.rows
        shard.rows += len(stored)
        self._session.add(VectorRun(item_id=item.id, model_id=row.id, first=first, count=len(stored), hop=part.hop))
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


def _new_item(new: NewRecording | NewScore) -> Item:
    """A row whose key comes from the content."""
    letter, kind = ("s", ScoreRow) if isinstance(new, NewScore) else ("r", Recording)
    return kind(key=letter + new.content_hash[:12], content_hash=new.content_hash)


def _make_writable(folder: Path, database: Path) -> None:
    """Make the folder if it is not there; whoever took the write permission away meant it, even for root."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LibraryReadOnly(f"{folder}: cannot be made ({error.strerror})") from error
    for path in (folder, database):
        if path.exists() and not (os.access(path, os.W_OK) and path.stat().st_mode & 0o222):
            raise LibraryReadOnly(f"{path}: is read-only")
