"""Chromaprint as a peer of Incipit's identification: fpcalc's fingerprints, and the matcher that it lacks.

Chromaprint turns every eighth of a second into a word of 32 bits, the first after 2.6 seconds of sound. The
matcher follows Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002), section 5: every
word of the collection is indexed; each word of a clip is looked up as it is and with up to three of its bits flipped;
each find votes for the recording and the offset that it implies; the offsets with most votes are verified by the
share of bits that differ all along. The score is (1 - 2 * bit error rate) * (words compared) ** 0.2. The power and
the flipped bits are those, of a few tried, with which the most clips are found at 1 % of false accepts.

Wants `fpcalc`, of Debian's libchromaprint-tools.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]
Row = tuple[dict[str, str], str, float, float, float]

FALSE_ACCEPTS = 0.01

_SECONDS_A_WORD = 1365 / 11025
_GAP = 4096  # words between recordings, more than a clip has: no offset runs over two recordings
_FLIPPED_BITS = 3
_VERIFIED = 30
_POWER_OF_LENGTH = 0.2
_MIN_OVERLAP = 0.5  # of a clip's words must lie inside the recording

_index: Index | None = None


class Match(NamedTuple):
    """The recording most like a clip, by its number; `offset` in seconds; number -1 if there is none."""

    track: int
    offset: float
    score: float


@dataclass(frozen=True)
class Index:
    """Fingerprints of a collection.

    Attributes:
        words: of shape (n,), all recordings' words, one recording after the other.
        places: of shape (n,), where each word stands if the recordings are laid out with gaps between them.
        order: of shape (n,), the words in ascending order.
        starts: of shape (recordings,), the place of each recording's first word.
        counts: of shape (recordings,), words of each recording.
    """

    words: Words
    places: NDArray[np.int32]
    order: NDArray[np.int32]
    starts: NDArray[np.int32]
    counts: NDArray[np.int32]

    @classmethod
    def of(cls, prints: Sequence[Words]) -> Index:
        """The index of recordings' fingerprints."""
        counts = np.array([len(words) for words in prints], np.int32)
        starts = (np.cumsum(counts + _GAP) - counts).astype(np.int32)
        places = np.concatenate([start + np.arange(n) for start, n in zip(starts, counts, strict=True)])
        words = np.concatenate(prints)
        order = np.argsort(words, kind="stable").astype(np.int32)
        return cls(words, places.astype(np.int32), order, starts, counts)

    def save(self, folder: Path) -> None:
        """Write what the index cannot be had without; the places follow from the counts."""
        for name in ("words", "order", "counts"):
            np.save(folder / f"{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> Index:
        """Read what `save` wrote."""
        words, order, counts = (np.load(folder / f"{name}.npy") for name in ("words", "order", "counts"))
        starts = (np.cumsum(counts + _GAP) - counts).astype(np.int32)
        places = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(len(words))
        return cls(words, places.astype(np.int32), order, starts, counts)

    def find(self, clip: Words) -> Match:
        """The best of the verified candidates."""
        best = Match(-1, 0.0, 0.0)
        for origin in self._candidates(clip):
            best = max(best, self._verified(clip, int(origin)), key=lambda match: match.score)
        return best

    def _candidates(self, clip: Words) -> NDArray[np.int64]:
        """Places of a clip's first word that most of its words vote for, and both neighbours of each."""
        origins = self._votes(clip)
        if not len(origins):
            return np.zeros(0, np.int64)
        values, votes = np.unique(origins, return_counts=True)
        most = values[np.argsort(-votes, kind="stable")[:_VERIFIED]]
        return np.unique(most[:, None] + np.array([-1, 0, 1]))

    def _votes(self, clip: Words) -> NDArray[np.int64]:
        """For every word of the collection that nearly equals one of the clip, where the clip would begin."""
        probes = (clip[:, None] ^ _flips()[None, :]).ravel()
        asked = np.repeat(np.arange(len(clip)), len(_flips()))
        ordered = self.words[self.order]
        first, last = np.searchsorted(ordered, probes, "left"), np.searchsorted(ordered, probes, "right")
        hits = last - first
        ranks = np.repeat(first - (np.cumsum(hits) - hits), hits) + np.arange(hits.sum())
        return self.places[self.order[ranks]] - np.repeat(asked, hits)

    def _verified(self, clip: Words, origin: int) -> Match:
        """How well the clip fits where it would begin at a place."""
        track = int(np.searchsorted(self.starts - _GAP // 2, origin, "right")) - 1
        if track < 0:
            return Match(-1, 0.0, 0.0)
        offset = origin - int(self.starts[track])
        first, last = max(0, -offset), min(len(clip), int(self.counts[track]) - offset)
        if last - first < max(1, _MIN_OVERLAP * len(clip)):
            return Match(-1, 0.0, 0.0)
        begin = int(self.counts[:track].sum()) + offset
        differ = np.bitwise_count(clip[first:last] ^ self.words[begin + first : begin + last]).mean() / 32
        return Match(track, offset * _SECONDS_A_WORD, float((1 - 2 * differ) * (last - first) ** _POWER_OF_LENGTH))


@cache
def _flips() -> Words:
    """All words of at most `_FLIPPED_BITS` bits set."""
    chosen = [bits for n in range(_FLIPPED_BITS + 1) for bits in combinations(range(32), n)]
    return np.array([sum(1 << bit for bit in bits) for bits in chosen], np.uint32)


def demand() -> None:
    """End the program, saying what to install, if fpcalc is absent."""
    if shutil.which("fpcalc") is None:
        raise SystemExit("chromaprint is measured by its program fpcalc: apt-get install libchromaprint-tools")


def fingerprint(path: str) -> tuple[Words, float]:
    """The words of an audio file, and its seconds; no words where the file is too short or does not decode."""
    call = ["fpcalc", "-raw", "-json", "-length", "0", path]
    printed = subprocess.run(call, capture_output=True, check=False, text=True).stdout
    if not printed.strip():  # fpcalc's exit code is not 0 for many a file that it has read to its end
        return np.zeros(0, np.uint32), 0.0
    answer = json.loads(printed)
    return np.array(answer["fingerprint"], np.uint32), float(answer["duration"])


def measure(collection: Mapping[str, str], asked: Sequence[tuple[dict[str, str], str]], jobs: int) -> list[Row]:
    """Index the collection, ask for every clip, reject what is no better than the best of the outsiders.

    Args:
        collection: path to track_id.
        asked: rows of queries.csv with the path of each clip.
        jobs: processes.

    Returns:
        For each row its track_id (empty where nothing was accepted), offset, score and seconds.
    """
    demand()
    with tempfile.TemporaryDirectory() as folder:
        _build(list(collection), Path(folder), jobs)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, context, _open, (folder,)) as pool:
            answers = list(pool.map(_ask, [path for _, path in asked], chunksize=20))
    names = [*collection.values(), ""]  # number -1 is no recording
    outside = [match.score for (row, _), (match, _) in zip(asked, answers, strict=True) if row["in_collection"] == "0"]
    threshold = _threshold(outside)
    print(f"chromaprint has no threshold of its own: {threshold:.2f} is chosen on these very clips, ", end="")
    print(f"so that at most {FALSE_ACCEPTS:.0%} of the {len(outside)} outsiders of all lengths are accepted")
    return [
        (row, names[match.track] if match.score > threshold else "", match.offset, match.score, seconds)
        for (row, _), (match, seconds) in zip(asked, answers, strict=True)
    ]


def _build(paths: list[str], folder: Path, jobs: int) -> None:
    """Fingerprint recordings, write their index, print what that took."""
    started = time.perf_counter()
    with ThreadPoolExecutor(jobs) as pool:  # fpcalc is a process of its own
        prints = list(pool.map(fingerprint, paths))
    Index.of([words for words, _ in prints]).save(folder)
    seconds, audio = time.perf_counter() - started, sum(duration for _, duration in prints)
    size = sum(path.stat().st_size for path in folder.iterdir())
    read = sum(len(words) > 0 for words, _ in prints)
    print(f"\nchromaprint: {read} recordings, {audio / seconds:.0f}x real time on {jobs} cores, ", end="")
    print(f"{size / 1e6 / (audio / 3600):.2f} MB an hour")


def _threshold(outside: Sequence[float]) -> float:
    """What no more than the allowed share of the outsiders' scores exceeds."""
    ordered = sorted(outside, reverse=True)
    return ordered[int(FALSE_ACCEPTS * len(ordered))] if ordered else 0.0


def _open(folder: str) -> None:
    global _index
    _index = Index.load(Path(folder))


def _ask(path: str) -> tuple[Match, float]:
    """The best match of a clip, and how long it took."""
    assert _index is not None, "the initialiser has run"
    started = time.perf_counter()
    match = _index.find(fingerprint(path)[0])
    return match, time.perf_counter() - started
