"""Recordings cut into pieces that a browser decodes one by one, and what is told of them: loudness, waveform.

Every piece is Ogg Opus at 48 kHz: decoders give back just as many samples as went in, each at its place. A piece
holds some more than its share on either side, so that the codec has settled where its share begins and neighbours
can be faded into each other.

Loudness is that of ITU-R BS.1770-4, whose blocks of 400 ms pyloudnorm measures a minute at a time.
"""

from __future__ import annotations

import base64
import io
import math
import os
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from alignment.audio import libsndfile_name, native_blocks
from alignment.errors import AudioError

__all__ = [
    "MARGIN_FRAMES",
    "PIECE_FRAMES",
    "RATE",
    "SEAM_FRAMES",
    "Sound",
    "can_seek",
    "measure_sound",
    "read_piece",
    "remove_pieces",
    "write_pieces",
    "write_script",
]

RATE = 48000
"""Samples a second of the pieces, the only rate of Opus."""

PIECE_FRAMES = 15 * RATE
MARGIN_FRAMES = RATE // 10
"""What a piece holds beyond its share on either side: Opus wants 80 ms to settle (RFC 7845, section 4.6)."""

SEAM_FRAMES = RATE // 200
"""Half of what neighbours are faded into each other over."""

_COMPRESSION = 0.75
"""About 140 kbit/s of stereo."""

_PLAIN = frozenset({"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"})
"""What libsndfile calls samples as they are, also those of FLAC: it finds each of them."""

_SETTLED_FRAMES = RATE // 10
"""The resampler's filter is much shorter."""

_BIN_FRAMES = RATE // 20
_MOST_BINS = 4000
_LOUDNESS_FRAMES = 60 * RATE
_LEAST_LOUDNESS_FRAMES = RATE // 2
_ABSOLUTE_GATE, _RELATIVE_GATE = -70.0, -10.0
_PIECE_NAME = re.compile(r"(\d\d-?[a-z0-9-]*|page)-\d{4}\.js")


@dataclass(frozen=True)
class Sound:
    """What is told of a recording.

    Attributes:
        frames: its length at `RATE`.
        channels: 1 or 2.
        loudness: LUFS; minus infinity for silence.
        peak: greatest absolute sample.
        envelope, body: greatest and root mean square sample of each of evenly long bins, 0 to 1.
    """

    frames: int
    channels: int
    loudness: float
    peak: float
    envelope: NDArray[np.float64]
    body: NDArray[np.float64]

    @property
    def pieces(self) -> int:
        """How many there are."""
        return -(-self.frames // PIECE_FRAMES)


def write_pieces(path: str | os.PathLike[str], folder: Path, name: str) -> Sound:
    """Write the pieces of a recording as `NAME-0001.js` and so on, scripts that hand over their sound.

    What a file that breaks off has is written.

    Raises:
        AudioError: there is no such file, or nothing in it can be decoded.
    """
    measured = _Measured()
    workers = os.cpu_count() or 1
    written: deque[Future[None]] = deque()
    count = 0
    with ThreadPoolExecutor(workers) as pool:
        for piece in _pieces(measured.through(_sound_blocks(os.fspath(path)))):
            count += 1
            written.append(pool.submit(_write_piece, folder, f"{name}-{count:04d}", piece))
            while len(written) > 2 * workers:
                written.popleft().result()
        for future in written:
            future.result()
    return measured.sound()


def measure_sound(path: str | os.PathLike[str]) -> Sound:
    """Decode a recording through, without keeping any of it; of what breaks off, what there is.

    Raises:
        AudioError: there is no such file, or nothing in it can be decoded.
    """
    measured = _Measured()
    for _ in measured.through(_sound_blocks(os.fspath(path))):
        pass
    return measured.sound()


def can_seek(path: str | os.PathLike[str], sound: Sound) -> bool:
    """Whether the pieces of a recording can be read where they lie in its file, each sample at its place.

    That is where its samples are not coded by what was before them, and it has all that its header promises.
    """
    try:
        with soundfile.SoundFile(libsndfile_name(os.fspath(path))) as file:
            promised = round(file.frames * RATE / file.samplerate)
            return file.subtype in _PLAIN and abs(promised - sound.frames) <= 1
    except (soundfile.SoundFileError, OSError, TypeError):
        return False


def read_piece(path: str | os.PathLike[str], number: int, frames: int) -> bytes:
    """A piece as Ogg Opus, the same sound that `write_pieces` gives it; no more is decoded than it holds.

    Args:
        path: of a recording in which one `can_seek`.
        number: of the piece, from 0.
        frames: of the recording.

    Raises:
        AudioError: the file cannot be read there.
    """
    first = max(number * PIECE_FRAMES - MARGIN_FRAMES, 0)
    return _encoded(_excerpt(os.fspath(path), first, min((number + 1) * PIECE_FRAMES + MARGIN_FRAMES, frames)))


def remove_pieces(folder: Path) -> None:
    """Remove the pieces that an earlier run has written to the folder, and nothing else."""
    for file in folder.iterdir():
        if _PIECE_NAME.fullmatch(file.name):
            file.unlink()


def _write_piece(folder: Path, name: str, samples: NDArray[np.float32]) -> None:
    write_script(folder, name, _encoded(samples))


def _encoded(samples: NDArray[np.float32]) -> bytes:
    encoded = io.BytesIO()
    soundfile.write(encoded, samples, RATE, format="OGG", subtype="OPUS", compression_level=_COMPRESSION)
    return encoded.getvalue()


def write_script(folder: Path, name: str, content: bytes) -> None:
    """Write `NAME.js`, which hands the content over to the page."""
    text = base64.b64encode(content).decode("ascii")
    (folder / f"{name}.js").write_text(f'incipit.piece("{name}","{text}");\n', "ascii", newline="")


def _sound_blocks(path: str) -> Iterator[NDArray[np.float32]]:
    """The recording at `RATE` with one or two channels (more are mixed to one), finite."""
    resampler: soxr.ResampleStream | None = None
    channels = 0
    try:
        for rate, block in native_blocks(path):
            if not channels:
                channels = _channels(block)
                resampler = soxr.ResampleStream(rate, RATE, channels, dtype="float32") if rate != RATE else None
            block = _with_channels(block, channels)
            yield resampler.resample_chunk(block) if resampler else block
    except AudioError:
        if not channels:
            raise
    if resampler is not None:
        yield resampler.resample_chunk(np.zeros((0, channels), np.float32), last=True)


def _excerpt(path: str, first: int, stop: int) -> NDArray[np.float32]:
    """The same sound from one of its frames to another; silence where the file has less."""
    try:
        with soundfile.SoundFile(libsndfile_name(os.fspath(path))) as file:
            rate = file.samplerate
            common = math.gcd(rate, RATE)
            step = RATE // common  # as long as rate // common samples of the file
            lead = max((first - _SETTLED_FRAMES) // step, 0)
            file.seek(lead * (rate // common))
            end = math.ceil((stop + _SETTLED_FRAMES) * rate / RATE)
            block = file.read(end - file.tell(), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(path, "cannot be read any more as it was") from error
    block = _with_channels(block, _channels(block))
    sound = block if rate == RATE else soxr.resample(block, rate, RATE)
    sound = sound[first - lead * step :][: stop - first]
    return np.pad(sound, ((0, stop - first - len(sound)), (0, 0)))


def _channels(block: NDArray[np.float32]) -> int:
    return block.shape[1] if block.shape[1] <= 2 else 1


def _with_channels(block: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Finite, and mixed if it has other channels."""
    block = np.nan_to_num(block, posinf=0.0, neginf=0.0)
    if block.shape[1] == channels:
        return block
    return np.repeat(block.mean(axis=1, keepdims=True, dtype=np.float32), channels, axis=1)


def _pieces(blocks: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Shares of `PIECE_FRAMES` with `MARGIN_FRAMES` more on either side where there is something."""
    held = np.zeros((0, 0), np.float32)
    lead = 0
    for block in blocks:
        held = np.concatenate([held, block]) if held.size else block
        while len(held) >= lead + PIECE_FRAMES + MARGIN_FRAMES:
            yield held[: lead + PIECE_FRAMES + MARGIN_FRAMES]
            held = held[lead + PIECE_FRAMES - MARGIN_FRAMES :]
            lead = MARGIN_FRAMES
    while len(held) > lead:
        yield held[: lead + PIECE_FRAMES + MARGIN_FRAMES]
        held, lead = held[lead + PIECE_FRAMES - MARGIN_FRAMES :], MARGIN_FRAMES


class _Measured:
    """What is told of a recording, gathered block by block."""

    def __init__(self) -> None:
        self._frames = self._channels = 0
        self._peaks: list[NDArray[np.float64]] = []
        self._squares: list[NDArray[np.float64]] = []
        self._loudness: list[float] = []

    def through(self, blocks: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """The same blocks, looked at as they pass."""
        bins = _InEqualParts(_BIN_FRAMES)
        minutes = _InEqualParts(_LOUDNESS_FRAMES)
        for block in blocks:
            self._frames += len(block)
            self._channels = block.shape[1]
            self._bin(bins.feed(block))
            for minute in minutes.feed(block):
                self._loudness += _block_loudness(minute)
            yield block
        self._bin([rest for rest in [bins.rest()] if len(rest)])
        rest = minutes.rest()
        if len(rest) >= _LEAST_LOUDNESS_FRAMES:
            self._loudness += _block_loudness(rest)

    def sound(self) -> Sound:
        """What was gathered."""
        peaks, squares = (np.concatenate([*parts, np.zeros(0)]) for parts in (self._peaks, self._squares))
        per = max(1, math.ceil(len(peaks) / _MOST_BINS))
        starts = np.arange(0, len(peaks), per)
        envelope = np.maximum.reduceat(peaks, starts) if len(peaks) else peaks
        body = np.sqrt(np.add.reduceat(squares, starts) / per) if len(peaks) else squares
        peak = float(peaks.max(initial=0.0))
        return Sound(self._frames, self._channels, _gated(self._loudness), peak, envelope, body)

    def _bin(self, parts: list[NDArray[np.float32]]) -> None:
        for part in parts:
            self._peaks.append(np.array([np.abs(part).max()], np.float64))
            self._squares.append(np.array([np.square(part).mean()], np.float64))


class _InEqualParts:
    """Cuts blocks of any length into parts of one length."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._held: list[NDArray[np.float32]] = []
        self._count = 0

    def feed(self, block: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The parts that are whole with this block."""
        self._held.append(block)
        self._count += len(block)
        if self._count < self._length:
            return []
        held = np.concatenate(self._held)
        whole = len(held) // self._length
        self._held = [held[whole * self._length :]]
        self._count = len(self._held[0])
        return [held[number * self._length : (number + 1) * self._length] for number in range(whole)]

    def rest(self) -> NDArray[np.float32]:
        """What is left over."""
        return np.concatenate([*self._held, np.zeros((0, self._held[0].shape[1] if self._held else 1), np.float32)])


def _block_loudness(samples: NDArray[np.float32]) -> list[float]:
    from pyloudnorm import Meter

    meter = Meter(RATE)
    meter.integrated_loudness(samples.astype(np.float64))
    return [float(value) for value in meter.blockwise_loudness]


def _gated(blocks: list[float]) -> float:
    """Integrated loudness of gating blocks (BS.1770-4, equations 5 to 7)."""
    loud = [value for value in blocks if value >= _ABSOLUTE_GATE]
    if not loud:
        return -math.inf
    gate = _mean(loud) + _RELATIVE_GATE
    return _mean([value for value in loud if value > gate])


def _mean(decibels: list[float]) -> float:
    return 10.0 * math.log10(float(np.mean(np.power(10.0, np.array(decibels) / 10.0))))
