"""Scores as what is played of them: notes and beats in seconds, all repeats and voltas unfolded.

A MIDI file's seconds are its own, tempo changes followed. Other scores run at their tempo marks, and at 120
quarters a minute where there is none. A repeated measure occurs again, under the same label.

A beat is what the time signature counts: 6/8 has six. The beats of a pick-up count so that they end at the
bar line: a quarter before 4/4 is beat 4.
"""

from __future__ import annotations

import io
import math
import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment._midi import read_midi
from alignment._musicxml import read_musicxml
from alignment._sheet import DEFAULT_TEMPO, Measure, ReadError, Sheet
from alignment._verovio import read_encoded
from alignment.errors import ScoreError
from alignment.heading import Heading, Movement, Part, full_title, title_of_stretch

__all__ = [
    "SCORE_SUFFIXES",
    "Beat",
    "Clock",
    "Movement",
    "Part",
    "PlayedMeasure",
    "Score",
    "begins_like_score",
    "is_score",
    "read_score",
    "score_data",
    "score_format",
]

SCORE_SUFFIXES = frozenset({".mid", ".midi", ".musicxml", ".xml", ".mxl", ".mei", ".krn"})
"""Endings (lower case) of files that are taken for scores."""

_SIGNS = (b"<score-partwise", b"<score-timewise", b"<mei", b"**kern")
_SIGN_BYTES = 4096
_MOST_BYTES = 2**26
_LONGEST_SECONDS = 8 * 3600.0
_MOST_BEATS = 1e6
_SHORTEST_SECONDS = 0.05
_SLOWEST, _FASTEST = 4.0, 2000.0
"""Tempo marks beyond these, in quarters a minute, are mistakes and are passed over; a MIDI file's are its seconds."""


_LEAST_OF_A_BEAT = 0.1
"""What is left of a beat at either end of a measure is a beat of its own if it is no less: files round durations."""

_READERS = {"midi": read_midi, "encoded": read_encoded, "musicxml": read_musicxml}

_SHORTEST_MEASURE = 1e-3
"""In quarters; what is shorter has no beats."""


class Beat(NamedTuple):
    """A beat of a score as it is played.

    Attributes:
        seconds: when it falls.
        measure: label of its measure, as printed; in a MIDI file counted from 1.
        beat: from 1; a fraction where a measure begins within a beat.
    """

    seconds: float
    measure: str
    beat: float

    def reached(self, seconds: float, until: float) -> float:
        """The beat, with its fraction, at a time; the next one falls on `until`."""
        lasts = until - self.seconds
        share = min(max((seconds - self.seconds) / lasts, 0.0), 1.0) if lasts > 0 else 0.0
        return self.beat + share * (math.floor(self.beat) + 1.0 - self.beat)


class PlayedMeasure(NamedTuple):
    """A measure of a score as it is played; a repeated one occurs again.

    Attributes:
        written: which of the measures as printed it is, counted from 0 in the order of the document.
        label: as printed.
        quarters: where it begins.
        start, end: in seconds.
    """

    written: int
    label: str
    quarters: float
    start: float
    end: float


class Clock:
    """From quarters of a score as played to seconds, through all changes of tempo."""

    def __init__(self, tempi: Sequence[tuple[float, float]] = ()) -> None:
        kept = {0.0: DEFAULT_TEMPO, **dict(tempi)}
        self._from = np.array(sorted(kept))
        self._quarter = np.array([60.0 / kept[when] for when in self._from.tolist()])
        self._seconds = np.concatenate([[0.0], np.cumsum(np.diff(self._from) * self._quarter[:-1])])

    def __call__(self, quarters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Seconds at quarters from the beginning."""
        section = np.maximum(np.searchsorted(self._from, quarters, "right") - 1, 0)
        return np.asarray(self._seconds[section] + (quarters - self._from[section]) * self._quarter[section])

    def quarters(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Quarters from the beginning at seconds."""
        section = np.maximum(np.searchsorted(self._seconds, seconds, "right") - 1, 0)
        return np.asarray(self._from[section] + (seconds - self._seconds[section]) / self._quarter[section])


@dataclass(frozen=True)
class Score:
    """A score, unfolded and timed.

    Attributes:
        path: the file that it is from.
        title: work and movement as the file states them, or None.
        notes: float64, shape `(n, 4)`, sorted: onset and offset in seconds, MIDI pitch as it sounds,
            velocity in 0..1.
        beats: every beat in time order; each measure's first entry is its start.
        quarters: of each of them, how many quarters are played before.
        units: of each of them, how many quarters a beat lasts in its measure.
        duration: seconds to the end of the last measure or note.
        composer: as the file states it, or None.
        played: every measure, also one that goes on counting the beats of the one before it, which `measures`
            takes for one with that.
        clock: from quarters to seconds.
        heading: what the file states of the work.
        movements: those that the file tells, in time order; none where it tells of none.
        parts: from the top.
    """

    path: str
    title: str | None
    notes: NDArray[np.float64]
    beats: tuple[Beat, ...]
    duration: float
    composer: str | None = None
    played: tuple[PlayedMeasure, ...] = ()
    clock: Clock = field(default_factory=Clock)
    heading: Heading = field(default_factory=Heading)
    movements: tuple[Movement, ...] = ()
    parts: tuple[Part, ...] = ()
    quarters: tuple[float, ...] = ()
    units: tuple[float, ...] = ()

    @cached_property
    def _seconds(self) -> list[float]:
        return [beat.seconds for beat in self.beats]

    @cached_property
    def measures(self) -> tuple[Beat, ...]:
        """Start of each measure as played."""
        beats = self.beats
        starts = [
            index
            for index, beat in enumerate(beats)
            if not index or beat.measure != beats[index - 1].measure or beat.beat <= beats[index - 1].beat
        ]
        return tuple(beats[index] for index in starts)

    def position(self, seconds: float) -> tuple[str, float]:
        """Measure and beat, with its fraction, at a time; times outside the score go by its ends.

        The measure is empty where the score has no beats.
        """
        if not self.beats:
            return "", 1.0
        index = max(bisect_right(self._seconds, seconds) - 1, 0)
        until = self._seconds[index + 1] if index + 1 < len(self.beats) else self.duration
        return self.beats[index].measure, self.beats[index].reached(seconds, until)

    def title_at(self, start: float, end: float) -> str | None:
        """The title of a stretch in seconds: where there are several movements and it is in one, with that."""
        return title_of_stretch(self.title, self.heading, self.movements, start, end)


def is_score(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name ends like a score's, or the file begins like one."""
    file = Path(path)
    if file.suffix.lower() in SCORE_SUFFIXES:
        return True
    return begins_like_score(path)


def begins_like_score(path: str | os.PathLike[str]) -> bool:
    """Whether what a file holds begins like a score."""
    file = Path(path)
    try:
        with file.open("rb") if file.is_file() else io.BytesIO() as opened:
            beginning = opened.read(_SIGN_BYTES)
    except (OSError, ValueError):
        return False
    return beginning.startswith((b"MThd", b"PK\x03\x04")) or any(sign in beginning for sign in _SIGNS)


def read_score(path: str | os.PathLike[str]) -> Score:
    """Read a score: MIDI, MusicXML (also compressed), MEI or Humdrum kern. What the file holds decides, not its name.

    Percussion is left out. Tied notes are one. Sustain pedals of MIDI files lengthen notes; ornaments are
    not played out; grace notes sound briefly before the beat.

    Raises:
        ScoreError: there is no such file, nothing in it can be read as a score, it has no notes or an
            impossible length, or the `score` extra is missing; names the file and the cause.
    """
    name = os.fspath(path)
    data = score_data(name)
    try:
        kind = score_format(data, Path(name).suffix.lower())
        sheet = _READERS[kind](data)
    except ReadError as error:
        raise ScoreError(name, str(error)) from error
    except ImportError as error:
        raise ScoreError(name, 'wants the score extra: pip install "incipit-music[score]"') from error
    return _timed(name, sheet, kind)


def score_data(name: str) -> bytes:
    """What a file that should be a score holds; raises ScoreError."""
    file = Path(name)
    try:
        if file.is_dir():
            raise ScoreError(name, "is a folder, not a score")
        if not file.exists():
            raise ScoreError(name, "no such file")
        if not file.is_file():
            raise ScoreError(name, "is not a regular file")
        if file.stat().st_size > _MOST_BYTES:
            raise ScoreError(name, "is too large for a score (over 64 MB)")
        data = file.read_bytes()
    except (OSError, ValueError) as error:
        raise ScoreError(name, getattr(error, "strerror", None) or str(error)) from error
    if not data:
        raise ScoreError(name, "the file is empty")
    return data


def score_format(data: bytes, suffix: str) -> str:
    """ "midi", "encoded" (MEI or kern) or "musicxml", by what the data begin with, else by the name's ending."""
    beginning = data[:100_000]
    if b"**kern" in beginning or b"<mei" in beginning:
        return "encoded"
    if data.startswith(b"PK") or b"<score-" in beginning:
        return "musicxml"
    if data.startswith(b"MThd") or suffix in (".mid", ".midi"):
        return "midi"
    return "encoded" if suffix in (".mei", ".krn") else "musicxml"


def _timed(name: str, sheet: Sheet, kind: str) -> Score:
    """Seconds for quarters; `kind` as `score_format` tells it."""
    if not len(sheet.notes):
        raise ScoreError(name, "has no notes with a pitch")
    if sum((measure.end - measure.start) / measure.beat for measure in sheet.measures) > _MOST_BEATS:
        raise ScoreError(name, "has more than a million beats: its time signatures are broken")
    clock = Clock([mark for mark in sheet.tempi if kind == "midi" or _SLOWEST <= mark[1] <= _FASTEST])
    notes = sheet.notes.copy()
    notes[:, :2] = clock(notes[:, :2])
    ends = sheet.measures[-1].end if sheet.measures else 0.0
    duration = max(float(notes[:, 1].max()), float(clock(np.array(ends))))
    if not duration >= _SHORTEST_SECONDS or not float((notes[:, 1] - notes[:, 0]).max()) > 0:
        raise ScoreError(name, "its notes have no duration")
    if not duration <= _LONGEST_SECONDS:
        raise ScoreError(name, f"would last {duration / 3600:.0f} hours: its times or tempi are broken")
    notes = notes[np.lexsort((notes[:, 2], notes[:, 0]))]
    (beats, quarters, units), played = _beats(sheet.measures, clock), _played(sheet.measures, clock)
    starts = clock(np.array([movement.start for movement in sheet.movements], np.float64)).tolist()
    movements = tuple(movement._replace(start=start) for movement, start in zip(sheet.movements, starts, strict=True))
    return Score(
        name,
        full_title(sheet.heading, movements[0] if len(movements) == 1 else None) or None,
        notes,
        beats,
        duration,
        sheet.heading.composer or None,
        played,
        clock,
        sheet.heading,
        movements,
        tuple(sheet.parts),
        quarters,
        units,
    )


def _played(measures: Sequence[Measure], clock: Clock) -> tuple[PlayedMeasure, ...]:
    starts = clock(np.array([measure.start for measure in measures], np.float64)).tolist()
    ends = clock(np.array([measure.end for measure in measures], np.float64)).tolist()
    return tuple(
        PlayedMeasure(measure.written, measure.label, measure.start, start, end)
        for measure, start, end in zip(measures, starts, ends, strict=True)
    )


def _beats(measures: Sequence[Measure], clock: Clock) -> tuple[tuple[Beat, ...], tuple[float, ...], tuple[float, ...]]:
    """Each measure's start, and the whole beats within it; the quarters before each, and those of a beat there."""
    quarters: list[float] = []
    names: list[tuple[str, float]] = []
    units: list[float] = []
    for measure in measures:
        quarters_long = measure.end - measure.start
        if quarters_long < _SHORTEST_MEASURE:
            continue
        end = measure.first + quarters_long / measure.beat
        inside = np.arange(math.ceil(measure.first + _LEAST_OF_A_BEAT), end - _LEAST_OF_A_BEAT)
        places = [measure.first, *inside.tolist()]
        quarters += [measure.start + (place - measure.first) * measure.beat for place in places]
        names += [(measure.label, place) for place in places]
        units += [measure.beat] * len(places)
    seconds = clock(np.array(quarters)).tolist()
    beats = tuple(Beat(when, label, beat) for when, (label, beat) in zip(seconds, names, strict=True))
    return beats, tuple(quarters), tuple(units)
