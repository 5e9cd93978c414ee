"""Identification: which recording is this clip from, and where in it.

1. The clip is embedded every tenth of a second; the nearest vectors of each window vote for a recording
   and an offset.
2. The best-voted offsets are verified against all vectors of the recording along the line
   `recording time = clip time + offset`, in steps of 20 ms: only pairs of windows that lie within 50 ms
   of each other on that line are compared, so the mean similarity peaks sharply at the true offset.
3. The mean similarity on the line, that around it, and the number of windows give a probability and,
   against the threshold of the wanted false accepts, the decision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio
from index.library import Library
from index.runs import Runs
from index.store import VectorStore
from retrieval.calibration import Calibration, Evidence
from retrieval.embedding.encoder import Encoder
from retrieval.fingerprint import QUERY_HOP_FRAMES, Fingerprint, fingerprint
from retrieval.hits import Hit, Place

__all__ = ["Identifier", "Line"]

_NEIGHBOURS = 12
_SEARCH_EVERY = 2
_CANDIDATES = 30
_OFFSET_STEP = 0.02
_SAME_PLACE_SECONDS = 1.0
_SURROUNDINGS = (-4, -3, -2, -1, 1, 2, 3, 4)
"""Hops of half a second by which a line is moved to see whether it is better than those around it."""


@dataclass(frozen=True)
class Line:
    """A clip laid along a recording.

    Attributes:
        position: of the recording's run.
        offset: recording time at the clip's start, seconds.
        evidence: how alike their windows are.
    """

    position: int
    offset: float
    evidence: Evidence


class Identifier:
    """Identifies clips against a snapshot of a library.

    Args:
        library: an open library.
        encoder: of the model that filled it.
        calibration: of that model.
    """

    def __init__(self, library: Library, encoder: Encoder, calibration: Calibration) -> None:
        self._library = library
        self._encoder = encoder
        self._calibration = calibration
        self._runs: Runs = library.runs(encoder.model)
        self._store: VectorStore = library.store(encoder.model, self._runs)

    def identify(self, clip: Audio, *, top: int, max_false_accepts: float) -> list[Hit]:
        """The accepted recordings, surest first, at most `top`; none for silence or less than a second."""
        prints = fingerprint(clip, self._encoder, QUERY_HOP_FRAMES)
        accepted: dict[int, list[tuple[float, Line]]] = {}
        for line in self.lines(prints):
            logit = self._calibration.logit(line.evidence)
            threshold = self._calibration.threshold(max_false_accepts, len(self._store), line.evidence.windows)
            if logit >= threshold:
                accepted.setdefault(line.position, []).append((logit, line))
        ids = self._runs.recordings
        recordings = self._library.recordings_by_id(int(ids[position]) for position in accepted)
        present = [item for item in accepted.items() if int(ids[item[0]]) in recordings]
        ranked = sorted(present, key=lambda item: -item[1][0][0])[:top]
        hits = []
        for rank, (position, found) in enumerate(ranked, 1):
            recording = recordings[int(ids[position])]
            hits.append(
                Hit(
                    rank=rank,
                    id=recording.key,
                    path=recording.path,
                    title=recording.title or None,
                    work=None,
                    score=_logistic(found[0][0]),
                    accepted=True,
                    places=tuple(_place(line, clip.duration, recording.duration) for _, line in found),
                    transposition=0,
                    tempo_ratio=1.0,
                )
            )
        return hits

    def lines(self, prints: Fingerprint) -> list[Line]:
        """Verified lines of a clip, best first; of lines less than a second apart only the best."""
        heard = np.flatnonzero(prints.audible)
        if not len(heard) or not len(self._store):
            return []
        lines = [self._refine(prints, *candidate) for candidate in self._candidates(prints, heard)]
        lines.sort(key=lambda line: -self._calibration.logit(line.evidence))
        kept: list[Line] = []
        for line in lines:
            if line.evidence.windows and not any(_same_place(line, other) for other in kept):
                kept.append(line)
        return kept

    def _candidates(self, prints: Fingerprint, heard: NDArray[np.int64]) -> list[tuple[int, float]]:
        """Runs and rough offsets for which the neighbours of the clip's windows vote most."""
        asked = heard[::_SEARCH_EVERY]
        found = self._store.search(prints.vectors[asked], _NEIGHBOURS)
        rows, columns = np.nonzero(found.numbers >= 0)
        positions, seconds = self._runs.locate(found.numbers[rows, columns])
        hop = float(self._runs.hop[0])
        cells = np.floor((seconds - asked[rows] * prints.hop) / hop).astype(np.int64)
        votes = np.maximum(found.similarities[rows, columns], 0.0) ** 2
        keys, inverse = np.unique(np.column_stack([positions, cells]), axis=0, return_inverse=True)
        totals = np.bincount(inverse.ravel(), votes)
        best = np.argsort(-totals, kind="stable")[:_CANDIDATES]
        return [(int(keys[i, 0]), (float(keys[i, 1]) + 0.5) * hop) for i in best]

    def _refine(self, prints: Fingerprint, position: int, rough: float) -> Line:
        """The offset within a hop of the rough one along which the windows are most alike."""
        vectors = self._runs.vectors(position)
        hop = float(self._runs.hop[position])
        length = len(prints.vectors) * prints.hop
        first = max(math.floor((rough - hop) / hop), 0)
        last = min(math.ceil((rough + hop + length) / hop), len(vectors) - 1)
        rows = np.arange(first, last + 1)
        sounding = np.any(vectors[rows], axis=1)
        enough = max(0.6 * np.count_nonzero(prints.audible) * prints.hop / hop, 1.0)
        found: dict[int, tuple[float, NDArray[np.int64], NDArray[np.int64]]] = {}
        offsets = np.arange(rough - hop, rough + hop + _OFFSET_STEP / 2, _OFFSET_STEP)
        pairings = np.rint((rows[0] * hop - offsets) / prints.hop).astype(np.int64) if len(rows) else offsets[:0]
        for pairing in np.unique(pairings):  # offsets that pair the same windows have the same similarity
            windows = np.rint(pairing + (rows - rows[0]) * hop / prints.hop).astype(np.int64)
            inside = np.flatnonzero((windows >= 0) & (windows < len(prints.vectors)))
            inside = inside[sounding[inside] & prints.audible[windows[inside]]]
            if len(inside) >= enough:
                pair = windows[inside], rows[inside]
                found[int(pairing)] = (_similarity(prints.vectors, vectors, *pair), *pair)
        if not found:
            return Line(position, rough, Evidence(-1.0, 0.0, 0))
        best = max(found, key=lambda pairing: found[pairing][0])
        similarity, windows, rows = found[best]
        around = [_similarity(prints.vectors, vectors, windows, rows + shift) for shift in _SURROUNDINGS]
        known = [value for value in around if not math.isnan(value)]
        evidence = Evidence(similarity, float(np.mean(known)) if known else 0.0, len(rows))
        return Line(position, float(offsets[pairings == best].mean()), evidence)


def _similarity(
    clip: NDArray[np.float32], recording: NDArray[np.float32], windows: NDArray[np.int64], rows: NDArray[np.int64]
) -> float:
    """Mean similarity of paired windows, as far as the recording has them; NaN where it has none."""
    inside = (rows >= 0) & (rows < len(recording))
    if not inside.any():
        return math.nan
    return float(np.einsum("nd,nd->n", clip[windows[inside]], recording[rows[inside]]).mean())


def _same_place(one: Line, other: Line) -> bool:
    return one.position == other.position and abs(one.offset - other.offset) < _SAME_PLACE_SECONDS


def _place(line: Line, clip_seconds: float, recording_seconds: float) -> Place:
    """The part of the recording that the clip covers; `start` is where the clip's own start falls."""
    end = min(line.offset + clip_seconds, recording_seconds)
    return Place(line.offset, end, 0.0, end - line.offset)


def _logistic(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(logit, -50.0), 50.0)))
