"""REF and OTHER of an alignment: a file or an id of the library, a recording or a score, as sound."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alignment.audio import Audio
    from alignment.score import Score
    from alignment.segments import Synchronisation
    from alignment.transposition import Transposable
    from index.library import Library
    from index.schema import Item

__all__ = ["Other", "Side", "kept_alignment", "kept_either_way", "read_side", "resolve", "score_among", "transposable"]


@dataclass(frozen=True)
class Side:
    """A recording or score that was read.

    Attributes:
        path: absolute.
        duration: in seconds.
        score: the score, if it is one.
        warnings: one line for each fault that did not prevent reading.
    """

    path: str
    duration: float
    score: Score | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Other:
    """What came of one OTHER: either what was read and its alignment, or the cause of its failure."""

    path: str
    side: Side | None = None
    alignment: Synchronisation | None = None
    error: str = ""

    @property
    def accepted(self) -> bool:
        """Whether it was aligned, and taken for the same music as the reference."""
        return self.alignment is not None and self.alignment.accepted


def resolve(name: str, folder: Path) -> str:
    """The path of a file, or of the recording or score of that id in the library of a folder."""
    return name if os.path.lexists(name) else _path_of(name, folder) or name


def read_side(path: str) -> tuple[Side, Audio]:
    """Decode a recording, or make a score sound; raises AlignmentError where that fails.

    The sound comes beside what is told of it, so that it can be let go: an hour takes 300 MB.
    """
    from alignment.audio import read_audio
    from alignment.score import is_score, read_score

    if is_score(path):
        from alignment.score_sound import score_sound

        score = read_score(path)
        sound = score_sound(score)
        return Side(os.path.abspath(path), sound.duration, score), sound
    sound = read_audio(path)
    return Side(os.path.abspath(path), sound.duration, None, sound.warnings), sound


def transposable(path: str, sound: Audio) -> Transposable:
    """What synchronising needs of a side; the sound can be let go, and is read again where it is wanted once more."""
    from alignment.analysed import analyse
    from alignment.transposition import Transposable

    return Transposable(analyse(sound), lambda: read_side(path)[1])


def kept_alignment(ref: str, other: str, folder: Path) -> tuple[Side, Other] | None:
    """Two items and how they correspond, if the library knows it and their files have not changed."""
    from index.errors import LibraryError
    from index.library import Library

    if not (folder / "library.sqlite").is_file():
        return None
    try:
        with Library(folder) as opened:
            return _kept_alignment(opened, os.path.abspath(ref), os.path.abspath(other))
    except LibraryError:
        return None


def kept_either_way(ref: str, other: str, folder: Path) -> tuple[Side, Other] | None:
    """Likewise, also where the library knows it with the sides exchanged."""
    from alignment.carrying import inverted

    if (found := kept_alignment(ref, other, folder)) is not None:
        return found
    if (found := kept_alignment(other, ref, folder)) is None:
        return None
    side, back = found
    assert back.side is not None, "what is kept is known"
    assert back.alignment is not None, "what is kept is known"
    return back.side, Other(side.path, side, inverted(back.alignment))


def score_among(reference: Side, others: list[Other]) -> tuple[Score | None, int | None]:
    """The score that measures are counted in, the reference or the first other that is one, and which other."""
    if reference.score is not None:
        return reference.score, None
    for number, other in enumerate(others):
        if other.side is not None and other.side.score is not None:
            return other.side.score, number
    return None, None


def _kept_alignment(library: Library, ref: str, other: str) -> tuple[Side, Other] | None:
    from retrieval.kept_alignment import alignment_method, from_kept
    from retrieval.work_upkeep import is_unchanged

    one, two = library.item_at(ref), library.item_at(other)
    files = {file.path: file for item in (one, two) if item for file in item.files}
    if one is None or two is None or not (is_unchanged(files[ref]) and is_unchanged(files[other])):
        return None
    kept = library.alignments.get(one, two, alignment_method())
    if kept is None:
        return None
    return _kept_side(library, one, ref), Other(other, _kept_side(library, two, other), from_kept(kept))


def _kept_side(library: Library, item: Item, path: str) -> Side:
    from retrieval.kept_score import from_kept

    sheet = library.score_sheet(item.id)
    return Side(path, item.duration, None if sheet is None else from_kept(sheet, path))


def _path_of(key: str, folder: Path) -> str | None:
    from index.library import Library

    if not (folder / "library.sqlite").is_file():
        return None
    with Library(folder) as library:
        item = library.item(key)
        if item is None:
            return None
        return next((file.path for file in item.files if os.path.lexists(file.path)), item.path)
