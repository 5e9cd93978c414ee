"""Audacity label tracks (Audacity Manual, "Importing and Exporting Labels").

Lines of start, end and text, with tabs between, in seconds; equal start and end make a point. Open the other
recording in Audacity, then File > Import > Labels: the labels show where in the reference each stretch is, what
only this recording has, and where it leaves something out. Where a score is aligned, its measures are labelled
at their beginnings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from alignment.annotations import Annotation, audacity_line
from alignment.carrying import carry_times, place_in_other
from alignment.segments import Segment, Synchronisation

if TYPE_CHECKING:
    from alignment.score import Beat

__all__ = ["audacity_labels"]


def audacity_labels(alignment: Synchronisation, beats: Sequence[Beat] = ()) -> str:
    """A label track for the other recording.

    Args:
        alignment: of a reference and the other recording.
        beats: of the reference, where it is a score.
    """
    name = "score" if beats else "reference"
    labels = [_label(segment, alignment, name) for segment in alignment.segments]
    measures = _measures(beats)
    times = carry_times([beat.seconds for beat in measures], alignment)
    labels += [
        Annotation(float(time), None, (f"measure {beat.measure}",))
        for beat, time in zip(measures, times, strict=True)
        if not np.isnan(time)
    ]
    return "".join(audacity_line(label) for label in sorted(labels, key=lambda label: label.start))


def _measures(beats: Sequence[Beat]) -> list[Beat]:
    """The first beat of each measure as played; a pick-up has one too."""
    before = [None, *beats]
    return [
        beat
        for beat, last in zip(beats, before, strict=False)
        if last is None or beat.measure != last.measure or beat.beat <= last.beat
    ]


def _label(segment: Segment, alignment: Synchronisation, reference: str) -> Annotation:
    start = place_in_other(segment, alignment)
    end = None if segment.other is None else segment.other[1]
    if segment.ref is None:
        return Annotation(start, end, ("only here",))
    place = f"{_clock(segment.ref[0])}-{_clock(segment.ref[1])}"
    return Annotation(start, end, (f"left out: {place}" if segment.other is None else f"{reference} {place}",))


def _clock(seconds: float) -> str:
    tenths = round(seconds * 10.0)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"
