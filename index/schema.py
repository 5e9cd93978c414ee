"""Tables of the library. SQLite's `user_version` numbers this schema.

    item      1-n item_file             a recording or a score: one content, the paths at which it lies
    score     1-1 score_sheet           what is played of a score
    score     1-n score_part            its parts, as the file names them
    score     1-n score_movement        its movements, and where each begins
    item      1-n vector_run n-1 model  the rows of a model's vector files that belong to an item
    model     1-n shard                 those files
    work      1-n item                  what is played, where it is known that several items are of the same
    recording n-n recording             `version`: accepted as the same work
    item      n-n item                  `alignment`: their corresponding times
    failure                             a file that could not be taken in, which is therefore no item's

Recordings and scores are rows of one table, told apart by `kind`; whoever selects `Recording` gets no scores.
A vector's number counts through all shards of its model; a run is contiguous, so a number becomes
(item, time) by bisection over the runs.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import JSON, TypeDecorator

__all__ = [
    "SCHEMA_VERSION",
    "AlignmentRow",
    "Base",
    "FailureRow",
    "Item",
    "ItemFile",
    "ModelRow",
    "MovementRow",
    "PartRow",
    "Recording",
    "ScoreRow",
    "Shard",
    "SheetRow",
    "VectorRun",
    "VersionRow",
    "Work",
]

SCHEMA_VERSION = 5


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


class Instant(TypeDecorator[datetime]):
    """A time with its zone, kept in UTC also by databases that keep no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """In UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """All tables."""


class Work(Base):
    """What several items are of; `key` is the id that users see, `name` what a user called it, or empty."""

    __tablename__ = "work"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String, default="")
    items: Mapped[list[Item]] = relationship(back_populates="work", order_by="Item.id")

    __table_args__ = ({"sqlite_autoincrement": True},)

    @property
    def recordings(self) -> list[Recording]:
        """Its recordings, the oldest first."""
        return [item for item in self.items if isinstance(item, Recording)]

    @property
    def scores(self) -> list[ScoreRow]:
        """Its scores, the oldest first."""
        return [item for item in self.items if isinstance(item, ScoreRow)]

    @property
    def label(self) -> str:
        """Its name, or its key where it has none."""
        return self.name or self.key

    @property
    def confirmed(self) -> bool:
        """Whether a user said of every item that it belongs here."""
        return all(item.work_confirmed for item in self.items)


class Item(Base):
    """A recording or a score; `key` is the id that users see, made from the content hash.

    `work_confirmed`: a user said that it belongs to its work.
    """

    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), server_default="recording")
    key: Mapped[str] = mapped_column(String(32), unique=True)
    content_hash: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[str] = mapped_column(String, default="")
    artist: Mapped[str] = mapped_column(String, default="")
    duration: Mapped[float]
    flags: Mapped[list[str]] = mapped_column(JSON, default=list)
    work_id: Mapped[int | None] = mapped_column(ForeignKey("work.id", ondelete="SET NULL"), index=True)
    work_confirmed: Mapped[bool] = mapped_column(default=False, server_default=text("0"))
    work: Mapped[Work | None] = relationship(back_populates="items", lazy="joined")
    files: Mapped[list[ItemFile]] = relationship(
        back_populates="item", cascade="all, delete-orphan", order_by="ItemFile.id"
    )
    runs: Mapped[list[VectorRun]] = relationship(back_populates="item", cascade="all, delete-orphan")

    __table_args__ = ({"sqlite_autoincrement": True},)  # ids of removed items are not used again
    __mapper_args__ = {"polymorphic_on": "kind"}  # noqa: RUF012  read once, by SQLAlchemy

    @property
    def path(self) -> str:
        """Where it lies: the first of its files that is there, as far as the library knows."""
        return next((file.path for file in self.files if not file.missing), self.files[0].path)


class Recording(Item):
    """One recorded sound.

    `versions_sought`: its versions among the recordings that were there have been sought with its present vectors.
    `scores_sought`: so has what it plays, among all scores.
    """

    versions_sought: Mapped[bool] = mapped_column(default=False, server_default=text("0"))
    scores_sought: Mapped[bool] = mapped_column(default=False, server_default=text("0"))

    __mapper_args__ = {"polymorphic_identity": "recording"}  # noqa: RUF012  read once, by SQLAlchemy


class ScoreRow(Item):
    """One score; its `artist` is the composer.

    `work_title`, `work_number`: of the work that it is, or is part of, as the file states them, or empty.
    """

    work_title: Mapped[str] = mapped_column(String, default="", server_default="")
    work_number: Mapped[str] = mapped_column(String, default="", server_default="")
    parts: Mapped[list[PartRow]] = relationship(cascade="all, delete-orphan", order_by="PartRow.position")
    movements: Mapped[list[MovementRow]] = relationship(cascade="all, delete-orphan", order_by="MovementRow.position")

    __mapper_args__ = {"polymorphic_identity": "score"}  # noqa: RUF012  read once, by SQLAlchemy


class ItemFile(Base):
    """A path at which an item lies, or lay (`missing`)."""

    __tablename__ = "item_file"

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"), index=True)
    path: Mapped[str] = mapped_column(FilePath, unique=True)
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    missing: Mapped[bool] = mapped_column(default=False)
    item: Mapped[Item] = relationship(back_populates="files")


class SheetRow(Base):
    """Notes and beats of a score, as `index.sheets` packs them."""

    __tablename__ = "score_sheet"

    item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"), primary_key=True)
    notes: Mapped[bytes] = mapped_column(LargeBinary)
    beats: Mapped[bytes] = mapped_column(LargeBinary)


class PartRow(Base):
    """A part of a score, the `position`th from the top, from 0.

    `transposition`: semitones by which it sounds higher than it is written; `notes`: as they are played.
    """

    __tablename__ = "score_part"

    item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String)
    instrument: Mapped[str] = mapped_column(String)
    transposition: Mapped[int]
    notes: Mapped[int]


class MovementRow(Base):
    """A movement of a score, the `position`th as played, from 0; it begins at `start` seconds of the score."""

    __tablename__ = "score_movement"

    item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String)
    title: Mapped[str] = mapped_column(String)
    start: Mapped[float]


class FailureRow(Base):
    """A file that could not be taken in when that was last tried, at `time`, and why."""

    __tablename__ = "failure"

    path: Mapped[str] = mapped_column(FilePath, primary_key=True)
    error: Mapped[str] = mapped_column(String)
    time: Mapped[datetime] = mapped_column(Instant)


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
    """An item's vectors of one model: `count` rows from number `first`, one every `hop` seconds."""

    __tablename__ = "vector_run"

    item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"), primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id"), primary_key=True)
    first: Mapped[int] = mapped_column(BigInteger)
    count: Mapped[int]
    hop: Mapped[float]
    item: Mapped[Item] = relationship(back_populates="runs")

    __table_args__ = (Index("vector_run_by_number", "model_id", "first"),)


class VersionRow(Base):
    """A recording that was accepted as a version of the one whose versions were sought, and how probably it is one."""

    __tablename__ = "version"

    recording_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"), primary_key=True)
    other_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"), primary_key=True, index=True)
    probability: Mapped[float]


class AlignmentRow(Base):
    """How two items correspond, as one method found it.

    `segments` lists `[kind, ref start, ref end, other start, other end, points]`, null on a side that has nothing;
    `points` are the rows of all of them, float32: seconds in both, confidence, interval.
    """

    __tablename__ = "alignment"

    ref_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"), primary_key=True)
    other_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"), primary_key=True, index=True)
    method: Mapped[str] = mapped_column(String(64), primary_key=True)
    accepted: Mapped[bool]
    confidence: Mapped[float]
    transposition: Mapped[int]
    tuning_cents: Mapped[float]
    segments: Mapped[list[list[Any]]] = mapped_column(JSON)
    points: Mapped[bytes] = mapped_column(LargeBinary)
