"""What of a clip sounds: digital silence around it is no part of the music that is sought."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from alignment.audio import Audio

__all__ = ["SILENT", "sounding_part"]

SILENT = 1e-4
"""The highest sample of silence; full scale is 1."""

_LONG_SECONDS = 0.5
"""As long as music may begin and end with."""


def sounding_part(audio: Audio) -> tuple[Audio, float]:
    """A clip without long silence at its ends, and where in the clip it begins, in seconds.

    Of one that is silent throughout nothing is taken.
    """
    loud = np.flatnonzero(np.abs(audio.samples) > SILENT)
    if not len(loud):
        return audio, 0.0
    first, end, long = int(loud[0]), int(loud[-1]) + 1, _LONG_SECONDS * audio.rate
    first, end = first if first > long else 0, end if len(audio.samples) - end > long else len(audio.samples)
    start = first / audio.rate
    return replace(audio, samples=audio.samples[first:end], onsets=audio.onsets - start), start
