"""Notes of a score, set to time and as somebody plays them.

Notes are rows of float64 with the columns onset and offset in seconds, MIDI pitch, part and, once they are played, MIDI
velocity.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from alignment.errors import ScoreError

__all__ = ["OFFSET", "ONSET", "PART", "PITCH", "played", "score_notes", "timed_excerpt", "wandering_steps"]

ONSET, OFFSET, PITCH, PART = range(4)
"""Columns of notes; of those that are played the last is the velocity."""

_LEAD_SECONDS = 0.5
_EARLIEST = 0.05

Notes = NDArray[np.float64]


def score_notes(path: Path) -> Notes:
    """The notes of a score in quarters, repeats as written: onset, duration, pitch and part, sorted.

    Raises:
        ScoreError: the score cannot be read or has no notes.
    """
    import partitura

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parts = [part.note_array() for part in partitura.load_score(str(path)).parts]
    except Exception as error:  # partitura raises whatever an odd score leads it to
        raise ScoreError(str(path), f"cannot be read ({error})") from error
    notes = sorted(
        (float(note["onset_quarter"]), float(note["duration_quarter"]), int(note["pitch"]), number)
        for number, part in enumerate(parts)
        for note in part
        if note["duration_quarter"] > 0
    )
    if not notes:
        raise ScoreError(str(path), "has no notes")
    return np.array(notes, float)


def timed_excerpt(notes: Notes, rng: Generator, seconds: float) -> Notes:
    """A passage of the notes that `score_notes` gives, at a tempo that wanders; it begins half a second in."""
    onsets = notes[:, 0]
    quarters = np.arange(0, onsets.max() + 9, 0.5)
    steps = wandering_steps(len(quarters), rng.uniform(55, 150), rng)
    times = np.concatenate([[0], np.cumsum(steps)])[: len(quarters)]
    on, off = np.interp(onsets, quarters, times), np.interp(onsets + notes[:, 1], quarters, times)
    start = rng.uniform(0, max(0, on.max() - seconds))
    inside = (on >= start) & (on < start + seconds)
    shift = _LEAD_SECONDS - start
    return np.column_stack([on[inside] + shift, off[inside] + shift, notes[inside, 2:]])


def wandering_steps(count: int, tempo: float, rng: Generator) -> NDArray[np.float64]:
    """Seconds of so many half quarters at a tempo, in quarters a minute, that wanders."""
    walk = np.cumsum(rng.normal(0, 0.04, count))
    walk -= np.linspace(walk[0], walk[-1], count)
    return 0.5 * 60 / tempo * np.exp(np.clip(walk, -0.5, 0.5))


def played(notes: Notes, rng: Generator) -> Notes:
    """The notes as somebody plays them, shape `(m, 5)`, velocities in the last column.

    Onsets wander by milliseconds, chords spread, notes are held longer or shorter, a few are left out, and
    one time in eight a part plays an octave off.
    """
    out = notes.copy()
    articulation = rng.uniform(0.55, 1.15)
    kept = rng.random(len(out)) > rng.choice([0, 0.03])
    jitter, chord_jitter = rng.uniform(0, 8e-3), rng.uniform(0, 6e-3)
    moves: dict[float, float] = {}
    together = [moves.setdefault(round(onset, 3), rng.normal(0, chord_jitter)) for onset in out[:, ONSET]]
    lengths = (out[:, OFFSET] - out[:, ONSET]) * articulation * np.exp(rng.normal(0, 0.1, len(out)))
    out[:, ONSET] += together + rng.normal(0, jitter, len(out))
    out[:, OFFSET] = out[:, ONSET] + np.maximum(0.05, lengths)
    if rng.random() < 0.12:
        part = rng.choice(np.unique(out[:, PART]))
        out[out[:, PART] == part, PITCH] += rng.choice([-12, 12])
    out = np.column_stack([out, _velocities(out, rng)])[kept]
    return out[(out[:, PITCH] > 20) & (out[:, PITCH] < 108) & (out[:, ONSET] >= _EARLIEST)]


def _velocities(notes: Notes, rng: Generator) -> NDArray[np.float64]:
    """Swelling and ebbing every few seconds; the first part, which sings, a little louder."""
    level = rng.uniform(50, 90)
    swell = np.clip(level + np.cumsum(rng.normal(0, 8, 20)), 30, 115)
    each = np.interp(notes[:, ONSET], np.arange(0, 60, 3), swell) + rng.normal(0, 8, len(notes))
    return np.clip(each + np.where(notes[:, PART] == 0, rng.uniform(0, 15), 0), 12, 125)
