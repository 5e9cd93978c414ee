"""Succession: which stretches of a long sequence correspond to which of several groups of other sequences.

The best succession is exact: each row is in the turn of one group at most, or in none. A turn is a chain of paths
(`alignment.local`) through the sequences of its group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment._local_kernels import accumulate_turns
from alignment.errors import AlignmentError
from alignment.local import path_to

__all__ = ["Block", "Succession", "SuccessionCosts", "Turn", "TurnPath", "best_succession"]


@dataclass(frozen=True)
class Block:
    """One of the sequences that a long one is compared with.

    Attributes:
        gains: shape `(rows, columns)`; what a cell adds to a path, positive where the two are alike.
        group: from 0; sequences of one group may take turns at no more than the cost of a path.
    """

    gains: NDArray[np.float32]
    group: int


@dataclass(frozen=True)
class SuccessionCosts:
    """What is taken from the gains.

    Attributes:
        jump: for the beginning of a path.
        switch: for the beginning of a turn, besides.
        idle: for each row of a turn that lies between two paths.
    """

    jump: float
    switch: float
    idle: float


class TurnPath(NamedTuple):
    """A path of a turn.

    Attributes:
        block: through which.
        first, last: rows, both inside.
        start, end: columns of the block at these rows.
    """

    block: int
    first: int
    last: int
    start: int
    end: int


class Turn(NamedTuple):
    """A stretch of rows that corresponds to a group.

    Attributes:
        group: which.
        paths: in the order of rows.
    """

    group: int
    paths: tuple[TurnPath, ...]

    @property
    def first(self) -> int:
        """Its first row."""
        return self.paths[0].first

    @property
    def last(self) -> int:
        """Its last row, inside."""
        return self.paths[-1].last


@dataclass(frozen=True)
class Succession:
    """The turns of a long sequence.

    Attributes:
        score: sum of the gains on all paths, less the costs.
        turns: in the order of rows.
    """

    score: float
    turns: tuple[Turn, ...]


def best_succession(blocks: Sequence[Block], costs: SuccessionCosts) -> Succession:
    """The succession of turns whose gains are highest; without turns, and of score 0, where nothing speaks for one.

    Args:
        blocks: with as many rows each.
        costs: of paths and turns.

    Raises:
        AlignmentError: gains are not finite, or their rows differ in number.
    """
    if not blocks:
        return Succession(0.0, ())
    if len({len(block.gains) for block in blocks}) > 1 or not all(np.isfinite(block.gains).all() for block in blocks):
        raise AlignmentError("The 'gains' must be finite and have the same number of rows in all blocks.")
    gains = np.concatenate([np.asarray(block.gains, np.float32) for block in blocks], axis=1)
    widths = [block.gains.shape[1] for block in blocks]
    numbers = np.repeat(np.arange(len(blocks)), widths)
    groups = np.repeat([block.group for block in blocks], widths)
    filled = _Filled.of(gains.shape, 1 + max(block.group for block in blocks))
    weighed = np.array([costs.jump, costs.switch, costs.idle], np.float32)
    score = float(accumulate_turns(gains, numbers, groups, weighed, *filled))
    starts = np.concatenate([[0], np.cumsum(widths)])
    return Succession(score, tuple(_turns(filled, groups, numbers, starts))[::-1])


class _Filled(NamedTuple):
    """What `accumulate_turns` fills in."""

    pointers: NDArray[np.uint8]
    entered: NDArray[np.uint8]
    inside_ends: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def of(cls, shape: tuple[int, ...], groups: int) -> _Filled:
        rows = shape[0]
        return cls(
            np.empty(shape, np.uint8),
            np.empty((rows, groups), np.uint8),
            np.full((rows + 1, groups), -1, np.int64),
            np.empty(rows + 1, np.int64),
        )


def _turns(
    filled: _Filled, groups: NDArray[np.int64], blocks: NDArray[np.int64], starts: NDArray[np.int64]
) -> Iterator[Turn]:
    """Back from the last row, turn by turn; of each column its group and block, of each block its first column."""
    row, group = len(filled.pointers), -1
    paths: list[TurnPath] = []
    while row > 0:
        column = int(filled.ends[row] if group < 0 else filled.inside_ends[row, group])
        if column < 0:
            row -= 1
            continue
        if group < 0:
            group = int(groups[column])
        last = row - 1
        row, start = (int(value) for value in path_to(filled.pointers, last, column)[0])
        block = int(blocks[column])
        paths.append(TurnPath(block, row, last, start - int(starts[block]), column - int(starts[block])))
        if filled.entered[row, group]:
            yield Turn(group, tuple(paths[::-1]))
            group = -1
            paths.clear()
