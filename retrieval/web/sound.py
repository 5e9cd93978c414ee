"""The sound of recordings as browsers can play it: the file itself, or a copy in FLAC."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import OrderedDict
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import soundfile

from alignment.audio import libsndfile_name, native_blocks
from alignment.errors import AudioError
from retrieval.web.problems import Problem

__all__ = ["FLAC", "Copies", "media_type_of"]

FLAC = "audio/flac"

_PLAYED = {"FLAC": FLAC, "OGG": "audio/ogg", "MP3": "audio/mpeg", "MPEG": "audio/mpeg"}
_PLAYED_WAV = {"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"}
_MOST_BYTES = 2**32
_MOST_CHANNELS = 8
_MOST_RATE = 655_350


@lru_cache(10_000)
def media_type_of(path: Path, state: tuple[int, int]) -> str | None:
    """The media type of a file that browsers play as it is, by what it holds; None for any other.

    Args:
        path: of the file.
        state: its bytes and time of change; what is known of it is not looked up again.
    """
    try:
        with soundfile.SoundFile(libsndfile_name(str(path))) as file:
            if file.format in ("WAV", "WAVEX"):
                return "audio/wav" if file.subtype in _PLAYED_WAV else None
            return _PLAYED.get(file.format)
    except (soundfile.SoundFileError, OSError, TypeError):
        return _media_type_by_ffmpeg(path)


def _media_type_by_ffmpeg(path: Path) -> str | None:
    """Likewise, of what libsndfile does not know."""
    try:
        import av
    except ImportError:
        return None
    try:
        with path.open("rb") as handle, av.open(handle, metadata_errors="ignore") as container:
            codec, format = container.streams.audio[0].codec_context.name, container.format.name
    except (av.FFmpegError, OSError, IndexError, ValueError, TypeError):
        return None
    if codec not in ("aac", "mp3"):
        return None
    return "audio/mp4" if "mp4" in format else {"aac": "audio/aac", "mp3": "audio/mpeg"}.get(format)


class Copies:
    """Copies of recordings in FLAC, in a folder of their own; of too many the least lately used are dropped."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="incipit-sound-"))
        self._copies: OrderedDict[str, Path] = OrderedDict()
        self._making: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def known(self, key: str) -> Path | None:
        """The copy of that key, if there is one."""
        with self._lock:
            if key not in self._copies:
                return None
            self._copies.move_to_end(key)
            return self._copies[key]

    def made(self, key: str, path: Path) -> Path:
        """The copy of a recording, with its channels and rate, in 16 bits; those that ask at once wait for one.

        Args:
            key: of its content.
            path: where it lies.

        Raises:
            Problem: it cannot be decoded.
        """
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            try:
                return self.known(key) or self._copied(key, path)
            finally:
                with self._lock:
                    self._making.pop(key, None)

    def _copied(self, key: str, path: Path) -> Path:
        target = self._folder / f"{key}.flac"
        partial = target.with_suffix(".part")
        try:
            blocks = native_blocks(path)
            rate, first = next(blocks, (0, None))
            if first is None or first.shape[1] > _MOST_CHANNELS or rate > _MOST_RATE:
                raise AudioError(str(path), "has no sound that FLAC can hold")
            with soundfile.SoundFile(partial, "w", rate, first.shape[1], "PCM_16", format="FLAC") as file:
                file.write(first)
                with suppress(AudioError):  # of what breaks off, what there is
                    for _, block in blocks:
                        file.write(block)
            partial.replace(target)
        except (AudioError, soundfile.SoundFileError) as error:
            cause = error.cause if isinstance(error, AudioError) else "it cannot be copied"
            raise Problem(415, "not-playable", f"browsers cannot play it, and {cause}") from error
        finally:
            partial.unlink(missing_ok=True)
        with self._lock:
            self._copies[key] = target
            self._copies.move_to_end(key)
            self._drop_oldest()
        return target

    def remove(self, key: str) -> None:
        """Remove the copy of that key, if there is one."""
        with self._lock:
            path = self._copies.pop(key, None)
        if path is not None:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove all."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _drop_oldest(self) -> None:
        sizes = {key: path.stat().st_size for key, path in self._copies.items()}
        while len(self._copies) > 1 and sum(sizes.values()) > _MOST_BYTES:
            key, path = self._copies.popitem(last=False)
            del sizes[key]
            path.unlink(missing_ok=True)
