"""What a MusicXML document says of the work, the movement and the parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignment._general_midi import program_name
from alignment._musicxml_document import as_number, positive
from alignment.heading import Heading, Movement, Part

__all__ = ["heading_of", "parts_of"]


def heading_of(root: Any) -> tuple[Heading, Movement | None]:
    """What the document says of the work, and of the movement if it is one; else what is printed above the music."""
    work, movement = _text(root, "work/work-title"), _text(root, "movement-title")
    work_number, number = _text(root, "work/work-number"), _text(root, "movement-number")
    composer = _text(root, "identification/creator[@type='composer']")
    if not work and not number:  # who writes a title alone, calls it either
        work, movement = movement, ""
    work = work or _printed_title(root)
    named = movement if movement != work else ""
    told = Movement(number, named) if number or named else None
    return Heading(work, work_number, composer), told


def _printed_title(root: Any) -> str:
    """Title and subtitle as they stand above the music: by their types, else what is centred there, in larger print."""
    typed = [_credit(root, f"credit[credit-type='{kind}']") for kind in ("title", "subtitle")]
    if typed[0]:
        return ", ".join(text for text in typed if text)
    centred: list[tuple[float, str]] = []
    for credit in root.iterfind("credit"):
        first = credit.find("credit-words")
        if first is None or credit.get("page", "1") != "1" or first.get("valign") != "top":
            continue
        if first.get("justify", first.get("halign")) == "center":
            centred.append((positive(first.get("font-size")), _joined(credit)))
    largest = sorted(centred, key=lambda pair: pair[0], reverse=True)
    return ", ".join(text for _, text in largest[:2] if text)


def _credit(root: Any, place: str) -> str:
    found = root.find(place)
    return "" if found is None else _joined(found)


def _joined(credit: Any) -> str:
    return " ".join("".join(words.text or "" for words in credit.iterfind("credit-words")).split())


def _text(element: Any, place: str) -> str:
    """What an element says; nothing where the template of a score editor was not filled in."""
    text = " ".join((element.findtext(place) or "").split())
    return "" if text.startswith("{{") else text


def parts_of(root: Any, played: NDArray[np.float64]) -> list[Part]:
    """The parts of the document, and how often each occurs in `played`."""
    named = root.findall("part-list/score-part")
    counts = np.bincount(played.astype(np.int64), minlength=len(named)).tolist()
    transposed: dict[str, int] = {}
    for part in root.iterfind("part"):
        chromatic = as_number(part.findtext("measure/attributes/transpose/chromatic", "0"))
        transposed[part.get("id", "")] = round(chromatic) if math.isfinite(chromatic) else 0
    return [
        Part(_text(part, "part-name"), _instrument(part), transposed.get(part.get("id", ""), 0), count)
        for part, count in zip(named, counts, strict=True)
    ]


def _instrument(part: Any) -> str:
    """The instruments of a part, else what plays it as MIDI."""
    names = dict.fromkeys(
        " ".join((name.text or "").split()) for name in part.iterfind("score-instrument/instrument-name")
    )
    stated = ", ".join(name for name in names if name)
    return stated or program_name(as_number(part.findtext("midi-instrument/midi-program")) - 1)
