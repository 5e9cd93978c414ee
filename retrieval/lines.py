"""Lines: a clip laid along a recording.

On a line `recording time = offset + tempo ratio * clip time`. Each window of the recording that the clip covers is
compared with the clip's window that lies nearest to it on the line; the mean similarity peaks at the true line.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from retrieval._line_kernels import REACH, laid
from retrieval.calibration import Evidence
from retrieval.fingerprint import FIRST_CENTRE, RECORDING_HOP_SECONDS, Fingerprint

__all__ = ["TEMPO_RANGE", "Line", "best_line", "rows_near", "similar_places"]

TEMPO_RANGE = 0.08
"""Relative change of tempo, either way, at which windows of a second are still alike."""

_OFFSET_RANGE = 0.6
_OFFSETS = np.arange(-_OFFSET_RANGE, _OFFSET_RANGE + 0.025, 0.05)
_DRIFT = 0.1
"""Seconds by which two neighbouring tempo ratios may lie apart at the clip's ends."""

_COVERED = 0.6
_SURROUNDINGS = np.array([-4, -3, -2, -1, 1, 2, 3, 4])
"""Windows of the recording by which a line is moved to see whether it is better than those around it."""

_ABOUT_AS_ALIKE = 0.8
_MOST_PLACES = 50


@dataclass(frozen=True)
class Line:
    """A clip laid along a recording.

    Attributes:
        position: of the recording's run.
        offset: recording time at the clip's start, seconds.
        tempo_ratio: recording seconds per clip second.
        quarter_tones: by which the clip is higher than the recording.
        evidence: how alike their windows are.
    """

    position: int
    offset: float
    tempo_ratio: float
    quarter_tones: int
    evidence: Evidence


def rows_near(prints: Fingerprint, middle: float) -> tuple[int, int]:
    """Which of a recording's windows `best_line` looks at: the first, and the one behind the last there may be."""
    first, end = _covered_rows(prints, middle)
    return max(first + int(_SURROUNDINGS[0]), 0), max(end + int(_SURROUNDINGS[-1]), 0)


def _covered_rows(prints: Fingerprint, middle: float) -> tuple[int, int]:
    span = float(prints.centres[-1] - prints.centres[0])
    reach = _OFFSET_RANGE + (1 + TEMPO_RANGE) * (span / 2 + REACH)
    first, last = (int((middle + side - FIRST_CENTRE) / RECORDING_HOP_SECONDS) for side in (-reach, reach))
    return max(first, 0), last + 2


def best_line(
    prints: Fingerprint, vectors: NDArray[np.float32], position: int, middle: float, begin: int = 0
) -> Line | None:
    """The line near a rough one along which clip and recording are most alike.

    Args:
        prints: of the clip.
        vectors: of the recording, one each `RECORDING_HOP_SECONDS`, shape `(windows, dimensions)`; those of
            `rows_near` suffice.
        position: of the recording's run.
        middle: rough recording time at the clip's middle, seconds.
        begin: which of the recording's windows is the first of `vectors`.

    Returns:
        None where clip and recording hardly overlap.
    """
    centres = prints.centres
    first, end = _covered_rows(prints, middle)
    if first - begin >= min(end - begin, len(vectors)):
        return None
    count, similarity, surroundings, ratio, middle = laid(
        prints.vectors,
        prints.audible,
        centres,
        vectors,
        first - begin,
        end - begin,
        FIRST_CENTRE + first * RECORDING_HOP_SECONDS,
        RECORDING_HOP_SECONDS,
        _ratios(float(centres[-1] - centres[0])),
        middle + _OFFSETS,
        _COVERED,
        _SURROUNDINGS,
    )
    if not count:
        return None
    evidence = Evidence(similarity, surroundings, count, moved=prints.quarter_tones != 0)
    offset = middle - ratio * float(centres[0] + centres[-1]) / 2
    return Line(position, offset, ratio, prints.quarter_tones, evidence)


def similar_places(prints: Fingerprint, vectors: NDArray[np.float32], line: Line) -> list[float]:
    """Recording times at the clip's middle where it lies about as well as on a line, the best first.

    Args:
        prints: of the clip.
        vectors: of the whole recording.
        line: of the clip along it; its tempo ratio is kept.
    """
    heard = np.flatnonzero(prints.audible)
    steps = line.tempo_ratio * (prints.centres[heard] - prints.centres[heard[0]]) / RECORDING_HOP_SECONDS
    rows = np.rint(steps).astype(np.int64)
    length = len(vectors) - int(rows[-1])
    if length < 1:
        return []
    similarities = prints.vectors[heard] @ vectors.T
    means = np.mean([similarities[window, row : row + length] for window, row in enumerate(rows)], axis=0)
    padded = np.pad(means, 1, constant_values=-1.0)
    peaks = (means >= padded[:-2]) & (means > padded[2:]) & (means > _ABOUT_AS_ALIKE * means.max())
    best = sorted(np.flatnonzero(peaks), key=lambda row: -means[row])[:_MOST_PLACES]
    middle = (prints.centres[0] + prints.centres[-1]) / 2 - prints.centres[heard[0]]
    return [float(row * RECORDING_HOP_SECONDS + FIRST_CENTRE + line.tempo_ratio * middle) for row in best]


@lru_cache(maxsize=64)
def _ratios(span: float) -> NDArray[np.float64]:
    """Tempo ratios to try for a clip so many seconds long, 1 among them; not to be written to."""
    each_side = int(np.ceil(TEMPO_RANGE * span / 2 / _DRIFT))
    return 1.0 + (TEMPO_RANGE * np.arange(-each_side, each_side + 1) / max(each_side, 1) if each_side else np.zeros(1))
