"""Identification: which recording is this clip from, and where in it.

1. The clip's windows are embedded, of a long clip first some; the nearest vectors of each vote for a recording and a
   place.
2. Around the best-voted places the line of unknown offset and tempo is sought along which clip and recording are
   most alike (`retrieval.lines`).
3. How alike they are there, beside the line's surroundings and beside other recordings, gives a probability and,
   against the threshold of the wanted false accepts, the decision.
4. An accepted line is laid finely, and dropped where the timing is that of another performance (`retrieval.timing`).
   Where it repeats, in a loop or a refrain, is told as exactly as its windows say.
5. Where the evidence is not overwhelming twice as many windows are embedded, and once more; and the clip anew as if it
   were up to two semitones lower or higher (which a change of speed also does): a few windows vote, and the pitches
   that win most votes go through 2 to 4. These come first where the clip as it is has hardly a chance.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from alignment.audio import Audio
from index.errors import ModelMissing
from index.library import Library
from index.runs import Runs
from index.schema import Recording
from index.told_recordings import ToldRecording
from retrieval.calibration import Calibration
from retrieval.embedding.encoder import Encoder
from retrieval.embedding.patches import MOST_SHIFT
from retrieval.fingerprint import Fingerprint, Windows
from retrieval.hits import Hit, Place, Wanted
from retrieval.lines import Line, best_line, rows_near, similar_places
from retrieval.rises import PHASES, RISES
from retrieval.sounding import sounding_part
from retrieval.timing import TimingTest, lay
from retrieval.voting import Ballot, Candidate

__all__ = ["Identifier", "as_alike_as_the_best"]

_log = logging.getLogger(__name__)

_WINDOWS = 32
_FEWEST_WINDOWS = 14
"""That are asked for before all are."""

_QUICK_WINDOWS = 8
"""That can suffice where there is little noise."""

_FINEST_HOP, _COARSEST_HOP = 5, 15
_PROBED_WINDOWS = 6
_FEWEST_PROBED_WINDOWS = 4
_PROBES_FOLLOWED = 2
_SAME_PLACE_SECONDS = 1.0
_PIECE_SECONDS = 20.0
_PIECES = 5
_OVERWHELMING = 0.01
"""Share of the allowed false accepts at which other pitches need not be tried."""

_FAR = 6.0
"""Log odds below the threshold that more windows hardly bring."""

_OWN_TEMPO = 0.014
"""Change of tempo below which a clip's pitch is not changed, either, by half a quarter tone or more."""

_SUPPORTED = 6
"""How many lines are laid finely."""

_BESIDE_THE_BEST = 0.8
"""Similarity beside the best recording's below which another is not what the clip is from."""

_RIVALS = slice(1, 8)
"""Which of the other recordings' best lines, by similarity, tell how alike the clip is to music at large."""


class Identifier:
    """Identifies clips against a snapshot of a library.

    Args:
        library: an open library.
        encoder: of the model that filled it.
        calibration: of that model.
        timing: tells performances apart.
    """

    def __init__(self, library: Library, encoder: Encoder, calibration: Calibration, timing: TimingTest) -> None:
        self._library = library
        self._encoder = encoder
        self._calibration = calibration
        self._timing = timing
        self._runs: Runs = library.runs(encoder.model)
        self._ballot = Ballot(library.store(encoder.model, self._runs), self._runs)
        self._rises = _rises_runs(library)

    def search(self, clip: Audio, wanted: Wanted) -> list[Hit]:
        """As `identify`."""
        return self.identify(clip, top=wanted.top, max_false_accepts=wanted.max_false_accepts)

    def identify(self, clip: Audio, *, top: int, max_false_accepts: float) -> list[Hit]:
        """The accepted recordings, surest first, at most `top`; none for silence or less than a second.

        Of a clip longer than 20 s up to five pieces are asked for.
        """
        part, begins = sounding_part(clip)
        found: list[list[Line]] = []
        for start in _piece_starts(part.duration):
            first = round(start * clip.rate)
            piece = replace(part, samples=part.samples[first : first + int(_PIECE_SECONDS * clip.rate)])
            windows = self.windows(piece)
            accepted = self.accepted(windows, max_false_accepts)
            lines = [*accepted, *self._repetitions(windows, accepted, max_false_accepts)]
            found.append([replace(line, offset=line.offset - line.tempo_ratio * (begins + start)) for line in lines])
        distinct = _distinct([line for lines in found for line in lines], self._calibration)
        return self._hits(_by_agreement(distinct, found), clip.duration, top)

    def windows(self, clip: Audio) -> Windows:
        """A clip, ready to be embedded by the library's model."""
        return Windows(clip, self._encoder)

    def accepted(self, windows: Windows, max_false_accepts: float) -> list[Line]:
        """Lines whose evidence and timing suffice, surest first."""
        return as_alike_as_the_best(self.of_the_same_sound(self.alike(windows, max_false_accepts), windows))

    def alike(self, windows: Windows, max_false_accepts: float) -> list[Line]:
        """Lines whose evidence suffices, surest first; they can lie along another performance of the same music.

        Other pitches are tried where it does not overwhelm, unless no other wins more votes and timing agrees that the
        clip is the recording's very sound at its own tempo.
        """
        first, last = _hops(windows)
        if len(windows) > 2 * first * (_QUICK_WINDOWS - 1):
            quick = self._promising(windows.embed(2 * first), windows, max_false_accepts)
            if self._settle(quick, windows, max_false_accepts):
                return self._accepted(quick, max_false_accepts)
        plain = self._laid(windows, [0], first, max_false_accepts)
        if self._settle(plain, windows, max_false_accepts):
            return self._accepted(plain, max_false_accepts)
        far = self._are_far(plain, max_false_accepts)
        likely = self._pitches(windows) if far else []
        moved = self._laid(windows, _other(likely), first, max_false_accepts)
        if self._settle(moved, windows, max_false_accepts):
            return self._accepted(moved, max_false_accepts)
        if last < first:
            plain = self._laid(windows, [0], last, max_false_accepts)
        if not self._settle(plain, windows, max_false_accepts):
            plain = self.supported(plain, windows)
            likely = likely or self._pitches(windows)
            if likely[:1] != [0] or not self._name_the_sound(plain, windows, max_false_accepts):
                if not far:
                    moved = self._laid(windows, _other(likely), first, max_false_accepts)
                moved = self._followed(moved, _other(likely), windows, max_false_accepts)
                plain = _distinct([*plain, *moved], self._calibration)
        return self._accepted(plain, max_false_accepts)

    def _promising(self, prints: Fingerprint, windows: Windows, max_false_accepts: float) -> list[Line]:
        """As `lines_of`; none where the line at the best-voted place would not do beside usual rivals."""
        (candidates,) = self._ballot.candidates([prints])
        tried = (self.line_near(prints, candidate.position, candidate.middle) for candidate in candidates[:1])
        best = [line for line in tried if line is not None]
        return self._verified(prints, candidates) if self._settle(best, windows, max_false_accepts) else []

    def _followed(
        self, moved: list[Line], pitches: list[int], windows: Windows, max_false_accepts: float
    ) -> list[Line]:
        """The lines at other pitches by all windows, unless those by the first ones suffice, or have no chance."""
        if self._settle(moved, windows, max_false_accepts):
            return moved
        first, last = _hops(windows)
        if last < first and not self._are_far(moved, max_false_accepts):
            moved = self._laid(windows, pitches, last, max_false_accepts)
        return self.supported(moved, windows)

    def _laid(self, windows: Windows, pitches: list[int], hop: int, max_false_accepts: float) -> list[Line]:
        """The lines of a clip taken as so much higher, surest first, one pitch after the other until one settles it.

        Timing is asked where the best line is accepted, but does not overwhelm.
        """
        lines: list[Line] = []
        for quarter_tones in pitches:
            lines = _distinct([*lines, *self.lines_of(windows.embed(hop, quarter_tones))], self._calibration)
            if self._settle(lines, windows, max_false_accepts):
                break
            if self._accepted(lines[:1], max_false_accepts):
                of_the_best = [line for line in lines[:_SUPPORTED] if line.position == lines[0].position]
                lines = _distinct([*self.supported(of_the_best, windows), *lines], self._calibration)
                if self._settle(lines, windows, max_false_accepts):
                    break
        return lines

    def _settle(self, lines: list[Line], windows: Windows, max_false_accepts: float) -> bool:
        """Whether the evidence for the surest line overwhelms; at another pitch, along the very sound."""
        best = [line for line in lines[:1] if self.accepts(line, _OVERWHELMING * max_false_accepts)]
        moved = [line for line in best if line.quarter_tones]
        return bool(self.of_the_same_sound(moved, windows) if moved else best)

    def _are_far(self, lines: list[Line], max_false_accepts: float) -> bool:
        """Whether the surest line would need so much more evidence that more windows hardly bring it."""
        return all(self.logit(line) < self._threshold(line, max_false_accepts) - _FAR for line in lines[:1])

    def _name_the_sound(self, lines: list[Line], windows: Windows, max_false_accepts: float) -> bool:
        """Whether the surest line is accepted, along the very sound, and at its own tempo."""
        best = [line for line in lines[:1] if abs(line.tempo_ratio - 1) < _OWN_TEMPO]
        return bool(self.of_the_same_sound(self._accepted(best, max_false_accepts), windows))

    def _accepted(self, lines: list[Line], max_false_accepts: float) -> list[Line]:
        return [line for line in lines if self.accepts(line, max_false_accepts)]

    def supported(self, lines: list[Line], windows: Windows) -> list[Line]:
        """Lines, surest first, the surest few with what their timing says for them."""
        few = [self._with_support(line, windows.rises(line.quarter_tones)) for line in lines[:_SUPPORTED]]
        return _distinct([*few, *lines[_SUPPORTED:]], self._calibration)

    def _with_support(self, line: Line, rises: NDArray[np.float32]) -> Line:
        stored = self.stored_rises(line.position)
        found = None if stored is None else lay(rises, stored, line, PHASES)
        if found is None:
            return line
        return replace(line, evidence=replace(line.evidence, timing=self._timing.support(found[1])))

    def of_the_same_sound(self, lines: list[Line], windows: Windows) -> list[Line]:
        """Without those along other performances; the rest laid finely where that can be done."""
        judged = (self.judged(windows.rises(line.quarter_tones), line) for line in lines)
        return [line for line in judged if line is not None]

    def judged(self, rises: NDArray[np.float32], line: Line, phases: int = PHASES) -> Line | None:
        """A line laid finely, or None where its recording is another performance.

        A recording that was taken in before rises were kept is believed.

        Args:
            rises: of the clip, brought to the line's pitch.
            line: of the clip along a recording.
            phases: in which the rises were taken.
        """
        stored = self.stored_rises(line.position)
        return line if stored is None else self._timing.judged(rises, stored, line, phases)

    def stored_rises(self, position: int) -> NDArray[np.uint8] | None:
        """The packed rises of a line's recording; None where there are none."""
        number = self._rises.position.get(int(self._runs.items[position]))
        return None if number is None else self._rises.rows(number).stored

    @property
    def runs(self) -> int:
        """How many positions lines can name."""
        return len(self._runs)

    def logit(self, line: Line) -> float:
        """Log odds that a line is right."""
        return self._calibration.logit(line.evidence)

    def probability(self, line: Line) -> float:
        """That a line is right."""
        return self._calibration.probability(line.evidence)

    def _repetitions(self, windows: Windows, accepted: list[Line], max_false_accepts: float) -> Iterator[Line]:
        """Further places in the recordings of accepted lines at which the clip lies as well: loops and repeats."""
        for best in {line.position: line for line in reversed(accepted)}.values():
            prints = windows.finest(best.quarter_tones)
            for middle in similar_places(prints, self._runs.vectors(best.position), best):
                line = self.line_near(prints, best.position, middle)
                if line is not None:
                    judged = replace(line, evidence=replace(line.evidence, rivals=best.evidence.rivals))
                    known = any(_same_place(judged, other) for other in accepted)
                    if not known and self.accepts(judged, max_false_accepts):
                        yield judged

    def accepts(self, line: Line, max_false_accepts: float) -> bool:
        """Whether the evidence for a line suffices."""
        return self.logit(line) >= self._threshold(line, max_false_accepts)

    def _threshold(self, line: Line, max_false_accepts: float) -> float:
        return self._calibration.threshold(max_false_accepts, len(self._ballot), line.evidence)

    def lines(self, windows: Windows) -> list[Line]:
        """The best lines of a clip taken as it is, surest first."""
        return self.lines_at(windows, 0)

    def lines_at(self, windows: Windows, quarter_tones: int) -> list[Line]:
        """The best lines of a clip taken as so much higher than its recording, surest first."""
        return self.lines_of(windows.embed(_hop_frames(windows), quarter_tones))

    def line_near(self, prints: Fingerprint, position: int, middle: float) -> Line | None:
        """The best line of a clip along one recording near a place, given by the recording time at its middle."""
        begin, end = rows_near(prints, middle)
        return best_line(prints, self._runs.vectors(position, begin, end), position, middle, begin)

    def lines_of(self, prints: Fingerprint, other_than: int = -1) -> list[Line]:
        """The best lines of a clip's vectors, surest first; the run at one position may be left out."""
        (candidates,) = self._ballot.candidates([prints], other_than)
        return self._verified(prints, candidates)

    def moved_lines(self, windows: Windows) -> list[Line]:
        """The best lines of a clip taken as played at another speed or pitch, surest first."""
        found = [self.lines_at(windows, quarter_tones) for quarter_tones in _other(self._pitches(windows))]
        return _distinct([line for lines in found for line in lines], self._calibration)

    def _pitches(self, windows: Windows) -> list[int]:
        """By how many quarter tones a clip may be higher than its recording, 0 among them, likeliest first.

        A few windows vote, and of a clip of some length half as many first, for the better half of the pitches.
        """
        hop = 2 * _hop_frames(windows)
        while len(windows) > 2 * hop * (_PROBED_WINDOWS - 1):
            hop *= 2
        pitches = [quarter_tones for quarter_tones in range(-MOST_SHIFT, MOST_SHIFT + 1) if quarter_tones]
        if len(windows) > 2 * hop * (_FEWEST_PROBED_WINDOWS - 1):
            pitches = self._by_votes(windows, 2 * hop, pitches)[: len(pitches) // 2]
        return self._by_votes(windows, hop, [0, *pitches])

    def _by_votes(self, windows: Windows, hop: int, pitches: list[int]) -> list[int]:
        """Pitches at which windows have any votes, most votes for one place first."""
        votes = self._ballot.most_votes([windows.embed(hop, pitch) for pitch in pitches])
        return [pitch for most, pitch in sorted(zip(votes, pitches, strict=True), reverse=True) if most > 0]

    def _verified(self, prints: Fingerprint, candidates: list[Candidate]) -> list[Line]:
        """The best line at each candidate, compared with those of other recordings."""
        tried = (self.line_near(prints, candidate.position, candidate.middle) for candidate in candidates)
        lines = [line for line in tried if line is not None]
        _log.info("%d windows ask; of %d places %d hold", len(prints.vectors), len(candidates), len(lines))
        best: dict[int, float] = {}
        for line in lines:
            best[line.position] = max(best.get(line.position, -1.0), line.evidence.similarity)
        judged = [replace(line, evidence=replace(line.evidence, rivals=_rivals(best, line.position))) for line in lines]
        return _distinct(judged, self._calibration)

    def _hits(self, lines: list[Line], clip_seconds: float, top: int) -> list[Hit]:
        by_run: dict[int, list[Line]] = {}
        for line in lines:
            by_run.setdefault(line.position, []).append(line)
        hits: list[Hit] = []
        for position, found in by_run.items():
            recording = self.told(position) if len(hits) < top else None
            if recording is not None:
                places = tuple(_place(line, clip_seconds, recording.duration) for line in found)
                hits.append(self.hit(len(hits) + 1, recording, found[0], places))
        return hits

    def recording(self, position: int) -> Recording | None:
        """The recording of a line's position; None if it was removed since the library was opened."""
        number = int(self._runs.items[position])
        return self._library.recordings_by_id([number]).get(number)

    def told(self, position: int) -> ToldRecording | None:
        """What is told of the recording of a line's position; None if it was removed since the library was opened."""
        number = int(self._runs.items[position])
        return self._library.told_recordings([number]).get(number)

    def hit(self, rank: int, recording: ToldRecording, line: Line, places: tuple[Place, ...]) -> Hit:
        """An accepted line and its places, as it is shown."""
        return Hit(
            rank=rank,
            id=recording.key,
            path=recording.path,
            title=recording.title or None,
            work=recording.work,
            score=self.probability(line),
            accepted=True,
            places=places,
            transposition=round(line.quarter_tones / 2),
            tempo_ratio=round(line.tempo_ratio, 4),
        )

    def vectors(self, position: int) -> NDArray[np.float32]:
        """The stored vectors of a line's recording, shape `(windows, dimensions)`."""
        return self._runs.vectors(position)


def _rises_runs(library: Library) -> Runs:
    """Where the rises of each recording lie; nowhere in a library that has none yet."""
    try:
        return library.runs(RISES)
    except ModelMissing:
        none = np.zeros(0, np.int64)
        return Runs(none, none, none, np.zeros(0), ())


def _by_agreement(lines: list[Line], pieces: list[list[Line]]) -> list[Line]:
    """Recordings as they come, of each those lines first that most pieces of the clip share.

    Music returns: a piece of a clip alone may fit elsewhere as well.
    """
    order: dict[int, int] = {}
    for line in lines:
        order.setdefault(line.position, len(order))

    def shared(line: Line) -> int:
        return sum(any(_same_place(line, other) for other in found) for found in pieces)

    return sorted(lines, key=lambda line: (order[line.position], -shared(line)))


def as_alike_as_the_best(lines: list[Line]) -> list[Line]:
    """Without recordings that a clip is clearly less like than the best: other performances of what it is from."""
    alike = _BESIDE_THE_BEST * max((line.evidence.similarity for line in lines), default=0.0)
    return [line for line in lines if line.evidence.similarity >= alike]


def _piece_starts(duration: float) -> list[float]:
    """Where the pieces of a clip begin that are asked for; a short clip is one piece."""
    count = min(math.ceil(duration / _PIECE_SECONDS), _PIECES)
    if count < 2:
        return [0.0]
    return [float(start) for start in np.linspace(0.0, duration - _PIECE_SECONDS, count)]


def _other(pitches: list[int]) -> list[int]:
    """The likeliest that are not the clip's own."""
    return [quarter_tones for quarter_tones in pitches if quarter_tones][:_PROBES_FOLLOWED]


def _hop_frames(windows: Windows) -> int:
    return min(max(math.ceil(len(windows) / _WINDOWS), _FINEST_HOP), _COARSEST_HOP)


def _hops(windows: Windows) -> tuple[int, int]:
    """From window to window, at first and at last: of a long clip every second is asked for first."""
    hop = _hop_frames(windows)
    return (2 * hop if len(windows) >= 2 * hop * _FEWEST_WINDOWS else hop), hop


def _rivals(best: dict[int, float], position: int) -> float | None:
    """Mean similarity of other recordings' best lines; the very best is left out, as it may be a duplicate."""
    others = sorted((value for other, value in best.items() if other != position), reverse=True)[_RIVALS]
    return float(np.mean(others)) if others else None


def _distinct(lines: list[Line], calibration: Calibration) -> list[Line]:
    """Surest first; of lines at the same place of a recording only the surest."""
    kept: dict[int, list[Line]] = {}
    surest = sorted(lines, key=lambda line: -calibration.logit(line.evidence))
    return [line for line in surest if _is_new(line, kept.setdefault(line.position, []))]


def _is_new(line: Line, kept: list[Line]) -> bool:
    """Whether a line lies elsewhere than those of its recording that are kept; then it is kept, too."""
    new = not any(_same_place(line, other) for other in kept)
    if new:
        kept.append(line)
    return new


def _same_place(one: Line, other: Line) -> bool:
    return one.position == other.position and abs(one.offset - other.offset) < _SAME_PLACE_SECONDS


def _place(line: Line, clip_seconds: float, recording_seconds: float) -> Place:
    """The part of the recording that the clip covers, and of the clip that is in the recording."""
    start = max(line.offset, 0.0)
    end = min(line.offset + line.tempo_ratio * clip_seconds, recording_seconds)
    return Place(start, end, (start - line.offset) / line.tempo_ratio, (end - line.offset) / line.tempo_ratio)
