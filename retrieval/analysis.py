"""What is computed of a recording when it is taken into a library: fingerprint, compact chroma, sonority."""

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
from retrieval.embedding.sonority import SONORITY, SONORITY_RATE, sonority
from retrieval.fingerprint import RECORDING_HOP_SECONDS, fingerprint

__all__ = ["CHROMA", "KEPT", "Analysis", "analyse", "hash_file"]

_CHROMA_HOP = 2205
CHROMA = Model(
    name="chroma",
    hash="semitone-chroma-of-the-estimated-tuning-10hz-1",
    format=VectorFormat(12, "uint8", 255.0),
    parameters={"hop": _CHROMA_HOP},
)
"""Chroma ten times a second, kept so that matching never has to decode a file again."""

KEPT = (CHROMA, SONORITY)
"""What is kept beside the fingerprint."""

_SHORT_SECONDS = 1.0


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
    identifying = Vectors(encoder.model, found, RECORDING_HOP_SECONDS)
    return Analysis(recording, (identifying, *_harmony(audio, silent=not len(found))), audio.warnings)


def _harmony(audio: Audio, *, silent: bool) -> tuple[Vectors, Vectors]:
    """Chroma and sonority; of silence none."""
    hop = _CHROMA_HOP / ANALYSIS_RATE
    if silent:
        none = np.zeros((0, CHROMA.format.dimensions), np.float32)
        return Vectors(CHROMA, none, hop), Vectors(SONORITY, none, 1.0 / SONORITY_RATE)
    tuning = estimate_tuning(audio.samples, audio.rate)
    pitch_classes = np.ascontiguousarray(chroma(audio.samples, audio.rate, tuning, _CHROMA_HOP).T)
    sounding = sonority(audio.samples, audio.rate, tuning)
    return Vectors(CHROMA, pitch_classes, hop), Vectors(SONORITY, sounding, 1.0 / SONORITY_RATE)


def hash_file(path: str) -> str:
    """Hash of a file's content, hexadecimal."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
