"""What the page of the switcher plays and shows: performances aligned with the first, and the score of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from alignment.engraving import Engraving, engrave
from alignment.errors import AlignmentError
from alignment.score import read_score
from alignment.switcher import Performance, shown_names
from alignment.switcher import Sheets as ScoreSheets
from alignment.switcher.page import model_document
from alignment.switcher.sound import Sound
from retrieval.sides import Other
from retrieval.web.files import File
from retrieval.web.jobs import Told
from retrieval.web.pieces import Pieces
from retrieval.web.problems import Problem

__all__ = ["Sheets", "Switching"]

_MOST_SHEETS = 8
_OTHER_MUSIC = "it is not taken for the same music"


class Sheets:
    """Engraved scores; the latest are held."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Engraving] = OrderedDict()
        self._lock = threading.Lock()

    def engraving(self, key: str, path: str) -> Engraving:
        """A score as pages.

        Args:
            key: of its content.
            path: where it lies.

        Raises:
            ScoreError: it cannot be engraved.
        """
        with self._lock:  # while one is engraved others wait: it takes a process of its own
            if key not in self._held:
                self._held[key] = engrave(path)
            self._held.move_to_end(key)
            while len(self._held) > _MOST_SHEETS:
                self._held.popitem(last=False)
            return self._held[key]


class Switching:
    """Makes the document of the page.

    Args:
        pieces, sheets: what is known of recordings and scores.
        pairs: aligns files with the first; is given what tells before each how many are done.
        told: is told how it goes.
    """

    def __init__(
        self,
        pieces: Pieces,
        sheets: Sheets,
        pairs: Callable[[str, Sequence[str], Callable[[int], None]], list[Other]],
        told: Told,
    ) -> None:
        self._pieces = pieces
        self._sheets = sheets
        self._pairs = pairs
        self._told = told
        self._left_out: list[dict[str, str]] = []

    def document(self, recordings: Sequence[File], score: File | None) -> dict[str, Any]:
        """All that the page wants; what cannot be played is left out, and told.

        Args:
            recordings: the reference first.

        Raises:
            Problem: the reference cannot be played.
        """
        played = self._accepted(recordings)
        names = shown_names([file.name for file, _ in played])
        sounds = self._measured([file for file, _ in played], names)
        performances = [
            Performance(file.path, name, None if other is None else other.alignment)
            for name, (file, other) in zip(names, played, strict=True)
        ]
        sheets = None if score is None else self._score(score, recordings[0])
        pages = [f"{score.url}/pages/{page}" for page in _numbers(sheets)] if score is not None else []
        files = [file.url for file, _ in played]
        title = Path(recordings[0].name).stem
        document = model_document(title, performances, files, sounds, sheets, pages)
        return {**document, "left_out": self._left_out}

    def leave_out(self, name: str, cause: str) -> None:
        """Tell that something is not played or shown."""
        self._left_out.append({"name": name, "cause": cause})

    def _accepted(self, recordings: Sequence[File]) -> list[tuple[File, Other | None]]:
        """The reference and those that are the same music."""
        ref, *others = recordings
        paths = [other.path for other in others]
        try:
            done = self._pairs(ref.path, paths, lambda number: self._told.progress("aligning", number, len(paths)))
        except AlignmentError as error:
            raise _unplayable(ref, error) from error
        played: list[tuple[File, Other | None]] = [(ref, None)]
        for file, other in zip(others, done, strict=True):
            if other.accepted:
                played.append((file, other))
            else:
                self.leave_out(Path(file.name).stem, other.error or _OTHER_MUSIC)
        return played

    def _measured(self, files: Sequence[File], names: Sequence[str]) -> list[Sound]:
        sounds = []
        for number, (file, name) in enumerate(zip(files, names, strict=True)):
            self._told.progress("listening", number, len(files))
            try:
                sounds.append(self._pieces.sound(file.key, file.path))
            except AlignmentError as error:
                raise _unplayable(file, error) from error
            except Problem as problem:
                raise Problem(problem.status, problem.name, f"{name}: {problem.detail}") from problem
        return sounds

    def _score(self, score: File, ref: File) -> ScoreSheets | None:
        """The engraved score, aligned with the reference; None where it cannot be shown, which is told."""
        self._told.progress("engraving the score", 0, None)
        try:
            engraving = self._sheets.engraving(score.key, score.path)
            (other,) = self._pairs(
                score.path, [ref.path], lambda number: self._told.progress("aligning the score", number, 1)
            )
            if other.alignment is not None and other.accepted:
                return ScoreSheets(read_score(score.path), engraving, other.alignment)
            self.leave_out(Path(score.name).name, other.error or _OTHER_MUSIC)
        except AlignmentError as error:
            self.leave_out(Path(score.name).name, error.cause)
        return None


def _unplayable(file: File, error: AlignmentError) -> Problem:
    return Problem(422, "unusable-file", f"{Path(file.name).name}: {error.cause}")


def _numbers(sheets: ScoreSheets | None) -> range:
    return range(1, len(sheets.engraving.pages) + 1) if sheets is not None else range(0)
