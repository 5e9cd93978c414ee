"""Numba kernels of the search for note patterns: arrays in, arrays out, no validation.

A pattern's notes are sorted by onset, then pitch. A score's are given twice: by pitch, as the rising times of each
(those of pitch p at `starts[p]:starts[p + 1]`), and by onset, as the rising pitches of each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_PITCHES = 128
_OCTAVE = 12
_ASTRAY = 3
"""More misses than so many, and than half of the notes tried, end the following of a seed."""

_SAME_RATIO = 0.01
MATCHED = 0.19
MISSED = 3.0
"""Bits that it takes to say of a note that it is matched, or is not: one in eight is expected not to be."""


@njit(cache=True, nogil=True)
def succession(group_starts: Any, pitches: Any, above: Any, after: Any, twice: Any) -> None:
    """Count intervals: within an onset, to the next onset, and two in a row over three onsets.

    Args:
        above: float64 `(255,)`, zeros; interval + 127.
        after: the same.
        twice: float64 `(25, 25)`, zeros; first and second interval, of an octave at most, + 12.
    """
    groups = len(group_starts) - 1
    for j in range(groups):
        for n in range(group_starts[j], group_starts[j + 1]):
            for other in range(group_starts[j], group_starts[j + 1]):
                above[pitches[other] - pitches[n] + 127] += 1.0
            if j + 1 == groups:
                continue
            for other in range(group_starts[j + 1], group_starts[j + 2]):
                first = pitches[other] - pitches[n]
                after[first + 127] += 1.0
                if j + 2 == groups or abs(first) > _OCTAVE:
                    continue
                for third in range(group_starts[j + 2], group_starts[j + 3]):
                    second = pitches[third] - pitches[other]
                    if abs(second) <= _OCTAVE:
                        twice[first + _OCTAVE, second + _OCTAVE] += 1.0


@njit(cache=True, nogil=True)
def _possible(pitches: Any, starts: Any, shift: int, misses: int) -> bool:
    """Whether so many of a pattern's pitches, shifted, occur in a score at all that it can."""
    lacking = 0
    for k in range(len(pitches)):
        pitch = pitches[k] + shift
        if pitch < 0 or pitch >= _PITCHES or starts[pitch] == starts[pitch + 1]:
            lacking += 1
            if lacking > misses:
                return False
    return True


@njit(cache=True, nogil=True)
def _nearest(times: Any, low: int, high: int, wanted: float) -> int:
    """The index in `times[low:high]`, which is not empty, that is nearest to a time."""
    begin, end = low, high
    while begin < end:
        middle = (begin + end) >> 1
        if times[middle] < wanted:
            begin = middle + 1
        else:
            end = middle
    if begin == high or (begin > low and wanted - times[begin - 1] < times[begin] - wanted):
        return begin - 1
    return begin


@njit(cache=True, nogil=True)
def matched_notes(
    onsets: Any, pitches: Any, tolerances: Any, starts: Any, times: Any, shift: int, ratio: float, base: float, at: Any
) -> int:
    """Lay a pattern along a score: at `base + ratio * onset`, `shift` semitones higher.

    Args:
        at: int64, of the pattern's length; gets the index in `times` of each note, or -1.

    Returns:
        how many notes are matched.
    """
    count = 0
    for k in range(len(onsets)):
        at[k] = -1
        pitch = pitches[k] + shift
        if 0 <= pitch < _PITCHES and starts[pitch] < starts[pitch + 1]:
            wanted = base + ratio * onsets[k]
            n = _nearest(times, starts[pitch], starts[pitch + 1], wanted)
            if abs(times[n] - wanted) <= ratio * tolerances[k]:
                at[k] = n
                count += 1
    return count


@njit(cache=True, nogil=True)
def _follow(
    onsets: Any,
    pitches: Any,
    tolerances: Any,
    starts: Any,
    times: Any,
    shift: int,
    seed: Any,
    begun: Any,
    misses: int,
    fit: Any,
) -> bool:
    """From two matched notes go on to the end of a pattern, then back to its start, fitting the line anew at each."""
    a, b = seed[0], seed[1]
    zero, origin = onsets[a], begun[0]
    x, y = onsets[b] - zero, begun[1] - begun[0]
    count, sum_x, sum_y, sum_xx, sum_xy = 2.0, x, y, x * x, x * y
    ratio, base = y / x, 0.0
    missed = 0
    m = len(onsets)
    for step in range(m):
        k = a + step if step < m - a else m - 1 - step
        if k in (a, b):
            continue
        x = onsets[k] - zero
        pitch = pitches[k] + shift
        hit = False
        if 0 <= pitch < _PITCHES and starts[pitch] < starts[pitch + 1]:
            wanted = origin + base + ratio * x
            n = _nearest(times, starts[pitch], starts[pitch + 1], wanted)
            if abs(times[n] - wanted) <= ratio * tolerances[k]:
                hit = True
                y = times[n] - origin
                count += 1.0
                sum_x += x
                sum_y += y
                sum_xx += x * x
                sum_xy += x * y
                ratio = (count * sum_xy - sum_x * sum_y) / (count * sum_xx - sum_x * sum_x)
                base = (sum_y - ratio * sum_x) / count
        if not hit:
            missed += 1
            if missed > misses or missed > max(_ASTRAY, (step + 1) // 2):
                return False
    fit[0] = ratio
    fit[1] = origin + base - ratio * zero
    return True


@njit(cache=True, nogil=True)
def _choose(seeds: Any, pitches: Any, starts: Any, shift: int, chosen: Any, used: Any) -> int:
    """The seeds that have no note in common and occur least often; those that cannot occur are spent on nothing."""
    used[:] = False
    for rank in range(len(chosen)):
        best, least = -1, np.inf
        for s in range(len(seeds)):
            a, b = seeds[s, 0], seeds[s, 1]
            if used[a] or used[b]:
                continue
            one, two = pitches[a] + shift, pitches[b] + shift
            size = 0.0
            if 0 <= one < _PITCHES and 0 <= two < _PITCHES:
                size = float(starts[one + 1] - starts[one]) * float(starts[two + 1] - starts[two])
            if size < least:
                best, least = s, size
        if best < 0:
            return rank
        chosen[rank] = best
        used[seeds[best, 0]] = used[seeds[best, 1]] = True
    return len(chosen)


@njit(cache=True, nogil=True)
def geometric(
    onsets: Any,
    pitches: Any,
    tolerances: Any,
    seeds: Any,
    most_seeds: int,
    starts: Any,
    times: Any,
    shifts: Any,
    misses: int,
    slowest: float,
    found: Any,
) -> int:
    """Places where a pattern occurs at one tempo but for a number of notes.

    Args:
        onsets: float64 `(m,)`, rising; `pitches` int64, `tolerances` float64 of the pattern's own time.
        seeds: int64 `(s, 2)`, pairs of notes that follow one another; `most_seeds` of them are tried.
        times: float64, of the score by pitch, with `starts` int64 `(129,)`.
        shifts: int64, semitones by which the pattern is moved.
        misses: notes that may be missing.
        slowest: the tempo ratio is between this one's inverse and it.
        found: float64 `(r, 4)`; gets matched notes, shift, ratio and base of each.

    Returns:
        how many rows of `found` are filled.
    """
    m = len(onsets)
    chosen = np.empty(most_seeds, np.int64)
    used = np.empty(m, np.bool_)
    at = np.empty(m, np.int64)
    fit = np.empty(2, np.float64)
    begun = np.empty(2, np.float64)
    middle = 0.5 * (onsets[0] + onsets[m - 1])
    rows = 0
    for shift in shifts:
        if not _possible(pitches, starts, shift, misses):
            continue
        first_row = rows
        for rank in range(_choose(seeds, pitches, starts, shift, chosen, used)):
            seed = seeds[chosen[rank]]
            one, two = pitches[seed[0]] + shift, pitches[seed[1]] + shift
            if one < 0 or two < 0 or one >= _PITCHES or two >= _PITCHES:
                continue
            apart = onsets[seed[1]] - onsets[seed[0]]
            nearest, furthest = apart / slowest, apart * slowest
            low, end = starts[two], starts[two + 1]
            for n in range(starts[one], starts[one + 1]):
                begun[0] = times[n]
                while low < end and times[low] < begun[0] + nearest:
                    low += 1
                other = low
                while other < end and times[other] <= begun[0] + furthest:
                    begun[1] = times[other]
                    other += 1
                    if not _follow(onsets, pitches, tolerances, starts, times, shift, seed, begun, misses, fit):
                        continue
                    ratio, base = fit[0], fit[1]
                    known = False
                    for row in range(first_row, rows):
                        if (
                            abs(found[row, 2] - ratio) <= _SAME_RATIO * ratio
                            and abs(found[row, 3] + found[row, 2] * middle - base - ratio * middle)
                            <= ratio * tolerances[seed[0]]
                        ):
                            known = True
                            break
                    if known:
                        continue
                    count = matched_notes(onsets, pitches, tolerances, starts, times, shift, ratio, base, at)
                    straight = (begun[1] - begun[0]) / apart  # the seed's own line: a wrong note may have bent the fit
                    origin = begun[0] - straight * onsets[seed[0]]
                    alone = matched_notes(onsets, pitches, tolerances, starts, times, shift, straight, origin, at)
                    if alone > count:
                        count, ratio, base = alone, straight, origin
                    if count < m - misses:
                        continue
                    found[rows, 0], found[rows, 1], found[rows, 2], found[rows, 3] = count, shift, ratio, base
                    rows += 1
                    if rows == len(found):
                        return rows
    return rows


@njit(cache=True, nogil=True)
def weigh(pitches: Any, ties: Any, shift: int, shares: Any, above: Any, after: Any, twice: Any, bits: Any) -> None:
    """How surprising each note of a pattern is where it is matched, in bits.

    The chance is the greatest of three: of its pitch at an onset of the score, of its interval beside another note,
    and of its interval after the one before, given the interval before that.

    Args:
        ties: int64 `(m, 3)`, intervals of each note: from the next higher one beside it, from the nearest at the onset
            before, from that one's nearest to it; 127 where there is none.
        shares: float64 `(128,)`, of a score's onsets that have a pitch; `above`, `after` `(255,)` of its notes that
            have another beside them, or after, at an interval; `twice` `(25, 25)`, of pairs of notes that a third
            follows: first and second interval.
        bits: float64, gets them.
    """
    for k in range(len(pitches)):
        pitch = pitches[k] + shift
        chance = shares[pitch] if 0 <= pitch < _PITCHES else 1.0
        beside, before, earlier = ties[k]
        if beside != 127:
            chance = max(chance, above[beside + 127])
        if before != 127:
            if abs(before) <= _OCTAVE and abs(earlier) <= _OCTAVE:
                chance = max(chance, twice[earlier + _OCTAVE, before + _OCTAVE])
            else:
                chance = max(chance, after[before + 127])
        bits[k] = -np.log2(min(chance, 1.0))


@njit(cache=True, nogil=True)
def ordered(
    pitches: Any,
    groups: Any,
    ties: Any,
    by_pitch: Any,
    by_pitch_starts: Any,
    group_starts: Any,
    score_pitches: Any,
    starts: Any,
    shares: Any,
    above: Any,
    after: Any,
    twice: Any,
    shifts: Any,
    misses: int,
    between: int,
    skipped: int,
    found: Any,
) -> int:
    """Places where a pattern's onsets occur one after the other, in any rhythm, but for a number of notes.

    By dynamic programming over the score's onsets j and the pattern's i: as many notes as can be, then as many bits,
    of what is matched, less one for every onset from one matched to the next, and what it takes to say which notes are
    missing.

    Args:
        groups: int64, the number of each note's onset in the pattern.
        by_pitch: int64, the pattern's notes by pitch, with `by_pitch_starts` `(129,)`.
        group_starts: int64, of the score's onsets in `score_pitches`.
        starts: of the score's pitches, for what cannot occur.
        between: onsets of the score that may lie between two of the pattern that follow one another.
        skipped: onsets of the pattern in a row that may have nothing matched.
        found: float64 `(r, 7)`; gets bits, shift, matched notes, first and last onset of the score, and of the pattern.

    Returns:
        how many rows of `found` are filled.
    """
    m = len(pitches)
    k = groups[m - 1] + 1
    until = np.zeros(k + 1, np.int64)
    for n in range(m):
        until[groups[n] + 1] += 1
    until = np.cumsum(until)
    window = between + skipped + 2
    value = np.empty((k, window), np.float64)
    count = np.empty((k, window), np.int64)
    begun = np.empty((k, window), np.int64)
    when = np.empty((k, window), np.int64)
    stamp = np.empty(k, np.int64)
    gain = np.empty(k, np.float64)
    hits = np.empty(k, np.int64)
    touched = np.empty(k, np.int64)
    bits = np.empty(m, np.float64)
    rows = 0
    for shift in shifts:
        if not _possible(pitches, starts, shift, misses):
            continue
        weigh(pitches, ties, shift, shares, above, after, twice, bits)
        when[:] = -1
        stamp[:] = -1
        first_row = rows
        for j in range(len(group_starts) - 1):
            number = 0
            for n in range(group_starts[j], group_starts[j + 1]):
                pitch = score_pitches[n] - shift
                if pitch < 0 or pitch >= _PITCHES:
                    continue
                for q in range(by_pitch_starts[pitch], by_pitch_starts[pitch + 1]):
                    note = by_pitch[q]
                    i = groups[note]
                    if stamp[i] != j:
                        stamp[i], gain[i], hits[i] = j, 0.0, 0
                        touched[number] = i
                        number += 1
                    gain[i] += bits[note] - MATCHED
                    hits[i] += 1
            slot = j % window
            for t in range(number):
                i = touched[t]
                best, many, start = 0.0, -1, j * k + i
                if until[i] <= misses:
                    best, many = -MISSED * until[i], 0
                for step in range(1, min(skipped + 1, i) + 1):
                    before = i - step
                    lost = MISSED * (until[i] - until[before + 1])
                    for gap in range(min(between + step, j)):
                        old = (j - 1 - gap) % window
                        if when[before, old] == j - 1 - gap:
                            total = value[before, old] - lost - 1.0 - gap
                            more = count[before, old] - many
                            if more > 0 or (more == 0 and total > best):
                                best, many, start = total, count[before, old], begun[before, old]
                if many < 0:
                    continue
                many += hits[i]
                if until[i + 1] - many > misses:
                    continue
                best += gain[i] - MISSED * (until[i + 1] - until[i] - hits[i])
                value[i, slot], count[i, slot], begun[i, slot], when[i, slot] = best, many, start, j
                best -= MISSED * (m - until[i + 1])
                if many < m - misses:
                    continue
                row = rows
                if rows > first_row and found[rows - 1, 3] * k + found[rows - 1, 5] == start:
                    more = many - found[rows - 1, 2]
                    if more < 0 or (more == 0 and best <= found[rows - 1, 0]):
                        continue
                    row = rows - 1
                found[row, 0], found[row, 1], found[row, 2] = best, shift, many
                found[row, 3], found[row, 4], found[row, 5], found[row, 6] = start // k, j, start % k, i
                rows = max(rows, row + 1)
                if rows == len(found):
                    return rows
    return rows
