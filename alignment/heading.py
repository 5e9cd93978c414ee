"""What a score says of itself, and the title that it is shown by."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Heading", "Movement", "Part", "full_title"]


class Heading(NamedTuple):
    """What a file says of the work that it holds, or holds some of; empty where it says nothing.

    Attributes:
        title, number: of the work, such as "6 Lieder" and "Op. 13".
        composer: of the work.
    """

    title: str = ""
    number: str = ""
    composer: str = ""


class Movement(NamedTuple):
    """A movement, or one of several pieces of a work.

    Attributes:
        number, title: as the file states them, or empty.
        start: when it begins, as played: in seconds of a score, in quarters of a sheet.
    """

    number: str
    title: str
    start: float = 0.0


class Part(NamedTuple):
    """A part, on one staff or on several.

    Attributes:
        name, instrument: as the file states them, or empty.
        transposition: semitones by which it sounds higher than it is written.
        notes: how many it plays; percussion plays none that are read.
    """

    name: str
    instrument: str
    transposition: int
    notes: int


def full_title(heading: Heading, movement: Movement | None = None) -> str:
    """Work and movement in one line: "Winterreise, D. 911, 5. Der Lindenbaum"."""
    parts = [heading.title]
    # A bare number says nothing by itself, and many files state the title with its number.
    if heading.title and not _within(heading.number, heading.title) and not heading.number.isdigit():
        parts.append(heading.number)
    if movement is not None:
        parts.append(_named(movement))
    return ", ".join(part for part in parts if part)


def _named(movement: Movement) -> str:
    number, title = movement.number.rstrip("."), movement.title
    if not title:
        return f"no. {number}" if number.isdigit() else number
    begins_with_it = title.startswith(number) and not title[len(number) :][:1].isalnum()
    return title if not number or begins_with_it else f"{number}. {title}"


def _within(number: str, title: str) -> bool:
    """Whether a title holds a number already, however it is spaced."""
    packed, whole = ("".join(text.casefold().split()) for text in (number, title))
    return packed in whole
