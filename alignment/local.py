"""Local alignment: the paths along which parts of two sequences correspond, in whatever order they come.

The best chain of paths is exact: each row belongs to one path at most, paths may begin at any column, and each
costs something to begin. It generalises the score Qmax (Serrà, Serra and Andrzejak, "Cross recurrence
quantification for cover song identification", New J. Phys. 2009), which takes the best path alone, to pieces whose
parts come in another order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alignment._local_kernels import NEW, TWO_COLUMNS, TWO_ROWS, accumulate_chains, score_chains
from alignment.errors import AlignmentError

__all__ = ["Chain", "best_chain", "chain_scores", "path_to"]


@dataclass(frozen=True)
class Chain:
    """Corresponding parts of two sequences.

    Attributes:
        score: sum of the gains on the paths, less what their beginnings cost.
        paths: in the order of rows, each of cells `(row, column)`, int64, shape `(length, 2)`; rows increase by one
            or two from cell to cell, columns likewise.
    """

    score: float
    paths: tuple[NDArray[np.int64], ...]


def best_chain(gains: NDArray[np.float32], jump: float) -> Chain:
    """The chain of paths whose gains are highest; without paths, and of score 0, where nothing speaks for one.

    Args:
        gains: shape `(rows, columns)`; what a cell adds to a path, positive where the two are alike.
        jump: what it costs to begin a path.

    Raises:
        AlignmentError: `gains` is not two-dimensional or not finite.
    """
    score, pointers, ends = _accumulated(gains, jump)
    paths = []
    row = len(gains)
    while row > 0:
        column = int(ends[row])
        if column < 0:
            row -= 1
            continue
        cells = path_to(pointers, row - 1, column)
        paths.append(cells)
        row = int(cells[0, 0])
    return Chain(score, tuple(reversed(paths)))


def chain_scores(gains: NDArray[np.float32], bounds: NDArray[np.int64], jump: float) -> NDArray[np.float32]:
    """The scores of the best chains of one sequence with each of several, without their paths.

    Args:
        gains: shape `(rows, columns)`, as in `best_chain`; the columns of the sequences stand one behind the other.
        bounds: where those of each begin, and those of the last end, shape `(sequences + 1,)`.
        jump: what it costs to begin a path.

    Returns:
        shape `(sequences,)`.

    Raises:
        AlignmentError: `gains` is not two-dimensional or not finite, or `bounds` are not places between its columns.
    """
    values = _checked(gains)
    places = np.asarray(bounds, np.int64)
    if len(places) == 0 or places[0] < 0 or places[-1] > values.shape[1] or (np.diff(places) < 0).any():
        raise AlignmentError("The 'bounds' must rise from the first of the columns to the last.")
    scores = np.empty(len(places) - 1, np.float32)
    score_chains(values, places, jump, scores)
    return scores


def _accumulated(gains: NDArray[np.float32], jump: float) -> tuple[float, NDArray[np.uint8], NDArray[np.int64]]:
    values = _checked(gains)
    pointers = np.empty(gains.shape, np.uint8)
    before = np.empty(len(gains) + 1, np.float32)
    ends = np.empty(len(gains) + 1, np.int64)
    return float(accumulate_chains(values, jump, pointers, before, ends)), pointers, ends


def _checked(gains: NDArray[np.float32]) -> NDArray[np.float32]:
    if gains.ndim != 2 or not np.isfinite(gains).all():
        raise AlignmentError("The 'gains' must be finite and two-dimensional.")
    return np.ascontiguousarray(gains, np.float32)


def path_to(pointers: NDArray[np.uint8], row: int, column: int) -> NDArray[np.int64]:
    """Back from a cell to where its path begins."""
    cells = [(row, column)]
    while (pointer := pointers[row, column]) != NEW:
        row -= 2 if pointer == TWO_ROWS else 1
        column -= 2 if pointer == TWO_COLUMNS else 1
        cells.append((row, column))
    return np.array(cells[::-1], np.int64)
