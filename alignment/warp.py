"""A performance stretched onto another's timeline, its pitch kept.

A phase vocoder whose rate may change at every frame: the spectrum of the other recording at the place that
corresponds to the output's time is turned in phase so that it goes on from what was put out one hop ago. The phase
that passes in a hop is read from a second spectrum one hop earlier, so nothing is unwrapped (Puckette, Phase-locked
vocoder, WASPAA 1995). All bins around a spectral peak turn together, and alike in all channels (Laroche and Dolson,
Improved phase vocoder time-scale modification of audio, IEEE TSAP 7, 1999, section III), and peaks that are just
beginning keep the phase they have, which keeps attacks together (after Röbel, A new approach to transient
processing in the phase vocoder, DAFx 2003).

Sound is float32 of shape `(samples, channels)` inside this module; places in it are sample numbers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import fft
from scipy.signal.windows import hann

from alignment.audio import Audio, libsndfile_name, read_audio, require_file
from alignment.errors import AlignmentError
from alignment.path import WarpingPath
from alignment.segments import SLIVER_SECONDS, Synchronisation
from alignment.tempo import local_lines

__all__ = ["sound_format", "warp_file", "warp_onto"]

_WINDOW_SECONDS = 0.08
"""About the length of the spectra's window, which is a power of two in samples: long enough to part a low third."""
_OVERLAP = 8
_PATH_WINDOW_SECONDS = 0.5
_FADE_SECONDS = 0.003
_FORMATS = {"WAV", "FLAC", "OGG", "MP3"}
_BEGINNING = 2.0
"""A peak this many times as strong as a hop earlier is beginning."""
_FRAMES_AT_ONCE = 64
_BLOCK = 65536
_FALLBACK_RATE = 44100


def warp_onto(ref: Audio, other: Audio, alignment: Synchronisation) -> NDArray[np.float32]:
    """Stretch the other recording onto the reference's timeline.

    Pitch, key and tuning stay the other's. Where only the reference has something there is silence; what only
    the other has is left out.

    Returns:
        mono at the other's rate, as long as the reference, shape `(round(ref.duration * other.rate),)`.
    """
    blocks = _rendered(_Samples(other.samples[:, None]), other.rate, 1, ref.duration, alignment)
    return np.concatenate([np.zeros(0, np.float32), *(block[:, 0] for block in blocks)])


def warp_file(
    other: str | os.PathLike[str] | Audio,
    ref_duration: float,
    alignment: Synchronisation,
    out: str | os.PathLike[str],
) -> None:
    """Stretch a recording onto the reference's timeline, to a file, with its own rate and channels.

    Only some seconds are in memory at a time. What libsndfile cannot read is taken as `read_audio` gives it, mono
    at 44 100 samples a second. The file appears whole or not at all.

    Args:
        other: the recording's file, or its sound.
        ref_duration: length of the reference in seconds, and of what is written.
        alignment: of the reference with the recording.
        out: file to write, in the format of its ending.

    Raises:
        AudioError: the recording cannot be read.
        AlignmentError: the format is not known, or cannot hold this sound.
        OSError: the file cannot be written.
    """
    target = Path(out)
    form = sound_format(target)
    partial = target.with_name(f".{target.name}.part")

    def write_mono(audio: Audio) -> None:
        _write(_Samples(audio.samples[:, None]), audio.rate, 1, ref_duration, alignment, partial, form)

    try:
        if isinstance(other, Audio):
            write_mono(other)
        else:
            name = os.fspath(other)
            require_file(name)
            try:
                with _opened(name) as file:
                    _write(_FileSamples(file), file.samplerate, file.channels, ref_duration, alignment, partial, form)
            except _ReadError:
                write_mono(read_audio(name, _FALLBACK_RATE))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def sound_format(out: str | os.PathLike[str]) -> str:
    """The format, as libsndfile names it, of sound in a file of that name.

    Raises:
        AlignmentError: it is not known.
    """
    form = Path(out).suffix[1:].upper()
    if form not in _FORMATS or form not in soundfile.available_formats():
        raise AlignmentError(f"{os.fspath(out)}: sound is written as wav, flac, ogg or mp3, by the file's ending")
    return form


def _opened(name: str) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(libsndfile_name(name))
    except soundfile.SoundFileError as error:
        raise _ReadError from error


class _ReadError(Exception):
    """libsndfile gives up on a recording."""


class _Sound(Protocol):
    """Something to take samples from."""

    def read(self, first: int, count: int) -> NDArray[np.float32]:
        """Samples from `first` on, shape `(count, channels)`; zeros before the start and after the end."""


class _Samples:
    """Sound in memory, shape `(samples, channels)`."""

    def __init__(self, samples: NDArray[np.float32]) -> None:
        self._samples = samples

    def read(self, first: int, count: int) -> NDArray[np.float32]:
        piece = self._samples[max(first, 0) : max(first + count, 0)]
        return _placed(piece, max(-first, 0), count)


class _FileSamples:
    """Sound in an open file, read onwards; only a step back seeks, which not every format does exactly."""

    def __init__(self, file: soundfile.SoundFile) -> None:
        self._file = file
        self._first = 0
        self._held = np.zeros((0, file.channels), np.float32)

    def read(self, first: int, count: int) -> NDArray[np.float32]:
        start, stop = max(first, 0), max(first + count, 0)
        try:
            if start < self._first:
                self._first = self._file.seek(start)
                self._held = self._held[:0]
            while self._first + len(self._held) < stop:
                block = self._file.read(_BLOCK, dtype="float32", always_2d=True)
                if not len(block):
                    break
                self._held = np.concatenate([self._held, np.nan_to_num(block, posinf=0.0, neginf=0.0)])
                self._forget(start)
        except soundfile.SoundFileError as error:
            raise _ReadError from error
        self._forget(start)
        return _placed(self._held[: max(stop - self._first, 0)], max(-first, 0), count)

    def _forget(self, start: int) -> None:
        past = min(start - self._first, len(self._held))
        self._first += past
        self._held = self._held[past:]


def _placed(piece: NDArray[np.float32], before: int, count: int) -> NDArray[np.float32]:
    """The piece after `before` zeros, in `count` samples."""
    before = min(before, count)
    return np.pad(piece, ((before, count - before - len(piece)), (0, 0)))


def _write(
    sound: _Sound, rate: int, channels: int, duration: float, alignment: Synchronisation, path: Path, form: str
) -> None:
    path.touch()  # tells by its own error what libsndfile would not
    try:
        file = soundfile.SoundFile(libsndfile_name(os.fspath(path)), "w", rate, channels, format=form)
    except (soundfile.SoundFileError, ValueError) as error:
        raise AlignmentError(f"{form} cannot hold sound of {channels} channels at {rate} samples a second") from error
    with file:
        for block in _rendered(sound, rate, channels, duration, alignment):
            file.write(block)


def _rendered(
    sound: _Sound, rate: int, channels: int, duration: float, alignment: Synchronisation
) -> Iterator[NDArray[np.float32]]:
    """Blocks of sound that together last as long as the reference."""
    total = round(duration * rate)
    done = 0
    for path, start, stop in _placed_matches(alignment, rate, total):
        yield from _silence(start - done, channels)
        first = start
        for block in _stretched(sound, rate, path, start, stop):
            yield block * _fades(first, len(block), start, stop, rate)
            first += len(block)
        done = stop
    yield from _silence(total - done, channels)


def _placed_matches(alignment: Synchronisation, rate: int, total: int) -> list[tuple[WarpingPath, int, int]]:
    """Paths of the matches with the samples they fill, in order, apart; what is left between is no sliver."""
    paths = [segment.path.monotone() for segment in alignment.segments if segment.path is not None]
    paths = sorted((path for path in paths if len(path) > 1), key=lambda path: float(path.ref[0]))
    placed: list[tuple[WarpingPath, int, int]] = []
    sliver = round(SLIVER_SECONDS * rate)
    for path in paths:
        done = placed[-1][2] if placed else 0
        start, stop = (round(float(time) * rate) for time in (path.ref[0], path.ref[-1]))
        start = done if start - done <= sliver else start
        stop = total if total - stop <= sliver else stop
        if stop > start:
            placed.append((path, start, stop))
    return placed


def _silence(count: int, channels: int) -> Iterator[NDArray[np.float32]]:
    for first in range(0, count, _BLOCK):
        yield np.zeros((min(_BLOCK, count - first), channels), np.float32)


def _fades(first: int, count: int, start: int, stop: int, rate: int) -> NDArray[np.float32]:
    """Gain of the samples from `first` on, shape `(count, 1)`: rising from `start`, falling to `stop`."""
    at = np.arange(first, first + count)
    nearest = np.minimum(at - start, stop - 1 - at) + 1
    return np.minimum(nearest / (_FADE_SECONDS * rate), 1.0).astype(np.float32)[:, None]


def _stretched(sound: _Sound, rate: int, path: WarpingPath, start: int, stop: int) -> Iterator[NDArray[np.float32]]:
    """The match's sound on the samples `start` to `stop` of the reference's timeline."""
    window = 2 ** max(6, round(np.log2(_WINDOW_SECONDS * rate)))
    hop = window // _OVERLAP
    # The first frame ends where the match starts, so that every sample of it has all its frames.
    frames = -(-(stop - start + window) // hop)
    centres = start - window // 2 + hop * np.arange(frames)
    places = np.rint(_corresponding(path, centres / rate) * rate).astype(np.int64) - window // 2
    vocoder = _Vocoder(window, hop)
    waiting, left = window, stop - start
    for first in range(0, frames, _FRAMES_AT_ONCE):
        block = vocoder.put_out(sound, places[first : first + _FRAMES_AT_ONCE])
        block, waiting = block[waiting:], max(waiting - len(block), 0)
        yield block[:left]
        left -= min(left, len(block))


def _corresponding(path: WarpingPath, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds of the other recording on the smoothed path; beyond its ends both go on at one speed."""
    lines = local_lines(path, _PATH_WINDOW_SECONDS)
    beyond = times - np.clip(times, lines.ref[0], lines.ref[-1])
    return np.asarray(np.interp(times, lines.ref, lines.other) + beyond, np.float64)


class _Vocoder:
    """Puts frames of a sound out one hop apart, wherever they lie in it."""

    def __init__(self, window: int, hop: int) -> None:
        self._window, self._hop = window, hop
        self._taper = hann(window, sym=False).astype(np.float32)
        self._scale = np.float32(hop / np.square(self._taper).sum())
        self._last: NDArray[np.complex64] | None = None
        self._tail: NDArray[np.float32] | None = None

    def put_out(self, sound: _Sound, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Finished samples, one hop for each place at which a frame starts in the sound."""
        first = int(places.min()) - self._hop
        piece = sound.read(first, int(places.max()) + self._window - first)
        now = self._spectra(piece, places - first)
        before = self._spectra(piece, places - first - self._hop)
        for index in range(len(places)):
            if self._last is not None:
                now[index] *= _rotation(self._last, now[index], before[index])
            self._last = now[index].copy()
        shapes = fft.irfft(now, self._window, axis=1) * (self._taper[:, None] * self._scale)
        return self._overlap_add(shapes)

    def _spectra(self, piece: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[Any]:
        """Shape `(frames, bins, channels)`, complex64."""
        framed = np.lib.stride_tricks.sliding_window_view(piece, self._window, axis=0)[starts]
        return np.asarray(fft.rfft(framed * self._taper, axis=2)).swapaxes(1, 2)

    def _overlap_add(self, shapes: NDArray[np.float32]) -> NDArray[np.float32]:
        frames, window, channels = shapes.shape
        mixed = np.zeros((frames * self._hop + window - self._hop, channels), np.float32)
        if self._tail is not None:
            mixed[: len(self._tail)] = self._tail
        for index, shape in enumerate(shapes):
            mixed[index * self._hop : index * self._hop + window] += shape
        self._tail = mixed[frames * self._hop :].copy()
        return mixed[: frames * self._hop]


def _rotation(
    last: NDArray[np.complex64], now: NDArray[np.complex64], before: NDArray[np.complex64]
) -> NDArray[np.complex64]:
    """Unit numbers, shape `(bins, 1)`, by which `now` goes on from `last` as it goes on from `before`."""
    turn = (last * before.conj()).sum(axis=1)
    size, earlier = np.abs(now).sum(axis=1), np.abs(before).sum(axis=1)
    peaks = np.flatnonzero(_is_peak(size))
    length = np.abs(turn)
    keep = (length < 1e-12) | (size > _BEGINNING * earlier)
    unit = np.where(keep, np.complex64(1.0), turn / np.where(keep, np.float32(1.0), length))
    if len(peaks):
        borders = (peaks[1:] + peaks[:-1]) / 2
        unit = unit[peaks][np.searchsorted(borders, np.arange(len(size)))]
    return np.asarray(unit[:, None], np.complex64)


def _is_peak(size: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether a bin is above its two neighbours on either side."""
    padded = np.pad(size, 2, constant_values=-1.0)
    inner = padded[2:-2]
    return (inner > padded[:-4]) & (inner > padded[1:-3]) & (inner >= padded[3:-1]) & (inner >= padded[4:])
