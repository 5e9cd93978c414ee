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
from alignment._sheet import COMMON_TIME, Measure, Metre, ReadError, Sheet
from alignment._unfolding import WrittenMeasure, headings

__all__ = ["read_encoded"]

_PATIENCE_SECONDS = 120
_NOT_INSTALLED = 3
_XML_ID = "{http://www.w3.org/XML/1998/namespace}id"


def read_encoded(data: bytes) -> Sheet:
    """Read a score in MEI or kern and unfold it.

    Raises:
        ReadError: it is neither, or is damaged.
    """
    kern = b"**kern" in data[:100_000]
    kind = "kern" if kern else "MEI"
    answer = _ask_verovio(_text(data), kind)
    events = [(event["measureOn"], float(event["qstamp"])) for event in answer["times"] if "measureOn" in event]
    if not events:
        raise ReadError(f"is {kind} without measures, or is damaged")
    sounding = read_midi(base64.b64decode(answer["midi"]))
    root = _document(answer["mei"])
    end = max(float(answer["times"][-1]["qstamp"]), events[-1][1])
    # verovio invents a tempo for kern that names none.
    tempi = [] if kern and b"*MM" not in data else sounding.tempi
    return Sheet(_stated(root, "title"), sounding.notes, _measures(root, events, end), tempi, _stated(root, "composer"))


def _ask_verovio(text: str, kind: str) -> dict[str, Any]:
    command = [sys.executable, "-P", str(Path(__file__).with_name("_verovio_process.py"))]
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


def _document(mei: str) -> Any:
    from lxml import etree

    try:
        return etree.fromstring(mei.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        raise ReadError("is damaged") from error


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _measures(root: Any, events: list[tuple[str, float]], end: float) -> list[Measure]:
    """Measures as played, from `(id, start)`; a repeated one has its written id with a suffix."""
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
        Measure(named[name][0], start, until, sheet[name].metre.beat, named[name][1])
        for name, start, until in order
        if name in named and until > start
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
