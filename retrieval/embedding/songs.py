"""Songs to make versions of: a melody, what accompanies it, and chords, in beats.

Read from any score that partitura reads, whose chords are then guessed from its notes, or from a folder of the
POP909 dataset (Wang et al., ISMIR 2020), which has melody, chords and beats written down.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.errors import ScoreError
from retrieval.embedding.notes import score_notes

__all__ = ["Chord", "Song", "pop_song", "score_song"]

_INTERVALS = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "maj6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9),
    "dim": (0, 3, 6),
    "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10),
    "aug": (0, 4, 8),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
}
_GUESSED = ("maj", "min", "7", "min7", "dim")
_PITCH_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_BEATS_A_CHORD = 2.0
_FEWEST_NOTES = 40

Notes = NDArray[np.float64]


class Chord(NamedTuple):
    """A chord from one beat to another: pitch class of its root, and semitones above it."""

    start: float
    end: float
    root: int
    intervals: tuple[int, ...]


@dataclass(frozen=True)
class Song:
    """A piece of music to arrange.

    Attributes:
        melody: rows of onset and offset in beats and MIDI pitch, shape `(n, 3)`.
        accompaniment: the other parts, likewise.
        chords: in order.
        beats: its length.
        tempo: beats a minute, as it is usually played.
    """

    melody: Notes
    accompaniment: tuple[Notes, ...]
    chords: tuple[Chord, ...]
    beats: float
    tempo: float


def score_song(path: Path) -> Song:
    """The song of a score: the first of several parts is its melody, of a single one the highest notes.

    Raises:
        ScoreError: the score cannot be read, or has hardly any notes.
    """
    notes = score_notes(path)
    if len(notes) < _FEWEST_NOTES:
        raise ScoreError(str(path), f"has only {len(notes)} notes")
    parts = [
        np.column_stack([part[:, 0], part[:, 0] + part[:, 1], part[:, 2]])
        for part in (notes[notes[:, 3] == number] for number in np.unique(notes[:, 3]))
    ]
    melody, *others = parts
    if not others:
        others = [melody]
        melody = _highest(melody)
    together = np.concatenate(parts)
    beats = float(together[:, 1].max())
    return Song(melody, tuple(others), tuple(_guessed_chords(together, beats)), beats, tempo=95.0)


def pop_song(folder: Path) -> Song:
    """The song of a POP909 folder: its MIDI file, `chord_midi.txt` and `beat_midi.txt`.

    Raises:
        ScoreError: a file is missing or is not what the dataset has there.
    """
    import mido

    try:
        beats = np.array([float(line.split()[0]) for line in _lines(folder / "beat_midi.txt")])
        chords = [chord for line in _lines(folder / "chord_midi.txt") if (chord := _written_chord(line))]
        file = mido.MidiFile(folder / f"{folder.name}.mid")
        tracks = {track.name: track for track in file.tracks}
        tempi = _tempo_changes(tracks.values())
        parts = [_track_notes(tracks[name], tempi, file.ticks_per_beat) for name in ("MELODY", "BRIDGE", "PIANO")]
    except (OSError, ValueError, KeyError, IndexError, EOFError) as error:
        raise ScoreError(str(folder), f"is not a POP909 song ({error})") from error
    if len(beats) < 2 or len(parts[0]) < _FEWEST_NOTES:
        raise ScoreError(str(folder), "has hardly any beats or melody")
    in_beats = _Beats(beats)
    melody, bridge, piano = (
        np.column_stack([in_beats(part[:, 0]), in_beats(part[:, 1]), part[:, 2]]) for part in parts
    )
    written = tuple(
        chord._replace(start=float(in_beats(chord.start)), end=float(in_beats(chord.end))) for chord in chords
    )
    others = tuple(part for part in (bridge, piano) if len(part))
    return Song(melody, others, written, float(len(beats)), tempo=60.0 / float(np.median(np.diff(beats))))


class _Beats:
    """Seconds to beats, going on at the same tempo beyond the first and the last."""

    def __init__(self, beats: NDArray[np.float64]) -> None:
        step = float(np.median(np.diff(beats)))
        self._seconds = np.concatenate([[beats[0] - 100 * step], beats, [beats[-1] + 100 * step]])
        self._beats = np.concatenate([[-100.0], np.arange(len(beats)), [len(beats) + 99.0]])

    def __call__(self, seconds: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return np.asarray(np.interp(seconds, self._seconds, self._beats), np.float64)


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line.strip()]


def _written_chord(line: str) -> Chord | None:
    start, end, name = line.split()[:3]
    if ":" not in name:
        return None
    letter, quality = name.split(":", 1)
    quality = quality.split("/")[0].split("(")[0]
    root = (_PITCH_CLASSES[letter[0]] + letter.count("#") - letter.count("b")) % 12
    return Chord(float(start), float(end), root, _INTERVALS.get(quality, _INTERVALS["maj"]))


def _tempo_changes(tracks: Iterable[Any]) -> list[tuple[int, int]]:
    """Tick and microseconds a quarter of each change."""
    changes = []
    for track in tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "set_tempo":
                changes.append((tick, message.tempo))
    return sorted(changes) or [(0, 500000)]


def _track_notes(track: Iterable[Any], tempi: list[tuple[int, int]], ticks_a_beat: int) -> Notes:
    """Onset and offset in seconds, and pitch, shape `(n, 3)`."""
    sounding: dict[int, int] = {}
    notes = []
    tick = 0
    for message in track:
        tick += message.time
        if message.type == "note_on" and message.velocity:
            sounding[message.note] = tick
        elif message.type in ("note_on", "note_off") and message.note in sounding:
            notes.append((sounding.pop(message.note), tick, message.note))
    found = np.array(sorted(notes), np.float64).reshape(-1, 3)
    found[:, :2] = _seconds(found[:, :2], tempi, ticks_a_beat)
    return found


def _seconds(ticks: NDArray[np.float64], tempi: list[tuple[int, int]], ticks_a_beat: int) -> NDArray[np.float64]:
    starts = np.array([0, *(tick for tick, _ in tempi[1:])], np.float64)
    rates = np.array([tempo for _, tempo in tempi], np.float64) / (1e6 * ticks_a_beat)
    passed = np.concatenate([[0.0], np.cumsum(np.diff(starts) * rates[:-1])])
    which = np.searchsorted(starts, ticks, side="right") - 1
    return np.asarray(passed[which] + (ticks - starts[which]) * rates[which], np.float64)


def _highest(notes: Notes) -> Notes:
    """Of notes that begin together the highest."""
    ordered = notes[np.lexsort((-notes[:, 2], notes[:, 0]))]
    return ordered[np.concatenate([[True], np.diff(ordered[:, 0]) > 1e-3])]


def _guessed_chords(notes: Notes, beats: float) -> list[Chord]:
    """For each two beats the chord whose tones sound longest there, less those foreign to it."""
    templates = [(root, _INTERVALS[name]) for name in _GUESSED for root in range(12)]
    tones = np.full((len(templates), 12), -0.6)
    for row, (root, intervals) in zip(tones, templates, strict=True):
        row[[(root + interval) % 12 for interval in intervals]] = 3.0 / len(intervals)
        row[root] += 0.1
    chords = []
    for start in np.arange(0.0, beats, _BEATS_A_CHORD):
        end = start + _BEATS_A_CHORD
        shared = np.minimum(notes[:, 1], end) - np.maximum(notes[:, 0], start)
        sounding = shared > 0
        if sounding.any():
            heard = np.bincount(notes[sounding, 2].astype(np.int64) % 12, shared[sounding], 12)
            root, intervals = templates[int(np.argmax(tones @ heard))]
            chords.append(Chord(float(start), float(end), root, intervals))
    return chords
