"""What is told of scores where they are found, read as it lies in the database."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import Connection

from index.sheets import KeptBeats, KeptMovement, unpack_beats

__all__ = ["ToldScore", "told_scores"]

_TOLD = """
SELECT item.id, item.key,
    (SELECT path FROM item_file WHERE item_id = item.id ORDER BY missing, id LIMIT 1),
    item.title, item.work_title, item.work_number, coalesce(nullif(work.name, ''), work.key), item.duration,
    score_sheet.beats, movement.number, movement.title, movement.start
FROM item
    JOIN score_sheet ON score_sheet.item_id = item.id
    LEFT JOIN work ON work.id = item.work_id
    LEFT JOIN score_movement AS movement ON movement.item_id = item.id
WHERE item.id IN ({})
ORDER BY item.id, movement.position
"""
"""The fields of `ToldScore`, a row for each movement, or one: read as they lie, ten times as fast as mapped rows."""


class ToldScore(NamedTuple):
    """What is told of a score that is found.

    Attributes:
        key: the id that users see.
        path: where its file lies.
        title, work_title, work_number: as the file states them, or empty.
        work: as its recordings are grouped, or None.
        duration: seconds.
        movements: those that the file tells, in time order.
        beats: all of them.
    """

    key: str
    path: str
    title: str
    work_title: str
    work_number: str
    work: str | None
    duration: float
    movements: tuple[KeptMovement, ...]
    beats: KeptBeats


def told_scores(connection: Connection, ids: Iterable[int]) -> dict[int, ToldScore]:
    """What is told of the scores of these ids."""
    wanted = tuple(ids)
    found = connection.exec_driver_sql(_TOLD.format(", ".join("?" * len(wanted))), wanted)
    told: dict[int, ToldScore] = {}
    for id, several in itertools.groupby(found, key=itemgetter(0)):
        rows = list(several)
        key, path, title, work_title, work_number, work, duration, beats = rows[0][1:-3]
        told[id] = ToldScore(
            key,
            os.fsdecode(path),
            title,
            work_title,
            work_number,
            work,
            duration,
            tuple(KeptMovement(*row[-3:]) for row in rows if row[-1] is not None),
            unpack_beats(beats),
        )
    return told
