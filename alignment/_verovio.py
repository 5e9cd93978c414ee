"""MEI and Humdrum kern: verovio unfolds repeats and expansions, and gives what it would play as MIDI.

Measures come from its map of times, their numbers and time signatures from the MEI that it makes of either.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alignment._general_midi import program_name
from alignment._kern import kern_heading
from alignment._midi import read_midi, track_notes
from alignment._musicxml_document import positive
from alignment._sheet import COMMON_TIME, DEFAULT_TEMPO, Head, Measure, Metre, ReadError, Sheet
from alignment._unfolding import WrittenMeasure, headings
from alignment.heading import Heading, Movement, Part

__all__ = ["ask_verovio", "decoded", "encoded_kind", "printed_encoded", "read_encoded"]

_PATIENCE_SECONDS = 120
_NOT_INSTALLED = 3
_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_ACCIDENTALS = {"s": 1, "ss": 2, "x": 2, "xs": 3, "sx": 3, "ts": 3, "f": -1, "ff": -2, "tf": -3, "ns": 1, "nf": -1}
_XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
_SMUFL = {0xE260: "♭", 0xE261: "♮", 0xE262: "♯"}
"""Accidentals in names of instruments, which verovio writes for its own font."""

_Written: TypeAlias = tuple[str, Any, Metre]
"""Id, element and time signature of a measure."""


def read_encoded(data: bytes) -> Sheet:
    """Read a score in MEI or kern and unfold it.

    Raises:
        ReadError: it is neither, or is damaged.
    """
    kind, text = encoded_kind(data), decoded(data)
    answer = ask_verovio("play", text, kind)
    root = _document(answer["mei"])
    movements = _movements(root)
    # verovio invents a tempo for kern that names none.
    invented = kind == "kern" and "*MM" not in text
    notes: list[NDArray[np.float64]] = []
    measures: list[Measure] = []
    tempi: list[tuple[float, float]] = []
    parts: list[Part] = []
    starts: list[float] = []
    begin, first = 0.0, 0
    for movement, written, played in zip(movements, map(_written, movements), answer["movements"], strict=True):
        midi = base64.b64decode(played["midi"])
        sounding = read_midi(midi)
        starts.append(begin)
        notes.append(sounding.notes + np.array([begin, begin, 0.0, 0.0]))
        found, length = _measures(written, played["times"])
        marks = list(_tempo_marks(movement, written, found)) if kind == "MEI" else []
        tempi += [(begin, DEFAULT_TEMPO)]
        tempi += [] if invented else [(begin + when, tempo) for when, tempo in marks or sounding.tempi]
        measures += [
            measure._replace(start=begin + measure.start, end=begin + measure.end, written=first + measure.written)
            for measure in found
        ]
        parts = _together(parts, _parts(movement, track_notes(midi)))
        begin, first = begin + length, first + len(written)
    if not measures:
        raise ReadError(f"is {kind} without measures, or is damaged")
    heading, told = (
        kern_heading(text, measures) if kind == "kern" else (_heading(root), _told_movements(movements, starts))
    )
    return Sheet(np.concatenate(notes), measures, tempi, heading, told, parts)


def _tempo_marks(movement: Any, written: list[_Written], played: list[Measure]) -> Iterator[tuple[float, float]]:
    """Where tempo marks fall, in quarters, and quarters a minute; nothing without marks in measures.

    verovio's own are without those that share a measure with another, lie at its beginning, and take a dot for a third.
    """
    marks = [
        [(positive(mark.get("tstamp")) or 1.0, tempo) for mark in element.iter("{*}tempo") if (tempo := _tempo(mark))]
        for _, element, _ in written
    ]
    if any(marks):
        beginning = next(movement.iter("{*}scoreDef"), None)
        if beginning is not None and (tempo := _tempo(beginning)):
            yield 0.0, tempo
        for measure in played:
            for stamp, tempo in marks[measure.written]:
                place = (stamp - 1.0) * written[measure.written][2].beat
                yield min(max(measure.start + place, measure.start), measure.end), tempo


def _tempo(element: Any) -> float:
    """Quarters a minute that an element of MEI tells: to be played by, else those of a metronome mark; 0 for none."""
    if exact := positive(element.get("midi.bpm")):
        return exact
    dotted = 2.0 - 0.5 ** min(positive(element.get("mm.dots")), 4.0)
    return positive(element.get("mm")) * 4.0 / (positive(element.get("mm.unit")) or 4.0) * dotted


def printed_encoded(answer: dict[str, Any]) -> tuple[list[tuple[str, str]], list[Head]]:
    """Id and label of each measure, and all heads, of MEI or kern that verovio has engraved.

    Raises:
        ReadError: it is damaged.
    """
    root = _document(answer["mei"])
    named: list[tuple[str, str]] = []
    for movement in _movements(root):
        written = _written(movement)
        measures = [_numbered(element, metre, index) for index, (_, element, metre) in enumerate(written)]
        named += [(name, label) for (name, _, _), (label, _) in zip(written, headings(measures), strict=True)]
    return named, _heads(root, answer["times"])


def _heads(root: Any, times: list[dict[str, Any]]) -> list[Head]:
    """Heads at the times that verovio gives them, in quarters."""
    starts = {name: float(event["qstamp"]) for event in times for name in event.get("on", ())}
    ends = {name: float(event["qstamp"]) for event in times for name in event.get("off", ())}
    begins = {event["measureOn"]: float(event["qstamp"]) for event in times if "measureOn" in event}
    found: list[Head] = []
    transposed: dict[str, int] = {}
    index, begin, staff = -1, 0.0, ""
    for element in root.iter("{*}staffDef", "{*}measure", "{*}staff", "{*}note"):
        name, tag = element.get(_XML_ID, ""), str(element.tag).rpartition("}")[2]
        if tag == "staffDef":
            transposed[element.get("n", "")] = int(element.get("trans.semi") or transposed.get(element.get("n", ""), 0))
        elif tag == "staff":
            staff = element.get("n", "")
        elif tag == "measure":
            index, begin = index + 1, begins.get(name, 0.0)
        elif name in starts and index >= 0:
            pitch = _pitch(element)
            sounding = None if pitch is None else pitch + transposed.get(staff, 0)
            duration = ends.get(name, starts[name]) - starts[name]
            found.append(Head(name, index, starts[name] - begin, duration, sounding))
    return found


def _pitch(note: Any) -> int | None:
    """MIDI pitch as written: the accidental that sounds, be it printed or not."""
    if (exact := note.get("pnum", "")).isdigit():
        return int(exact)
    step, octave = _STEPS.get(note.get("pname", "")), note.get("oct.ges") or note.get("oct", "")
    if step is None or not octave.lstrip("-").isdigit():
        return None
    signs = [note, *note.iterfind("{*}accid")]
    sounding = [sign.get(key) for key in ("accid.ges", "accid") for sign in signs if sign.get(key)]
    return 12 * (int(octave) + 1) + step + (_ACCIDENTALS.get(sounding[0], 0) if sounding else 0)


def ask_verovio(task: str, text: str, kind: str) -> dict[str, Any]:
    """What verovio answers about a score in a process of its own; see `_verovio_process`.

    Raises:
        ReadError: it cannot read the score, ends over it, or takes too long; names the kind of file.
        ImportError: verovio is not installed.
    """
    command = [sys.executable, "-P", str(Path(__file__).with_name("_verovio_process.py")), task]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=_PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ReadError(f"is {kind} that verovio does not finish with") from error
    if done.returncode == _NOT_INSTALLED:
        raise ImportError("verovio")
    if done.returncode:
        raise ReadError(f"is not {kind}, or is damaged")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def encoded_kind(data: bytes) -> str:
    """ "kern" or "MEI"."""
    return "kern" if b"**kern" in data[:100_000] else "MEI"


def _document(mei: str) -> Any:
    from lxml import etree

    try:
        return etree.fromstring(mei.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        raise ReadError("is damaged") from error


def decoded(data: bytes) -> str:
    """A text in UTF-8, or in what old programs wrote."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _measures(written: list[_Written], times: list[dict[str, Any]]) -> tuple[list[Measure], float]:
    """Measures of a movement as played, and its length; a repeated measure has its written id with a suffix."""
    events = [(event["measureOn"], float(event["qstamp"])) for event in times if "measureOn" in event]
    if not events:
        return [], 0.0
    end = max(float(times[-1]["qstamp"]), events[-1][1])
    places = {name: index for index, (name, _, _) in enumerate(written)}
    spans: dict[str, list[tuple[float, float]]] = {}
    order = []
    for (name, start), (_, until) in itertools.pairwise([*events, ("", end)]):
        original = re.sub(r"-rend\d+$", "", name)
        spans.setdefault(original, []).append((start, until))
        order.append((original, start, until))
    sheet = [_numbered(element, metre, index) for index, (_, element, metre) in enumerate(written)]
    for (name, _, _), measure in zip(written, sheet, strict=True):
        start, until = spans.get(name, [(0.0, measure.metre.length)])[0]
        measure.length = until - start
    named = headings(sheet)
    found = []
    for name, start, until in order:
        if name in places and until > start:
            place = places[name]
            label, beat = named[place]
            found.append(Measure(label, start, until, sheet[place].metre.beat, beat, place))
    return found, end


def _movements(root: Any) -> list[Any]:
    """Elements `mdiv` that hold music, in the order of the document; the root where there are none."""
    return [mdiv for mdiv in root.iter("{*}mdiv") if mdiv.find("{*}score") is not None] or [root]


def _told_movements(movements: list[Any], starts: list[float]) -> list[Movement]:
    """Numbers and labels of movements, with labels of what they are within; none of a single one that has neither."""
    found = []
    for index, (mdiv, start) in enumerate(zip(movements, starts, strict=True)):
        around = [mdiv, *mdiv.iterancestors("{*}mdiv")][::-1]
        label = ", ".join(text for text in (" ".join(each.get("label", "").split()) for each in around) if text)
        number = mdiv.get("n", "").strip()
        found.append(Movement(number or ("" if label else str(index + 1)), label, start))
    stated = any(mdiv.get("n") or mdiv.get("label") for mdiv in movements)
    return found if len(found) > 1 or stated else []


def _parts(movement: Any, counts: list[int]) -> list[Part]:
    """The parts of a movement; `counts` are the notes of verovio's tracks: a staff each, after one that has none."""
    found: list[Part] = []
    definition = movement.find(".//{*}scoreDef")
    staves = 0
    for element in [] if definition is None else _part_elements(definition):
        own = [element] if _is(element, "staffDef") else list(element.iter("{*}staffDef"))
        notes = sum(counts[1 + staves : 1 + staves + len(own)])
        staves += len(own)
        name = next((text for text in map(_label, [element, *own]) if text), "")
        instrument = next(filter(None, (_program(each) for each in [element, *own])), "")
        transposition = next((int(each.get("trans.semi")) for each in own if _whole(each.get("trans.semi"))), 0)
        found.append(Part(name, instrument, transposition, notes))
    return found


def _together(parts: list[Part], more: list[Part]) -> list[Part]:
    """Parts of several movements: those that are called alike are one, the first with the first, and so on."""
    together, free = list(parts), dict(enumerate(parts))
    for part in more:
        place = next((place for place, known in free.items() if known[:3] == part[:3]), None)
        if place is None:
            together.append(part)
        else:
            together[place] = part._replace(notes=free.pop(place).notes + part.notes)
    return together


def _part_elements(group: Any) -> Iterator[Any]:
    """Staves that are parts, and groups of staves that are one: with a brace, and one name for all."""
    for child in group:
        if _is(child, "staffDef"):
            yield child
        elif _is(child, "staffGrp"):
            staves = list(child.iter("{*}staffDef"))
            names = {_label(staff) for staff in staves} - {""}
            braced = child.get("symbol") == "brace" or child.find("{*}grpSym[@symbol='brace']") is not None
            if staves and len(names | ({_label(child)} - {""})) <= 1 and (braced or _label(child)):
                yield child
            else:
                yield from _part_elements(child)


def _is(element: Any, name: str) -> bool:
    return str(element.tag).endswith("}" + name)


def _label(element: Any) -> str:
    label = element.find("{*}label")
    text = element.get("label", "") if label is None else "".join(label.itertext())
    return " ".join(text.translate(_SMUFL).split())


def _program(element: Any) -> str:
    """The instrument that plays a staff as MIDI."""
    definition = element.find("{*}instrDef")
    if definition is None:
        return ""
    number = definition.get("midi.instrnum", "")
    return program_name(int(number)) if _whole(number) else ""


def _whole(text: str | None) -> bool:
    return text is not None and re.fullmatch(r"[+-]?[0-9]+", text) is not None


def _written(movement: Any) -> list[_Written]:
    """The measures of a movement in the order of the document."""
    found: list[_Written] = []
    metre = COMMON_TIME
    for element in movement.iter("{*}measure", "{*}meterSig", "{*}scoreDef", "{*}staffDef"):
        if element.tag.endswith("}measure"):
            found.append((element.get(_XML_ID, ""), element, metre))
            continue
        prefix = "" if element.tag.endswith("}meterSig") else "meter."
        count, unit = (re.findall(r"\d{1,3}", element.get(prefix + key, "")) for key in ("count", "unit"))
        if count and unit and int(unit[0]) and sum(map(int, count)):
            metre = Metre(sum(map(int, count)), int(unit[0]))
    return found


def _numbered(element: Any, metre: Metre, index: int) -> WrittenMeasure:
    number = element.get("n", "").strip()
    if index:
        return WrittenMeasure(number, unnumbered=not number or number.upper().startswith("X"), metre=metre)
    return WrittenMeasure(number or "0", metre=metre)


def _heading(root: Any) -> Heading:
    """What the header of MEI says of the work."""
    title = _stated(root, ".//{*}fileDesc/{*}titleStmt//{*}title") or _stated(root, ".//{*}workList/{*}work/{*}title")
    statement = ".//{*}fileDesc/{*}titleStmt//{*}"
    composer = _stated(root, statement + "composer") or _stated(root, statement + "persName[@role='composer']")
    return Heading(title, _stated(root, ".//{*}workList/{*}work/{*}identifier"), composer)


def _stated(root: Any, place: str) -> str:
    """The first of some elements that says something."""
    texts = (" ".join("".join(element.itertext()).split()) for element in root.iterfind(place))
    return next(filter(None, texts), "")
