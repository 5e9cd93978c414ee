"""Recordings as the switcher plays them: what is told of each, and its pieces, encoded when they are asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from alignment.switcher.sound import Sound, can_seek, measure_sound, read_piece
from retrieval.web.problems import Problem
from retrieval.web.sound import Copies

__all__ = ["Pieces"]

_MOST_SOUNDS = 500
_MOST_BYTES = 2**26


class Pieces:
    """Pieces of recordings; the latest are held.

    A recording is decoded through once, to measure it. Where no sample of its file can be found without those before
    it, its pieces are read from a copy.

    Args:
        copies: of recordings.
    """

    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        self._sounds: OrderedDict[str, tuple[Sound, bool]] = OrderedDict()
        self._held: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def sound(self, key: str, path: str) -> Sound:
        """What is told of a recording.

        Args:
            key: of its content.
            path: where it lies.

        Raises:
            AudioError: it cannot be decoded.
            Problem: it cannot be copied.
        """
        sound, seeks = self._measured(key, path)
        if not seeks:
            self._copies.made(key, Path(path))
        return sound

    def piece(self, key: str, path: str, number: int) -> bytes:
        """A piece by its number from 0, as Ogg Opus; arguments and errors otherwise as above.

        Raises:
            Problem: it has none of that number.
        """
        with self._lock:
            if (key, number) in self._held:
                self._held.move_to_end((key, number))
                return self._held[key, number]
        sound, seeks = self._measured(key, path)
        if not 0 <= number < sound.pieces:
            raise Problem(404, "no-such-piece", f"the recording has {sound.pieces} pieces")
        piece = read_piece(path if seeks else self._copies.made(key, Path(path)), number, sound.frames)
        with self._lock:
            self._held[key, number] = piece
            while sum(map(len, self._held.values())) > _MOST_BYTES:
                self._held.popitem(last=False)
        return piece

    def _measured(self, key: str, path: str) -> tuple[Sound, bool]:
        """What is told of a recording, and whether its pieces can be read where they lie."""
        with self._lock:
            if key in self._sounds:
                self._sounds.move_to_end(key)
                return self._sounds[key]
        sound = measure_sound(path)
        with self._lock:
            self._sounds[key] = sound, can_seek(path, sound)
            while len(self._sounds) > _MOST_SOUNDS:
                self._sounds.popitem(last=False)
            return self._sounds[key]
