"""Measure how excerpts of one performance are found in another, in its own key and in others.

    python scripts/bench_excerpts.py BED... [--every 3]

A bed is a folder of NAME/{a.wav, b.wav, truth.csv}, or a folder of such folders, as `bench_alignment.py` takes them.
Of every so many-th pair excerpts of 10 and 20 s are cut out of b at random and played faster or slower, so that they
sound so many semitones higher: in another key, and at another pace. They are aligned with all of a; and so are excerpts
of the seventh pair after it, which are other music.

The table says how many percent are accepted in the right key and where the performance plays them (half of their points
within 100 ms), how many otherwise, and of other music how many; the rest is refused. Music that returns elsewhere is
wrong there.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import soxr
from bench_alignment import beds_in, errors_of, machine, struck

from alignment import Audio, read_audio, synchronise
from alignment.segments import Synchronisation
from alignment.transposition import Transposable, nearest_transposition

_KEYS = (0, -4, -2, 1, 3)
_SECONDS = (10, 20)
_WITHIN_MS = 100.0
_OTHER = 7


def main() -> None:
    """Measure all excerpts and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("beds", type=Path, nargs="+")
    parser.add_argument("--every", type=int, default=3)
    arguments = parser.parse_args()
    pairs = [pair for _, found in beds_in(arguments.beds) for pair in found]
    right: dict[tuple[int, int], list[bool]] = defaultdict(list)
    wrong: dict[tuple[int, int], list[bool]] = defaultdict(list)
    unlike: dict[tuple[int, int], list[bool]] = defaultdict(list)
    for number in range(0, len(pairs), arguments.every):
        rng = np.random.default_rng([5, number])
        whole = Transposable.of(read_audio(pairs[number] / "a.wav"))
        same, other = (read_audio(pairs[at % len(pairs)] / "b.wav") for at in (number, number + _OTHER))
        for key in _KEYS:
            for seconds in _SECONDS:
                sound, start = excerpt(same, seconds, key, rng)
                found = synchronise(whole, sound)
                is_right = found.accepted and plays(found, pairs[number], start, seconds, key)
                right[key, seconds].append(is_right)
                wrong[key, seconds].append(found.accepted and not is_right)
                unlike[key, seconds].append(synchronise(whole, excerpt(other, seconds, key, rng)[0]).accepted)
    print(machine("numpy", "numba"))
    print("semitones  seconds  excerpts  right %  wrong %  other music accepted %")
    for key, seconds in right:
        row = (100 * np.mean(told[key, seconds]) for told in (right, wrong, unlike))
        print(f"{key:9d} {seconds:8d} {len(right[key, seconds]):9d}  {'  '.join(f'{value:7.1f}' for value in row)}")
    row = (100 * np.mean([one for some in told.values() for one in some]) for told in (right, wrong, unlike))
    print(f"{'all':>9} {'':8} {sum(map(len, right.values())):9d}  {'  '.join(f'{value:7.1f}' for value in row)}")


def excerpt(audio: Audio, seconds: int, key: int, rng: np.random.Generator) -> tuple[Audio, float]:
    """A stretch from anywhere, played so that it sounds so many semitones higher, and where it begins."""
    start = rng.uniform(0.0, max(audio.duration - seconds, 0.0))
    samples = audio.samples[round(start * audio.rate) : round((start + seconds) * audio.rate)]
    played = soxr.resample(samples, audio.rate * 2 ** (key / 12), audio.rate) if key else samples
    return Audio(np.ascontiguousarray(played, np.float32)), start


def plays(found: Synchronisation, pair: Path, start: float, seconds: int, key: int) -> bool:
    """Whether half of the excerpt's points, or more, are where they belong, in the right key."""
    points = struck(pair)
    points = points[(points[:, 1] > start) & (points[:, 1] < start + seconds)]
    points[:, 1] = (points[:, 1] - start) / 2 ** (key / 12)
    matches = [np.column_stack([part.path.ref, part.path.other]) for part in found.segments if part.path is not None]
    within = np.abs(errors_of(matches, points)) <= _WITHIN_MS
    return nearest_transposition(-found.transposition) == nearest_transposition(key) and bool(np.mean(within) >= 0.5)


if __name__ == "__main__":
    main()
