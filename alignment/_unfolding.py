"""Written measures in the order in which they are played.

Every repeat is taken as often as it says (twice where it says nothing), with the voltas of each pass.
After a jump (da capo, dal segno) repeats are played once, with their last volta, as far as Fine, or
by way of the coda. Only the first jump of a movement is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment._sheet import COMMON_TIME, Measure, Metre, Sheet

__all__ = ["WrittenMeasure", "headings", "perform", "playing_order"]

_MOST_PASSES = 32
_TOLERANCE = 1e-3
"""Quarters within which measures count as full: durations are rounded to divisions."""


@dataclass
class WrittenMeasure:
    """A measure as printed.

    Attributes:
        label: its number as printed.
        unnumbered: no number is printed; what `label` says is the editor program's own.
        length: in quarters.
        metre: the time signature that holds.
        forward: a repeat begins with it.
        backward: passes after which the repeat that ends with it is done; 0 where none ends.
        voltas: passes in which it is played; empty: in all.
        segno, coda: it bears that sign at its start.
        to_coda, fine, da_capo, dal_segno: it ends so.
    """

    label: str = ""
    unnumbered: bool = False
    length: float = 0.0
    metre: Metre = COMMON_TIME
    forward: bool = False
    backward: int = 0
    voltas: frozenset[int] = field(default_factory=frozenset)
    segno: bool = False
    coda: bool = False
    to_coda: bool = False
    fine: bool = False
    da_capo: bool = False
    dal_segno: bool = False


class _Repeat(NamedTuple):
    """Measures `start` to `end - 1` are played once for each of `passes`, the numbers that voltas go by."""

    start: int
    end: int
    passes: tuple[int, ...]


def playing_order(measures: Sequence[WrittenMeasure]) -> list[int]:
    """Indices of the measures in the order in which they are played, movement by movement.

    A movement begins where printed numbers begin again.
    """
    numbers = [None if each.unnumbered or not each.label.isdecimal() else int(each.label) for each in measures]
    starts = [
        index
        for index, (before, number) in enumerate(pairwise(numbers), 1)
        if before is not None and number is not None and number <= 1 < before
    ]
    movements = pairwise([0, *starts, len(measures)])
    return [start + index for start, end in movements for index in _order_of_movement(measures[start:end])]


def _order_of_movement(measures: Sequence[WrittenMeasure]) -> list[int]:
    repeat_of = {index: repeat for repeat in _repeats(measures) for index in range(repeat.start, repeat.end)}
    segno, coda = (
        next((i for i, measure in enumerate(measures) if getattr(measure, sign)), None) for sign in ("segno", "coda")
    )
    order: list[int] = []
    index, current, done, jumped = 0, None, 0, False
    while index < len(measures):
        measure, repeat = measures[index], repeat_of.get(index)
        if repeat is not current:
            current, done = repeat, len(repeat.passes) - 1 if repeat and jumped else 0
        if repeat and measure.voltas and repeat.passes[done] not in measure.voltas:
            index += 1
            continue
        order.append(index)
        target = 0 if measure.da_capo else segno if measure.dal_segno else None
        if jumped and measure.fine:
            break
        if jumped and measure.to_coda and coda is not None and coda > index:
            index = coda
        elif repeat and measure.backward and done < len(repeat.passes) - 1:
            index, done = repeat.start, done + 1
        elif not jumped and target is not None and target <= index:
            index, current, jumped = target, None, True
        else:
            index += 1
    return order


def _repeats(measures: Sequence[WrittenMeasure]) -> list[_Repeat]:
    """Repeated stretches in order; a repeat without a beginning starts where the one before it ends."""
    found: list[_Repeat] = []
    start = 0
    for index, measure in enumerate(measures):
        if index < start:
            continue  # inside the voltas of a repeat that is already found
        if measure.forward:
            start = index
        if measure.backward:
            end = index + 1
            while measure.voltas and end < len(measures) and measures[end].voltas and not measures[end].forward:
                end += 1
            found.append(_Repeat(start, end, _passes(measures[start:end])))
            start = end
    return found


def _passes(measures: Sequence[WrittenMeasure]) -> tuple[int, ...]:
    """Numbers of the passes through a repeat: those of its voltas, and further ones if it is played more often."""
    numbers = sorted({1}.union(*(measure.voltas for measure in measures)))
    missing = min(max(2, *(measure.backward for measure in measures)), _MOST_PASSES) - len(numbers)
    return (*numbers, *range(numbers[-1] + 1, numbers[-1] + 1 + missing))[:_MOST_PASSES]


def perform(
    measures: Sequence[WrittenMeasure],
    notes: NDArray[np.float64],
    tempi: Sequence[tuple[float, float]],
) -> Sheet:
    """Play written music: notes and tempi, in quarters of the written order, are copied to where they sound.

    Columns of the notes beyond the four are kept.

    A note that is held over the end of what is played in one go ends there.
    """
    starts = np.concatenate([[0.0], np.cumsum([measure.length for measure in measures])])
    named = headings(measures)
    notes = notes[np.argsort(notes[:, 0], kind="stable")]
    played: list[Measure] = []
    copies: list[NDArray[np.float64]] = []
    marks: list[tuple[float, float]] = []
    now = 0.0
    for first, last in _runs(playing_order(measures)):
        begin, end = float(starts[first]), float(starts[last + 1])
        # The last measure keeps what sounds after its end: a final note may be longer than the measure.
        until = np.inf if last + 1 == len(measures) else end
        low, high = np.searchsorted(notes[:, 0], [begin - _TOLERANCE, until - _TOLERANCE])
        copy = notes[low:high].copy()
        copy[:, 1] = np.minimum(copy[:, 1], until)
        copy[:, :2] += now - begin
        copies.append(copy)
        before = [tempo for when, tempo in tempi if when <= begin + _TOLERANCE]
        marks += [(now, before[-1])] if before else []
        marks += [(now + when - begin, tempo) for when, tempo in tempi if begin + _TOLERANCE < when < end]
        for index in range(first, last + 1):
            label, beat = named[index]
            shift = now - begin
            here, following = float(starts[index] + shift), float(starts[index + 1] + shift)
            played.append(Measure(label, here, following, measures[index].metre.beat, beat, index))
        now += end - begin
    return Sheet(np.concatenate([*copies, notes[:0]]), played, marks)


def _runs(order: Sequence[int]) -> list[tuple[int, int]]:
    """Consecutive stretches `(first, last)` of an order."""
    runs: list[tuple[int, int]] = []
    for index in order:
        if runs and runs[-1][1] + 1 == index:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    return runs


def headings(measures: Sequence[WrittenMeasure]) -> list[tuple[str, float]]:
    """Printed label and beat at the start of each measure.

    A first measure that is short is a pick-up: its beats end at the bar line. One that fills up what a short
    one before it left open goes on counting. A measure without a printed number goes by the one before it.
    """
    found: list[tuple[str, float]] = []
    filled = 0.0
    for index, measure in enumerate(measures):
        full, label = measure.metre.length, measure.label
        before = 0.0
        if index == 0:
            before = max(full - measure.length, 0.0) if measure.length > 0 else 0.0
        else:
            if measure.unnumbered:
                label = found[-1][0]
            if _TOLERANCE < filled < full - _TOLERANCE and abs(filled + measure.length - full) < _TOLERANCE:
                before = filled
        filled = before + measure.length
        found.append((label, 1.0 + round(before / measure.metre.beat, 6)))
    return found
