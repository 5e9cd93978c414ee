"""What of a clip sounds: silence around it, and the hiss of it, is no part of the music that is sought."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from alignment.audio import Audio

__all__ = ["SILENT", "sounding_part"]

SILENT = 1e-4
"""The highest sample of silence; full scale is 1."""

_LONG_SECONDS = 0.5
"""As long as music may begin and end with."""

_BLOCK_SECONDS = 0.05
_LOUD_PERCENT, _SOFTER = 95.0, 10.0**-2.5
"""Of what is loud, the share of the amplitude below which all is silence: 50 decibels."""


def sounding_part(audio: Audio) -> tuple[Audio, float]:
    """A clip without long silence at its ends, and where in the clip it begins, in seconds.

    Silence is what has no higher sample than `SILENT`, and what is 50 decibels softer than the loud parts. Of a clip
    that is silent throughout nothing is taken.
    """
    sounding = np.flatnonzero(np.abs(audio.samples) > SILENT)
    if not len(sounding):
        return audio, 0.0
    first, end = _loud_span(audio)
    first, end = max(first, int(sounding[0])), min(end, int(sounding[-1]) + 1)
    long = _LONG_SECONDS * audio.rate
    first, end = first if first > long else 0, end if len(audio.samples) - end > long else len(audio.samples)
    start = first / audio.rate
    return replace(audio, samples=audio.samples[first:end], onsets=audio.onsets - start), start


def _loud_span(audio: Audio) -> tuple[int, int]:
    """Samples at which what is not much softer than the loud parts begins and ends, the latter exclusive."""
    size = round(_BLOCK_SECONDS * audio.rate)
    blocks = np.pad(audio.samples, (0, -len(audio.samples) % size)).reshape(-1, size)
    level = np.sqrt(np.einsum("ij,ij->i", blocks, blocks) / size)
    loud = np.flatnonzero(level >= _SOFTER * np.percentile(level, _LOUD_PERCENT))
    return int(loud[0]) * size, (int(loud[-1]) + 1) * size
