"""A score made audible, plainly and fast, so that it can be aligned like a recording.

Each pitch is one cached tone: harmonics that fall off and decay like a struck string's, the higher ones
faster. A note is a slice of its pitch's tone, scaled by its velocity, with a short fade at its end.
The attack takes 5 ms, so that onsets are where the notes are.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from alignment.audio import ANALYSIS_RATE, Audio, Tags
from alignment.score import Score

__all__ = ["score_sound"]

_HARMONICS = 10
_ROLL_OFF = 1.3
"""Harmonic `h` begins at `h ** -_ROLL_OFF`."""
_ATTACK_SECONDS = 0.005
_RELEASE_SECONDS = 0.04
_LONGEST_SECONDS = 8.0
_SHORTEST_SECONDS = 0.03
"""Notes without a length of their own are heard this long."""
_LOWEST_PITCH, _HIGHEST_PITCH = 12, 120
_MIDDLE_DECAY_SECONDS = 1.2
"""Time in which middle C falls to 1/e; halved with every two octaves."""
_HEARD_DECAYS = 9.0
_HIGHEST_SHARE = 0.45
"""Of the rate: no harmonic lies above."""
_QUIETEST = 0.05
_PEAK = 0.7
_TAIL_SECONDS = 0.1


def score_sound(score: Score, rate: int = ANALYSIS_RATE) -> Audio:
    """Synthesise a score.

    Args:
        score: what to play.
        rate: samples a second.

    Returns:
        sound of the score's duration (and the end of its last release), its peak at 0.7.
    """
    samples = np.zeros(math.ceil((score.duration + _RELEASE_SECONDS + _TAIL_SECONDS) * rate), np.float32)
    pitches = np.clip(np.round(score.notes[:, 2]), _LOWEST_PITCH, _HIGHEST_PITCH).astype(np.int64)
    order = np.argsort(pitches, kind="stable")
    release = _fade(rate)
    tone, sounding = np.zeros(0, np.float32), -1
    scaled = np.empty(0, np.float32)
    starts = np.round(score.notes[:, 0] * rate).astype(np.int64)
    lengths = np.maximum(score.notes[:, 1] - score.notes[:, 0], _SHORTEST_SECONDS) * rate
    gains = np.clip(score.notes[:, 3], _QUIETEST, 1.0).astype(np.float32)
    for index in order.tolist():
        if pitches[index] != sounding:  # notes come by pitch: one tone at a time is in memory
            sounding = int(pitches[index])
            tone = _tone(sounding, rate, float(lengths[pitches == sounding].max()))
            scaled = np.empty_like(tone)
        start = int(starts[index])
        held = min(int(lengths[index]), len(tone) - len(release))
        whole = held + len(release)
        note = np.multiply(tone[:whole], gains[index], out=scaled[:whole])
        note[held:] *= release
        there = samples[start : start + whole]
        there += note[: len(there)]
    peak = float(max(samples.max(initial=0.0), -samples.min(initial=0.0)))
    if peak > 0:
        samples *= np.float32(_PEAK / peak)
    measures = np.array([(measure.start, measure.written) for measure in score.played], np.float64).reshape(-1, 2)
    return Audio(samples, rate, Tags(score.title or ""), onsets=np.unique(score.notes[:, 0]), measures=measures)


def _fade(rate: int) -> NDArray[np.float32]:
    """Raised cosine from 1 to 0."""
    count = max(round(_RELEASE_SECONDS * rate), 1)
    return (0.5 + 0.5 * np.cos(np.pi * np.arange(1, count + 1) / count)).astype(np.float32)


def _tone(pitch: int, rate: int, longest: float) -> NDArray[np.float32]:
    """Tone of a MIDI pitch, of `longest` samples or as long as it is heard, and its release."""
    frequency = 440.0 * 2.0 ** ((pitch - 69) / 12)
    decay = _MIDDLE_DECAY_SECONDS * 2.0 ** ((60 - pitch) / 24)
    length = min(longest / rate, _LONGEST_SECONDS, _HEARD_DECAYS * decay) + _RELEASE_SECONDS
    time = np.arange(math.ceil(length * rate)) / rate
    # Harmonics are powers of one damped, rotating pointer: an exponential each would cost ten times as much.
    pointer = np.exp((2j * np.pi * frequency - 0.5 / decay) * time).astype(np.complex64)
    power = pointer.copy()
    tone = power.imag.copy()
    for harmonic in range(2, min(_HARMONICS, math.floor(_HIGHEST_SHARE * rate / frequency)) + 1):
        power *= pointer
        tone += np.float32(harmonic**-_ROLL_OFF) * power.imag
    tone *= np.exp(-0.5 / decay * time).astype(np.float32)
    attack = max(round(_ATTACK_SECONDS * rate), 1)
    tone[:attack] *= np.linspace(0.0, 1.0, attack, dtype=np.float32)[: len(tone)]
    return tone
