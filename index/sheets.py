"""Sheets: what is played of the scores of a library, its notes and beats, so that no score is read twice.

Times are whole numbers of 10 µs, kept as differences, which compress well: some 3 bytes a note and half a byte a beat.
Labels of measures are kept once for all of their beats, so that the beats of a score are unpacked in some 20 µs.
"""

from __future__ import annotations

import itertools
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from index.schema import ScoreRow, SheetRow

__all__ = [
    "KeptBeats",
    "KeptMovement",
    "KeptPart",
    "KeptScore",
    "pack",
    "pack_beats",
    "unpack",
    "unpack_beats",
]

_TICKS = 100_000
"""A second."""
_VELOCITIES = 127
_COLUMNS = (np.dtype("<i8"), np.dtype("<i8"), np.dtype("u1"), np.dtype("u1"))
"""Onset after that of the note before, length, pitch, velocity."""
_SIZE, _STEP, _PLACE = np.dtype("<u4"), np.dtype("<i8"), np.dtype("<f8")


class KeptPart(NamedTuple):
    """A part of a score; see `alignment.heading.Part`."""

    name: str
    instrument: str
    transposition: int
    notes: int


class KeptMovement(NamedTuple):
    """A movement of a score, which begins at `start` seconds; see `alignment.heading.Movement`."""

    number: str
    title: str
    start: float


@dataclass(frozen=True)
class KeptScore:
    """A score, unfolded and timed; see `alignment.Score`.

    Attributes:
        title: of work and movement as the file states them, or empty.
        duration: seconds.
        notes: float64, shape `(n, 4)`, sorted: onset and offset in seconds, to 10 µs, MIDI pitch, a whole number, and
            velocity in 0..1, a whole number of 127ths.
        beats: seconds, to 10 µs, label of the measure, and beat in it, in time order.
        work_title, work_number: as the file states them, or empty.
        parts: from the top.
        movements: those that the file tells, in time order.
    """

    title: str
    duration: float
    notes: NDArray[np.float64]
    beats: tuple[tuple[float, str, float], ...]
    work_title: str = ""
    work_number: str = ""
    parts: tuple[KeptPart, ...] = ()
    movements: tuple[KeptMovement, ...] = ()


class KeptBeats(NamedTuple):
    """The beats of a score, in time order.

    Attributes:
        seconds: of each, to 10 µs.
        places: of each in its measure, from 1.
        labels: of the measures, as played.
        ends: int64, of each measure the number of beats up to its end.
    """

    seconds: NDArray[np.float64]
    places: NDArray[np.float64]
    labels: list[str]
    ends: NDArray[np.int64]

    def measure(self, beat: int) -> str:
        """The label of the measure that a beat is in."""
        return self.labels[int(np.searchsorted(self.ends, beat, side="right"))]


def pack(score: KeptScore) -> tuple[bytes, bytes]:
    """Notes and beats, compressed."""
    onset, offset = np.rint(score.notes[:, :2] * _TICKS).astype(np.int64).T
    pitch, velocity = np.rint(score.notes[:, 2]), np.rint(score.notes[:, 3] * _VELOCITIES)
    columns = (np.diff(onset, prepend=0), offset - onset, pitch, velocity)
    notes = b"".join(column.astype(dtype).tobytes() for column, dtype in zip(columns, _COLUMNS, strict=True))
    seconds, measures, places = zip(*score.beats, strict=True) if score.beats else ((), (), ())
    ticks = np.rint(np.array(seconds, np.float64) * _TICKS).astype(np.int64)
    return zlib.compress(notes, 9), pack_beats(np.diff(ticks, prepend=0), measures, places)


def pack_beats(steps: NDArray[np.int64], measures: Sequence[str], places: Sequence[float]) -> bytes:
    """Beats, compressed: ticks since the one before, labels of their measures, places in these."""
    runs = [(label, len(list(beats))) for label, beats in itertools.groupby(measures)]
    columns = (
        np.array([len(steps), len(runs)], _SIZE),
        steps.astype(_STEP),
        np.array(places, _PLACE),
        np.array([beats for _, beats in runs], _SIZE),
    )
    labels = json.dumps([label for label, _ in runs]).encode()
    return zlib.compress(b"".join(column.tobytes() for column in columns) + labels, 9)


def unpack(score: ScoreRow, row: SheetRow) -> KeptScore:
    """A score with what was packed of it."""
    data = zlib.decompress(row.notes)
    count = len(data) // sum(dtype.itemsize for dtype in _COLUMNS)
    columns, first = [], 0
    for dtype in _COLUMNS:
        columns.append(np.frombuffer(data, dtype, count, first).astype(np.int64))
        first += count * dtype.itemsize
    onset = np.cumsum(columns[0])
    notes = np.column_stack([onset / _TICKS, (onset + columns[1]) / _TICKS, columns[2], columns[3] / _VELOCITIES])
    beats = unpack_beats(row.beats)
    measures = np.repeat(np.array(beats.labels, object), np.diff(beats.ends, prepend=0))
    return KeptScore(
        score.title,
        score.duration,
        notes,
        tuple(zip(beats.seconds.tolist(), measures, beats.places.tolist(), strict=True)),
        score.work_title,
        score.work_number,
        tuple(KeptPart(part.name, part.instrument, part.transposition, part.notes) for part in score.parts),
        tuple(KeptMovement(movement.number, movement.title, movement.start) for movement in score.movements),
    )


def unpack_beats(packed: bytes) -> KeptBeats:
    """The beats alone, which is a good deal quicker."""
    data = zlib.decompress(packed)
    beats, runs = np.frombuffer(data, _SIZE, 2).tolist()
    at = np.cumsum([2 * _SIZE.itemsize, beats * _STEP.itemsize, beats * _PLACE.itemsize, runs * _SIZE.itemsize])
    return KeptBeats(
        np.cumsum(np.frombuffer(data, _STEP, beats, at[0])) / _TICKS,
        np.frombuffer(data, _PLACE, beats, at[1]),
        json.loads(data[at[3] :]),
        np.cumsum(np.frombuffer(data, _SIZE, runs, at[2]), dtype=np.int64),
    )
