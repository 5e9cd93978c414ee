"""Numba kernels of votes for recordings: arrays in, arrays out, no validation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def tallied(neighbours: Any, votes: Any, keys: int, recordings: int) -> tuple[Any, Any]:
    """What speaks for each recording in each key, summed over rows.

    A row votes once for a recording, by the first of its neighbours there.

    Args:
        neighbours: int64 `(rows, k)`, below `recordings`: in which each neighbour of a row is, the nearest first; -1
            from where on there are none. The rows of a key stand together, as many of each.
        votes: float32, likewise: what each counts, none below zero.
        keys: how many.
        recordings: how many.

    Returns:
        those voted for, int64 `(found,)`, and their sums, float64 `(found, keys)`; -1 where nothing votes.
    """
    rows, k = neighbours.shape
    segments = rows // keys
    slots = np.full(recordings, -1)
    found = np.empty(min(recordings, rows * k), np.int64)
    last_row = np.full(len(found), -1)
    totals = np.full((len(found), keys), -1.0)
    count = 0
    for row in range(rows):
        key = row // segments
        for column in range(k):
            recording = neighbours[row, column]
            if recording < 0:
                break
            slot = slots[recording]
            if slot < 0:
                slot = slots[recording] = count
                found[slot] = recording
                count += 1
            if last_row[slot] != row:
                last_row[slot] = row
                totals[slot, key] = max(totals[slot, key], 0.0) + votes[row, column]
    return found[:count], totals[:count]
