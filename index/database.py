"""The SQLite file of a library: opening, versions, sessions.

A library of an older schema is brought up to date by the first that writes to it; one who only reads works on a
copy in memory.

The rollback journal is used, not a write-ahead log: a library on a read-only disk or a network folder can
then be read, and a commit is on the disk when it returns.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import quote_from_bytes

import numpy as np
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, Pool, StaticPool

from index.errors import LibraryDamaged, LibraryLocked, LibraryMissing, LibraryReadOnly
from index.schema import SCHEMA_VERSION, Base
from index.sheets import pack_beats

__all__ = ["open_database", "transaction"]

_BUSY_SECONDS = 30.0

_OLDEST_VERSION = 1
_MIGRATIONS = {
    1: (
        "ALTER TABLE recording ADD COLUMN work_id INTEGER REFERENCES work (id) ON DELETE SET NULL",
        "ALTER TABLE recording ADD COLUMN work_confirmed BOOLEAN DEFAULT 0 NOT NULL",
        "ALTER TABLE recording ADD COLUMN versions_sought BOOLEAN DEFAULT 0 NOT NULL",
        "CREATE INDEX ix_recording_work_id ON recording (work_id)",
    ),
    2: (
        "ALTER TABLE recording RENAME TO item",
        "ALTER TABLE item ADD COLUMN kind VARCHAR(16) DEFAULT 'recording' NOT NULL",
        "ALTER TABLE item ADD COLUMN scores_sought BOOLEAN DEFAULT 0 NOT NULL",
        "DROP INDEX ix_recording_work_id",
        "CREATE INDEX ix_item_work_id ON item (work_id)",
        "ALTER TABLE recording_file RENAME TO item_file",
        "ALTER TABLE item_file RENAME COLUMN recording_id TO item_id",
        "DROP INDEX ix_recording_file_recording_id",
        "CREATE INDEX ix_item_file_item_id ON item_file (item_id)",
        "ALTER TABLE vector_run RENAME COLUMN recording_id TO item_id",
    ),
    3: (
        "ALTER TABLE item ADD COLUMN work_title VARCHAR DEFAULT '' NOT NULL",
        "ALTER TABLE item ADD COLUMN work_number VARCHAR DEFAULT '' NOT NULL",
    ),
    4: (
        "CREATE TABLE IF NOT EXISTS score_sheet (item_id INTEGER NOT NULL, notes BLOB NOT NULL, beats BLOB NOT NULL, "
        "PRIMARY KEY (item_id), FOREIGN KEY(item_id) REFERENCES item (id) ON DELETE CASCADE)",
        "UPDATE score_sheet SET beats = packed_anew(beats)",
    ),
}
"""What leads from each version to the next, beside new tables; `packed_anew` is `_packed_anew`."""


def open_database(path: Path, *, write: bool) -> Engine:
    """Open the database, making its tables if it is new and may be written.

    Whatever SQLite reports later, on any statement, becomes an error of this room.

    Raises:
        LibraryMissing: it holds nothing, and `write` is false.
        LibraryDamaged: the file is no SQLite database, or of a schema that this version does not know.
    """
    if not write:
        _recover(path)
    uri = _uri(path, "rwc" if write else "ro")
    engine = _engine(path, partial(_connect, uri), NullPool)
    with engine.begin() as connection:
        version = _version(connection)
        tables = connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar_one()
    if not tables and not write:
        raise LibraryMissing(f"{path.parent}: the library here is empty; `incipit index FOLDER` fills it")
    if not tables and any(path.parent.glob("vectors/*.vectors")):
        raise LibraryDamaged(
            f"{path}: is empty or was gone, but its vectors are there; put it back, or remove {path.parent / 'vectors'}"
        )
    if tables and not _OLDEST_VERSION <= version <= SCHEMA_VERSION:
        raise LibraryDamaged(
            f"{path}: was written with schema {version}; this version of Incipit reads schema {SCHEMA_VERSION}"
        )
    if version == SCHEMA_VERSION:
        return engine
    if not write:
        engine = _engine(path, partial(_copy, uri), StaticPool)
    with engine.begin() as connection:
        _bring_up_to_date(connection)
    return engine


@contextmanager
def transaction(session: Session) -> Iterator[None]:
    """Commit what is done inside, or nothing of it."""
    try:
        yield
        session.commit()
    except BaseException:
        session.rollback()
        raise


def _engine(path: Path, connect: Callable[[], sqlite3.Connection], pool: type[Pool]) -> Engine:
    engine = create_engine("sqlite://", creator=connect, poolclass=pool)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "handle_error", partial(_translate, path))
    return engine


def _version(connection: Connection) -> int:
    return int(connection.execute(text("PRAGMA user_version")).scalar_one())


def _bring_up_to_date(connection: Connection) -> None:
    """Make the tables that are not there, and what later versions added to others; all of it or nothing."""
    connection.execute(text("BEGIN IMMEDIATE"))
    for version in range(_version(connection) or SCHEMA_VERSION, SCHEMA_VERSION):
        for statement in _MIGRATIONS[version]:
            connection.execute(text(statement))
    Base.metadata.create_all(connection)
    connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION}"))


def _packed_anew(beats: bytes) -> bytes:
    """The beats of a score as they are packed since the fifth schema; before, they were one JSON document."""
    steps, measures, places = json.loads(zlib.decompress(beats))
    return pack_beats(np.array(steps, np.int64), measures, places)


def _uri(path: Path, mode: str) -> str:
    return f"file:{quote_from_bytes(bytes(path.resolve()))}?mode={mode}"


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, check_same_thread=False)


def _copy(uri: str) -> sqlite3.Connection:
    """A copy in memory, to be brought up to date for one who may only read."""
    memory = sqlite3.connect(":memory:", check_same_thread=False)
    with closing(_connect(uri)) as connection:
        connection.backup(memory)
    return memory


def _recover(path: Path) -> None:
    """Roll back what a killed writer left half done; a connection that may only read cannot."""
    if path.with_name(path.name + "-journal").exists() and os.access(path, os.W_OK):
        with suppress(sqlite3.Error), closing(_connect(_uri(path, "rw"))) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _translate(path: Path, context: ExceptionContext) -> None:
    """Give SQLite's errors the names of this room; a broken constraint stays what it is, a bug."""
    error = context.original_exception
    if not isinstance(error, sqlite3.DatabaseError) or isinstance(error, sqlite3.IntegrityError):
        return
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        raise LibraryLocked(f"{path.parent}: is being written by another process; try again") from error
    if name.startswith(("SQLITE_READONLY", "SQLITE_FULL")):
        raise LibraryReadOnly(f"{path.parent}: cannot be written ({error})") from error
    raise LibraryDamaged(f"{path}: cannot be read as a library ({error})") from error


def _configure(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.create_function("packed_anew", 1, _packed_anew, deterministic=True)
