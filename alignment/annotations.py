"""Annotations of a recording (beats, measures, labels, subtitles) as files, and carried to another recording.

Formats, by the ending of the file and by what stands in it:

- CSV with commas, semicolons or tabs: a time, perhaps an end, then anything, with or without a header. A header
  names the columns of the time (`time`, `start`, `onset`, `begin`, `seconds`, else the first) and of the end
  (`end`, `stop`, `offset`) and of how long it lasts (`duration`). Without one the first column is the time, and the
  second the end if all its rows hold numbers that are not before the time, most of them not behind the next one, and
  one of them with a decimal point.
- Audacity label tracks (Audacity Manual, "Importing and Exporting Labels"): start, end, text, with tabs between;
  lines of frequencies, which begin with a backslash, stay with their label. Without texts they are told from other
  tables as CSV is.
- SubRip (`.srt`) and WebVTT (`.vtt`) subtitles. Comments of WebVTT are dropped; times inside a text stay as they are.

Times are seconds, or `[h:]mm:ss`, and are written as they were read.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from alignment.carrying import carry_span, carry_times
from alignment.errors import AnnotationError
from alignment.segments import Synchronisation

__all__ = [
    "Annotation",
    "AnnotationError",
    "Annotations",
    "audacity_line",
    "carry",
    "parse_seconds",
    "read_annotations",
    "write_annotations",
]

_TIME_NAMES = {"time", "start", "onset", "begin", "seconds"}
_END_NAMES = {"end", "stop", "offset"}
_DURATION_NAME = "duration"
_OVERLAPPING_SECONDS = 0.05
_PLAIN = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?")
_CLOCK = re.compile(r"(-?)(?:(\d{1,9}):)?(\d{1,9}):(\d{1,9}(?:[.,]\d*)?)")
_ARROW = re.compile(r"(\S+)\s+-->\s+(\S+)[ \t]*(.*)")


@dataclass(frozen=True)
class Annotation:
    """What is said of a point or a span of a recording.

    Attributes:
        start: seconds.
        end: seconds; None for a point.
        cells: what stands beside the times, in the order of the file; the label first.
    """

    start: float
    end: float | None
    cells: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """How a file of annotations is written.

    Attributes:
        format: "csv", "audacity", "srt" or "vtt".
        header: of CSV its first row, of WebVTT what stands before the cues; else empty.
        delimiter: of CSV.
        columns: of CSV, where the time stands, the end, and how long it lasts; as far as they do.
        clock: times are written as [h:]mm:ss.
    """

    format: str
    header: tuple[str, ...] = ()
    delimiter: str = ","
    columns: tuple[int, int | None, int | None] = (0, None, None)
    clock: bool = False


@dataclass(frozen=True)
class Annotations:
    """The annotations of a recording, and the layout of their file."""

    entries: tuple[Annotation, ...]
    layout: Layout


def parse_seconds(text: str) -> float:
    """Seconds from `83.5`, `8.35e1`, `1:23.5` or `0:01:23.5`; raises ValueError for anything else."""
    text = text.strip()
    plain = float(text.replace(",", ".")) if _PLAIN.fullmatch(text) else math.nan
    if math.isfinite(plain):
        return plain
    parts = _CLOCK.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r} is not a time")
    sign, hours, minutes, rest = parts.groups()
    seconds = int(hours or 0) * 3600.0 + int(minutes or 0) * 60.0 + float(rest.replace(",", "."))
    return -seconds if sign else seconds


def carry(annotations: Annotations, alignment: Synchronisation) -> tuple[Annotations, int]:
    """Carry annotations of the reference over to the other recording.

    A point in a part that the other leaves out is left out. A span is clipped to what corresponds, and gives
    one annotation for each place where sections are in another order.

    Returns:
        The annotations in the order of the other recording, and how many were left out.
    """
    carried: list[Annotation] = []
    left_out = 0
    points = carry_times([entry.start for entry in annotations.entries], alignment)
    for entry, point in zip(annotations.entries, points, strict=True):
        if entry.end is not None and entry.end > entry.start:
            spans = carry_span(entry.start, entry.end, alignment)
            carried += [replace(entry, start=start, end=end) for start, end in spans]
            left_out += not spans
        elif np.isnan(point):
            left_out += 1
        else:
            carried.append(replace(entry, start=float(point), end=None if entry.end is None else float(point)))
    carried.sort(key=lambda entry: entry.start)
    return Annotations(tuple(carried), annotations.layout), left_out


def read_annotations(path: str) -> Annotations:
    """Read a file of annotations.

    Raises:
        AnnotationError: there is no such file, or it holds no annotations in a known form.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise AnnotationError(
            path, "no such file" if isinstance(error, FileNotFoundError) else str(error.strerror)
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    suffix = Path(path).suffix.lower()
    try:
        found = _parse(text, suffix)
    except (ValueError, csv.Error) as error:
        raise AnnotationError(path, str(error)) from error
    if not found.entries:
        raise AnnotationError(path, "holds no annotations")
    return found


def write_annotations(annotations: Annotations) -> str:
    """The text of a file of annotations, in the layout in which they were read."""
    layout = annotations.layout
    if layout.format == "csv":
        return _csv_text(annotations)
    if layout.format == "audacity":
        return "".join(audacity_line(entry) for entry in annotations.entries)
    cues = (_cue(number, entry, layout.format) for number, entry in enumerate(annotations.entries, 1))
    return "\n\n".join([*layout.header, *cues]) + "\n"


def audacity_line(entry: Annotation) -> str:
    """A label as Audacity writes it."""
    label, *frequencies = entry.cells or ("",)
    end = entry.start if entry.end is None else entry.end
    return "".join(f"{text}\n" for text in (f"{entry.start:.6f}\t{end:.6f}\t{label}", *frequencies))


def _parse(text: str, suffix: str) -> Annotations:
    if suffix == ".vtt" or text.startswith("WEBVTT"):
        return _parse_cues(text, "vtt")
    if suffix == ".srt":
        return _parse_cues(text, "srt")
    if _is_audacity(text):
        return _parse_audacity(text)
    first = next((line for line in text.split("\n") if line.strip()), "")
    return _parse_csv(text, max("\t;,", key=first.count))


def _is_audacity(text: str) -> bool:
    rows = [line.split("\t") for line in text.split("\n") if line.strip() and not line.startswith("\\")]
    if not rows or not all(len(row) > 1 and all(map(_is_time, row[:2])) for row in rows):
        return False
    return any(len(row) > 2 for row in rows) or _are_spans(rows)


def _parse_audacity(text: str) -> Annotations:
    entries: list[Annotation] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("\\") and entries:
            entries[-1] = replace(entries[-1], cells=(*entries[-1].cells, line))
        elif line.strip():
            start, end, label = (*line.split("\t", 2), "", "")[:3]
            entries.append(Annotation(_time(start, number), _time(end, number), (label,)))
    return Annotations(tuple(entries), Layout("audacity"))


def _parse_csv(text: str, delimiter: str) -> Annotations:
    rows = [
        (number, [cell.strip() for cell in row])
        for number, row in enumerate(csv.reader(io.StringIO(text), delimiter=delimiter), 1)
        if any(cell.strip() for cell in row)
    ]
    header: tuple[str, ...] = ()
    if rows and not _is_time(rows[0][1][_time_column(rows[0][1])]):
        header = tuple(rows.pop(0)[1])
    columns = _columns(header) if header else (0, _plain_end_column(rows), None)
    time, end, duration = columns
    clock = any(":" in row[time] for _, row in rows if len(row) > time)
    entries = []
    for number, row in rows:
        if len(row) <= time:
            raise ValueError(f"line {number} has no time")
        start = _time(row[time], number)
        until, lasts = (
            _time(row[column], number) if column is not None and column < len(row) and row[column] else None
            for column in (end, duration)
        )
        if until is None and lasts is not None:
            until = start + lasts
        cells = tuple(cell for column, cell in enumerate(row) if column not in columns)
        entries.append(Annotation(start, until, cells))
    return Annotations(tuple(entries), Layout("csv", header, delimiter, columns, clock))


def _time_column(header: Iterable[str]) -> int:
    return next((column for column, name in enumerate(header) if name.lower() in _TIME_NAMES), 0)


def _columns(header: Iterable[str]) -> tuple[int, int | None, int | None]:
    """Where by the names in a header the time stands, the end, and how long it lasts."""
    names = [name.lower() for name in header]
    end, duration = (
        next((column for column, name in enumerate(names) if name in wanted), None)
        for wanted in (_END_NAMES, {_DURATION_NAME})
    )
    return _time_column(names), end, duration


def _plain_end_column(rows: list[tuple[int, list[str]]]) -> int | None:
    """Of a table without header, 1 where the second column holds the ends of spans."""
    pairs = [row[:2] for _, row in rows]
    times = all(len(pair) == 2 and all(map(_is_time, pair)) for pair in pairs)
    return 1 if times and _are_spans(pairs) else None


def _are_spans(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the second times of rows are the ends of what begins at the first, and no beat numbers or tempi."""
    starts, ends = (np.array([parse_seconds(row[column]) for row in rows]) for column in (0, 1))
    apart = np.mean(ends[:-1] <= starts[1:] + _OVERLAPPING_SECONDS) >= 0.5 if len(rows) > 1 else True
    return bool((ends >= starts).all() and apart and any(mark in row[1] for row in rows for mark in ".:"))


def _csv_text(annotations: Annotations) -> str:
    layout = annotations.layout
    time, end, duration = layout.columns
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=layout.delimiter, lineterminator="\n")
    if layout.header:
        writer.writerow(layout.header)
    for entry in annotations.entries:
        row = list(entry.cells)
        lasts = None if entry.end is None else entry.end - entry.start
        times = [(time, entry.start), (end, entry.end), (duration, lasts)]
        for column, seconds in sorted((column, seconds) for column, seconds in times if column is not None):
            row.insert(column, _written(seconds, layout.clock))
        writer.writerow(row)
    return buffer.getvalue()


def _parse_cues(text: str, format: str) -> Annotations:
    entries: list[Annotation] = []
    header: list[str] = []
    for line, block in _blocks(text):
        timing = next((row for row in block[:2] if "-->" in row), None)
        if timing is None:
            if format == "vtt" and not entries:
                header.append("\n".join(block))
            continue
        parts = _ARROW.fullmatch(timing.strip())
        if parts is None:
            raise ValueError(f"line {line} is not a time --> another")
        start, end = _time(parts[1], line), _time(parts[2], line)
        place = block.index(timing)
        name = block[0] if place else ""
        entries.append(Annotation(start, end, ("\n".join(block[place + 1 :]), parts[3], name)))
    return Annotations(tuple(entries), Layout(format, tuple(header)))


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines that are not blank, each with the number of its first line."""
    block: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _cue(number: int, entry: Annotation, format: str) -> str:
    label, settings, name = (*entry.cells, "", "", "")[:3]
    mark = "," if format == "srt" else "."
    start, end = (_clock(seconds, hours=True).replace(".", mark) for seconds in (entry.start, entry.end or entry.start))
    head = str(number) if format == "srt" else name
    return "\n".join(part for part in (head, f"{start} --> {end} {settings}".rstrip(), label) if part)


def _written(seconds: float | None, clock: bool) -> str:
    if seconds is None:
        return ""
    return _clock(seconds) if clock else f"{seconds:.4f}"


def _clock(seconds: float, hours: bool = False) -> str:
    thousandths = round(seconds * 1000.0)
    minutes, rest = divmod(thousandths, 60_000)
    if hours or minutes >= 60:
        return f"{minutes // 60:0{2 if hours else 1}d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
    return f"{minutes}:{rest // 1000:02d}.{rest % 1000:03d}"


def _time(text: str, line: int) -> float:
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise ValueError(f"line {line}: {error}") from error


def _is_time(text: str) -> bool:
    try:
        parse_seconds(text)
    except ValueError:
        return False
    return True
