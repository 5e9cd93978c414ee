"""What is told of recordings where they are found, read as it lies in the database."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection

__all__ = ["ToldRecording", "told_recordings"]

_TOLD = """
SELECT item.id, item.key,
    (SELECT path FROM item_file WHERE item_id = item.id ORDER BY missing, id LIMIT 1),
    item.title, coalesce(nullif(work.name, ''), work.key), item.duration
FROM item LEFT JOIN work ON work.id = item.work_id
WHERE item.kind = 'recording' AND item.id IN ({})
"""
"""The fields of `ToldRecording`: read as they lie, twenty times as fast as mapped rows."""


class ToldRecording(NamedTuple):
    """What is told of a recording that is found.

    Attributes:
        key: the id that users see.
        path: where its file lies.
        title: as the file states it, or empty.
        work: as recordings are grouped, or None.
        duration: seconds.
    """

    key: str
    path: str
    title: str
    work: str | None
    duration: float


def told_recordings(connection: Connection, ids: Iterable[int]) -> dict[int, ToldRecording]:
    """What is told of the recordings of these ids; nothing of those that are not there."""
    wanted = tuple(ids)
    found = connection.exec_driver_sql(_TOLD.format(", ".join("?" * len(wanted))), wanted)
    return {id: ToldRecording(key, os.fsdecode(path), *rest) for id, key, path, *rest in found}
