"""MusicXML, plain or compressed: partitura reads the notes, and the signs that say how they are played are read here.

partitura 1.9 takes no notice of metronome marks without a sound element, of how often a repeat is played, of
da capo and coda signs under other names than its own, and of octaves in transpositions. So the document is
tidied before partitura sees it, and measures, repeats, voltas, jumps and tempo marks come from the document
itself. Measures are paired by their place, so that one that is too short in one part
displaces nothing in the others.

Grace notes sound before the beat, an eighth of a quarter each; small notes marked as cues sound too, since
cadenzas are written with them. Ornaments, arpeggios and dynamics are not played out.
"""

from __future__ import annotations

import io
import math
import re
import threading
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignment._general_midi import program_name
from alignment._musicxml_heads import heads, mark, measure_id
from alignment._sheet import COMMON_TIME, GRACE_QUARTERS, PLAIN_VELOCITY, Head, Metre, ReadError, Sheet, as_notes
from alignment._unfolding import WrittenMeasure, headings, perform
from alignment.heading import Heading, Movement, Part

__all__ = ["marked_musicxml", "read_musicxml"]

_LONGEST_GRACE_RUN = 16
_MOST_BYTES = 2**26
_MOST_NOTES = 200_000
"""As written: a long symphony has half of them. Reading so many takes minutes and a gigabyte."""
_ENCRYPTED = 1
_ONE_AT_A_TIME = threading.Lock()
"""What is ignored of warnings is the whole process's, and partitura is Python throughout: threads gain nothing."""
_UNITS = {"long": 16.0, "breve": 8.0, "whole": 4.0, "half": 2.0, "quarter": 1.0, "eighth": 0.5, "16th": 0.25}
_WHOLE_NUMBERS = ("alter", "duration", "divisions")
_UNHEARD = ("notations", "lyric", "beam", "harmony", "figured-bass", "direction", "sound", "barline", "print")
_OVERFULL = 20
"""A measure so many times as long as its time signature says is a fault of the file; shorter ones are cadenzas."""
_PERCUSSION = "10"
_PART = 4
"""Column of the notes that tells their part."""
_MOST_STAVES = 4
_BEFORE_STAVES = ("footnote", "level", "divisions", "key", "time")


def read_musicxml(data: bytes) -> Sheet:
    """Read a score in MusicXML and unfold it.

    Raises:
        ReadError: it is not such a file, or is damaged.
    """
    root = _parse(_unzipped(data))
    _tidy(root)
    if sum(1 for _ in root.iter("note")) > _MOST_NOTES:
        raise ReadError(f"has more than {_MOST_NOTES} notes")
    measures, tempi = _written(root)
    _strip(root)
    starts = np.concatenate([[0.0], np.cumsum([measure.length for measure in measures])])
    sheet = perform(measures, _notes(root, starts), tempi)
    heading, movement = _heading(root)
    return sheet._replace(
        notes=sheet.notes[:, :4],
        heading=heading,
        movements=[movement] if movement else [],
        parts=_parts(root, sheet.notes[:, _PART]),
    )


def marked_musicxml(data: bytes) -> tuple[str, list[tuple[str, str]], list[Head]]:
    """A score in MusicXML for an engraver: its document with ids, id and label of each measure, and all heads.

    Raises:
        ReadError: it is not such a file, or is damaged.
    """
    from lxml import etree

    root = _parse(_unzipped(data))
    mark(root)
    _declare_staves(root)
    document = etree.tostring(root, encoding="unicode")
    _tidy(root)
    labels = [label for label, _ in headings(_written(root)[0])]
    return document, [(measure_id(index), label) for index, label in enumerate(labels)], heads(root)


def _declare_staves(root: Any) -> None:
    """Say how many staves a part has that uses several and does not say so: verovio would draw one."""
    for part in root.iterfind("part"):
        used = [_number(staff.text) for staff in part.iterfind("measure/note/staff")]
        most = max((number for number in used if 1 < number <= _MOST_STAVES), default=1)
        attributes = part.find("measure/attributes")
        if most == 1 or attributes is None or part.find("measure/attributes/staves") is not None:
            continue
        staves = attributes.makeelement("staves")
        staves.text = str(int(most))
        attributes.insert(sum(child.tag in _BEFORE_STAVES for child in attributes), staves)


def _unzipped(data: bytes) -> bytes:
    """The document inside a compressed file; any other data as they are."""
    if not data.startswith(b"PK"):
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _member(archive, _document_name(archive))
    except ReadError:
        raise
    except Exception as error:  # zipfile, zlib and their like have no common base
        raise ReadError("is a damaged compressed score") from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of an archive, whatever the archive says of its size."""
    if archive.getinfo(name).flag_bits & _ENCRYPTED:
        raise ReadError("is a compressed score that is encrypted")
    with archive.open(name) as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ReadError("holds a document that is too large for a score (over 64 MB)")
    return data


def _document_name(archive: zipfile.ZipFile) -> str:
    names = archive.namelist()
    if "META-INF/container.xml" in names:
        for file in _parse(_member(archive, "META-INF/container.xml")).iterfind(".//{*}rootfile"):
            return str(file.get("full-path"))
    for name in names:
        if name.endswith((".xml", ".musicxml")) and not name.startswith(("META-INF", "__MACOSX")):
            return name
    raise ReadError("is a compressed file without a score in it")


def _parse(document: bytes) -> Any:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        return etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ReadError(f"is not well-formed XML ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _tidy(root: Any) -> None:
    """Bring a document into the forms that partitura understands; see the module."""
    if root.tag == "score-timewise":
        raise ReadError("is MusicXML ordered by time (score-timewise); save it ordered by parts")
    if root.tag != "score-partwise":
        raise ReadError(f"is not MusicXML (its root is {str(root.tag)[:40]})")
    for element in list(root.iter(*_WHOLE_NUMBERS)):
        number = _number(element.text)
        element.text = str(round(number)) if math.isfinite(number) else "0"
    for transpose in root.iter("transpose"):
        octaves = _number(transpose.findtext("octave-change", "0"))
        chromatic = transpose.find("chromatic")
        if octaves and math.isfinite(octaves) and chromatic is not None:
            chromatic.text = str(round(_number(chromatic.text) + 12 * octaves))


def _strip(root: Any) -> None:
    """Remove what partitura need not read, and might stumble on."""
    for element in list(root.iter(*_UNHEARD)):
        element.getparent().remove(element)


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _notes(root: Any, starts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Notes of all parts in quarters, where measures begin at `starts`, by way of partitura.

    A fifth column tells which of the document's parts each belongs to.
    """
    from lxml import etree

    channels: dict[str, set[str]] = {
        part.get("id", ""): {str(channel.text) for channel in part.iter("midi-channel")}
        for part in root.iterfind("part-list/score-part")
    }
    try:
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import partitura

            score = partitura.load_musicxml(io.BytesIO(etree.tostring(root)))
            places = {name: place for place, name in enumerate(channels)}
            found = [np.zeros((0, _PART + 1))]
            for part in score.parts:
                if channels.get(part.id) != {_PERCUSSION}:
                    notes = _part_notes(part, starts)
                    found.append(np.column_stack([notes, np.full(len(notes), places[part.id])]))
            return np.concatenate(found)
    except Exception as error:  # partitura raises whatever a wrong document makes it run into
        raise ReadError(f"is MusicXML that cannot be understood ({_first_line(error)})") from error


def _part_notes(part: Any, starts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Notes of a part in quarters of the whole score, whose measures begin at `starts`."""
    from partitura.score import GraceNote, Transposition, UnpitchedNote

    notes = [note for note in part.notes_tied if not isinstance(note, UnpitchedNote)]
    bars = sorted(measure.start.t for measure in part.measures)
    if not notes or not bars:
        return as_notes([])
    onset = np.array([note.start.t for note in notes])
    end = np.array([max(note.end_tied.t, note.start.t) for note in notes])
    to_quarters = _Quarters(part)
    bar_quarters = to_quarters(np.array(bars))
    rows = np.empty((len(notes), 4))
    # An end on a bar line belongs to the measure before it.
    measure = np.maximum(np.searchsorted(bars, onset, "right") - 1, 0)
    last = np.maximum(np.searchsorted(bars, end, "left") - 1, measure)
    rows[:, 0] = starts[measure] + to_quarters(onset) - bar_quarters[measure]
    rows[:, 1] = starts[last] + to_quarters(end) - bar_quarters[last]
    rows[:, 1] = np.maximum(rows[:, 1], rows[:, 0])
    transpositions = sorted(
        (mark.start.t, mark.chromatic or 0) for mark in part.iter_all(Transposition)
    )  # each holds until the next
    semitones = np.array([0, *(chromatic for _, chromatic in transpositions)])
    rows[:, 2] = [note.midi_pitch for note in notes]
    rows[:, 2] += semitones[np.searchsorted([place for place, _ in transpositions], onset, "right")]
    rows[:, 3] = PLAIN_VELOCITY
    for row, note in zip(rows, notes, strict=True):
        if isinstance(note, GraceNote):
            row[0] = max(row[0] - GRACE_QUARTERS * _graces_left(note, GraceNote), 0.0)
            row[1] = row[0] + GRACE_QUARTERS
    inside = rows[:, 0] <= starts[np.minimum(measure + 1, len(starts) - 1)]
    return rows[inside & (rows[:, 2] >= 0) & (rows[:, 2] <= 127) & (rows[:, 1] > rows[:, 0])]


class _Quarters:
    """From partitura's divisions to quarters, through every change of divisions."""

    def __init__(self, part: Any) -> None:
        changes = np.asarray(part.quarter_durations(), np.float64).reshape(-1, 2)
        self._places, self._divisions = changes[:, 0], changes[:, 1]
        self._quarters = np.concatenate([[0.0], np.cumsum(np.diff(self._places) / self._divisions[:-1])])

    def __call__(self, places: NDArray[np.int64]) -> NDArray[np.float64]:
        section = np.maximum(np.searchsorted(self._places, places, "right") - 1, 0)
        return np.asarray(self._quarters[section] + (places - self._places[section]) / self._divisions[section])


def _graces_left(note: Any, kind: type) -> int:
    """How many grace notes there are from this one to its main note."""
    left = 0
    while isinstance(note, kind) and left < _LONGEST_GRACE_RUN:
        note = getattr(note, "grace_next", None)
        left += 1
    return left


def _written(root: Any) -> tuple[list[WrittenMeasure], list[tuple[float, float]]]:
    """Measures with their signs, from all parts together, and tempo marks in quarters."""
    measures: list[WrittenMeasure] = []
    marks: dict[int, dict[float, float]] = defaultdict(dict)
    for part in root.iterfind("part"):
        _Walk(measures, marks).part(part)
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
    """Goes through the measures of one part, adding what they say to `measures` and `marks`."""

    def __init__(self, measures: list[WrittenMeasure], marks: dict[int, dict[float, float]]) -> None:
        self._measures = measures
        self._marks = marks
        self._divisions = 1.0
        self._metre = COMMON_TIME
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
                self._divisions = _positive(child.findtext("divisions")) or self._divisions
                self._metre = _metre(child) or self._metre
                metre = self._metre if not place else metre
            elif child.tag in ("direction", "sound"):
                self._direction(child, index, place)
                ends += [(sound, place) for sound in _sounds(child)]
            elif child.tag == "barline":
                self._barline(child, index)
            else:
                place = max(place + self._advance(child), 0.0)
                longest = max(longest, place if _shown(child) else min(place, metre.length))
        if longest > _OVERFULL * metre.length:
            longest = metre.length
        measure.length = max(measure.length, longest)
        if index == 0 or measure.metre == COMMON_TIME:
            measure.metre = metre
        for sound, at in ends:
            self._jump(sound, index, at >= longest > 0)

    def _advance(self, child: Any) -> float:
        """Quarters by which an element moves the place in the measure."""
        if child.tag not in ("note", "forward", "backup") or child.find("chord") is not None:
            return 0.0
        if child.find("grace") is not None:
            return 0.0
        quarters = _number(child.findtext("duration", "0")) / self._divisions
        return -quarters if child.tag == "backup" else quarters

    def _direction(self, element: Any, index: int, place: float) -> None:
        tempo = next((_positive(sound.get("tempo")) for sound in _sounds(element) if sound.get("tempo")), 0.0)
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
                self._measures[index - left].backward = round(_positive(repeat.get("times"))) or 2

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


def _positive(text: str | None) -> float:
    """A positive finite number, or 0."""
    number = _number(text)
    return number if math.isfinite(number) and number > 0 else 0.0


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
        (sum(int(part) for part in re.findall(r"\d{1,3}", beats.text or "")), int(_positive(kind.text)))
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


def _heading(root: Any) -> tuple[Heading, Movement | None]:
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
            centred.append((_positive(first.get("font-size")), _joined(credit)))
    largest = sorted(centred, key=lambda pair: pair[0], reverse=True)
    return ", ".join(text for _, text in largest[:2] if text)


def _credit(root: Any, place: str) -> str:
    found = root.find(place)
    return "" if found is None else _joined(found)


def _joined(credit: Any) -> str:
    return " ".join("".join(words.text or "" for words in credit.iterfind("credit-words")).split())


def _text(element: Any, place: str) -> str:
    return " ".join((element.findtext(place) or "").split())


def _parts(root: Any, played: NDArray[np.float64]) -> list[Part]:
    """The parts of the document, and how often each occurs in `played`."""
    named = root.findall("part-list/score-part")
    counts = np.bincount(played.astype(np.int64), minlength=len(named)).tolist()
    transposed: dict[str, int] = {}
    for part in root.iterfind("part"):
        chromatic = _number(part.findtext("measure/attributes/transpose/chromatic", "0"))
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
    return stated or program_name(_number(part.findtext("midi-instrument/midi-program")) - 1)
