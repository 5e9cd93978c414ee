"""The SQLite file of a library: opening, versions, sessions.

The rollback journal is used, not a write-ahead log: a library on a read-only disk or a network folder can
then be read, and a commit is on the disk when it returns.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote_from_bytes

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from index.errors import LibraryDamaged
from index.schema import SCHEMA_VERSION, Base

__all__ = ["open_database"]

_BUSY_SECONDS = 30.0


def open_database(path: Path, *, write: bool) -> Engine:
    """Open the database, making its tables if it is new and may be written.

    Raises:
        LibraryDamaged: the file is no SQLite database, or of a schema that this version does not know.
    """
    mode = "rwc" if write else "ro"
    uri = f"file:{quote_from_bytes(bytes(path.resolve()))}?mode={mode}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, check_same_thread=False)

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "connect", _configure)
    try:
        with engine.begin() as connection:
            version = connection.execute(text("PRAGMA user_version")).scalar_one()
            tables = connection.execute(text("SELECT count(*) FROM sqlite_master")).scalar_one()
            if not tables and write:
                Base.metadata.create_all(connection)
                connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION}"))
                version = SCHEMA_VERSION
    except DatabaseError as error:
        raise LibraryDamaged(f"{path}: cannot be read as a library ({error.orig})") from error
    if version != SCHEMA_VERSION:
        raise LibraryDamaged(
            f"{path}: was written with schema {version}; this version of Incipit reads schema {SCHEMA_VERSION}"
        )
    return engine


def _configure(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
