"""Tables of the library. SQLite's `user_version` numbers this schema.

    recording 1-n recording_file        one content, the paths at which it lies
    recording 1-n vector_run n-1 model  the rows of a model's vector files that belong to a recording
    model     1-n shard                 those files
    work      1-n recording             what is played, where it is known that several recordings play the same
    recording n-n recording             `version`: accepted as the same work; `alignment`: their corresponding times

A vector's number counts through all shards of its model; a run is contiguous, so a number becomes
(recording, time) by bisection over the runs.
"""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import JSON, TypeDecorator

__all__ = [
    "SCHEMA_VERSION",
    "AlignmentRow",
    "Base",
    "ModelRow",
    "Recording",
    "RecordingFile",
    "Shard",
    "VectorRun",
    "VersionRow",
    "Work",
]

SCHEMA_VERSION = 2


class FilePath(TypeDecorator[str]):
    """A path as the file system's own bytes, since names need not be valid UTF-8."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """To bytes."""
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        """To a string, undecodable bytes as surrogates."""
        return None if value is None else os.fsdecode(value)


class Base(DeclarativeBase):
    """All tables."""


class Work(Base):
    """What several recordings play; `key` is the id that users see, `name` what a user called it, or empty."""

    __tablename__ = "work"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String, default="")
    recordings: Mapped[list[Recording]] = relationship(back_populates="work", order_by="Recording.id")

    __table_args__ = ({"sqlite_autoincrement": True},)

    @property
    def label(self) -> str:
        """Its name, or its key where it has none."""
        return self.name or self.key

    @property
    def confirmed(self) -> bool:
        """Whether a user said of every recording that it belongs here."""
        return all(recording.work_confirmed for recording in self.recordings)


class Recording(Base):
    """One recorded sound; `key` is the id that users see, made from the content hash.

    `work_confirmed`: a user said that it belongs to its work. `versions_sought`: its versions among the recordings
    that were there have been sought with its present vectors.
    """

    __tablename__ = "recording"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(32), unique=True)
    content_hash: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[str] = mapped_column(String, default="")
    artist: Mapped[str] = mapped_column(String, default="")
    duration: Mapped[float]
    flags: Mapped[list[str]] = mapped_column(JSON, default=list)
    work_id: Mapped[int | None] = mapped_column(ForeignKey("work.id", ondelete="SET NULL"), index=True)
    work_confirmed: Mapped[bool] = mapped_column(default=False, server_default=text("0"))
    versions_sought: Mapped[bool] = mapped_column(default=False, server_default=text("0"))
    work: Mapped[Work | None] = relationship(back_populates="recordings", lazy="joined")
    files: Mapped[list[RecordingFile]] = relationship(
        back_populates="recording", cascade="all, delete-orphan", order_by="RecordingFile.id"
    )
    runs: Mapped[list[VectorRun]] = relationship(back_populates="recording", cascade="all, delete-orphan")

    __table_args__ = ({"sqlite_autoincrement": True},)  # ids of removed recordings are not used again

    @property
    def path(self) -> str:
        """Where it lies: the first of its files that is there, as far as the library knows."""
        return next((file.path for file in self.files if not file.missing), self.files[0].path)


class RecordingFile(Base):
    """A path at which a recording lies, or lay (`missing`)."""

    __tablename__ = "recording_file"

    id: Mapped[int] = mapped_column(primary_key=True)
    recording_id: Mapped[int] = mapped_column(ForeignKey("recording.id", ondelete="CASCADE"), index=True)
    path: Mapped[str] = mapped_column(FilePath, unique=True)
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    missing: Mapped[bool] = mapped_column(default=False)
    recording: Mapped[Recording] = relationship(back_populates="files")


class ModelRow(Base):
    """What makes vectors: a trained network or a feature, with every parameter that they depend on."""

    __tablename__ = "model"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    dimensions: Mapped[int]
    dtype: Mapped[str] = mapped_column(String(16))
    scale: Mapped[float]
    metric: Mapped[str] = mapped_column(String(16))
    parameters: Mapped[dict[str, float]] = mapped_column(JSON, default=dict)

    __table_args__ = (UniqueConstraint("name", "hash"),)


class Shard(Base):
    """An append-only file of a model's vectors; its first row has the number `base`, `rows` are committed."""

    __tablename__ = "shard"

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"))
    base: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger, default=0)
    file: Mapped[str] = mapped_column(String(128), unique=True)


class VectorRun(Base):
    """A recording's vectors of one model: `count` rows from number `first`, one every `hop` seconds."""

    __tablename__ = "vector_run"

    recording_id: Mapped[int] = mapped_column(ForeignKey("recording.id", ondelete="CASCADE"), primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"), primary_key=True)
    first: Mapped[int] = mapped_column(BigInteger)
    count: Mapped[int]
    hop: Mapped[float]
    recording: Mapped[Recording] = relationship(back_populates="runs")

    __table_args__ = (Index("vector_run_by_number", "model_id", "first"),)


class VersionRow(Base):
    """A recording that was accepted as a version of the one whose versions were sought, and how probably it is one."""

    __tablename__ = "version"

    recording_id: Mapped[int] = mapped_column(ForeignKey("recording.id", ondelete="CASCADE"), primary_key=True)
    other_id: Mapped[int] = mapped_column(ForeignKey("recording.id", ondelete="CASCADE"), primary_key=True, index=True)
    probability: Mapped[float]


class AlignmentRow(Base):
    """How two recordings correspond, as one method found it.

    `segments` lists `[kind, ref start, ref end, other start, other end, points]`, null on a side that has nothing;
    `points` are the rows of all of them, float32: seconds in both, confidence, interval.
    """

    __tablename__ = "alignment"

    ref_id: Mapped[int] = mapped_column(ForeignKey("recording.id", ondelete="CASCADE"), primary_key=True)
    other_id: Mapped[int] = mapped_column(ForeignKey("recording.id", ondelete="CASCADE"), primary_key=True, index=True)
    method: Mapped[str] = mapped_column(String(64), primary_key=True)
    accepted: Mapped[bool]
    confidence: Mapped[float]
    transposition: Mapped[int]
    tuning_cents: Mapped[float]
    segments: Mapped[list[list[Any]]] = mapped_column(JSON)
    points: Mapped[bytes] = mapped_column(LargeBinary)
