"""Scores as pages to look at: verovio engraves them as printed, and each measure and note is an element with an id.

Ids are the same each time a score is engraved. Nothing is unfolded: which measure sounds when is told by
`Score.played`, which names the measures as they are counted here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from alignment._musicxml import marked_musicxml
from alignment._sheet import Head, ReadError
from alignment._verovio import ask_verovio, decoded, encoded_kind, printed_encoded
from alignment.errors import ScoreError
from alignment.score import score_data, score_format

__all__ = ["EngravedMeasure", "Engraving", "Head", "engrave"]

_ELEMENT = re.compile(r'<g\b[^>]*?\bid="([^"]+)"[^>]*?\bclass="(system|measure|note)[ "]')


class EngravedMeasure(NamedTuple):
    """A measure as printed.

    Attributes:
        id: of its element.
        page, system: where it stands, both counted from 1, systems through the whole score.
        label: as printed; a measure without a number goes by the one before it.
    """

    id: str
    page: int
    system: int
    label: str


@dataclass(frozen=True)
class Engraving:
    """A score as pages.

    Attributes:
        path: the file that it is from.
        pages: each the text of an SVG document.
        measures: in the order of the document.
        notes: the heads that are drawn.
        undrawn: which of the measures have no element of their own, since a rest of several measures stands for
            them; they have the id and place of the measure in which it stands.
    """

    path: str
    pages: tuple[str, ...]
    measures: tuple[EngravedMeasure, ...]
    notes: tuple[Head, ...]
    undrawn: tuple[int, ...]


def engrave(path: str | os.PathLike[str]) -> Engraving:
    """Engrave MusicXML (also compressed), MEI or Humdrum kern as it is printed.

    Raises:
        ScoreError: there is no such file, it is a MIDI file, which has no notation, nothing in it can be read
            as a score, or the `score` extra is missing; names the file and the cause.
    """
    name = os.fspath(path)
    data = score_data(name)
    format = score_format(data, Path(name).suffix.lower())
    try:
        if format == "midi":
            raise ReadError("is a MIDI file, which has no notation to show; give MusicXML, MEI or kern")
        if format == "musicxml":
            document, measures, heads = marked_musicxml(data)
            pages = ask_verovio("engrave", document, "MusicXML")["pages"]
        else:
            answer = ask_verovio("engrave", decoded(data), encoded_kind(data))
            pages = answer["pages"]
            measures, heads = printed_encoded(answer)
        return _engraving(name, pages, measures, heads)
    except ReadError as error:
        raise ScoreError(name, str(error)) from error
    except ImportError as error:
        raise ScoreError(name, 'wants the score extra: pip install "incipit-music[score]"') from error


def _engraving(
    name: str, pages: Sequence[str], measures: Sequence[tuple[str, str]], heads: Sequence[Head]
) -> Engraving:
    places, notes = _drawn(pages)
    drawn = [measure for measure, _ in measures if measure in places]
    if not drawn:
        raise ReadError("has no measures that could be shown, or is damaged")
    shown: list[EngravedMeasure] = []
    undrawn: list[int] = []
    last = drawn[0]
    for index, (measure, label) in enumerate(measures):
        if measure in places:
            last = measure
        else:
            undrawn.append(index)
        shown.append(EngravedMeasure(last, *places[last], label))
    return Engraving(
        name, tuple(pages), tuple(shown), tuple(head for head in heads if head.id in notes), tuple(undrawn)
    )


def _drawn(pages: Sequence[str]) -> tuple[dict[str, tuple[int, int]], set[str]]:
    """Page and system of each measure that is drawn, and the ids of the notes that are."""
    places: dict[str, tuple[int, int]] = {}
    notes: set[str] = set()
    system = 0
    for page, text in enumerate(pages, 1):
        for name, kind in _ELEMENT.findall(text):
            if kind == "system":
                system += 1
            elif kind == "measure":
                places[name] = (page, system)
            else:
                notes.add(name)
    return places, notes
