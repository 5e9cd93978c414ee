"""Lines: a clip laid along a recording.

On a line `recording time = offset + tempo ratio * clip time`. Each window of the recording that the clip covers is
compared with the clip's window that lies nearest to it on the line; the mean similarity peaks at the true line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.calibration import Evidence
from retrieval.fingerprint import FIRST_CENTRE, RECORDING_HOP_SECONDS, Fingerprint

__all__ = ["TEMPO_RANGE", "Line", "best_line", "similar_places"]

TEMPO_RANGE = 0.08
"""Relative change of tempo, either way, at which windows of a second are still alike."""

_OFFSET_RANGE = 0.6
_OFFSET_STEP = 0.05
_DRIFT = 0.1
"""Seconds by which two neighbouring tempo ratios may lie apart at the clip's ends."""

_REACH = 0.26
"""Seconds by which two windows that are compared may lie apart."""

_WEIGHT_WIDTH = 0.2

_COVERED = 0.6
_SURROUNDINGS = np.array([-4, -3, -2, -1, 1, 2, 3, 4])
"""Windows of the recording by which a line is moved to see whether it is better than those around it."""

_FITS = 3
_FITTED_SECONDS = 4.0
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


def best_line(prints: Fingerprint, vectors: NDArray[np.float32], position: int, middle: float) -> Line | None:
    """The line near a rough one along which clip and recording are most alike.

    Args:
        prints: of the clip.
        vectors: of the recording, one each `RECORDING_HOP_SECONDS`, shape `(windows, dimensions)`.
        position: of the recording's run.
        middle: rough recording time at the clip's middle, seconds.

    Returns:
        None where clip and recording hardly overlap.
    """
    centres = prints.centres
    span = float(centres[-1] - centres[0])
    centre = float(centres[0] + centres[-1]) / 2
    reach = _OFFSET_RANGE + (1 + TEMPO_RANGE) * (span / 2 + _REACH)
    first = max(int((middle - reach - FIRST_CENTRE) / RECORDING_HOP_SECONDS), 0)
    last = min(int((middle + reach - FIRST_CENTRE) / RECORDING_HOP_SECONDS) + 2, len(vectors))
    rows = np.arange(first, last)
    if not len(rows):
        return None
    similarities = prints.vectors @ vectors[rows].T
    sounding = np.any(vectors[rows], axis=1)
    ratios = _ratios(span)
    middles = middle + np.arange(-_OFFSET_RANGE, _OFFSET_RANGE + _OFFSET_STEP / 2, _OFFSET_STEP)
    times = FIRST_CENTRE + rows * RECORDING_HOP_SECONDS
    at = (times - middles[:, None])[None] / ratios[:, None, None] + centre  # clip seconds, (ratio, middle, row)
    hop = float(centres[1] - centres[0]) if len(centres) > 1 else 1.0
    nearest = np.clip(np.rint((at - centres[0]) / hop).astype(np.int64), 0, len(centres) - 1)
    apart = at - centres[nearest]
    paired = np.abs(apart) <= _REACH
    paired &= sounding & prints.audible[nearest]
    weights = paired * np.exp(-np.square(apart / _WEIGHT_WIDTH))
    total = weights.sum(axis=2)
    heard_rows = (np.count_nonzero(prints.audible) - 1) * hop / RECORDING_HOP_SECONDS
    enough = paired.sum(axis=2) >= max(_COVERED * heard_rows, 1.0)
    if not enough.any():
        return None
    values = similarities[nearest, np.arange(len(rows))]
    means = np.where(enough, (weights * values).sum(axis=2) / np.maximum(total, 1e-9), -1.0)
    best = np.unravel_index(int(np.argmax(means * np.sqrt(total))), means.shape)
    chosen = np.flatnonzero(paired[best])
    windows = nearest[best][chosen]
    evidence = Evidence(
        float(means[best]),
        _surroundings(prints.vectors, vectors, windows, rows[chosen]),
        len(chosen),
        moved=prints.quarter_tones != 0,
    )
    ratio, middle = float(ratios[best[0]]), float(middles[best[1]])
    for _ in range(_FITS):
        ratio, middle = _fitted(similarities, centres, centre, rows[0], ratio, middle, prints.audible)
    return Line(position, middle - ratio * centre, ratio, prints.quarter_tones, evidence)


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


def _ratios(span: float) -> NDArray[np.float64]:
    """Tempo ratios to try for a clip so many seconds long, 1 among them."""
    each_side = int(np.ceil(TEMPO_RANGE * span / 2 / _DRIFT))
    return 1.0 + (TEMPO_RANGE * np.arange(-each_side, each_side + 1) / max(each_side, 1) if each_side else np.zeros(1))


def _surroundings(
    clip: NDArray[np.float32], recording: NDArray[np.float32], windows: NDArray[np.int64], rows: NDArray[np.int64]
) -> float:
    """Mean similarity of the paired windows when the recording is moved by up to two seconds; 0 if it cannot be."""
    first, last = max(int(rows[0] + _SURROUNDINGS[0]), 0), min(int(rows[-1] + _SURROUNDINGS[-1]) + 1, len(recording))
    similarities = clip[windows] @ recording[first:last].T
    moved = rows + _SURROUNDINGS[:, None]
    inside = (moved >= 0) & (moved < len(recording))
    found = similarities[np.arange(len(rows)), np.where(inside, moved - first, 0)]
    pairs = inside.sum(axis=1)
    means = np.where(inside, found, 0.0).sum(axis=1)[pairs > 0] / pairs[pairs > 0]
    return float(means.mean()) if len(means) else 0.0


def _fitted(
    similarities: NDArray[np.float32],
    centres: NDArray[np.float64],
    centre: float,
    first_row: int,
    ratio: float,
    middle: float,
    audible: NDArray[np.bool_],
) -> tuple[float, float]:
    """Tempo ratio and recording time at the clip's middle, between the steps: a line through the windows' peaks."""
    expected = (middle + ratio * (centres - centre) - FIRST_CENTRE) / RECORDING_HOP_SECONDS - first_row
    rows = np.rint(expected).astype(np.int64)
    inside = np.flatnonzero(audible & (rows >= 1) & (rows < similarities.shape[1] - 1))
    if not len(inside):
        return ratio, middle
    at = rows[inside]
    before, here, after = (similarities[inside, at + shift].astype(np.float64) for shift in (-1, 0, 1))
    curvature = np.maximum(2 * here - before - after, 0.05)
    peaks = at + np.clip((after - before) / (2 * curvature), -0.7, 0.7)
    error = (peaks - expected[inside]) * RECORDING_HOP_SECONDS
    weights = np.maximum(here, 0.0) ** 2 / (1 + np.square(error / 0.15)) + 1e-9
    seconds = centres[inside] - centre
    error_mean, seconds_mean = (float(weights @ values) / float(weights.sum()) for values in (error, seconds))
    if seconds[-1] - seconds[0] < _FITTED_SECONDS:
        return ratio, middle + error_mean
    apart = seconds - seconds_mean
    slope = float(weights @ (apart * error)) / float(weights @ np.square(apart))
    return ratio + slope, middle + error_mean - slope * seconds_mean
