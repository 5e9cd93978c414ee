"""Timing: is a clip the very sound of a recording, or another performance of the same music?

Two performances of a work can be as alike to the fingerprint as a recording is to itself through a telephone. Their
onsets are not: along the straight line on which the same sound lies to the millisecond, those of another performance
wander by hundredths of a second. A clip's rises (`retrieval.rises`) are laid along those that the library keeps of
the recording: the line is refined until they correlate best, and then each quarter and half second of the clip may
leave it. The same sound gains little by that; another performance does. What each band does beside the others tells
more, the less noise there is in the clip. And where the fingerprint alone leaves it open whether a clip is from a
recording, onsets that agree on the line speak for it.

The weights lie beside the fingerprint model and are set by `scripts/calibrate_timing.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from retrieval._timing_kernels import (
    along_lines,
    block_products,
    correlation_of_bands,
    nearest_phases,
    phase_products,
    wandering,
)
from retrieval.embedding.encoder import MODEL_PATH
from retrieval.lines import Line
from retrieval.logistic import numbers_of, weighed
from retrieval.rises import RISES_RATE

__all__ = ["TIMING_PATH", "TimingEvidence", "TimingTest", "lay"]

TIMING_PATH = MODEL_PATH.with_name("timing.json")

_BLOCK_FRAMES = 25
_OFFSET_REACH = 25
"""Frames by which the line may lie wrong at the clip's middle."""

_TEMPO_REACH = 0.1
"""By which the tempo ratio may."""

_FINE_REACH = 25
_TURNED_FRAMES = 2
"""By which the ends of a line are moved to turn it."""

_FINE_STEPS = np.linspace(-_TURNED_FRAMES, _TURNED_FRAMES, 13)
_PEAK_FRAMES = 4
_PEAK_WIDTH = 12
_FREE_REACH = 15
"""Frames by which a part of the clip may leave the line."""

_LOOSE = 1
"""Frames by which a part of the same sound may lie beside it: players that stretch time do it in small leaps."""

_AROUND = 60
"""Frames by which a quarter second is moved to see how its correlation varies."""

_ASTRAY = np.arange(-20, 21)
"""Frames by which one of another performance may lie off the line."""

_PARALLEL = np.abs(np.arange(-_AROUND, _AROUND + 1)) > _ASTRAY[-1]

_STRENGTHS = np.array([0.0, 1.0, 2.0, 3.5, 6.0])
"""By how many deviations a quarter second may stand out where it lies, all equally likely."""

_MOST_EVIDENCE = 50.0
"""Of one quarter second."""

_BESIDE_THE_LINE = np.array([0.25, 0.5, 0.25])
"""How likely one of the same sound lies a frame early, on the line, a frame late."""

_ASTRAY_AT_FIRST, _STRAYING, _LEAPING = 6.0, 1.5, 1e-3
"""Another performance: deviation of frames at which it begins and by which it moves on, and the chance of a leap."""

_BEATS_FRAMES = 250
"""By how many frames lines on which a beat may agree, too, lie off the line."""

_PEERS = 0.8, 0.92
"""Correlation elsewhere, over that on the line, up to which and from which on a peak is taken for one of many."""

_LEAST_EVENNESS = 0.1
_OWN_TEMPO_SECONDS = 0.02
"""Drift up to which a clip may be at its recording's own tempo."""


@dataclass(frozen=True)
class TimingEvidence:
    """What a clip's rises say of a line.

    Attributes:
        height: their correlation with the recording's on the refined line.
        clearness: how many deviations it stands above that on parallel lines.
        quarters, halves: the sum over quarter (half) seconds of what correlates on the line, over what would if each
            might leave it by up to 0.15 s.
        agreement: log odds that the quarter seconds of both agree on the line, summed over them, each beside how much
            its correlation varies on parallel lines.
        steadiness: log odds that they keep to the line, against wandering about it as another player's would.
        bands: correlation on the line of what each band does beside the mean of all: which notes sound, and how they
            die away, which onsets alone do not tell.
        evenness: mean over rms of the clip's rises, and so what their correlation with their own signs would be: .8
            where noise fills it, less where a few attacks stand out, with which another performance can agree.
        drift: seconds by which the clip's ends lie apart from where its own tempo, or a change of speed that also
            made its pitch, would put them.
        seconds: length of the clip.
        elsewhere: the highest correlation on parallel lines up to 2.5 s away, over that on the line.
    """

    height: float
    clearness: float
    quarters: float
    halves: float
    agreement: float
    steadiness: float
    bands: float
    evenness: float
    drift: float
    seconds: float
    elsewhere: float


@dataclass(frozen=True)
class TimingTest:
    """Weights by which timing evidence is judged, set by `scripts/calibrate_timing.py`.

    Attributes:
        weights: of the regressors, see `regressors`.
        threshold: log odds of the same sound below which a line is another performance's.
        supporting: weights of what speaks for the same sound and against unrelated music.
    """

    weights: tuple[float, ...]
    threshold: float
    supporting: tuple[float, ...]

    @classmethod
    def load(cls, path: Path = TIMING_PATH) -> TimingTest:
        """Read the numbers.

        Raises:
            ModelError: the file is not there or lacks some.
        """
        return cls(**numbers_of(path, "a test of timing", [field.name for field in fields(cls)]))

    @staticmethod
    def regressors(evidence: TimingEvidence, similarity: float) -> tuple[float, ...]:
        """What the logistic regression weighs.

        1, the evidence in logarithms, how alike the fingerprints are, octaves of seconds, and some of the evidence as
        it is, a second where it grows with the clip.
        """
        return (
            1.0,
            math.log(0.02 + max(evidence.height, 0.0)),
            math.log(max(evidence.clearness, 1.0)),
            -math.log(1.02 - min(evidence.quarters, 1.0)),
            -math.log(1.02 - min(evidence.halves, 1.0)),
            _signed_log(evidence.agreement),
            _signed_log(evidence.steadiness),
            math.log(0.02 + max(evidence.bands, 0.0)),
            evidence.evenness,
            _at_own_tempo(evidence.drift),
            similarity,
            math.log2(evidence.seconds),
            evidence.height / max(evidence.evenness, _LEAST_EVENNESS),
            evidence.bands,
            evidence.agreement / evidence.seconds,
            evidence.steadiness / evidence.seconds,
        )

    def logit(self, evidence: TimingEvidence, similarity: float) -> float:
        """Log odds that it is the same sound and not another performance, both being equally likely before."""
        return weighed(self.weights, self.regressors(evidence, similarity))

    @staticmethod
    def supporters(evidence: TimingEvidence) -> tuple[float, ...]:
        """What is weighed of a line's support: 1, and the evidence in logarithms."""
        return (
            1.0,
            math.log(0.02 + max(evidence.height, 0.0)),
            math.log(max(evidence.clearness, 1.0)),
            _signed_log(evidence.agreement),
            _at_own_tempo(evidence.drift),
            math.log2(evidence.seconds),
        )

    def support(self, evidence: TimingEvidence) -> float:
        """Log odds that timing adds to those of a line lying along the right music; where it is unclear, none.

        It says no more than a peak of so many deviations can, and the less the higher the peaks some beats away are:
        two pieces with a steady beat agree on many parallel lines.
        """
        no_peer, peer = _PEERS
        single = min(max((peer - evidence.elsewhere) / (peer - no_peer), 0.0), 1.0)
        most = 0.5 * (single * max(evidence.clearness, 0.0)) ** 2
        return min(max(weighed(self.supporting, self.supporters(evidence)), 0.0), most)

    def passes(self, evidence: TimingEvidence, similarity: float) -> bool:
        """Whether it is not clearly another performance."""
        return self.logit(evidence, similarity) >= self.threshold

    def judged(self, clip: NDArray[np.float32], stored: NDArray[np.uint8], line: Line, phases: int) -> Line | None:
        """A line laid finely, or None where the recording has other timing than the clip; arguments as of `lay`.

        Where nothing can be told, the line comes back as it was.
        """
        found = lay(clip, stored, line, phases)
        if found is None:
            return line
        fine, evidence = found
        return fine if self.passes(evidence, line.evidence.similarity) else None


def _at_own_tempo(drift: float) -> float:
    return math.exp(-((drift / _OWN_TEMPO_SECONDS) ** 2))


def _signed_log(value: float) -> float:
    return math.copysign(math.log1p(abs(value)), value)


class _Correlations(NamedTuple):
    """How a clip's blocks correlate with a recording, moved by whole frames from a line.

    Attributes:
        sums: of products, float32, shape `(blocks, 2 * most + 1)`.
        inside: share of each block's frames that the recording covers, shape `(blocks,)`.
        most: by how many frames the line is moved.
        times: frames of each block's middle, from the clip's middle, shape `(blocks,)`.
    """

    sums: NDArray[np.float32]
    inside: NDArray[np.float64]
    most: int
    times: NDArray[np.float64]

    def moved(self, slopes: NDArray[np.float64], reach: int) -> NDArray[np.float32]:
        """Sums over all blocks on lines of other slopes and offsets, shape `(slopes, 2 * reach + 1)`."""
        out = np.empty((len(slopes), 2 * reach + 1), np.float32)
        along_lines(self.sums, self.times, slopes, out)
        return out


def lay(
    clip: NDArray[np.float32], stored: NDArray[np.uint8], line: Line, phases: int
) -> tuple[Line, TimingEvidence] | None:
    """Lay a clip finely along a recording.

    Args:
        clip: its rises, from its start on, brought to the pitch of the line.
        stored: the recording's packed rises, shape `(frames, 2)`.
        line: of the clip along the recording; its middle is believed to a quarter of a second.
        phases: in which the rises were taken.

    Returns:
        the refined line and its evidence; None where the clip is shorter than a block, or nothing is covered.
    """
    frames = len(clip) // (phases * _BLOCK_FRAMES) * _BLOCK_FRAMES
    if not frames:
        return None
    clip = np.ascontiguousarray(clip[: phases * frames])
    stored = stored.view()
    stored.flags.writeable = False  # as a mapped file's are, so that there is one form of each kernel
    middle, ratio = _roughly(np.ascontiguousarray(clip[::phases]), stored, line)
    middle, ratio, beside = _finely(clip, stored, phases, middle, ratio)
    clip = _in_phase(clip, phases, middle, ratio)
    around = _correlate(clip, stored, middle, ratio, _AROUND)
    powers = np.square(clip).reshape(len(around.sums), -1).sum(axis=1)
    power = float(powers @ around.inside)
    covered = float(around.inside.mean()) * clip.size
    if not power or not covered:
        return None
    heights = around.moved(_FINE_STEPS / (frames / 2), _FINE_REACH) / np.sqrt(power * covered)
    height = float(heights[len(_FINE_STEPS) // 2, _FINE_REACH])
    start = middle + beside - ratio * (frames - 1) / 2
    blocks = around.sums[:, _AROUND - _FREE_REACH : _AROUND + _FREE_REACH + 1]
    evidence = TimingEvidence(
        height,
        _clearness(height, heights[:, np.abs(np.arange(heights.shape[1]) - _FINE_REACH) > _PEAK_WIDTH]),
        _straightness(blocks, 1),
        _straightness(blocks, 2),
        *_agreement(around.sums, powers),
        correlation_of_bands(clip, stored, start, ratio),
        float(np.abs(clip).mean() / np.sqrt(powers.sum() / clip.size)),
        _changed_tempo(ratio, line.quarter_tones) * frames / RISES_RATE,
        frames / RISES_RATE,
        _elsewhere(_correlate(clip, stored, middle, ratio, _BEATS_FRAMES).sums.sum(axis=0)),
    )
    return replace(line, offset=start / RISES_RATE, tempo_ratio=ratio), evidence


def _finely(
    clip: NDArray[np.float32], stored: NDArray[np.uint8], phases: int, middle: float, ratio: float
) -> tuple[float, float, float]:
    """As `_roughly`, near a line that is right to some frames; by how much the top lies beside the nearest phase."""
    frames = len(clip) // phases
    most = phases * (_PEAK_FRAMES + _TURNED_FRAMES + 1)
    sums = np.empty((frames // _BLOCK_FRAMES, 2 * most + 1), np.float32)
    phase_products(clip, phases, stored, middle, ratio, sums)
    times = (np.arange(len(sums), dtype=np.float64) - (len(sums) - 1) / 2) * _BLOCK_FRAMES
    slopes = _FINE_STEPS / (frames / 2)
    heights = np.empty((len(slopes), 2 * phases * (_PEAK_FRAMES + 1) + 1), np.float32)
    along_lines(sums, phases * times, slopes, heights)
    number, shift = _peak(heights[:, phases:-phases])
    beside = _between(heights[number, shift : shift + 2 * phases + 1 : phases])
    return middle + shift / phases - _PEAK_FRAMES, ratio + float(slopes[number]), beside


def _in_phase(clip: NDArray[np.float32], phases: int, middle: float, ratio: float) -> NDArray[np.float32]:
    """Rises of a clip where the recording on a line has them, shape `(frames, 16)`."""
    out = np.empty((len(clip) // phases, clip.shape[1]), np.float32)
    nearest_phases(clip, phases, middle, ratio, out)
    return out


def _roughly(clip: NDArray[np.float32], stored: NDArray[np.uint8], line: Line) -> tuple[float, float]:
    """Recording frame at the clip's middle, and tempo ratio, of the line along which the rises correlate best."""
    frames = len(clip)
    middle = line.offset * RISES_RATE + line.tempo_ratio * (frames - 1) / 2
    ratio = 2.0 ** (line.quarter_tones / 48)
    reach = math.ceil(_TEMPO_REACH * frames / 2)
    slopes = np.arange(-reach, reach + 1) / (frames / 2)
    correlations = _correlate(clip, stored, middle, ratio, _OFFSET_REACH + reach + 1)
    number, shift = _peak(correlations.moved(slopes, _OFFSET_REACH))
    return middle + shift - _OFFSET_REACH, ratio + float(slopes[number])


def _elsewhere(sums: NDArray[np.float32]) -> float:
    """The highest sum but those of a peak in the middle, over that peak."""
    middle = len(sums) // 2
    peak = float(sums[middle - _LOOSE : middle + _LOOSE + 1].max())
    others = np.concatenate([sums[: middle - _PEAK_WIDTH], sums[middle + _PEAK_WIDTH + 1 :]])
    return float(others.max()) / max(peak, 1e-9)


def _peak(values: NDArray[np.float32]) -> tuple[int, int]:
    row, column = np.unravel_index(int(np.argmax(values)), values.shape)
    return int(row), int(column)


def _clearness(height: float, elsewhere: NDArray[np.float32]) -> float:
    return float((height - elsewhere.mean()) / (elsewhere.std() + 1e-6))


def _changed_tempo(ratio: float, quarter_tones: int) -> float:
    """Relative change of tempo, beside none or that by which the pitch was changed, whichever is nearer."""
    change = math.log(ratio)
    return min(abs(change), abs(change - quarter_tones / 24 * math.log(2.0)))


def _correlate(
    clip: NDArray[np.float32], stored: NDArray[np.uint8], middle: float, ratio: float, most: int
) -> _Correlations:
    """Correlate each block of a clip with the recording around a line, given in frames, moved by up to `most`."""
    blocks = len(clip) // _BLOCK_FRAMES
    sums, inside = np.empty((blocks, 2 * most + 1), np.float32), np.empty(blocks)
    block_products(clip, stored, middle, ratio, sums, inside)
    return _Correlations(sums, inside, most, (np.arange(blocks, dtype=np.float64) - (blocks - 1) / 2) * _BLOCK_FRAMES)


def _straightness(sums: NDArray[np.float32], blocks: int) -> float:
    """Correlation on the line over that where every block, or every two, move as they like."""
    together = sums if blocks == 1 or len(sums) == 1 else sums[:-1] + sums[1:]
    straight = together[:, _FREE_REACH - _LOOSE : _FREE_REACH + _LOOSE + 1].max(axis=1)
    return float(straight.sum() / (together.max(axis=1).sum() + 1e-9))


def _agreement(sums: NDArray[np.float32], powers: NDArray[np.float64]) -> tuple[float, float]:
    """Agreement and steadiness of blocks, from their sums around the line and how much power each has."""
    parallel = sums[:, _PARALLEL]
    means = parallel.mean(axis=1, keepdims=True)
    variance = float(np.square(parallel - means).mean(axis=1).sum() / powers.sum())
    near = sums[:, _AROUND + _ASTRAY[0] : _AROUND + _ASTRAY[-1] + 1]
    deviations = (near - means) / np.sqrt(variance * powers + 1e-9)[:, None]
    evidence = _STRENGTHS * deviations[:, :, None] - np.square(_STRENGTHS) / 2
    likely = np.exp(np.clip(evidence, -_MOST_EVIDENCE, _MOST_EVIDENCE)).mean(axis=2)
    middle = len(_ASTRAY) // 2
    steady = float(np.log(likely[:, middle - 1 : middle + 2] @ _BESIDE_THE_LINE).sum())
    return steady, steady - wandering(likely @ _smoothing(), *_walk())


@lru_cache(maxsize=1)
def _smoothing() -> NDArray[np.float64]:
    """By which rows of places are multiplied to be smoothed by a frame, their ends going on as they are."""
    return np.asarray(gaussian_filter1d(np.eye(len(_ASTRAY)), 1.0, axis=1, mode="nearest"), np.float64)


@lru_cache(maxsize=1)
def _walk() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How likely a block of another performance lies at each place, and moves from each to each."""
    first = np.exp(-0.5 * np.square(_ASTRAY / _ASTRAY_AT_FIRST))
    moves = np.exp(-0.5 * np.square((_ASTRAY[:, None] - _ASTRAY) / _STRAYING))
    moves /= moves.sum(axis=1, keepdims=True)
    return first / first.sum(), (1 - _LEAPING) * moves + _LEAPING / len(_ASTRAY)


def _between(heights: NDArray[np.float32]) -> float:
    """Where between the frames the top of a parabola through three heights lies, from the middle one."""
    before, here, after = (float(height) for height in heights)
    curvature = 2 * here - before - after
    return float(np.clip((after - before) / (2 * curvature), -0.5, 0.5)) if curvature > 0 else 0.0
