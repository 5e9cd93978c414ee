"""A MusicXML document: out of its archive, parsed, and brought into the forms that partitura understands."""

from __future__ import annotations

import io
import math
import zipfile
from typing import Any

from alignment._sheet import ReadError

__all__ = ["as_number", "first_line", "parsed", "plain_musicxml", "positive", "strip", "tidy"]

_MOST_BYTES = 2**26
_ENCRYPTED = 1
_WHOLE_NUMBERS = ("alter", "duration", "divisions")
_UNHEARD = ("notations", "lyric", "beam", "harmony", "figured-bass", "direction", "sound", "barline", "print")


def plain_musicxml(data: bytes) -> bytes:
    """The document inside a compressed file; any other data as they are.

    Raises:
        ReadError: it is damaged, encrypted or too large.
    """
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
        for file in parsed(_member(archive, "META-INF/container.xml")).iterfind(".//{*}rootfile"):
            return str(file.get("full-path"))
    for name in names:
        if name.endswith((".xml", ".musicxml")) and not name.startswith(("META-INF", "__MACOSX")):
            return name
    raise ReadError("is a compressed file without a score in it")


def parsed(document: bytes) -> Any:
    """The root of a document.

    Raises:
        ReadError: it is not well-formed XML.
    """
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        return etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ReadError(f"is not well-formed XML ({first_line(error)})") from error


def first_line(error: Exception) -> str:
    """What an error says, in a line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def tidy(root: Any) -> None:
    """Bring a document into the forms that partitura understands: whole numbers, octaves within the transpositions.

    Raises:
        ReadError: it is no score ordered by parts.
    """
    if root.tag == "score-timewise":
        raise ReadError("is MusicXML ordered by time (score-timewise); save it ordered by parts")
    if root.tag != "score-partwise":
        raise ReadError(f"is not MusicXML (its root is {str(root.tag)[:40]})")
    for element in list(root.iter(*_WHOLE_NUMBERS)):
        number = as_number(element.text)
        element.text = str(round(number)) if math.isfinite(number) else "0"
    for transpose in root.iter("transpose"):
        octaves = as_number(transpose.findtext("octave-change", "0"))
        chromatic = transpose.find("chromatic")
        if octaves and math.isfinite(octaves) and chromatic is not None:
            semitones = as_number(chromatic.text)
            chromatic.text = str(round((semitones if math.isfinite(semitones) else 0.0) + 12 * octaves))


def strip(root: Any) -> None:
    """Remove what partitura need not read, and might stumble on."""
    for element in list(root.iter(*_UNHEARD)):
        element.getparent().remove(element)


def as_number(text: str | None) -> float:
    """A number, or NaN."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def positive(text: str | None) -> float:
    """A positive finite number, or 0."""
    number = as_number(text)
    return number if math.isfinite(number) and number > 0 else 0.0
