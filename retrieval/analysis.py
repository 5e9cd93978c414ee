"""What is computed of a recording when it is taken into a library: fingerprint, compact chroma, rises."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alignment.audio import ANALYSIS_RATE, Audio, read_audio
from alignment.features import chroma, estimate_tuning
from index.library import NewRecording
from index.runs import Model, Vectors
from index.shards import VectorFormat
from retrieval.embedding.encoder import Encoder
from retrieval.fingerprint import RECORDING_HOP_SECONDS, fingerprint
from retrieval.rises import RISES, RISES_HOP, packed_rises, rises

__all__ = ["CHROMA", "Analysis", "analyse", "hash_file", "kept_models"]

_CHROMA_HOP = 2205
CHROMA = Model(
    name="chroma",
    hash="semitone-chroma-of-the-estimated-tuning-10hz-1",
    format=VectorFormat(12, "uint8", 255.0),
    parameters={"hop": _CHROMA_HOP},
)
"""Chroma ten times a second, kept so that matching never has to decode a file again."""

_SHORT_SECONDS = 1.0


def kept_models(fingerprint_model: Model) -> tuple[Model, ...]:
    """Models of all vectors that the library keeps of a recording."""
    return fingerprint_model, CHROMA, RISES


@dataclass(frozen=True)
class Analysis:
    """A recording as the library takes it, and what was wrong with its file."""

    recording: NewRecording
    vectors: tuple[Vectors, ...]
    warnings: tuple[str, ...]


def analyse(path: str, content_hash: str, encoder: Encoder) -> Analysis:
    """Decode a file and compute all that the library keeps of it.

    Raises:
        AudioError: it cannot be decoded.
    """
    audio = read_audio(path)
    prints = fingerprint(audio, encoder)
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
    silent = not len(found)
    vectors = (
        Vectors(encoder.model, found, RECORDING_HOP_SECONDS),
        _chroma(audio, silent=silent),
        _rises(audio, silent=silent),
    )
    return Analysis(recording, vectors, audio.warnings)


def _chroma(audio: Audio, *, silent: bool) -> Vectors:
    if silent:
        return Vectors(CHROMA, np.zeros((0, 12), np.float32), _CHROMA_HOP / ANALYSIS_RATE)
    tuning = estimate_tuning(audio.samples, audio.rate)
    values = chroma(audio.samples, audio.rate, tuning, _CHROMA_HOP).T
    return Vectors(CHROMA, np.ascontiguousarray(values), _CHROMA_HOP / ANALYSIS_RATE)


def _rises(audio: Audio, *, silent: bool) -> Vectors:
    kept = audio.samples[: 0 if silent else len(audio.samples)]
    return Vectors(RISES, packed_rises(rises(kept)), RISES_HOP / ANALYSIS_RATE)


def hash_file(path: str) -> str:
    """Hash of a file's content, hexadecimal."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
