"""Monitoring: every recording that plays in a stream of any length, with start and end in both.

The stream is asked for in pieces that overlap by half. Lines of successive pieces that continue each other are one
detection; it is closed once it has not been heard for a while. Where it begins and ends is then sought window by
window: up to there the stream is more like the recording on the line than beside it. Only the last seconds of sound
are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from alignment.audio import ANALYSIS_RATE, Audio
from retrieval.fingerprint import FIRST_CENTRE, RECORDING_HOP_SECONDS, Fingerprint, Windows
from retrieval.hits import Place, Stretch
from retrieval.identification import Identifier, as_alike_as_the_best
from retrieval.lines import Line
from retrieval.sounding import SILENT

__all__ = ["Detection", "Monitor"]

_PIECE_SECONDS = 6.0
_STEP_SECONDS = 3.0
_KEPT_SECONDS = 27.0
_CARRYING_ON = 0.5
"""What share of false accepts a line may have at the very place where a detection must go on."""

_NEAR_THE_END = 0.75
"""Seconds from a recording's own start or end within which it is taken to have been played from there, or to there."""

_SAME_PLACE_SECONDS = 1.0
_SURELY = 0.05
"""One piece makes a detection only at this share of the false accepts that are allowed to two in a row."""

_SHORTEST_GAP = 2.0
_UNSURE_SECONDS = 1.0
"""Edges of gaps are known to about that."""

_MOMENT_SECONDS = 0.25
_HOP_FRAMES = 12
_EDGE_HOP_FRAMES = 10
_EDGE_SECONDS = 6.0
_FIT_SECONDS = 9.0

_Times = TypeVar("_Times", float, NDArray[np.float64])


@dataclass(frozen=True)
class Detection(Stretch):
    """A stretch of a stream in which a recording plays, or a gap.

    Attributes:
        line: where in which recording it lies, offset and tempo ratio for the stream's own seconds; None where no
            recording of the library was found.
    """

    line: Line | None = None


@dataclass
class _Track:
    """A detection that may go on.

    Attributes:
        line: in seconds of the stream.
        start, end: of the pieces in which it was found; once it is sure, where it begins.
        first: middle of the first piece, and recording time there.
        sure: whether it is a detection already.
    """

    line: Line
    start: float
    end: float
    first: tuple[float, float]
    sure: bool = False

    def continues(self, line: Line, middle: float) -> bool:
        """Whether a line goes on where this one leads."""
        return abs(_at(line, middle) - _at(self.line, middle)) < _SAME_PLACE_SECONDS

    def extend(self, line: Line, middle: float, end: float) -> None:
        """Go on with a line; over many pieces the tempo ratio follows from the first and the last."""
        self.end = end
        begun, place = self.first
        ratio = line.tempo_ratio
        if middle - begun >= _FIT_SECONDS:
            ratio = (_at(line, middle) - place) / (middle - begun)
        evidence = max(self.line.evidence, line.evidence, key=lambda evidence: evidence.similarity)
        offset = _at(line, middle) - ratio * middle
        self.line = replace(line, offset=offset, tempo_ratio=ratio, evidence=evidence)


class Monitor:
    """Finds recordings in a stream that is fed to it bit by bit.

    Args:
        identifier: of the library.
        max_false_accepts: share of pieces that may be mistaken for a recording twice in a row.
    """

    def __init__(self, identifier: Identifier, max_false_accepts: float) -> None:
        self._identifier = identifier
        self._max_false_accepts = max_false_accepts
        self._kept = np.zeros(0, np.float32)
        self._kept_from = 0
        self._next = 0
        self._pieces = 0
        self._tracks: list[_Track] = []
        self._covered = 0.0
        self._sounding: list[float] = []

    @property
    def kept_seconds(self) -> float:
        """How much sound is kept."""
        return len(self._kept) / ANALYSIS_RATE

    def feed(self, samples: NDArray[np.float32]) -> Iterator[Detection]:
        """The next samples of the stream, at the analysis rate; gives what is closed by them."""
        for first in range(0, len(samples), ANALYSIS_RATE):
            self._kept = np.concatenate([self._kept, samples[first : first + ANALYSIS_RATE]])
            while self._end() - self._next >= _PIECE_SECONDS * ANALYSIS_RATE:
                yield from self._listen(self._next / ANALYSIS_RATE, _PIECE_SECONDS)
                self._next += int(_STEP_SECONDS * ANALYSIS_RATE)
            surplus = len(self._kept) - int(_KEPT_SECONDS * ANALYSIS_RATE)
            if surplus > 0:
                self._kept = self._kept[surplus:]
                self._kept_from += surplus

    def finish(self) -> Iterator[Detection]:
        """The stream is over; gives what was still open."""
        end = self._end() / ANALYSIS_RATE
        last = max(end - _PIECE_SECONDS, self._kept_from / ANALYSIS_RATE, 0.0)
        if self._next < self._end() and (self._pieces == 0 or end - self._next / ANALYSIS_RATE > 1.0):
            self._next = round(last * ANALYSIS_RATE)
            yield from self._listen(last, end - last)
        for track in sorted(self._tracks, key=lambda track: track.end):
            yield from self._close(track)
        self._tracks = []
        yield from self._gap(end)

    def _end(self) -> int:
        return self._kept_from + len(self._kept)

    def _cut(self, start: float, end: float) -> tuple[float, NDArray[np.float32]]:
        """Sound from the stream as far as it is kept, and where it really begins."""
        first, last = (round(seconds * ANALYSIS_RATE) - self._kept_from for seconds in (start, end))
        first = max(first, 0)
        return (first + self._kept_from) / ANALYSIS_RATE, self._kept[first : max(last, first)]

    def _listen(self, start: float, seconds: float) -> Iterator[Detection]:
        """Ask for a piece, carry detections on, open new ones, close those that are over."""
        begins, samples = self._cut(start, start + seconds)
        self._pieces += 1
        loud = _loud_moments(begins, samples)
        if loud:
            heard = self._sounding[-1] if self._sounding else -1.0
            self._sounding += [time for time in loud if time > heard]
            for line in self._found(samples):
                moved = replace(line, offset=line.offset - line.tempo_ratio * start)
                self._take(moved, start, start + seconds)
        for track in [track for track in self._tracks if start >= track.end]:
            self._tracks.remove(track)
            yield from self._close(track)

    def _found(self, samples: NDArray[np.float32]) -> list[Line]:
        """Accepted lines of a piece, first those that carry on what plays.

        These are looked for where they must be and need less evidence. Where there is none, other pitches are tried
        at every second piece.
        """
        windows = self._identifier.windows(Audio(samples))
        prints = {moved: windows.embed(_HOP_FRAMES, moved) for moved in {0, *self._playing()}}
        lines = [line for track in self._tracks if (line := self._carried_on(track, windows, prints, len(samples)))]
        lines += self._accepted(self._identifier.lines_of(prints[0]), windows)
        if not lines and self._pieces % 2:
            lines = self._accepted(self._identifier.moved_lines(windows), windows)
        return as_alike_as_the_best(lines)

    def _playing(self) -> set[int]:
        return {track.line.quarter_tones for track in self._tracks}

    def _carried_on(self, track: _Track, windows: Windows, prints: dict[int, Fingerprint], samples: int) -> Line | None:
        start = self._next / ANALYSIS_RATE
        middle = _at(track.line, start + samples / ANALYSIS_RATE / 2)
        line = self._identifier.line_near(prints[track.line.quarter_tones], track.line.position, middle)
        if line is None or not self._identifier.accepts(line, _CARRYING_ON):
            return None
        return self._identifier.judged(windows.rises(line.quarter_tones), line)

    def _accepted(self, lines: list[Line], windows: Windows) -> list[Line]:
        supported = self._identifier.supported(lines, windows)
        alike = [line for line in supported if self._identifier.accepts(line, self._max_false_accepts)]
        return self._identifier.of_the_same_sound(alike, windows)

    def _take(self, line: Line, start: float, end: float) -> None:
        """Carry a detection on by a line, or open one; a recording plays at one place at a time."""
        middle = (start + end) / 2
        tracks = [track for track in self._tracks if track.line.position == line.position]
        if any(track.end == end for track in tracks):
            return
        track = next((track for track in tracks if track.continues(line, middle)), None)
        if track is None:
            track = _Track(line, start, end, (middle, _at(line, middle)))
            self._tracks.append(track)
            surely = self._identifier.accepts(line, _SURELY * self._max_false_accepts)
        else:
            track.extend(line, middle, end)
            surely = True
        if surely and not track.sure:
            track.sure = True
            track.start = self._beginning(track)

    def _close(self, track: _Track) -> Iterator[Detection]:
        if not track.sure:
            return
        end = self._ending(track)
        begun = [other.start for other in (*self._tracks, track) if other.sure]
        yield from self._gap(min(begun))
        if end > track.start:
            yield self._detection(track.line, track.start, end)
        self._covered = max(self._covered, end)

    def _detection(self, line: Line, start: float, end: float) -> Detection:
        recording = self._identifier.told(line.position)
        if recording is None:
            return Detection(start, end, None, line=line)
        first, last = max(_at(line, start), 0.0), min(_at(line, end), recording.duration)
        return Detection(
            start, end, self._identifier.hit(1, recording, line, (Place(first, last, start, end),)), line=line
        )

    def _gap(self, end: float) -> Iterator[Detection]:
        """What lies between the last detection and here, if it is worth telling."""
        if end - self._covered >= _SHORTEST_GAP:
            unsure = min(_UNSURE_SECONDS, (end - self._covered) / 4)
            first, last = self._covered + unsure, end - unsure
            inside = [time for time in self._sounding if first < time < last]
            yield Detection(self._covered, end, None, silent=not inside)
            self._covered = end
        self._sounding = [time for time in self._sounding if time > self._covered]

    def _beginning(self, track: _Track) -> float:
        """Stream time at which the recording of a detection begins to be heard."""
        times, gains = self._gains(track, track.start - _EDGE_SECONDS, track.start + _EDGE_SECONDS)
        if not len(times):
            return track.start
        first = int(np.argmax(np.cumsum(gains[::-1])[::-1]))
        line = track.line
        edge = times[first] - (times[1] - times[0]) / 2 if len(times) > 1 else times[first]
        if _at(line, edge) < _NEAR_THE_END:
            edge = -line.offset / line.tempo_ratio
        return max(edge if first else min(edge, track.start), 0.0, self._kept_from / ANALYSIS_RATE)

    def _ending(self, track: _Track) -> float:
        """Stream time at which the recording of a detection is no longer heard."""
        stop = self._end() / ANALYSIS_RATE
        times, gains = self._gains(track, track.end - 1.5 * _EDGE_SECONDS, min(track.end + _EDGE_SECONDS / 2, stop))
        if not len(times):
            return min(track.end, stop)
        last = int(np.argmax(np.cumsum(gains)))
        line = track.line
        edge = times[last] + (times[1] - times[0]) / 2 if len(times) > 1 else times[last]
        duration = (len(self._identifier.vectors(line.position)) + 1) * RECORDING_HOP_SECONDS
        if last == len(times) - 1:
            edge = stop
        if _at(line, edge) > duration - _NEAR_THE_END:
            edge = (duration - line.offset) / line.tempo_ratio
        return min(edge, stop)

    def _gains(self, track: _Track, start: float, end: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Windows of the stream by their middles, and how much more alike to the recording than not they are."""
        line = track.line
        begin, samples = self._cut(start, end)
        prints = self._identifier.windows(Audio(samples)).embed(_EDGE_HOP_FRAMES, line.quarter_tones)
        times = begin + prints.centres
        vectors = self._identifier.vectors(line.position)
        rows = np.rint((_at(line, times) - FIRST_CENTRE) / RECORDING_HOP_SECONDS).astype(np.int64)
        inside = (rows >= 0) & (rows < len(vectors))
        found = np.einsum("nd,nd->n", prints.vectors, vectors[np.clip(rows, 0, len(vectors) - 1)])
        alike = (line.evidence.similarity + line.evidence.surroundings) / 2
        return times, np.where(inside, found, 0.0) - alike


def _loud_moments(start: float, samples: NDArray[np.float32]) -> list[float]:
    """Seconds of the stream around which something sounds."""
    length = round(_MOMENT_SECONDS * ANALYSIS_RATE)
    peaks = np.abs(np.pad(samples, (0, -len(samples) % length))).reshape(-1, length).max(axis=1)
    found: list[float] = (start + (np.flatnonzero(peaks > SILENT) + 0.5) * _MOMENT_SECONDS).tolist()
    return found


def _at(line: Line, seconds: _Times) -> _Times:
    """Recording time at a time of the stream."""
    return line.offset + line.tempo_ratio * seconds
