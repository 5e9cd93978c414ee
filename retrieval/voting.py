"""Voting: the stored vectors nearest to a clip's windows vote for recordings and places in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from index.runs import Runs
from index.store import VectorStore
from retrieval.fingerprint import FIRST_CENTRE, Fingerprint

__all__ = ["Ballot", "Candidate"]

_Floats = NDArray[np.float64]

_FEWEST_NEIGHBOURS, _MOST_NEIGHBOURS = 12, 48
_VOTES = 360
_CANDIDATES = 30
_PLACES_A_RECORDING = 8
_VOTING_SECONDS = 0.5
_CELLS = 1 << 32
"""More than a recording has."""


class Candidate(NamedTuple):
    """A place for which windows vote.

    Attributes:
        position: of the recording's run.
        middle: recording seconds at the clip's middle, roughly.
        votes: the sum of their squared similarities.
    """

    position: int
    middle: float
    votes: float


class Ballot:
    """Asks the stored vectors.

    Args:
        store: of a library's fingerprints.
        runs: of the same.
    """

    def __init__(self, store: VectorStore, runs: Runs) -> None:
        self._store = store
        self._runs = runs

    def __len__(self) -> int:
        """How many vectors have a vote."""
        return len(self._store)

    def candidates(self, prints: Sequence[Fingerprint], other_than: int = -1) -> list[list[Candidate]]:
        """Of each fingerprint the places for which its windows' neighbours vote, most votes first.

        All are asked for at once: the library's vectors are read once.

        Args:
            prints: of clips, or of one clip at several pitches.
            other_than: position of a run that has no vote.
        """
        return [self._first(*totals) for totals in self._counted(prints, other_than)]

    def most_votes(self, prints: Sequence[Fingerprint]) -> list[float]:
        """Of each fingerprint the votes for its best place; 0 where there is none. Arguments as of `candidates`."""
        return [float(totals.max(initial=0.0)) for _, totals in self._counted(prints)]

    def _counted(self, prints: Sequence[Fingerprint], other_than: int = -1) -> list[tuple[NDArray[np.int64], _Floats]]:
        """Of each fingerprint the cells for which its windows' neighbours vote, and their votes."""
        asked = [np.flatnonzero(each.audible) for each in prints]
        wanted = [_MOST_NEIGHBOURS if other_than >= 0 else _neighbours(len(windows)) for windows in asked]
        self._learn(prints, asked, wanted)
        counted = zip(prints, asked, wanted, strict=True)
        return [self._totals(each, windows, most, other_than) for each, windows, most in counted]

    def _learn(self, prints: Sequence[Fingerprint], asked: list[NDArray[np.int64]], wanted: list[int]) -> None:
        """Ask for the neighbours of those windows of which too few are known."""
        unknown = [
            (each, window)
            for each, windows, most in zip(prints, asked, wanted, strict=True)
            for window in windows.tolist()
            if len(each.neighbours.get(each.centres[window], ((),))[0]) < most
        ]
        if unknown and len(self._store):
            vectors = np.stack([each.vectors[window] for each, window in unknown])
            found = self._store.search(vectors, max(wanted))
            for number, (each, window) in enumerate(unknown):
                each.neighbours[each.centres[window]] = found.numbers[number], found.similarities[number]

    def _totals(
        self, prints: Fingerprint, asked: NDArray[np.int64], most: int, other_than: int
    ) -> tuple[NDArray[np.int64], _Floats]:
        """The cells for which so many neighbours of each of the asked windows vote."""
        if not len(asked) or not len(self._store):
            return np.zeros(0, np.int64), np.zeros(0)
        known = [prints.neighbours[centre] for centre in prints.centres[asked].tolist()]
        numbers = np.stack([found[:most] for found, _ in known])
        similarities = np.stack([found[:most] for _, found in known])
        rows, columns = np.nonzero(numbers >= 0)
        positions, seconds = self._runs.locate(numbers[rows, columns])
        if other_than >= 0:
            elsewhere = positions != other_than
            rows, columns, positions, seconds = (part[elsewhere] for part in (rows, columns, positions, seconds))
        middle = (prints.centres[0] + prints.centres[-1]) / 2
        places = seconds + FIRST_CENTRE - (prints.centres[asked[rows]] - middle)
        cells = np.floor(places / _VOTING_SECONDS).astype(np.int64)
        keys, which = np.unique(positions * _CELLS + cells + _CELLS // 2, return_inverse=True)
        votes = np.maximum(similarities[rows, columns], 0.0) ** 2
        return keys, np.asarray(np.bincount(which, votes), np.float64)

    @staticmethod
    def _first(keys: NDArray[np.int64], totals: _Floats) -> list[Candidate]:
        """The candidates, most votes first, at most so many of a recording."""
        candidates: list[Candidate] = []
        taken: dict[int, int] = {}
        for number in np.argsort(-totals, kind="stable"):
            position, cell = divmod(int(keys[number]), _CELLS)
            taken[position] = taken.get(position, 0) + 1
            if taken[position] <= _PLACES_A_RECORDING:
                place = (cell - _CELLS // 2 + 0.5) * _VOTING_SECONDS
                candidates.append(Candidate(position, place, float(totals[number])))
            if len(candidates) == _CANDIDATES:
                break
        return candidates


def _neighbours(windows: int) -> int:
    """How many neighbours each window asks for: few windows ask for more."""
    return min(max(_VOTES // max(windows, 1), _FEWEST_NEIGHBOURS), _MOST_NEIGHBOURS)
