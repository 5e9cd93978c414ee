"""The files that `incipit align` writes, and which of them can be had of what was given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.sides import Other, Side, read_side, score_among

if TYPE_CHECKING:
    from alignment.score import Beat

__all__ = ["Format", "alignment_text", "format_of", "write_plot", "write_warped"]


class Format(StrEnum):
    """How an alignment is written."""

    csv = "csv"
    json = "json"
    audacity = "audacity"
    sonic_visualiser = "sonic-visualiser"
    trackswitch = "trackswitch"
    measures = "measures"

    @property
    def is_for_one(self) -> bool:
        """Whether the file lies on the timeline of one recording, and so takes one OTHER."""
        return self in (Format.audacity, Format.sonic_visualiser)


_ENDINGS = {".json": Format.json, ".txt": Format.audacity, ".svl": Format.sonic_visualiser}


def format_of(output: Path | None) -> Format:
    """The format that the ending of a file asks for; CSV for any other."""
    return _ENDINGS.get(output.suffix.lower(), Format.csv) if output is not None else Format.csv


def alignment_text(reference: Side, others: list[Other], document: dict[str, Any], format: Format) -> str:
    """The file of an alignment in a format."""
    from alignment import export

    named = [(other.path, other.alignment) for other in others]
    score, number = score_among(reference, others)
    beats = score.beats if score is not None else ()
    if format is Format.json:
        return json.dumps(document, ensure_ascii=True) + "\n"
    if format is Format.trackswitch:
        return export.trackswitch_csv(reference.path, named, beats, number)
    if format is Format.measures:
        return export.measure_table(beats, named, number)
    if format.is_for_one:
        return _labels(reference, others[0], beats, format)
    return export.path_csv(named)


def write_warped(reference: Side, other: Other, target: Path) -> None:
    """Write the sound of the other with the timing of the reference; raises AlignmentError or OSError."""
    from alignment.warp import warp_file

    assert other.side is not None, "what is aligned was read"
    assert other.alignment is not None, "only what is aligned is warped"
    sound = other.path if other.side.score is None else read_side(other.path)[1]
    warp_file(sound, reference.duration, other.alignment, target)


def write_plot(reference: Side, other: Other, target: Path) -> None:
    """Draw the path over the cost matrix; raises AlignmentError or OSError."""
    from alignment.plot import plot_alignment

    assert other.alignment is not None, "only what is aligned is drawn"
    names = Path(reference.path).name, Path(other.path).name
    plot_alignment(target, read_side(reference.path)[1], read_side(other.path)[1], other.alignment, names)


def _labels(reference: Side, other: Other, beats: Sequence[Beat], format: Format) -> str:
    """Labels for the other recording; for the reference where the other is a score, which nobody listens to."""
    from alignment import export
    from alignment.carrying import inverted

    alignment, labelled = other.alignment, other.path
    if alignment is None:
        return ""
    if other.side is not None and other.side.score is not None and reference.score is None:
        alignment, labelled = inverted(alignment), reference.path
    if format is Format.audacity:
        return export.audacity_labels(alignment, beats)
    return export.sonic_visualiser_layer(alignment, export.sample_rate(labelled), beats)
