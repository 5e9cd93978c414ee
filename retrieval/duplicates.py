"""Duplicates: the same recording in the library again, in another encoding, cut or mastering.

Pieces of each recording's own stored vectors are asked for as clips are, itself left out. Where most pieces that lead
to another recording have its timing too, both are one pair, whose overlap is the stretch along which they are more
alike than not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.schema import Recording
from retrieval.fingerprint import FIRST_CENTRE, RECORDING_HOP_SECONDS, Fingerprint
from retrieval.identification import Identifier
from retrieval.lines import Line
from retrieval.rises import RISES_RATE, unpacked_rises

__all__ = ["DuplicatePair", "duplicate_groups", "duplicate_pairs", "present_files"]

_PIECE_WINDOWS = 20
_STEP_WINDOWS = 30


@dataclass(frozen=True)
class DuplicatePair:
    """Two recordings of the library with the same sound in them.

    Attributes:
        one, other: positions of their runs.
        line: of `other` laid along by `one`, the surest of the pieces'.
        start, end: of the stretch in `one` that is in both, seconds.
        share: length of that stretch over that of the shorter recording.
        share_of_longer: likewise of the longer.
    """

    one: int
    other: int
    line: Line
    start: float
    end: float
    share: float
    share_of_longer: float


def duplicate_pairs(
    identifier: Identifier, max_false_accepts: float, report: Callable[[int, int], None]
) -> list[DuplicatePair]:
    """All pairs of recordings that share sound, each once, the longest share first.

    Args:
        identifier: of the library.
        max_false_accepts: share of pieces that may be mistaken for another recording.
        report: is told how many recordings are done, of how many.
    """
    best: dict[tuple[int, int], DuplicatePair] = {}
    for position in range(identifier.runs):
        report(position, identifier.runs)
        for pair in _pairs_of(identifier, position, max_false_accepts):
            key = min(pair.one, pair.other), max(pair.one, pair.other)
            if key not in best or pair.share > best[key].share:
                best[key] = pair
    report(identifier.runs, identifier.runs)
    return sorted(best.values(), key=lambda pair: -pair.share)


def duplicate_groups(pairs: Sequence[DuplicatePair], share: float) -> list[list[int]]:
    """Positions of recordings with the same sound, each group sorted.

    Together are those that are the same, so much of either being in the other, and what has them as a part, or is a
    part of them. What a compilation has side by side is in groups of its own.
    """
    same: dict[int, frozenset[int]] = {
        number: frozenset({number}) for pair in pairs for number in (pair.one, pair.other)
    }
    for pair in pairs:
        if pair.share_of_longer >= share:
            merged = same[pair.one] | same[pair.other]
            same.update(dict.fromkeys(merged, merged))
    groups = {same[pair.one] | same[pair.other] for pair in pairs}
    return sorted(sorted(group) for group in groups if not any(group < other for other in groups))


def _pairs_of(identifier: Identifier, position: int, max_false_accepts: float) -> Iterator[DuplicatePair]:
    vectors = identifier.vectors(position)
    found: dict[int, list[tuple[Line, float]]] = {}
    others: dict[int, int] = {}
    for first in range(0, max(len(vectors) - _PIECE_WINDOWS // 2, 1), _STEP_WINDOWS):
        piece = vectors[first : first + _PIECE_WINDOWS]
        start = first * RECORDING_HOP_SECONDS
        rises = _rises(identifier, position, start, (len(piece) + 1) * RECORDING_HOP_SECONDS)
        for line in identifier.lines_of(_prints(piece), other_than=position):
            if not identifier.accepts(line, max_false_accepts):
                continue
            judged = line if rises is None else identifier.judged(rises, line, phases=1)
            if judged is None:
                others[line.position] = others.get(line.position, 0) + 1
            else:
                found.setdefault(line.position, []).append((judged, start))
    for other, lines in found.items():
        if len(lines) <= others.get(other, 0):
            continue
        line, start = max(lines, key=lambda item: identifier.logit(item[0]))
        moved = Line(other, line.offset - line.tempo_ratio * start, line.tempo_ratio, 0, line.evidence)
        yield _overlap(position, moved, vectors, identifier.vectors(other))


def _rises(identifier: Identifier, position: int, start: float, seconds: float) -> NDArray[np.float32] | None:
    """Of a piece of a recording, as the library keeps them; None where it does not."""
    stored = identifier.stored_rises(position)
    if stored is None:
        return None
    first = round(start * RISES_RATE)
    return unpacked_rises(np.asarray(stored[first : first + round(seconds * RISES_RATE)]))


def _prints(vectors: NDArray[np.float32]) -> Fingerprint:
    centres = FIRST_CENTRE + RECORDING_HOP_SECONDS * np.arange(len(vectors), dtype=np.float64)
    return Fingerprint(vectors, np.any(vectors, axis=1), centres)


def _overlap(position: int, line: Line, one: NDArray[np.float32], other: NDArray[np.float32]) -> DuplicatePair:
    """The stretch with the greatest sum of similarities above the middle between on and off the line."""
    centres = FIRST_CENTRE + RECORDING_HOP_SECONDS * np.arange(len(one), dtype=np.float64)
    rows = (line.offset + line.tempo_ratio * centres - FIRST_CENTRE) / RECORDING_HOP_SECONDS
    nearest = np.rint(rows).astype(np.int64)
    inside = (nearest >= 0) & (nearest < len(other))
    alike = np.einsum("nd,nd->n", one, other[np.clip(nearest, 0, len(other) - 1)])
    level = (line.evidence.similarity + line.evidence.surroundings) / 2
    sums = np.concatenate([[0.0], np.cumsum(np.where(inside, alike, 0.0) - level)])
    lowest = np.minimum.accumulate(sums)
    last = int(np.argmax(sums - lowest))
    first = int(np.argmin(sums[: last + 1]))
    shorter, longer = sorted((len(one), len(other)))
    start, end = first * RECORDING_HOP_SECONDS, (last + 1) * RECORDING_HOP_SECONDS
    shares = (min((last - first) / length, 1.0) for length in (shorter, longer))
    return DuplicatePair(position, line.position, line, start, end, *shares)


def present_files(recording: Recording) -> list[str]:
    """Paths of the files in which a recording lies, without links to others of them and without what is gone."""
    files: dict[tuple[int, int], str] = {}
    for path in sorted((file.path for file in recording.files if not file.missing), key=os.path.islink):
        with suppress(OSError):
            state = Path(path).stat()
            files.setdefault((state.st_dev, state.st_ino), path)
    return list(files.values())
