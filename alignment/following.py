"""Which measure and which notes of an engraved score sound when in a recording of it.

Every place of the score as played is carried over by the matches of an alignment: a repeated measure has a row
for each time that it sounds, what the recording leaves out has none, and what only the recording has lies
between the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.carrying import carry_span, carry_spans
from alignment.engraving import Engraving
from alignment.errors import ScoreError
from alignment.score import Score
from alignment.segments import Synchronisation

__all__ = [
    "FollowedMeasure",
    "FollowedNote",
    "Following",
    "follow",
    "following_document",
    "matched_share",
    "recording_rows",
]

_DECIMALS = 3
_LEAST_SECONDS = 0.05
"""Of a measure that a cut divides, less than this is not told: cuts are not placed more finely."""

_TOLERANCE = 0.04
"""Quarters within which a note that sounds and a head are the same: MIDI times are rounded to ticks."""


class FollowedMeasure(NamedTuple):
    """A measure as a recording plays it: from when to when, and which of `Score.played` it is."""

    start: float
    end: float
    played: int


class FollowedNote(NamedTuple):
    """A note head while it is held in a recording: from when to when, and the id of its element."""

    start: float
    end: float
    id: str


@dataclass(frozen=True)
class Following:
    """What a recording plays of a score, both in the order of its seconds.

    Attributes:
        measures: those that it plays, also in part; where it plays the sections in another order, a measure
            that a cut divides may occur twice.
        notes: every head of them whose start it plays, also the later ones of tied notes.
    """

    measures: tuple[FollowedMeasure, ...]
    notes: tuple[FollowedNote, ...]


def follow(score: Score, engraving: Engraving, alignment: Synchronisation) -> Following:
    """Carry the measures and heads of a score over to a recording.

    Args:
        score, engraving: of one file.
        alignment: of the score, as reference, with the recording.

    Raises:
        ScoreError: the engraving is not of this score.
    """
    ids, quarters, _ = _played_heads(score, engraving)
    seconds = score.clock(np.maximum(quarters, 0.0))
    carried = carry_spans(seconds[:, 0], seconds[:, 1], alignment)
    measures = [
        FollowedMeasure(start, end, index)
        for index, measure in enumerate(score.played)
        for start, end in carry_span(measure.start, measure.end, alignment)
        if end - start >= _LEAST_SECONDS
    ]
    notes = [
        FollowedNote(start, end, name)
        for name, (start, end) in zip(ids, carried.tolist(), strict=True)
        if start == start  # not NaN
    ]
    return Following(tuple(sorted(measures)), tuple(sorted(notes)))


def matched_share(score: Score, engraving: Engraving) -> float:
    """How many in 1 of the notes that sound are a head of their measure, at its place and pitch.

    Raises:
        ScoreError: the engraving is not of this score.
    """
    _, quarters, pitches = _played_heads(score, engraving)
    onsets, sounding = score.clock.quarters(score.notes[:, 0]), score.notes[:, 2]
    found = 0
    for pitch in np.unique(sounding):
        heads = np.sort(quarters[pitches == pitch, 0])
        if not len(heads):
            continue
        wanted = onsets[sounding == pitch]
        after = np.clip(np.searchsorted(heads, wanted), 1, max(len(heads) - 1, 1))
        nearest = np.minimum(
            np.abs(heads[after - 1] - wanted), np.abs(heads[np.minimum(after, len(heads) - 1)] - wanted)
        )
        found += int((nearest <= _TOLERANCE).sum())
    return found / len(sounding)


def following_document(
    score: Score, engraving: Engraving, pages: Sequence[str], recordings: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The JSON by which a viewer shows a score and follows recordings of it.

    `measures` as printed: id, page, system, label. `played`, the measures in the order in which they are
    played: which of `measures`, start and end in the score's seconds. All counts but pages and systems are
    from 0.

    Args:
        pages: names of the files of the pages, in order.
        recordings: each the entries of its own, and those of `recording_rows`.
    """
    return {
        "score": score.path,
        "title": score.title,
        "pages": list(pages),
        "measures": [list(measure) for measure in engraving.measures],
        "played": [
            [measure.written, round(measure.start, _DECIMALS), round(measure.end, _DECIMALS)]
            for measure in score.played
        ],
        "recordings": list(recordings),
    }


def recording_rows(score: Score, engraving: Engraving, following: Following) -> dict[str, Any]:
    """The entries of a recording in the document.

    `measures`: start and end in seconds of the recording, id, page, system, label, and which of `played`.
    `notes`: start, end, id.
    """
    return {
        "measures": [
            [round(start, _DECIMALS), round(end, _DECIMALS), *engraving.measures[score.played[index].written], index]
            for start, end, index in following.measures
        ],
        "notes": [[round(start, _DECIMALS), round(end, _DECIMALS), name] for start, end, name in following.notes],
    }


def _played_heads(score: Score, engraving: Engraving) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Ids of the heads as often as they are played, start and end in quarters, shape `(n, 2)`, and pitch or NaN."""
    if any(measure.written >= len(engraving.measures) for measure in score.played):
        raise ScoreError(score.path, f"is not the score that is engraved from {engraving.path}")
    heads: dict[int, list[int]] = {}
    for number, head in enumerate(engraving.notes):
        heads.setdefault(head.measure, []).append(number)
    found = [
        (head.id, measure.quarters + head.onset, measure.quarters + head.onset + head.duration, head.pitch)
        for measure in score.played
        for head in (engraving.notes[number] for number in heads.get(measure.written, ()))
    ]
    ids = [name for name, *_ in found]
    rows = np.array([numbers for _, *numbers in found], np.float64).reshape(-1, 3)
    return ids, rows[:, :2], rows[:, 2]
