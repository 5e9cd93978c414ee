"""Audio files to mono float32 samples at the analysis rate.

Decoders are tried in this order: libsndfile (wav, flac, ogg, opus, mp3, aiff, caf), then PyAV (the
`codecs` extra: m4a, aac, wma and whatever else FFmpeg knows). A decoder that fails in the middle is a
reason to try the next one; when none gets further, what the first decoded is kept and the fault becomes
a warning. The decoded length is the truth: the length that a header promises is never used as duration.

Samples are mono (mean of the channels), float32, finite.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from alignment.errors import AudioError

__all__ = [
    "ANALYSIS_RATE",
    "AUDIO_SUFFIXES",
    "Audio",
    "MonoResampler",
    "Tags",
    "audio_blocks",
    "libsndfile_name",
    "native_blocks",
    "read_audio",
    "require_file",
]

_log = logging.getLogger(__name__)

ANALYSIS_RATE = 22050
"""Samples a second at which everything is analysed."""

_SOUNDFILE_SUFFIXES = {
    ".wav",
    ".flac",
    ".ogg",
    ".oga",
    ".opus",
    ".mp3",
    ".aif",
    ".aiff",
    ".aifc",
    ".caf",
    ".au",
    ".w64",
}
_FFMPEG_SUFFIXES = {".m4a", ".mp4", ".aac", ".wma", ".alac", ".ape", ".wv"}
AUDIO_SUFFIXES = frozenset(_SOUNDFILE_SUFFIXES | _FFMPEG_SUFFIXES)
"""Endings (lower case) of files that are taken for recordings when a folder is walked."""

_UNKNOWN_FORMAT = "is not audio in a known format, or is damaged from the start"
_BLOCK_SECONDS = 10.0
_MISSING_TAIL_SECONDS = 0.5
"""A decoder that stops this much before the promised end has broken off."""


_CANCELLED = 1e-4
"""Power of the channels' mean beside that of the first below which they are each other's inverse."""


@dataclass(frozen=True)
class Tags:
    """Title and artist as the file states them; empty where it says nothing."""

    title: str = ""
    artist: str = ""


@dataclass(frozen=True)
class Audio:
    """Decoded sound.

    Attributes:
        samples: float32, shape `(n,)`, mono, finite.
        rate: samples a second.
        tags: what the file says of itself.
        warnings: one line for each fault that did not prevent decoding.
        onsets: of a score that was made to sound, the seconds at which notes begin, rising; else none.
        measures: of such a score, when each measure as played begins and the number of that which is printed, shape
            `(n, 2)`; else none.
    """

    samples: NDArray[np.float32]
    rate: int = ANALYSIS_RATE
    tags: Tags = field(default_factory=Tags)
    warnings: tuple[str, ...] = ()
    onsets: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    measures: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate


class _Stream(NamedTuple):
    """An opened file: native rate, promised seconds (0 if unknown), tags, blocks `(frames, channels)`."""

    rate: int
    promised: float
    tags: Tags
    blocks: Iterator[NDArray[np.float32]]


class _Decoded(NamedTuple):
    audio: Audio
    fault: str


def read_audio(path: str | os.PathLike[str], rate: int = ANALYSIS_RATE) -> Audio:
    """Decode a file to mono float32 at `rate` samples a second.

    Non-finite samples become zero, with a warning. A file that breaks off gives what it has, with a
    warning.

    Raises:
        AudioError: there is no such file, or no decoder finds sound in it; names the file and the cause.
    """
    name = os.fspath(path)
    require_file(name)
    best: _Decoded | None = None
    causes = []
    for open_stream in (_open_soundfile, _open_pyav):
        try:
            decoded = _decode(open_stream(name), rate)
        except _DecoderError as error:
            causes.append(str(error))
            continue
        if not decoded.fault:
            _log.info("%s: %.1f s of sound", name, decoded.audio.duration)
            return decoded.audio
        if best is None or decoded.audio.duration > best.audio.duration + 0.1:
            best = decoded
    if best is None:
        raise AudioError(name, next((cause for cause in causes if cause), "no decoder reads it"))
    audio = best.audio
    return Audio(audio.samples, audio.rate, audio.tags, (*audio.warnings, best.fault))


class _DecoderError(Exception):
    """One decoder gives up on a file."""


def require_file(name: str) -> None:
    """Raise AudioError unless there is a regular file of that name with something in it that may be read."""
    file = Path(name)
    try:
        if file.is_dir():
            raise AudioError(name, "is a folder, not an audio file")
        if not file.exists():
            raise AudioError(name, "no such file")
        if not file.is_file():
            raise AudioError(name, "is not a regular file")
        with file.open("rb") as handle:
            if not handle.read(1):
                raise AudioError(name, "the file is empty")
    except (OSError, ValueError) as error:
        raise AudioError(name, getattr(error, "strerror", None) or str(error)) from error


class MonoResampler:
    """Brings blocks of sound to mono at another rate; what is not finite becomes zero.

    Args:
        native_rate: samples a second of the blocks.
        rate: samples a second wanted.

    Attributes:
        frames: how many came in.
        broken_samples: how many of them, mixed down, were not finite.
    """

    def __init__(self, native_rate: int, rate: int) -> None:
        self._resampler = soxr.ResampleStream(native_rate, rate, 1, dtype="float32") if native_rate != rate else None
        self.frames = 0
        self.broken_samples = 0

    def feed(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next block `(frames, channels)`; gives what is ready, shape `(n,)`."""
        mono = _mixed(block) if block.shape[1] > 1 else block[:, 0]
        finite = np.isfinite(mono)
        if not finite.all():
            self.broken_samples += int(np.count_nonzero(~finite))
            mono = np.where(finite, mono, np.float32(0))
        self.frames += len(mono)
        return self._resampler.resample_chunk(mono) if self._resampler else mono

    def finish(self) -> NDArray[np.float32]:
        """What is left in the resampler."""
        if self._resampler is None or not self.frames:
            return np.zeros(0, np.float32)
        return self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _mixed(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of the channels; the first alone where they cancel each other out."""
    mono = block.mean(axis=1, dtype=np.float32)
    first = block[:, 0]
    return first if np.dot(mono, mono) < _CANCELLED * np.dot(first, first) else mono


def audio_blocks(path: str | os.PathLike[str], rate: int = ANALYSIS_RATE) -> Iterator[NDArray[np.float32]]:
    """Decode a file of any length to mono float32 at `rate`, a block of some seconds at a time.

    Where a decoder gives up in the middle, the next goes on from there.

    Raises:
        AudioError: there is no such file, or no decoder finds sound in it, or all break off.
    """
    resampler: MonoResampler | None = None
    for native_rate, block in native_blocks(path):
        resampler = resampler or MonoResampler(native_rate, rate)
        yield resampler.feed(block)
    if resampler is not None:
        yield resampler.finish()


def native_blocks(path: str | os.PathLike[str]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Decode a file of any length as it is: its rate and blocks `(frames, channels)`, some seconds at a time.

    Where a decoder gives up in the middle, the next goes on from there.

    Raises:
        AudioError: there is no such file, or no decoder finds sound in it, or all break off.
    """
    name = os.fspath(path)
    require_file(name)
    heard = 0.0
    causes = []
    for open_stream in (_open_soundfile, _open_pyav):
        try:
            stream = open_stream(name)
            skipped = round(heard * stream.rate)
            for block in stream.blocks:
                rest, skipped = block[skipped:], max(skipped - len(block), 0)
                if len(rest):
                    yield stream.rate, rest
                    heard += len(rest) / stream.rate
            return
        except _DecoderError as error:
            causes.append(str(error))
    cause = next((cause for cause in causes if cause), "no decoder reads it")
    raise AudioError(name, f"breaks off after {heard:.1f} s ({cause})" if heard else cause)


def _decode(stream: _Stream, rate: int) -> _Decoded:
    """Downmix and resample block by block; a fault after the first sound is reported, not raised."""
    resampler = MonoResampler(stream.rate, rate)
    decoded = io.BytesIO()  # grows in place, so that an hour is not held twice
    fault = ""
    try:
        for block in stream.blocks:
            decoded.write(resampler.feed(block).tobytes())
    except _DecoderError as error:
        if not resampler.frames:
            raise
        fault = f"breaks off after {resampler.frames / stream.rate:.1f} s ({error})"
    decoded.write(resampler.finish().tobytes())
    samples = np.frombuffer(decoded.getbuffer(), np.float32)
    got = resampler.frames / stream.rate
    if not fault and got < stream.promised - _MISSING_TAIL_SECONDS:
        fault = f"breaks off after {got:.1f} s of {stream.promised:.1f} s"
    broken = resampler.broken_samples
    notes = (f"{broken} samples are not finite and were silenced",) if broken else ()
    return _Decoded(Audio(samples, rate, stream.tags, notes), fault)


def libsndfile_name(path: str) -> str | bytes:
    """A path as libsndfile opens it: it wants bytes where a POSIX name is not valid UTF-8, and on Windows a string."""
    return path if sys.platform == "win32" else os.fsencode(path)


def _open_soundfile(name: str) -> _Stream:
    try:
        file = soundfile.SoundFile(libsndfile_name(name))
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise _DecoderError(_UNKNOWN_FORMAT) from error
    tags = Tags(_clean_tag(file.title), _clean_tag(file.artist))
    promised = file.frames / file.samplerate if 0 < file.frames < 2**62 else 0.0
    return _Stream(file.samplerate, promised, tags, _soundfile_blocks(file))


def _soundfile_blocks(file: Any) -> Iterator[NDArray[np.float32]]:
    frames = int(_BLOCK_SECONDS * file.samplerate)
    with file:
        while True:
            try:
                block: NDArray[np.float32] = file.read(frames, dtype="float32", always_2d=True)
            except (soundfile.SoundFileError, OSError) as error:
                text = str(getattr(error, "error_string", error)).strip().rstrip(".")
                raise _DecoderError(text[:1].lower() + text[1:]) from error
            if not len(block):
                return
            yield block


def _open_pyav(name: str) -> _Stream:
    try:
        import av
    except ImportError as error:
        if Path(name).suffix.lower() in _FFMPEG_SUFFIXES:
            raise _DecoderError("wants the codecs extra: pip install 'incipit-music[codecs]'") from error
        raise _DecoderError("") from error
    av.logging.set_level(None)
    handle = Path(name).open("rb")  # noqa: SIM115  closed by the generator of blocks
    try:
        container = av.open(handle, metadata_errors="ignore")
        stream = container.streams.audio[0]
        rate = int(stream.rate)
        if rate <= 0:
            raise ValueError(rate)  # what follows is no sound, whatever the name of the file promises
    except (av.FFmpegError, OSError, IndexError, ValueError, TypeError) as error:
        handle.close()
        raise _DecoderError(_UNKNOWN_FORMAT) from error
    known = {key.lower(): value for key, value in {**stream.metadata, **container.metadata}.items()}
    tags = Tags(_clean_tag(known.get("title", "")), _clean_tag(known.get("artist", "")))
    promised = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    return _Stream(rate, promised, tags, _pyav_blocks(handle, container, stream, rate))


def _pyav_blocks(handle: Any, container: Any, stream: Any, rate: int) -> Iterator[NDArray[np.float32]]:
    import av

    to_float = av.AudioResampler(format="fltp", rate=rate)
    with handle, container:
        try:
            for frame in container.decode(stream):
                for part in to_float.resample(frame):
                    yield part.to_ndarray().T.astype(np.float32, copy=False)
        except (av.FFmpegError, ValueError) as error:
            raise _DecoderError(str(getattr(error, "strerror", None) or error)) from error


def _clean_tag(text: str) -> str:
    return " ".join(text.split()).strip()
