"""Many performances synchronised to one reference, and so to each other.

Every performance is aligned with the reference, and any two through it: what goes from a to b to c goes from
a to c. With three or more recordings the paths are found anew against the mean of all others' features on the
reference's timeline, which has less of any one's sound and slips than the reference alone (the idea of
Wang, Ewert and Dixon, Robust Joint Alignment of Multiple Versions of a Piece of Music, ISMIR 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from alignment.analysed import Analysed
from alignment.audio import Audio
from alignment.features.chroma import normalise_columns
from alignment.features.frames import FEATURE_RATE
from alignment.segments import Synchronisation
from alignment.synchronise import refined, synchronise_in_one_key
from alignment.transposition import Transposable

__all__ = ["Ensemble"]

_FRAMES_AT_ONCE = 4096


class Ensemble:
    """Performances that are added one by one.

    Args:
        ref: the reference. Its sound is kept, unless what was computed of it is given.
    """

    def __init__(self, ref: Audio | Transposable):
        self._ref = Transposable.of(ref) if isinstance(ref, Audio) else ref
        self._added: list[tuple[Synchronisation, Analysed]] = []
        self._free: list[int] = []

    def add(
        self, other: Audio, *, band: float | None = None, anchors: Sequence[tuple[float, float]] = ()
    ) -> Synchronisation:
        """Synchronise one more with the reference; arguments as in `synchronise`."""
        added = Transposable.of(other)
        alignment, ref, side = synchronise_in_one_key(self._ref, added, band, anchors)
        if alignment.accepted and band is None and not anchors:
            self._free.append(len(self._added))
            if lowered := round((ref.tuning - self._ref.analysed.tuning) / 100.0):
                side = added.lowered(-lowered)  # sides are summed in the key in which the reference sounds
        self._added.append((alignment, side))
        return alignment

    def joint(self) -> list[Synchronisation]:
        """Alignments of all, in the order added; improved jointly where at least two are accepted.

        What was aligned within a band or by anchors stays as it is.
        """
        out = [alignment for alignment, _ in self._added]
        ref = self._ref.analysed
        features = ref.features
        if len(self._free) < 2 or features is None:
            return out
        total = features.fine.astype(np.float32)
        for number in self._free:
            _add(total, ref, *self._added[number], 1.0)
        for number in self._free:
            alignment, side = self._added[number]
            without = total.copy()
            _add(without, ref, alignment, side, -1.0)
            out[number] = refined(ref, normalise_columns(without), side, alignment)
        return out


def _add(total: NDArray[np.float32], ref: Analysed, alignment: Synchronisation, side: Analysed, sign: float) -> None:
    """Add a performance's features to a sum on the reference's timeline, in place."""
    assert side.features is not None, "what is accepted has sound"
    fine = side.features.fine
    for path in (segment.path for segment in alignment.segments if segment.path is not None):
        edges = np.clip((path.ref[[0, -1]] - ref.start) * FEATURE_RATE, 0, total.shape[1] - 1)
        low, high = int(np.ceil(edges[0])), int(edges[1]) + 1
        for first, end in pairwise([*range(low, high, _FRAMES_AT_ONCE), high]):
            seconds = path.map(np.arange(first, end) / FEATURE_RATE + ref.start)
            frames = np.rint((seconds - side.start) * FEATURE_RATE).astype(np.int64)
            total[:, first:end] += np.float32(sign) * fine[:, np.clip(frames, 0, fine.shape[1] - 1)]
