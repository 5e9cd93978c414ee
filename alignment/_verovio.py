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
from pathlib import Path
from typing import Any

from alignment._midi import read_midi
from alignment._sheet import COMMON_TIME, Head, Measure, Metre, ReadError, Sheet
from alignment._unfolding import WrittenMeasure, headings

__all__ = ["ask_verovio", "decoded", "encoded_kind", "printed_encoded", "read_encoded"]

_PATIENCE_SECONDS = 120
_NOT_INSTALLED = 3
_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_ACCIDENTALS = {"s": 1, "ss": 2, "x": 2, "xs": 3, "sx": 3, "ts": 3, "f": -1, "ff": -2, "tf": -3, "ns": 1, "nf": -1}
_XML_ID = "{http://www.w3.org/XML/1998/namespace}id"


def read_encoded(data: bytes) -> Sheet:
    """Read a score in MEI or kern and unfold it.

    Raises:
        ReadError: it is neither, or is damaged.
    """
    kind = encoded_kind(data)
    answer = ask_verovio("play", decoded(data), kind)
    events = [(event["measureOn"], float(event["qstamp"])) for event in answer["times"] if "measureOn" in event]
    if not events:
        raise ReadError(f"is {kind} without measures, or is damaged")
    sounding = read_midi(base64.b64decode(answer["midi"]))
    root = _document(answer["mei"])
    end = max(float(answer["times"][-1]["qstamp"]), events[-1][1])
    # verovio invents a tempo for kern that names none.
    tempi = [] if kind == "kern" and b"*MM" not in data else sounding.tempi
    measures = _measures(root, events, end, answer["measures"])
    return Sheet(_stated(root, "title"), sounding.notes, measures, tempi, _stated(root, "composer"))


def printed_encoded(answer: dict[str, Any]) -> tuple[list[tuple[str, str]], list[Head]]:
    """Id and label of each measure, and all heads, of MEI or kern that verovio has engraved.

    Raises:
        ReadError: it is damaged.
    """
    root = _document(answer["mei"])
    written = _written(root)
    measures = [_numbered(element, metre, index) for index, (_, element, metre) in enumerate(written)]
    named = [(name, label) for (name, _, _), (label, _) in zip(written, headings(measures), strict=True)]
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


def _measures(root: Any, events: list[tuple[str, float]], end: float, printed: list[str]) -> list[Measure]:
    """Measures as played, from `(id, start)`; a repeated one has its written id with a suffix.

    Args:
        printed: ids in the order of the document.
    """
    places = {name: index for index, name in enumerate(printed)}
    spans: dict[str, list[tuple[float, float]]] = {}
    order = []
    for (name, start), (_, until) in itertools.pairwise([*events, ("", end)]):
        written = re.sub(r"-rend\d+$", "", name)
        spans.setdefault(written, []).append((start, until))
        order.append((written, start, until))
    sheet = {name: _numbered(element, metre, index) for index, (name, element, metre) in enumerate(_written(root))}
    for name, measure in sheet.items():
        start, until = spans.get(name, [(0.0, measure.metre.length)])[0]
        measure.length = until - start
    named = dict(zip(sheet, headings(list(sheet.values())), strict=True))
    return [
        Measure(named[name][0], start, until, sheet[name].metre.beat, named[name][1], places[name])
        for name, start, until in order
        if name in named and name in places and until > start
    ]


def _written(root: Any) -> list[tuple[str, Any, Metre]]:
    """Id, element and time signature of each measure in the order of the document."""
    found = []
    metre = COMMON_TIME
    for element in root.iter("{*}measure", "{*}meterSig", "{*}scoreDef", "{*}staffDef"):
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


def _stated(root: Any, what: str) -> str:
    found = root.find(f".//{{*}}fileDesc/{{*}}titleStmt//{{*}}{what}")
    return "" if found is None else " ".join("".join(found.itertext()).split())
