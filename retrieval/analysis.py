"""What is computed of a recording when it is taken into a library: what it is found, matched and compared by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alignment.audio import ANALYSIS_RATE, Audio, read_audio
from alignment.features import estimate_tuning
from index.library import NewRecording, NewScore
from index.runs import Vectors
from retrieval.embedding.sonority import SCORE_SONORITY, SONORITY, SONORITY_RATE, sonority
from retrieval.embedding.version_patches import version_spectrogram
from retrieval.encoders import Encoders
from retrieval.fingerprint import RECORDING_HOP_SECONDS, fingerprint
from retrieval.rises import RISES, RISES_HOP, packed_rises, rises

__all__ = ["KEPT", "Analysis", "analyse", "hash_file"]

KEPT = (SONORITY, RISES, SCORE_SONORITY)
"""What is kept beside the vectors of trained models."""

_SHORT_SECONDS = 1.0


@dataclass(frozen=True)
class Analysis:
    """A recording or a score as the library takes it, and what was wrong with its file."""

    item: NewRecording | NewScore
    vectors: tuple[Vectors, ...]
    warnings: tuple[str, ...] = ()


def analyse(path: str, content_hash: str, encoders: Encoders) -> Analysis:
    """Decode a file and compute all that the library keeps of it.

    Raises:
        AudioError: it cannot be decoded.
    """
    audio = read_audio(path)
    prints = fingerprint(audio, encoders.fingerprint)
    flags = []
    if audio.duration < _SHORT_SECONDS:
        flags.append("short")
    elif not prints.audible.any():
        flags.append("silent")
    if audio.warnings:
        flags.append("damaged")
    found = prints.vectors if prints.audible.any() else prints.vectors[:0]
    recording = NewRecording(
        content_hash=content_hash,
        duration=audio.duration,
        title=audio.tags.title,
        artist=audio.tags.artist,
        flags=tuple(flags),
    )
    identifying = Vectors(encoders.fingerprint.model, found, RECORDING_HOP_SECONDS)
    silent = not len(found)
    kept = (identifying, _rises(audio, silent=silent), *_harmony(audio, encoders, silent=silent))
    return Analysis(recording, kept, audio.warnings)


def _harmony(audio: Audio, encoders: Encoders, *, silent: bool) -> tuple[Vectors, ...]:
    """Sonority, and what versions are found by; of silence none."""
    versions = encoders.versions
    if silent:
        kinds = (SONORITY, 1.0 / SONORITY_RATE), *versions.kinds
        return tuple(Vectors(model, np.zeros((0, model.format.dimensions), np.float32), hop) for model, hop in kinds)
    tuning = estimate_tuning(audio.samples, audio.rate)
    sounding = Vectors(SONORITY, sonority(audio.samples, audio.rate, tuning), 1.0 / SONORITY_RATE)
    found = versions.encode(version_spectrogram(audio.samples, audio.rate, tuning))
    return sounding, *versions.stored(found)


def _rises(audio: Audio, *, silent: bool) -> Vectors:
    kept = audio.samples[: 0 if silent else len(audio.samples)]
    return Vectors(RISES, packed_rises(rises(kept)), RISES_HOP / ANALYSIS_RATE)


def hash_file(path: str) -> str:
    """Hash of a file's content, hexadecimal."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
