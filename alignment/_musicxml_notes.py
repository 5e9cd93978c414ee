"""The notes of a MusicXML document, by way of partitura.

Grace notes sound before the beat, an eighth of a quarter each; small notes marked as cues sound too, since
cadenzas are written with them. Ornaments, arpeggios and dynamics are not played out.
"""

from __future__ import annotations

import io
import threading
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignment._musicxml_document import first_line
from alignment._sheet import GRACE_QUARTERS, PLAIN_VELOCITY, ReadError, as_notes

__all__ = ["PART", "notes_of_parts"]

PART = 4
"""Column of the notes that tells their part."""

_LONGEST_GRACE_RUN = 16
_ONE_AT_A_TIME = threading.Lock()
"""What is ignored of warnings is the whole process's, and partitura is Python throughout: threads gain nothing."""
_PERCUSSION = "10"


def notes_of_parts(root: Any, starts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Notes of all parts in quarters, where measures begin at `starts`, by way of partitura.

    A fifth column tells which of the document's parts each belongs to.
    """
    from lxml import etree

    channels: dict[str, set[str]] = {
        part.get("id", ""): {str(channel.text) for channel in part.iter("midi-channel")}
        for part in root.iterfind("part-list/score-part")
    }
    try:
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import partitura

            score = partitura.load_musicxml(io.BytesIO(etree.tostring(root)))
            places = {name: place for place, name in enumerate(channels)}
            found = [np.zeros((0, PART + 1))]
            for part in score.parts:
                if channels.get(part.id) != {_PERCUSSION}:
                    notes = _part_notes(part, starts)
                    found.append(np.column_stack([notes, np.full(len(notes), places[part.id])]))
            return np.concatenate(found)
    except Exception as error:  # partitura raises whatever a wrong document makes it run into
        raise ReadError(f"is MusicXML that cannot be understood ({first_line(error)})") from error


def _part_notes(part: Any, starts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Notes of a part in quarters of the whole score, whose measures begin at `starts`."""
    from partitura.score import GraceNote, Transposition, UnpitchedNote

    notes = [note for note in part.notes_tied if not isinstance(note, UnpitchedNote)]
    bars = sorted(measure.start.t for measure in part.measures)
    if not notes or not bars:
        return as_notes([])
    onset = np.array([note.start.t for note in notes])
    end = np.array([max(note.end_tied.t, note.start.t) for note in notes])
    to_quarters = _Quarters(part)
    bar_quarters = to_quarters(np.array(bars))
    rows = np.empty((len(notes), 4))
    # An end on a bar line belongs to the measure before it.
    measure = np.maximum(np.searchsorted(bars, onset, "right") - 1, 0)
    last = np.maximum(np.searchsorted(bars, end, "left") - 1, measure)
    rows[:, 0] = starts[measure] + to_quarters(onset) - bar_quarters[measure]
    rows[:, 1] = starts[last] + to_quarters(end) - bar_quarters[last]
    rows[:, 1] = np.maximum(rows[:, 1], rows[:, 0])
    transpositions = sorted(
        (mark.start.t, mark.chromatic or 0) for mark in part.iter_all(Transposition)
    )  # each holds until the next
    semitones = np.array([0, *(chromatic for _, chromatic in transpositions)])
    rows[:, 2] = [note.midi_pitch for note in notes]
    rows[:, 2] += semitones[np.searchsorted([place for place, _ in transpositions], onset, "right")]
    rows[:, 3] = PLAIN_VELOCITY
    for row, note in zip(rows, notes, strict=True):
        if isinstance(note, GraceNote):
            row[0] = max(row[0] - GRACE_QUARTERS * _graces_left(note, GraceNote), 0.0)
            row[1] = row[0] + GRACE_QUARTERS
    inside = rows[:, 0] <= starts[np.minimum(measure + 1, len(starts) - 1)]
    return rows[inside & (rows[:, 2] >= 0) & (rows[:, 2] <= 127) & (rows[:, 1] > rows[:, 0])]


class _Quarters:
    """From partitura's divisions to quarters, through every change of divisions."""

    def __init__(self, part: Any) -> None:
        changes = np.asarray(part.quarter_durations(), np.float64).reshape(-1, 2)
        self._places, self._divisions = changes[:, 0], changes[:, 1]
        self._quarters = np.concatenate([[0.0], np.cumsum(np.diff(self._places) / self._divisions[:-1])])

    def __call__(self, places: NDArray[np.int64]) -> NDArray[np.float64]:
        section = np.maximum(np.searchsorted(self._places, places, "right") - 1, 0)
        return np.asarray(self._quarters[section] + (places - self._places[section]) / self._divisions[section])


def _graces_left(note: Any, kind: type) -> int:
    """How many grace notes there are from this one to its main note."""
    left = 0
    while isinstance(note, kind) and left < _LONGEST_GRACE_RUN:
        note = getattr(note, "grace_next", None)
        left += 1
    return left
