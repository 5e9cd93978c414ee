"""Monitoring for works: what is played in a concert, a side of a record, or a medley, and from when to when.

1. The stream becomes local and segment vectors, piece by piece with margins; only the sound of a piece is kept.
2. Windows of half a minute ask the search for versions which recordings may be of what is played.
3. Through all recordings that were found the best succession of turns (`alignment.succession`) divides what is not
   yet told; recordings of one work take turns together. A turn is told once it is over, and if how alike stream and
   recording are in it suffices; what lies between is a gap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.audio import ANALYSIS_RATE, Audio
from alignment.features import estimate_tuning
from alignment.succession import Block, SuccessionCosts, Turn, best_succession
from index.schema import Recording
from retrieval.correspondence import VersionQuery, likeness_of
from retrieval.embedding.version_encoder import LOCAL_HOP_SECONDS, SEGMENT_HOP_SECONDS, VersionEncoder, rolled
from retrieval.embedding.version_patches import FRAME_SECONDS, SEMITONES, version_spectrogram
from retrieval.hits import Stretch
from retrieval.sounding import SILENT
from retrieval.version_search import VersionSearch

__all__ = ["VersionMonitor"]

Vectors = NDArray[np.float32]

_ROW = round(LOCAL_HOP_SECONDS * ANALYSIS_RATE)
"""Samples from one local vector to the next."""

_SEGMENT_ROWS = round(SEGMENT_HOP_SECONDS / LOCAL_HOP_SECONDS)
_PIECE_ROWS = 8 * _SEGMENT_ROWS
_MARGIN_ROWS = 3 * _SEGMENT_ROWS
"""As far as a local vector sees."""

_WINDOW_SEGMENTS = 2
_WINDOW_ROWS = 35
_CANDIDATES_A_WINDOW = 3
_LOOSELY = 0.5
"""Share of false accepts at which a recording becomes a candidate; what decides is the whole turn."""

_MOST_CANDIDATES = 24
_MOST_VECTORS = 30_000
"""Local vectors of all candidates together: six hours and a half."""

_LEVEL = np.float32(0.5)
_COSTS = SuccessionCosts(jump=2.0, switch=2.0, idle=0.05)
_SETTLED_ROWS = 75
"""A turn that ended so long ago is over."""

_PAUSE_ROWS = 4
_BEGINNING_SHARE, _END_SHARE = 0.15, 0.7
"""Of a recording that is played twice, what its first playing reaches and where the second begins."""

_GAP_ROWS = 150
"""So much of what is in no turn is kept, for a turn whose recording is found late."""

_MOST_ROWS = 2250
_SHORTEST_GAP = 2.0
_FRAMES = round(LOCAL_HOP_SECONDS / FRAME_SECONDS)
_TRIMMED_FRAMES = 6 * _FRAMES
"""A local vector sees what is around it, so a path goes on into what is played before and after."""

_CHANGE_FRAMES = 3 * _FRAMES
_EDGE_SECONDS = 1.2
"""So long before what is played next, what sounds is taken for its beginning."""

_RINGING_SECONDS = 2.4
"""So long after what was played, what sounds is taken for its echo."""


class _Piece(NamedTuple):
    """Vectors of the next piece of a stream.

    Attributes:
        rows: local vectors, new ones alone.
        frames: their spectrogram, five frames a second, shape `(frames, 84)`.
        sounding: of each, whether anything sounds.
        windows: by their first row, of the stream.
    """

    rows: Vectors
    frames: NDArray[np.float32]
    sounding: NDArray[np.bool_]
    windows: list[tuple[int, VersionQuery]]


class _Vectoriser:
    """Makes vectors of a stream, of which it keeps some minutes at most."""

    def __init__(self, encoder: VersionEncoder) -> None:
        self._encoder = encoder
        self._kept = np.zeros(0, np.float32)
        self._kept_from = 0
        self._next = 0
        self._next_window = 0

    @property
    def end(self) -> float:
        """Seconds heard."""
        return self._kept_from * LOCAL_HOP_SECONDS + len(self._kept) / ANALYSIS_RATE

    @property
    def kept_seconds(self) -> float:
        """How much sound is kept."""
        return len(self._kept) / ANALYSIS_RATE

    def feed(self, samples: NDArray[np.float32]) -> Iterator[_Piece]:
        """The next samples."""
        for first in range(0, len(samples), _PIECE_ROWS * _ROW):
            self._kept = np.concatenate([self._kept, samples[first : first + _PIECE_ROWS * _ROW]])
            while len(self._kept) >= (self._next + _PIECE_ROWS + _MARGIN_ROWS - self._kept_from) * _ROW:
                yield self._piece(_PIECE_ROWS, _MARGIN_ROWS)
                surplus = max(self._next - _MARGIN_ROWS - self._kept_from, 0)
                self._kept = self._kept[surplus * _ROW :]
                self._kept_from += surplus

    def finish(self) -> Iterator[_Piece]:
        """What is left."""
        rows = self._kept_from + -(-len(self._kept) // _ROW) - self._next
        if rows > 0:
            yield self._piece(rows, 0)

    def _piece(self, rows: int, margin: int) -> _Piece:
        """The next rows, seen with those before and after them."""
        first, last = self._next - self._kept_from, self._next - self._kept_from + rows
        audio = Audio(self._kept[: (last + margin) * _ROW])
        tuning = estimate_tuning(audio.samples, audio.rate)
        spectrogram = version_spectrogram(audio.samples, audio.rate, tuning)
        vectors, _, segments = self._encoder.encode(spectrogram)
        loudest = np.abs(np.pad(audio.samples, (0, -len(audio.samples) % _ROW))).reshape(-1, _ROW).max(axis=1)
        sounding = loudest > SILENT
        local = np.where(sounding[:, None], _lengthened(vectors, len(sounding)), np.float32(0))
        frames = _lengthened(spectrogram.T, _FRAMES * len(sounding))
        windows = list(self._windows(VersionQuery(local, local[:0], segments), ended=not margin))
        self._next += rows
        return _Piece(local[first:last], frames[_FRAMES * first : _FRAMES * last], sounding[first:last], windows)

    def _windows(self, query: VersionQuery, *, ended: bool) -> Iterator[tuple[int, VersionQuery]]:
        """All windows that lie in what is kept, and at the end of the stream those that it cuts short."""
        count = len(query.local)
        while (start := self._next_window - self._kept_from) + (0 if ended else _WINDOW_ROWS) < count:
            segment = start // _SEGMENT_ROWS
            segments = query.segments[segment : segment + _WINDOW_SEGMENTS]
            local = query.local[start : start + _WINDOW_ROWS]
            if len(segments) and len(local) > _SEGMENT_ROWS:
                yield self._next_window, VersionQuery(local, query.quick, segments)
            self._next_window += _SEGMENT_ROWS


@dataclass(frozen=True)
class _Candidate:
    """A recording that a window found, in a key.

    Attributes:
        first: row of the window.
        recording: which.
        semitones: by which the stream is taken higher.
        logit: of the likeness.
    """

    first: int
    recording: Recording
    semitones: int
    logit: float


class VersionMonitor:
    """Finds works in a stream that is fed to it bit by bit.

    Args:
        search: of the library.
        max_false_accepts: share of stretches of other music that may be accepted.
        content_hash: of the file that is fed; a recording is no version of itself.
    """

    def __init__(self, search: VersionSearch, max_false_accepts: float, content_hash: str = "") -> None:
        self._search = search
        self._itself = search.number_of(content_hash)
        self._max_false_accepts = max_false_accepts
        self._vectoriser = _Vectoriser(search.encoder)
        self._rows = np.zeros((0, search.encoder.local.format.dimensions), np.float32)
        self._frames = np.zeros((_CHANGE_FRAMES, SEMITONES), np.float32)
        self._sounding = np.zeros(0, np.bool_)
        self._first = 0
        self._candidates: list[_Candidate] = []
        self._covered = 0.0
        self._heard = False

    @property
    def kept_seconds(self) -> float:
        """How much sound is kept."""
        return self._vectoriser.kept_seconds

    def feed(self, samples: NDArray[np.float32]) -> Iterator[Stretch]:
        """The next samples of the stream, at the analysis rate; gives what is closed by them."""
        for piece in self._vectoriser.feed(samples):
            self._take(piece)
            yield from self._settle(_SETTLED_ROWS)

    def finish(self) -> Iterator[Stretch]:
        """The stream is over; gives what was still open."""
        for piece in self._vectoriser.finish():
            self._take(piece)
        yield from self._settle(0)
        yield from self._gap(self._vectoriser.end)

    def _take(self, piece: _Piece) -> None:
        """Keep vectors and ask for candidates."""
        self._rows = np.concatenate([self._rows, piece.rows])
        self._frames = np.concatenate([self._frames, piece.frames])
        self._sounding = np.concatenate([self._sounding, piece.sounding])
        for first, window in piece.windows:
            if window.local.any():
                self._candidates += self._found(first, window)

    def _found(self, first: int, window: VersionQuery) -> Iterator[_Candidate]:
        for recording, likeness in self._search.candidates(window, self._itself)[:_CANDIDATES_A_WINDOW]:
            if self._search.accepts(likeness, _LOOSELY):
                yield _Candidate(first, recording, likeness.semitones, self._search.logit(likeness))

    def _settle(self, settled_rows: int) -> Iterator[Stretch]:
        """Tell the turns that are over, and forget what lies before those that may go on."""
        candidates = self._strongest()
        turns = self._turns(candidates)
        last = self._first + len(self._rows) - settled_rows
        full = len(self._rows) > _MOST_ROWS
        over = [turn for turn in turns if full or self._first + turn.last < last]
        for turn in over:
            yield from self._tell(turn, [one for one in candidates if _group(one.recording) == turn.group])
        open_rows = [self._first + turn.first for turn in turns[len(over) :]]
        told = self._first + over[-1].last + 1 if over else self._first
        self._forget(max(told, min([last - _GAP_ROWS, *open_rows])))

    def _strongest(self) -> list[_Candidate]:
        """The surest candidate of each recording and key, as many as there is room for."""
        strongest: dict[tuple[int, int], _Candidate] = {}
        for candidate in sorted(self._candidates, key=lambda candidate: -candidate.logit):
            strongest.setdefault((candidate.recording.id, candidate.semitones), candidate)
        found = list(strongest.values())[:_MOST_CANDIDATES]
        counts = [len(self._search.local_vectors(candidate.recording)) for candidate in found]
        within = int(np.searchsorted(np.cumsum(counts), _MOST_VECTORS, side="right"))
        return found[: max(within, 1)]

    def _turns(self, candidates: Sequence[_Candidate]) -> list[Turn]:
        """The best succession, its groups by the numbers of `_group`."""
        groups = sorted({_group(candidate.recording) for candidate in candidates})
        blocks = [
            Block(
                rolled(self._rows, candidate.semitones) @ self._search.local_vectors(candidate.recording).T - _LEVEL,
                groups.index(_group(candidate.recording)),
            )
            for candidate in candidates
        ]
        lengths = [block.gains.shape[1] for block in blocks]
        return [
            part._replace(group=groups[turn.group])
            for turn in best_succession(blocks, _COSTS).turns
            for part in _playings(turn, lengths)
        ]

    def _tell(self, turn: Turn, candidates: Sequence[_Candidate]) -> Iterator[Stretch]:
        """The gap before a turn and the turn, with the recording that is most alike, if it is accepted."""
        rows = self._rows[turn.first : turn.last + 1]
        start, end = ((self._first + row) * LOCAL_HOP_SECONDS for row in (turn.first, turn.last + 1))
        query = VersionQuery(rows, rows[:0], rows[:0])
        found = [
            (one.recording, likeness_of(query, self._search.local_vectors(one.recording), [one.semitones]))
            for one in candidates
        ]
        recording, likeness = max(found, key=lambda item: self._search.logit(item[1]))
        if likeness.places and self._search.accepts(likeness, self._max_false_accepts):
            seconds = self._vectoriser.end - start
            hit = self._search.hit(1, recording, likeness, seconds, self._max_false_accepts).later_in_query(start)
            trimmed = min(_TRIMMED_FRAMES, _FRAMES * len(rows) // 4)
            start = max(self._edge(turn.first, trimmed), self._covered)
            end = self._edge(turn.last + 1, -trimmed)
            yield from self._gap(start)
            yield Stretch(start, end, hit)
            self._cover(end)

    def _edge(self, row: int, trimmed: int) -> float:
        """Seconds at which the sound changes most, between an end of a turn and so many frames further."""
        tried = _FRAMES * row + int(np.sign(trimmed)) * np.arange(1 + abs(trimmed))
        sums = np.cumsum(np.pad(self._frames, ((1, _CHANGE_FRAMES), (0, 0))), axis=0, dtype=np.float64)
        before, here, after = (sums[tried + offset] for offset in (0, _CHANGE_FRAMES, 2 * _CHANGE_FRAMES))
        best = int(tried[np.argmax(np.linalg.norm(after - 2 * here + before, axis=1))])
        return min((self._first + best / _FRAMES) * LOCAL_HOP_SECONDS, self._vectoriser.end)

    def _gap(self, end: float) -> Iterator[Stretch]:
        """What lies between what was told and here, if it is worth telling."""
        seconds = end - self._covered
        if seconds >= _SHORTEST_GAP:
            ringing, edge = (min(most, seconds / 4) for most in (_RINGING_SECONDS, _EDGE_SECONDS))
            heard = self._heard or self._sounds(self._covered + ringing * (self._covered > 0), end - edge)
            yield Stretch(self._covered, end, None, silent=not heard)
            self._cover(end)

    def _cover(self, end: float) -> None:
        self._covered, self._heard = end, False

    def _sounds(self, start: float, end: float) -> bool:
        """Whether anything sounds there, as far as it is kept."""
        times = (self._first + 0.5 + np.arange(len(self._rows))) * LOCAL_HOP_SECONDS
        return bool(self._sounding[(times > start) & (times < end)].any())

    def _forget(self, first: int) -> None:
        """Drop all rows before one of the stream's."""
        count = max(first - self._first, 0)
        self._heard = self._heard or self._sounds(
            self._covered + _RINGING_SECONDS, (self._first + count) * LOCAL_HOP_SECONDS
        )
        self._rows, self._sounding = self._rows[count:], self._sounding[count:]
        self._frames = self._frames[_FRAMES * count :]
        self._first += count
        self._candidates = [one for one in self._candidates if one.first + _WINDOW_ROWS > self._first]


def _playings(turn: Turn, lengths: Sequence[int]) -> Iterator[Turn]:
    """A turn, parted where after a pause it begins again from the beginning; of each block its length."""
    first = 0
    for number, (before, after) in enumerate(pairwise(turn.paths), start=1):
        pause = after.first - before.last - 1
        ended = before.end > _END_SHARE * lengths[before.block]
        begins = after.start < _BEGINNING_SHARE * lengths[after.block]
        if pause >= _PAUSE_ROWS and ended and begins:
            yield turn._replace(paths=turn.paths[first:number])
            first = number
    yield turn._replace(paths=turn.paths[first:])


def _lengthened(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """So many rows of an array, zeros behind its last one."""
    return np.pad(values[:count], ((0, max(count - len(values), 0)), (0, 0)))


def _group(recording: Recording) -> int:
    """The same number for all recordings of a work."""
    return recording.work_id or -recording.id
