"""MusicXML, plain or compressed, as a score to be played or engraved."""

from __future__ import annotations

from typing import Any

import numpy as np

from alignment._musicxml_document import as_number, parsed, plain_musicxml, strip, tidy
from alignment._musicxml_heads import heads, mark, measure_id
from alignment._musicxml_measures import written
from alignment._musicxml_notes import PART, notes_of_parts
from alignment._musicxml_titles import heading_of, parts_of
from alignment._sheet import Head, ReadError, Sheet
from alignment._unfolding import headings, perform

__all__ = ["marked_musicxml", "read_musicxml"]

_MOST_NOTES = 200_000
"""As written: a long symphony has half of them. Reading so many takes minutes and a gigabyte."""
_MOST_STAVES = 4
_BEFORE_STAVES = ("footnote", "level", "divisions", "key", "time")


def read_musicxml(data: bytes) -> Sheet:
    """Read a score in MusicXML and unfold it.

    Raises:
        ReadError: it is not such a file, or is damaged.
    """
    root = parsed(plain_musicxml(data))
    tidy(root)
    if sum(1 for _ in root.iter("note")) > _MOST_NOTES:
        raise ReadError(f"has more than {_MOST_NOTES} notes")
    measures, tempi = written(root)
    strip(root)
    starts = np.concatenate([[0.0], np.cumsum([measure.length for measure in measures])])
    sheet = perform(measures, notes_of_parts(root, starts), tempi)
    heading, movement = heading_of(root)
    return sheet._replace(
        notes=sheet.notes[:, :4],
        heading=heading,
        movements=[movement] if movement else [],
        parts=parts_of(root, sheet.notes[:, PART]),
    )


def marked_musicxml(data: bytes) -> tuple[str, list[tuple[str, str]], list[Head]]:
    """A score in MusicXML for an engraver: its document with ids, id and label of each measure, and all heads.

    Raises:
        ReadError: it is not such a file, or is damaged.
    """
    from lxml import etree

    root = parsed(plain_musicxml(data))
    mark(root)
    _declare_staves(root)
    document = etree.tostring(root, encoding="unicode")
    tidy(root)
    labels = [label for label, _ in headings(written(root)[0])]
    return document, [(measure_id(index), label) for index, label in enumerate(labels)], heads(root)


def _declare_staves(root: Any) -> None:
    """Say how many staves a part has that uses several and does not say so: verovio would draw one."""
    for part in root.iterfind("part"):
        used = [as_number(staff.text) for staff in part.iterfind("measure/note/staff")]
        most = max((number for number in used if 1 < number <= _MOST_STAVES), default=1)
        attributes = part.find("measure/attributes")
        if most == 1 or attributes is None or part.find("measure/attributes/staves") is not None:
            continue
        staves = attributes.makeelement("staves")
        staves.text = str(int(most))
        attributes.insert(sum(child.tag in _BEFORE_STAVES for child in attributes), staves)
