"""Families of recorded versions: one's own recordings, those of a work in a folder of its own.

Each recording is synchronised with the first of its work, which tells at what place of the work each frame is.
Recordings that cannot be synchronised are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alignment.audio import ANALYSIS_RATE, Audio, read_audio
from alignment.errors import AlignmentError
from alignment.features import estimate_tuning
from alignment.segments import Synchronisation
from alignment.synchronise import synchronise
from retrieval.embedding.version_families import Family, Version
from retrieval.embedding.version_patches import FRAME_SECONDS, version_spectrogram

__all__ = ["make_recorded_families"]

_FEWEST = 2

Report = Callable[[str, int, int], None]


def make_recorded_families(
    works: Sequence[Sequence[Path]], folder: Path, report: Report
) -> tuple[list[Path], list[str]]:
    """Make the families that the folder lacks.

    Args:
        works: the recordings of each.
        folder: where families lie.
        report: is told how many are done, of how many.

    Returns:
        the files of works with two recordings or more that correspond, and what is wrong with the others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places, failures = [], []
    for number, recordings in enumerate(works):
        report("families", number, len(works))
        place = folder / f"{number:05d}.npz"
        if not place.exists():
            versions, wrong = _versions(recordings)
            failures += wrong
            if len(versions) < _FEWEST:
                failures.append(f"{recordings[0].parent}: fewer than {_FEWEST} recordings that correspond")
                continue
            Family(tuple(versions)).save(place)
        places.append(place)
    report("families", len(works), len(works))
    return places, failures


def _versions(recordings: Sequence[Path]) -> tuple[list[Version], list[str]]:
    versions: list[Version] = []
    failures: list[str] = []
    first: Audio | None = None
    for path in recordings:
        try:
            audio = read_audio(path)
        except AlignmentError as error:
            failures.append(str(error))
            continue
        spectrogram = version_spectrogram(audio.samples, ANALYSIS_RATE, estimate_tuning(audio.samples, audio.rate))
        seconds = np.arange(spectrogram.shape[1], dtype=np.float64) * FRAME_SECONDS
        if first is None:
            first, places = audio, seconds
        else:
            alignment = synchronise(first, audio)
            if not alignment.accepted:
                failures.append(f"{path}: does not correspond to {recordings[0]}")
                continue
            places = _places(alignment, seconds)
        versions.append(Version(spectrogram.astype(np.float16), places.astype(np.float32)))
    return versions, failures


def _places(alignment: Synchronisation, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds of the reference at seconds of the other; NaN where it stands alone."""
    out = np.full(len(seconds), np.nan)
    for segment in alignment.segments:
        if segment.path is not None:
            inside = (seconds >= segment.path.other[0]) & (seconds <= segment.path.other[-1])
            out[inside] = segment.path.invert().map(seconds[inside])
    return out
