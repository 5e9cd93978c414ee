"""The measures of a MusicXML document with their repeats, voltas, jumps and tempo marks.

partitura 1.9 takes no notice of metronome marks without a sound element, of how often a repeat is played, and of da
capo and coda signs under other names than its own. So they are read from the document itself. Measures are paired by
their place, so that one that is too short in one part displaces nothing in the others.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from alignment._musicxml_document import as_number, positive
from alignment._musicxml_jumps import spell_out_jumps
from alignment._sheet import COMMON_TIME, Metre
from alignment._unfolding import WrittenMeasure

__all__ = ["written"]

_UNITS = {"long": 16.0, "breve": 8.0, "whole": 4.0, "half": 2.0, "quarter": 1.0, "eighth": 0.5, "16th": 0.25}
_OVERFULL = 20
"""A measure so many times as long as its time signature says is a fault of the file; shorter ones are cadenzas."""


def written(root: Any) -> tuple[list[WrittenMeasure], list[tuple[float, float]]]:
    """Measures with their signs, from all parts together, and tempo marks in quarters."""
    spell_out_jumps(root)
    measures: list[WrittenMeasure] = []
    marks: dict[int, dict[float, float]] = defaultdict(dict)
    metres: dict[int, Metre] = {}
    for part in root.iterfind("part"):
        _Walk(measures, marks, metres).part(part)
    for index, metre in metres.items():
        measures[index].metre = metre
    _lengthen_voltas(measures)
    starts = np.cumsum([0.0, *(measure.length for measure in measures)])
    tempi = sorted((float(starts[index]) + place, bpm) for index in marks for place, bpm in marks[index].items())
    return measures, tempi


def _lengthen_voltas(measures: list[WrittenMeasure]) -> None:
    """A bracket drawn over its first measures only lasts until its repeat sign, where the next bracket follows."""
    for index, measure in enumerate(measures[:-1]):
        following = measures[index + 1].voltas
        if not measure.backward or measure.voltas or not following:
            continue
        first = index
        while first and not measures[first].voltas and not measures[first].forward:
            first -= 1
        numbers = measures[first].voltas
        if numbers and not numbers & following:
            for inside in measures[first : index + 1]:
                inside.voltas = numbers


class _Walk:
    """Goes through the measures of one part, adding what they say to `measures`, `marks` and `metres`.

    The time signature of a measure is that of the first part that has any.
    """

    def __init__(
        self, measures: list[WrittenMeasure], marks: dict[int, dict[float, float]], metres: dict[int, Metre]
    ) -> None:
        self._measures = measures
        self._marks = marks
        self._metres = metres
        self._divisions = 1.0
        self._metre: Metre | None = None
        self._volta: tuple[int, frozenset[int]] | None = None

    def part(self, part: Any) -> None:
        for index, element in enumerate(part.iterfind("measure")):
            if index == len(self._measures):
                self._measures.append(_numbered(element, index))
            self._measure(element, index)
        self._end_volta(None)

    def _measure(self, element: Any, index: int) -> None:
        measure = self._measures[index]
        place = longest = 0.0
        metre = self._metre
        ends: list[Any] = []
        for child in element:
            if child.tag == "attributes":
                self._divisions = positive(child.findtext("divisions")) or self._divisions
                self._metre = _metre(child) or self._metre
                metre = self._metre if not place else metre
            elif child.tag in ("direction", "sound"):
                self._direction(child, index, place)
                ends += [(sound, place) for sound in _sounds(child)]
            elif child.tag == "barline":
                self._barline(child, index)
            else:
                place = max(place + self._advance(child), 0.0)
                longest = max(longest, place if _shown(child) else min(place, (metre or COMMON_TIME).length))
        full = (metre or COMMON_TIME).length
        if longest > _OVERFULL * full:
            longest = full
        measure.length = max(measure.length, longest)
        if metre is not None:
            self._metres.setdefault(index, metre)
        for sound, at in ends:
            self._jump(sound, index, at >= longest > 0)

    def _advance(self, child: Any) -> float:
        """Quarters by which an element moves the place in the measure."""
        if child.tag not in ("note", "forward", "backup") or child.find("chord") is not None:
            return 0.0
        if child.find("grace") is not None:
            return 0.0
        quarters = as_number(child.findtext("duration", "0")) / self._divisions
        return -quarters if child.tag == "backup" else quarters

    def _direction(self, element: Any, index: int, place: float) -> None:
        tempo = next((positive(sound.get("tempo")) for sound in _sounds(element) if sound.get("tempo")), 0.0)
        tempo = tempo or next((_metronome(mark) for mark in element.iter("metronome")), 0.0)
        if tempo:
            self._marks[index].setdefault(place, tempo)

    def _barline(self, element: Any, index: int) -> None:
        left = element.get("location") == "left"
        for ending in element.iterfind("ending"):
            if ending.get("type") == "start":
                self._end_volta(None)
                self._volta = index, _numbers(ending.get("number"))
            else:
                self._end_volta(index)
        for repeat in element.iterfind("repeat"):
            if repeat.get("direction") == "forward":
                begin = index if left or element.get("location") is None else index + 1
                if begin < len(self._measures):
                    self._measures[begin].forward = True
            elif index or not left:
                self._measures[index - left].backward = round(positive(repeat.get("times"))) or 2

    def _end_volta(self, last: int | None) -> None:
        """Write the open volta into its measures; one that never ends is a single measure."""
        if self._volta:
            first, numbers = self._volta
            for measure in self._measures[first : (first if last is None else last) + 1]:
                measure.voltas = numbers
        self._volta = None

    def _jump(self, sound: Any, index: int, at_end: bool) -> None:
        """Signs to jump to belong to the measure that they stand before, signs to jump from end theirs."""
        here = self._measures[index]
        if sound.get("segno") or sound.get("coda"):
            target = self._measures[index + 1] if at_end and index + 1 < len(self._measures) else here
            target.segno |= sound.get("segno") is not None
            target.coda |= sound.get("coda") is not None
        here.to_coda |= sound.get("tocoda") is not None
        here.fine |= sound.get("fine") is not None
        here.da_capo |= sound.get("dacapo") == "yes"
        here.dal_segno |= sound.get("dalsegno") is not None


def _numbered(element: Any, index: int) -> WrittenMeasure:
    """A measure with its printed number; a pick-up that has none is 0."""
    number = (element.get("number") or "").strip()
    hidden = element.get("implicit") == "yes" or not number or number.upper().startswith("X")
    if index:
        return WrittenMeasure(number, unnumbered=hidden)
    return WrittenMeasure(number if number[:1].isdigit() else "0" if hidden else number)


def _shown(element: Any) -> bool:
    """Whether an element is something to read: hidden rests and gaps do not lengthen a measure."""
    return element.tag == "note" and (element.find("rest") is None or element.get("print-object") != "no")


def _sounds(element: Any) -> Iterator[Any]:
    return element.iter("sound")


def _numbers(text: str | None) -> frozenset[int]:
    """Passes that a volta names: "1", "1, 2", "1-3"."""
    numbers: set[int] = set()
    for first, last in re.findall(r"(\d{1,2})(?:\s*-\s*(\d{1,2}))?", text or ""):
        numbers.update(range(int(first), int(last or first) + 1))
    return frozenset(numbers)


def _metre(attributes: Any) -> Metre | None:
    """A time signature; sums such as 3+2/8 are added up."""
    time = attributes.find("time")
    if time is None:
        return None
    pairs = [
        (sum(int(part) for part in re.findall(r"\d{1,3}", beats.text or "")), int(positive(kind.text)))
        for beats, kind in zip(time.iterfind("beats"), time.iterfind("beat-type"), strict=False)
    ]
    pairs = [(beats, kind) for beats, kind in pairs if beats and kind]
    if not pairs:
        return None
    finest = max(kind for _, kind in pairs)
    return Metre(round(sum(beats * finest / kind for beats, kind in pairs)), finest)


def _metronome(mark: Any) -> float:
    """Quarters a minute of a metronome mark, or 0."""
    numbers = re.findall(r"\d+(?:\.\d+)?", mark.findtext("per-minute", ""))
    unit = _UNITS.get(mark.findtext("beat-unit", ""), 0.0)
    dots = len(mark.findall("beat-unit-dot"))
    return float(numbers[-1]) * unit * (2.0 - 0.5**dots) if numbers else 0.0
