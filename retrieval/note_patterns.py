"""Note patterns: where in scores a phrase occurs, by its notes alone.

In its rhythm, notes are points of onset and pitch, and an occurrence is the pattern moved in pitch, moved and
stretched in time, as in Ukkonen, Lemström and Mäkinen, Geometric algorithms for transposition invariant
content-based music retrieval (2003), problems P1 and P2, with time scaled as in Lemström, Towards more robust
geometric content-based music retrieval (2010). Time is even (`retrieval.even_time`), so that tempo marks break no
pattern. Onsets may be off by a quarter of the time to the pattern's next onset, as played by hand they are.

A place is sought from seeds, pairs of the pattern's successive notes: the pairs that the score has least often, with
no note in common. Of so many pairs one is whole wherever at least 80 % of a pattern of up to 20 notes is; of a longer
pattern a place is missed only if each of the pairs has a fault there.

In any rhythm, only the order counts: the pattern's onsets are found at onsets of the score, one after the other, with
few others in between (`_note_kernels.ordered`).

How surprising a place is, is stated in bits: the logarithm of the likelihood ratio between the pattern being there
and its notes falling there by chance. By Markov's inequality no more than `2**-bits` such places are expected for each
place that is tried, if each note falls independently given the two before; rhythm counts for nothing, and a note that
could have been matched at several onsets counts for less.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from alignment.score import Score
from retrieval._note_kernels import MATCHED, MISSED, geometric, matched_notes, ordered, succession, weigh
from retrieval.errors import QueryError
from retrieval.even_time import even_time
from retrieval.subsequences import overlap

__all__ = ["MIN_SHARE", "Pattern", "PatternPlace", "SearchedNotes", "chance_places", "pattern_places"]

MIN_SHARE = 0.8
"""Share of a pattern's notes that a place has at least."""

_FEWEST_NOTES = 3
_MOST_ONSETS = 500
_CHORD = 0.04
"""Seconds: notes that begin so soon after the first of an onset belong to it, and no onset is expected closer."""

_TOLERANCE = 0.25
"""How far an onset may be off, as a share of the time to the pattern's nearest other onset."""

_SLOWEST = 4.0
_SEEDS = 7
_SEEDS_TRIED_FROM = 48
_BETWEEN = 3
_SKIPPED = 2
_MOST_FOUND = 16384
_MOST_WEIGHED = 512
"""Of what a kernel finds: a pattern that occurs more often in a score is none worth telling apart."""

_TEMPI = 16
"""Tempo ratios at which a pattern is in effect laid at an onset: those at which a second onset falls on another."""

_KEYS = 64
_NONE = 127
_PRIOR = 20.0
"""Pairs of notes whose weight the chance of an interval has against that of it after another."""


@dataclass(frozen=True)
class PatternPlace:
    """A place where a pattern occurs.

    Attributes:
        start: seconds at which its first matched note begins.
        end: seconds at which its last matched note ends.
        pattern_start, pattern_end: the same in the pattern.
        transposition: semitones that make the place sound like the pattern.
        tempo_ratio: seconds of the score for a second of the pattern.
        share: of the pattern's notes that are there.
        surprise: bits; see `chance_places`.
    """

    start: float
    end: float
    pattern_start: float
    pattern_end: float
    transposition: int
    tempo_ratio: float
    share: float
    surprise: float


@dataclass(frozen=True)
class _Onsets:
    """Notes by onset, no pitch twice at one.

    Attributes:
        notes: float64 `(n, 3)`, sorted by onset, then pitch: even time, pitch, end in seconds.
        groups: int64 `(n,)`, the number of each note's onset.
        seconds: float64, of each onset.
    """

    notes: NDArray[np.float64]
    groups: NDArray[np.int64]
    seconds: NDArray[np.float64]

    @classmethod
    def of(cls, score: Score) -> _Onsets:
        onsets = score.notes[:, 0]
        first = _chord_starts(onsets)
        groups = np.searchsorted(first, np.arange(len(onsets)), "right") - 1
        pitches = score.notes[:, 2].astype(np.int64)
        _, kept = np.unique(groups * 128 + pitches, return_index=True)
        times = even_time(onsets, score.beats)
        notes = np.stack([times, score.notes[:, 2], score.notes[:, 1]], axis=1)[kept]
        return cls(notes, groups[kept], onsets[first])

    @property
    def pitches(self) -> NDArray[np.int64]:
        return self.notes[:, 1].astype(np.int64)


def _chord_starts(onsets: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of the notes that begin an onset; onsets are sorted."""
    starts, at = [], 0
    while at < len(onsets):
        starts.append(at)
        at = int(np.searchsorted(onsets, onsets[at] + _CHORD, "right"))
    return np.array(starts, np.int64)


def _by_pitch(pitches: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The order by pitch, stable, and where each of the 128 begins in it."""
    order = np.argsort(pitches, kind="stable")
    return order, np.searchsorted(pitches[order], np.arange(129)).astype(np.int64)


class SearchedNotes:
    """A score's notes, ready to be searched; patterns are sought in many of these."""

    def __init__(self, score: Score) -> None:
        self._onsets = _Onsets.of(score)
        pitches = self._onsets.pitches
        order, self.pitch_starts = _by_pitch(pitches)
        notes = self._onsets.notes[order]
        self.times, self.ends = np.ascontiguousarray(notes[:, 0]), notes[:, 2]
        self.groups = self._onsets.groups[order]
        self.seconds = self._onsets.seconds
        first = np.searchsorted(self._onsets.groups, np.arange(len(self.seconds)))
        self.onset_times = self._onsets.notes[first, 0]

    @property
    def onsets(self) -> int:
        """How many there are; chords are one."""
        return len(self.seconds)

    @cached_property
    def by_onset(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each onset's pitches begin, and the pitches."""
        groups = self._onsets.groups
        return np.searchsorted(groups, np.arange(self.onsets + 1)).astype(np.int64), self._onsets.pitches

    @cached_property
    def chances(self) -> tuple[NDArray[np.float64], ...]:
        """What `weigh` takes: chances of pitches, of intervals beside and after, and after another interval."""
        above, after, twice = np.zeros(255), np.zeros(255), np.zeros((25, 25))
        succession(*self.by_onset, above, after, twice)
        notes = len(self.times)
        after = (after + 0.5) / (notes + 1.0)
        known = after[115:140, None]  # intervals of an octave at most
        pairs = known * (notes + 1.0)
        twice = (twice + _PRIOR * known.T) / (pairs + _PRIOR)
        return (np.diff(self.pitch_starts) + 0.5) / (self.onsets + 1.0), (above + 0.5) / (notes + 1.0), after, twice

    def end_of(self, group: int, pitches: Iterable[int]) -> float:
        """Seconds at which the first of an onset's notes of these pitches ends."""
        starts, sounding = self.by_onset
        low, high = int(starts[group]), int(starts[group + 1])
        wanted = set(pitches)
        return min(float(self._onsets.notes[n, 2]) for n in range(low, high) if int(sounding[n]) in wanted)


class Pattern:
    """A phrase to be sought.

    Raises:
        QueryError: it has fewer than three notes, or all begin at once, or more than 500 onsets.
    """

    def __init__(self, score: Score) -> None:
        made = _Onsets.of(score)
        if len(made.notes) < _FEWEST_NOTES or len(made.seconds) < 2:
            raise QueryError(f"a phrase wants {_FEWEST_NOTES} notes, not all at once")
        if len(made.seconds) > _MOST_ONSETS:
            raise QueryError(f"is too long for a phrase: more than {_MOST_ONSETS} chords or notes one after another")
        self.onsets = np.ascontiguousarray(made.notes[:, 0])
        self.pitches = made.pitches
        self.groups = made.groups
        self.seconds = made.seconds
        first = np.searchsorted(made.groups, np.arange(len(made.seconds)))
        self.ends = np.maximum.reduceat(made.notes[:, 2], first)
        apart = np.diff(self.onsets[first])
        apart = np.minimum(apart, np.median(apart))
        spacing = np.minimum(np.append(apart, np.inf), np.append(np.inf, apart))
        self.tolerances = np.maximum(_TOLERANCE * spacing[made.groups], _CHORD)
        self.seeds = _seeds(made.groups)
        self.ties = _ties(self.pitches, made.groups)
        self.by_pitch, self.by_pitch_starts = _by_pitch(self.pitches)

    def __len__(self) -> int:
        """Notes."""
        return len(self.pitches)


def _seeds(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs of notes at successive onsets, lowest with lowest; of many, some spread evenly."""
    by_group = [np.flatnonzero(groups == group).tolist() for group in range(int(groups[-1]) + 1)]
    pairs = [pair for one, two in itertools.pairwise(by_group) for pair in zip(one, two, strict=False)]
    kept = np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), _SEEDS_TRIED_FROM)).round().astype(np.int64))
    return np.array(pairs, np.int64)[kept]


def _ties(pitches: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The intervals that `weigh` takes of each note."""
    ties = np.full((len(pitches), 3), _NONE, np.int64)
    nearest = np.full(len(pitches), -1, np.int64)
    for note, (pitch, group) in enumerate(zip(pitches.tolist(), groups.tolist(), strict=True)):
        if note + 1 < len(pitches) and groups[note + 1] == group:
            ties[note, 0] = pitch - pitches[note + 1]
        before = np.flatnonzero(groups == group - 1)
        if len(before):
            nearest[note] = before[np.argmin(np.abs(pitches[before] - pitch))]
            ties[note, 1] = pitch - pitches[nearest[note]]
            ties[note, 2] = ties[nearest[note], 1]
    return ties


def pattern_places(
    pattern: Pattern,
    notes: SearchedNotes,
    *,
    any_key: bool = False,
    any_rhythm: bool = False,
    min_share: float = MIN_SHARE,
    top: int = 10,
) -> list[PatternPlace]:
    """Places in a score where a pattern occurs, best first; of places that overlap the best.

    Args:
        any_key: at any transposition, not only as written; an octave is one.
        any_rhythm: in any rhythm, not only the pattern's own at a quarter to four times its tempo.
        min_share: in 0..1, of the pattern's notes.
        top: at most so many.
    """
    misses = math.floor((1.0 - min_share) * len(pattern) + 1e-9)
    shifts = np.array(sorted(range(-127, 128), key=abs)) if any_key else np.zeros(1, np.int64)
    found = _in_any_rhythm(pattern, notes, shifts, misses) if any_rhythm else _in_rhythm(pattern, notes, shifts, misses)
    found.sort(key=lambda place: (-place.share, -place.surprise, place.start))
    kept: list[PatternPlace] = []
    for place in found:
        if len(kept) == top:
            break
        if not any(overlap((place.start, place.end), (other.start, other.end)) for other in kept):
            kept.append(place)
    return kept


def chance_places(surprise: float, onsets: int, *, any_key: bool = False) -> float:
    """How many places as surprising as one are at most expected by chance in all that is searched.

    Args:
        surprise: of the place, in bits.
        onsets: of all scores that are searched.
        any_key: whether all transpositions are.
    """
    tried = onsets * _TEMPI * (_KEYS if any_key else 1)
    return tried * 2.0 ** -min(surprise, 1000.0)


def _in_rhythm(pattern: Pattern, notes: SearchedNotes, shifts: NDArray[np.int64], misses: int) -> list[PatternPlace]:
    found = np.empty((_MOST_FOUND, 4))
    rows = geometric(
        pattern.onsets,
        pattern.pitches,
        pattern.tolerances,
        pattern.seeds,
        _SEEDS,
        notes.pitch_starts,
        notes.times,
        shifts,
        misses,
        _SLOWEST,
        found,
    )
    at, bits = np.empty(len(pattern), np.int64), np.empty(len(pattern))
    places = []
    for count, shift, ratio, base in _best(found[:rows], found[:rows, 0]):
        matched_notes(
            pattern.onsets,
            pattern.pitches,
            pattern.tolerances,
            notes.pitch_starts,
            notes.times,
            int(shift),
            ratio,
            base,
            at,
        )
        weigh(pattern.pitches, pattern.ties, int(shift), *notes.chances, bits)
        wanted, reach = base + ratio * pattern.onsets, ratio * pattern.tolerances
        tried = np.searchsorted(notes.onset_times, np.stack([wanted - reach, wanted + reach]))
        surprise = bits - np.log2(np.maximum(tried[1] - tried[0], 1)) - MATCHED
        surprise = float(np.where(at >= 0, surprise, -MISSED).sum())
        there = np.flatnonzero(at >= 0)
        first, last = int(there[0]), int(there[-1])
        groups = int(notes.groups[at[first]]), int(notes.groups[at[last]])
        stretch = int(pattern.groups[first]), int(pattern.groups[last])
        end = float(notes.ends[at[last]])
        places.append(_place(pattern, notes, groups, stretch, end, int(shift), int(count), surprise))
    return places


def _in_any_rhythm(
    pattern: Pattern, notes: SearchedNotes, shifts: NDArray[np.int64], misses: int
) -> list[PatternPlace]:
    found = np.empty((_MOST_FOUND, 7))
    rows = ordered(
        pattern.pitches,
        pattern.groups,
        pattern.ties,
        pattern.by_pitch,
        pattern.by_pitch_starts,
        *notes.by_onset,
        notes.pitch_starts,
        *notes.chances,
        shifts,
        misses,
        _BETWEEN,
        _SKIPPED,
        found,
    )
    places = []
    for row in _best(found[:rows], found[:rows, 2], found[:rows, 0]):
        shift, count, first, last, start, stop = (int(value) for value in row[1:])
        sounding = pattern.pitches[pattern.groups == stop] + shift
        end = notes.end_of(last, sounding.tolist())
        places.append(_place(pattern, notes, (first, last), (start, stop), end, shift, count, row[0]))
    return places


def _best(rows: NDArray[np.float64], *by: NDArray[np.float64]) -> list[list[float]]:
    """The rows that are highest, by one and then another."""
    return list(rows[np.lexsort(by[::-1])[::-1][:_MOST_WEIGHED]].tolist())


def _place(
    pattern: Pattern,
    notes: SearchedNotes,
    groups: tuple[int, int],
    stretch: tuple[int, int],
    end: float,
    shift: int,
    count: int,
    bits: float,
) -> PatternPlace:
    """Of the first and last onset matched, in the score and in the pattern."""
    start = float(notes.seconds[groups[0]])
    lasts = float(pattern.seconds[stretch[1]] - pattern.seconds[stretch[0]])
    ratio = (float(notes.seconds[groups[1]]) - start) / lasts if lasts > 0 else 1.0
    within = float(pattern.seconds[stretch[0]]), float(pattern.ends[stretch[1]])
    return PatternPlace(start, end, *within, -shift, ratio, count / len(pattern), bits)
