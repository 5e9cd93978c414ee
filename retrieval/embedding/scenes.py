"""Scenes to train the synchroniser's encoder on: some of a score, played three times on one timeline.

The players differ in everything but the notes: instruments, articulation, dynamics, hundredths of a second,
room, microphone, tuning. They are General MIDI instruments by FluidSynth, or tones added up from partials. What is kept
is what the encoder sees, `alignment.features.encoder.compress`.

All randomness of a scene comes from one seed, drawn in a fixed order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alignment.audio import ANALYSIS_RATE
from alignment.errors import ScoreError
from alignment.features.encoder import BANKS, compress
from alignment.features.filterbank import semitone_magnitudes
from alignment.features.frames import FEATURE_RATE, HOP
from retrieval.embedding.additive import additive_sound
from retrieval.embedding.fluidsynth import fluidsynth_sound
from retrieval.embedding.microphone import degraded
from retrieval.embedding.notes import OFFSET, ONSET, PITCH, played, score_notes, timed_excerpt
from retrieval.embedding.npz import save_npz

__all__ = ["LOG_SCALE", "RENDERINGS", "Scene", "make_scene"]

RENDERINGS = 3
"""Of the same notes in each scene."""

LOG_SCALE = 3.0
"""What scenes hold over what the encoder sees: unscaled logarithms, to which a gain is applied in training."""

_FEWEST_NOTES = 30
_TAIL_SECONDS = 3.0

Notes = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """The same notes, as `RENDERINGS` players are heard.

    Attributes:
        notes: float64, shape `(n, 3)`: onset and offset in seconds as written, and the MIDI pitch at which the
            renderings show it (they are transposed together).
        renderings: float16, shape `(203, frames)` each: `LOG_SCALE` times what the encoder sees.
        instruments: what plays in each rendering, for people.
    """

    notes: Notes
    renderings: tuple[NDArray[np.float16], ...]
    instruments: str

    def save(self, path: Path) -> None:
        """Write an npz file, whole or not at all."""
        renderings = {f"v{number}": rendering for number, rendering in enumerate(self.renderings)}
        save_npz(path, **renderings, notes=self.notes, desc=np.array(self.instruments))

    @classmethod
    def load(cls, path: Path) -> Scene:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as parts:
            renderings = tuple(parts[f"v{number}"] for number in range(RENDERINGS))
            return cls(parts["notes"], renderings, str(parts["desc"]))


def make_scene(score: Path, seed: int, fonts: Sequence[Path], seconds: float = 40.0) -> Scene:
    """Render a random passage of a score.

    Args:
        score: a file that partitura reads.
        seed: of all that is random.
        fonts: sound fonts; the first plays two times in three.
        seconds: of the passage; the renderings are 3 s longer.

    Raises:
        ScoreError: the score cannot be read, or the passage has hardly any notes.
        RenderError: FluidSynth cannot play.
    """
    rng = np.random.default_rng(seed)
    notes = timed_excerpt(score_notes(score), rng, seconds)
    if len(notes) < _FEWEST_NOTES:
        raise ScoreError(str(score), f"has only {len(notes)} notes in the passage")
    transposition = int(rng.integers(-5, 7))
    frames = int((seconds + _TAIL_SECONDS) * FEATURE_RATE)
    renderings, instruments = [], []
    for _ in range(RENDERINGS):
        performance = played(notes, rng)
        additive = rng.random() < 0.2
        sound, names = additive_sound(performance, rng) if additive else fluidsynth_sound(performance, rng, fonts)
        sound = degraded(sound, rng)
        sound = np.pad(sound, (0, max(0, frames * HOP - len(sound))))[: frames * HOP]
        tuning = -100.0 * transposition + rng.uniform(-12, 12)
        seen = compress(semitone_magnitudes(sound, ANALYSIS_RATE, BANKS, tuning))
        renderings.append((LOG_SCALE * seen).astype(np.float16))
        instruments.append(names)
    shown = notes[:, [ONSET, OFFSET, PITCH]] + [0, 0, transposition]
    return Scene(shown, tuple(renderings), str(instruments))
