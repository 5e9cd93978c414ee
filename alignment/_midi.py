"""MIDI files: their own tempi and time signatures, every track, without percussion.

While the sustain pedal is down, released notes sound on until it comes up or the same pitch is struck
again; how long they are heard is left to the decay of their sound.
"""

from __future__ import annotations

import io
import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment._general_midi import program_name
from alignment._sheet import COMMON_TIME, DEFAULT_TEMPO, Measure, Metre, ReadError, Sheet
from alignment.heading import Heading, Part

__all__ = ["read_midi", "track_notes"]

_PERCUSSION = 9
_SUSTAIN_PEDAL = 64
_PEDAL_DOWN = 64
_MOST_MEASURES = 100_000
_MOST_BYTES = 2**23
"""Two million messages, a gigabyte while they are read; a symphony has a tenth of that."""
_MOST_RIFF_BYTES = 64


class _Event(NamedTuple):
    """A message that matters, at its tick."""

    tick: int
    kind: str
    channel: int
    pitch: int
    value: float


def read_midi(data: bytes) -> Sheet:
    """Read a MIDI file of type 0 or 1.

    Raises:
        ReadError: it is not such a file, or is damaged.
    """
    file = _file(data)
    quarter, fixed = _ticks_per_quarter(file.ticks_per_beat)
    events = [event for track in file.tracks for event in _events(track)]
    events.sort(key=lambda event: event.tick)
    notes = _notes(events)
    notes[:, :2] /= quarter
    end = float(notes[:, 1].max(initial=0.0))
    tempi = [] if fixed else [(event.tick / quarter, event.value) for event in events if event.kind == "tempo"]
    signatures = [
        (event.tick / quarter, Metre(event.pitch, int(event.value)))
        for event in events
        if event.kind == "metre" and event.pitch
    ]
    return Sheet(notes, _measures(signatures, end), tempi, Heading(_title(file)), (), _parts(file))


def track_notes(data: bytes) -> list[int]:
    """How many notes each track of a MIDI file has, percussion aside.

    Raises:
        ReadError: it is not such a file, or is damaged.
    """
    return [sum(map(_struck, track)) for track in _file(data).tracks]


def _file(data: bytes) -> Any:
    import mido

    if len(data) > _MOST_BYTES:
        raise ReadError("is too large for a MIDI file (over 8 MB)")
    if data.startswith(b"RIFF"):
        data = data[max(data.find(b"MThd", 0, _MOST_RIFF_BYTES), 0) :]
    try:
        file = mido.MidiFile(file=io.BytesIO(data), clip=True)
    except Exception as error:  # mido raises whatever its parsing runs into
        raise ReadError("is not a MIDI file, or is damaged") from error
    if file.type == 2:
        raise ReadError("is a MIDI file of type 2 (separate patterns), which has no common time")
    return file


def _parts(file: Any) -> list[Part]:
    """One for each track with notes; where all are in one track, one for each channel."""
    sounding = [track for track in file.tracks if any(message.type == "note_on" for message in track)]
    if len(sounding) == 1:
        (track,) = sounding
        channels = dict.fromkeys(message.channel for message in track if message.type == "note_on")
        groups = [[message for message in track if getattr(message, "channel", one) == one] for one in sorted(channels)]
    else:
        groups = [list(track) for track in sounding]
    names = [str(track.name).strip() for track in sounding] if len(sounding) == len(groups) else [""] * len(groups)
    return [
        Part(name, _instrument(group), 0, sum(map(_struck, group))) for name, group in zip(names, groups, strict=True)
    ]


def _instrument(messages: Sequence[Any]) -> str:
    """As the file names it, else what General MIDI calls its first program."""
    for message in messages:
        if message.type == "instrument_name" and message.name.strip():
            return str(message.name).strip()
    programs = (m.program for m in messages if m.type == "program_change" and m.channel != _PERCUSSION)
    return program_name(next(programs, -1))


def _struck(message: Any) -> bool:
    return bool(message.type == "note_on" and message.velocity and message.channel != _PERCUSSION)


def _ticks_per_quarter(division: int) -> tuple[float, bool]:
    """Ticks in a quarter, and whether they are parts of a second (SMPTE) that no tempo changes."""
    if division > 0:
        return float(division), False
    frames, parts = -(division >> 8), division & 0xFF
    if not frames or not parts:
        raise ReadError("is a MIDI file without a time division")
    rate = 29.97 if frames == 29 else float(frames)
    return rate * parts * 60.0 / DEFAULT_TEMPO, True


def _events(track: Any) -> list[_Event]:
    found = []
    tick = 0
    for message in track:
        tick += message.time
        match message.type:
            case "note_on" | "note_off" if message.channel != _PERCUSSION:
                velocity = message.velocity if message.type == "note_on" else 0
                found.append(_Event(tick, "note", message.channel, message.note, velocity / 127))
            case "control_change" if message.control == _SUSTAIN_PEDAL:
                found.append(_Event(tick, "pedal", message.channel, 0, float(message.value >= _PEDAL_DOWN)))
            case "set_tempo" if message.tempo > 0:
                found.append(_Event(tick, "tempo", 0, 0, 60e6 / message.tempo))
            case "time_signature":
                found.append(_Event(tick, "metre", 0, message.numerator, message.denominator))
    return found


def _notes(events: Sequence[_Event]) -> NDArray[np.float64]:
    """Notes in ticks; one that never ends lasts until the last event."""
    rows: list[list[float]] = []
    keys: dict[tuple[int, int], list[int]] = defaultdict(list)
    open_notes: dict[tuple[int, int], list[int]] = defaultdict(list)
    pedals: dict[int, list[tuple[int, float]]] = defaultdict(list)
    last = events[-1].tick if events else 0
    for event in events:
        key = (event.channel, event.pitch)
        if event.kind == "pedal":
            pedals[event.channel].append((event.tick, event.value))
        elif event.kind == "note" and event.value:
            open_notes[key].append(len(rows))
            keys[key].append(len(rows))
            rows.append([event.tick, last, event.pitch, event.value])
        elif event.kind == "note" and open_notes[key]:
            rows[open_notes[key].pop(0)][1] = event.tick
    notes = np.array(rows, np.float64).reshape(-1, 4)
    for (channel, _), indices in keys.items():
        if channel in pedals:
            _sustain(notes, np.array(indices), pedals[channel], last)
    return notes


def _sustain(notes: NDArray[np.float64], indices: NDArray[np.int64], pedal: list[tuple[int, float]], last: int) -> None:
    """Lengthen the notes of one key to where the pedal comes up, but not into its next stroke."""
    ticks = np.array([tick for tick, _ in pedal], np.float64)
    down = np.array([value for _, value in pedal])
    lifts = np.append(ticks[down == 0], last)
    released = notes[indices, 1]
    state = np.searchsorted(ticks, released, side="right") - 1
    held = (state >= 0) & (down[np.maximum(state, 0)] > 0)
    lifted = lifts[np.minimum(np.searchsorted(lifts, released, side="right"), len(lifts) - 1)]
    struck = np.append(notes[indices[1:], 0], np.inf)
    sounding = np.maximum(released, np.minimum(lifted, struck))
    notes[indices, 1] = np.where(held, sounding, released)


def _measures(signatures: Sequence[tuple[float, Metre]], end: float) -> list[Measure]:
    """Measures from the beginning past `end`; a time signature begins a new one."""
    changes = dict(signatures)  # of several at one time, the last holds
    starts = sorted({0.0, *(start for start in changes if start < end)})
    measures: list[Measure] = []
    metre = COMMON_TIME
    for start, until in itertools.pairwise([*starts, np.inf]):
        metre = changes.get(start, metre)
        place = start
        while place < min(until, end) - 1e-9:
            if len(measures) >= _MOST_MEASURES:
                raise ReadError(f"has more than {_MOST_MEASURES} measures: its times are broken")
            index, end_of_it = len(measures), min(place + metre.length, until)
            measures.append(Measure(str(index + 1), place, end_of_it, metre.beat, 1.0, index))
            place = measures[-1].end
    return measures


def _title(file: Any) -> str:
    """The name of the first track where that has no notes of its own, else nothing: other names are instruments'."""
    if len(file.tracks) > 1 and not any(message.type == "note_on" for message in file.tracks[0]):
        return str(file.tracks[0].name)
    return ""
