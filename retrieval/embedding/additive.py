"""Notes played by tones added up from partials, whose attack may take a tenth of a second."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from alignment.audio import ANALYSIS_RATE
from retrieval.embedding.notes import OFFSET

__all__ = ["additive_sound"]

_HIGHEST_PARTIAL = 10000.0

Notes = NDArray[np.float64]
Samples = NDArray[np.float32]


class _Tone(NamedTuple):
    """How an additive instrument sounds; times in seconds, vibrato in cents."""

    partials: int
    rolloff: float
    even: float
    attack: float
    decay: float
    inharmonicity: float
    vibrato: float
    release: float
    breath: float


def _random_tone(rng: Generator) -> _Tone:
    return _Tone(
        partials=int(rng.integers(3, 12)),
        rolloff=rng.uniform(0.3, 1.6),
        even=rng.choice([1.0, 0.2]),
        attack=10 ** rng.uniform(-2.7, -0.85),
        decay=10 ** rng.uniform(-0.5, 1.5),
        inharmonicity=rng.choice([0, 3e-4]),
        vibrato=rng.choice([0, 0, rng.uniform(2, 12)]),
        release=10 ** rng.uniform(-1.7, -0.4),
        breath=rng.choice([0, 0.02]),
    )


def additive_sound(notes: Notes, rng: Generator) -> tuple[Samples, list[str]]:
    """Play notes by partials added up, all by one random tone; attacks take 2 to 140 ms.

    Returns:
        mono samples at the analysis rate, and the tone's attack.
    """
    tone = _random_tone(rng)
    out = np.zeros(int((notes[:, OFFSET].max() + 2) * ANALYSIS_RATE), np.float32)
    for onset, offset, pitch, _, velocity in notes:
        sound = _additive_note(tone, pitch, offset - onset, rng) * (velocity / 127) ** 1.5
        first = int(onset * ANALYSIS_RATE)
        place = out[first : first + len(sound)]
        place += sound[: len(place)]
    return out, [f"add {tone.attack:.3f}"]


def _additive_note(tone: _Tone, pitch: float, held: float, rng: Generator) -> NDArray[np.float64]:
    frequency = 440 * 2 ** ((pitch - 69) / 12 + tone.vibrato * rng.uniform(-0.3, 0.3) / 1200)
    t = np.arange(int((held + 4 * tone.release) * ANALYSIS_RATE)) / ANALYSIS_RATE
    phase = 2 * np.pi * frequency * t
    if tone.vibrato:
        phase += tone.vibrato / 1200 * 0.69 * frequency * np.cos(2 * np.pi * 5.5 * t) / 5.5
    wave = np.zeros(len(t))
    for partial in range(1, tone.partials + 1):
        multiple = partial * np.sqrt(1 + tone.inharmonicity * partial**2)
        if frequency * multiple > _HIGHEST_PARTIAL:
            break
        strength = (tone.even if partial % 2 == 0 else 1) * partial**-tone.rolloff
        wave += strength * np.sin(phase * multiple + rng.uniform(0, 6))
    if tone.breath:
        wave += tone.breath * rng.standard_normal(len(t))
    released = np.maximum(t - held, 0)
    return wave * np.minimum(1, t / tone.attack) * np.exp(-t / tone.decay - released / tone.release)
