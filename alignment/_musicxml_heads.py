"""Note heads of a MusicXML document: where each stands in its measure, and the ids by which an engraving shows them.

Places come from the durations in the document, as in playing it; an engraver goes by the shapes of the notes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from alignment._sheet import GRACE_QUARTERS, Head

__all__ = ["heads", "mark", "measure_id"]

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def measure_id(index: int) -> str:
    """Id of a measure as printed, counted from 0."""
    return f"measure-{index + 1}"


def mark(root: Any) -> None:
    """Give measures and notes ids of their own, the same ones each time; ids that they had are dropped."""
    for element in root.iter("measure", "note"):
        element.attrib.pop("id", None)
    seen = 0
    for part in root.iterfind("part"):
        for index, measure in enumerate(part.iterfind("measure")):
            if index == seen:
                measure.set("id", measure_id(index))
                seen += 1
    for number, note in enumerate(root.iter("note")):
        note.set("id", f"note-{number + 1}")


def heads(root: Any) -> list[Head]:
    """All heads of a document that is marked and tidied."""
    return [head for part in root.iterfind("part") for head in _Walk().part(part)]


class _Walk:
    """Goes through the measures of one part."""

    def __init__(self) -> None:
        self._divisions = 1.0
        self._transposed = 0

    def part(self, part: Any) -> Iterator[Head]:
        for index, measure in enumerate(part.iterfind("measure")):
            yield from self._measure(measure, index)

    def _measure(self, measure: Any, index: int) -> Iterator[Head]:
        place = onset = 0.0
        graces: list[list[tuple[str, int | None]]] = []
        for child in measure:
            if child.tag == "attributes":
                self._attributes(child)
            quarters = _number(child.findtext("duration")) / self._divisions
            if child.tag == "forward":
                place += quarters
            elif child.tag == "backup":
                yield from _before(graces, place, index)
                graces = []
                place = max(place - quarters, 0.0)
            elif child.tag == "note":
                chord, head = child.find("chord") is not None, (child.get("id", ""), self._pitch(child))
                if child.find("grace") is not None:
                    if chord and graces:
                        graces[-1].append(head)
                    else:
                        graces.append([head])
                    continue
                if not chord:
                    yield from _before(graces, place, index)
                    graces = []
                    onset, place = place, place + quarters
                if child.find("rest") is None:
                    yield Head(head[0], index, onset, quarters, head[1])
        yield from _before(graces, place, index)

    def _attributes(self, element: Any) -> None:
        self._divisions = max(_number(element.findtext("divisions")), 0.0) or self._divisions
        if (transpose := element.find("transpose")) is not None:
            self._transposed = round(_number(transpose.findtext("chromatic")))

    def _pitch(self, note: Any) -> int | None:
        pitch = note.find("pitch")
        if pitch is None:
            return None
        step = _STEPS.get(pitch.findtext("step", "").strip(), 0)
        octave, alter = _number(pitch.findtext("octave")), _number(pitch.findtext("alter"))
        return round(12 * (octave + 1) + step + alter) + self._transposed


def _before(graces: list[list[tuple[str, int | None]]], place: float, measure: int) -> Iterator[Head]:
    """Grace notes, which sound one after the other before a place."""
    for left, chord in zip(range(len(graces), 0, -1), graces, strict=True):
        for name, pitch in chord:
            yield Head(name, measure, place - left * GRACE_QUARTERS, GRACE_QUARTERS, pitch)


def _number(text: str | None) -> float:
    try:
        number = float(text or 0)
    except ValueError:
        return 0.0
    return number if abs(number) < 1e9 else 0.0
