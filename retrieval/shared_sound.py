"""Shared sound: which stretches of two recordings are the very same sound, though encoded, cut or mastered otherwise.

Pieces of the shorter recording, from its beginning to its end, are identified in the longer one as clips are in a
library; each has to have its timing, too (`retrieval.timing`). What is identified through noise is also identified
without its singer: how alike the two sound on the line, the mean level of each band taken out, tells mixes apart.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from alignment.audio import Audio
from index.library import FileState, Library, NewRecording
from index.runs import Vectors
from retrieval.calibration import Calibration
from retrieval.embedding.encoder import Encoder
from retrieval.fingerprint import RECORDING_HOP_SECONDS, fingerprint
from retrieval.identification import Identifier
from retrieval.lines import Line
from retrieval.rises import RISES, RISES_HOP, RISES_RATE, band_magnitudes, packed_rises, rises
from retrieval.timing import TimingTest

__all__ = ["SharedPiece", "SharedSound", "shared_sound"]

_PIECE_SECONDS = 10.0
_MOST_PIECES = 24
_MAX_FALSE_ACCEPTS = 1e-4
_SAME_LINE_SECONDS = 0.5
_LEVELS_FRAMES = 11
_LEVELS_STEP = 5
_FEWEST_LEVELS = 20
_FLOOR = 1e-2
"""Of a band's mean power: what lies below it is as good as silent."""


@dataclass(frozen=True)
class SharedPiece:
    """A piece of the shorter recording that was found in the longer.

    Attributes:
        start, end: in the shorter, seconds.
        line: of the piece along the longer, `offset` counted from the beginning of the shorter.
        probability: that the line is right.
        alike: correlation of the levels of 16 bands over time, on the line; None where too little is laid together.
    """

    start: float
    end: float
    line: Line
    probability: float
    alike: float | None

    def mapped(self, seconds: float) -> float:
        """Time in the longer at a time in the shorter."""
        return self.line.offset + self.line.tempo_ratio * seconds

    def mapped_back(self, seconds: float) -> float:
        """Time in the shorter at a time in the longer."""
        return (seconds - self.line.offset) / self.line.tempo_ratio


@dataclass(frozen=True)
class SharedSound:
    """The sound that a shorter recording has in common with a longer.

    Attributes:
        pieces: how many were sought.
        found: those that were found, in order.
    """

    pieces: int
    found: tuple[SharedPiece, ...]

    @property
    def share(self) -> float:
        """Of the pieces, those that were found."""
        return len(self.found) / self.pieces if self.pieces else 0.0

    @property
    def alike(self) -> float:
        """Median over the pieces that were found; 0 without any."""
        values = [piece.alike for piece in self.found if piece.alike is not None]
        return float(np.median(values)) if values else 0.0

    @property
    def change(self) -> tuple[float, float]:
        """Quarter tones, and seconds of the longer a second of the shorter, of most pieces that were found."""
        lines = [piece.line for piece in self.found]
        quarter_tones = float(np.median([line.quarter_tones for line in lines]))
        return quarter_tones, float(np.median([line.tempo_ratio for line in lines]))

    def stretches(self, longer: float) -> list[tuple[float, float, float, float]]:
        """Start and end in the shorter, and in the longer, of neighbouring pieces that lie on one line, in seconds.

        They lie within the longer, which has so many seconds.
        """
        runs: list[list[SharedPiece]] = []
        for piece in self.found:
            if runs and abs(runs[-1][-1].mapped(piece.start) - piece.mapped(piece.start)) < _SAME_LINE_SECONDS:
                runs[-1].append(piece)
            else:
                runs.append([piece])
        starts = [max(run[0].start, run[0].mapped_back(0.0)) for run in runs]
        ends = [min(run[-1].end, run[-1].mapped_back(longer)) for run in runs]
        return [
            (start, end, run[0].mapped(start), run[-1].mapped(end))
            for run, start, end in zip(runs, starts, ends, strict=True)
        ]


def shared_sound(shorter: Audio, longer: Audio, encoder: Encoder) -> SharedSound:
    """Seek the sound of one recording in another.

    Raises:
        FeatureError: one is not at the analysis rate.
    """
    with tempfile.TemporaryDirectory(prefix="incipit-") as folder, Library(Path(folder), write=True) as library:
        _put(library, longer, encoder)
        return _sought(library, shorter, longer, encoder)


def _sought(library: Library, shorter: Audio, longer: Audio, encoder: Encoder) -> SharedSound:
    """Apart, for what maps the library's files has to be gone before they can be removed on every system."""
    identifier = Identifier(library, encoder, Calibration.load(), TimingTest.load())
    starts = _piece_starts(shorter.duration)
    return SharedSound(len(starts), tuple(_found(identifier, shorter, longer, starts)))


def _put(library: Library, audio: Audio, encoder: Encoder) -> None:
    prints = fingerprint(audio, encoder)
    heard = bool(prints.audible.any())
    library.add(
        NewRecording("0" * 64, audio.duration),
        FileState("longer", 0, 0),
        (
            Vectors(encoder.model, prints.vectors if heard else prints.vectors[:0], RECORDING_HOP_SECONDS),
            Vectors(RISES, packed_rises(rises(audio.samples if heard else audio.samples[:0])), RISES_HOP / audio.rate),
        ),
    )


def _piece_starts(duration: float) -> list[float]:
    count = min(max(1, math.ceil(duration / _PIECE_SECONDS)), _MOST_PIECES)
    return [float(start) for start in np.linspace(0.0, max(duration - _PIECE_SECONDS, 0.0), count)]


def _found(identifier: Identifier, shorter: Audio, longer: Audio, starts: list[float]) -> Iterator[SharedPiece]:
    for start in starts:
        first = round(start * shorter.rate)
        piece = replace(shorter, samples=shorter.samples[first : first + round(_PIECE_SECONDS * shorter.rate)])
        for line in identifier.accepted(identifier.windows(piece), _MAX_FALSE_ACCEPTS)[:1]:
            alike = _alike(piece, longer, line)
            moved = replace(line, offset=line.offset - line.tempo_ratio * start)
            yield SharedPiece(start, start + piece.duration, moved, identifier.probability(line), alike)


def _alike(piece: Audio, longer: Audio, line: Line) -> float | None:
    """Correlation of how loud each band is, over time and bands, the mean of each band taken out."""
    begin = max(round(line.offset * longer.rate), 0)
    end = max(round((line.offset + line.tempo_ratio * piece.duration) * longer.rate), begin)
    powers = _powers(piece, line.quarter_tones), _powers(replace(longer, samples=longer.samples[begin:end]), 0)
    rows = np.arange(0, len(powers[0]), _LEVELS_STEP)
    others = (line.offset - begin / longer.rate) * RISES_RATE + line.tempo_ratio * rows
    inside = (others >= 0) & (others < len(powers[1]) - 1)
    if np.count_nonzero(inside) < _FEWEST_LEVELS:
        return None
    x, y = _levels(powers[0][rows[inside]]), _levels(powers[1][np.rint(others[inside]).astype(np.int64)])
    return float((x * y).sum() / math.sqrt(float((x * x).sum() * (y * y).sum()) + 1e-12))


def _powers(audio: Audio, quarter_tones: int) -> NDArray[np.float32]:
    powers = uniform_filter1d(np.square(band_magnitudes(audio.samples, quarter_tones)), _LEVELS_FRAMES, axis=0)
    return np.asarray(powers, np.float32)


def _levels(powers: NDArray[np.float32]) -> NDArray[np.float64]:
    levels = np.log(powers + _FLOOR * powers.mean(axis=0) + 1e-12, dtype=np.float64)
    return np.asarray(levels - levels.mean(axis=0), np.float64)
