"""Measure how well the synchroniser tells the same music from other music and from noise, by whole pairs.

    INCIPIT_DATA=DATA python scripts/bench_refusals.py

Asks for each of the eleven anthems in two real performances, one of either; for each performance with those of the
other anthems; for the halves of each recorded noise; and for noise that is made. The table says how many are accepted,
and the least, or the greatest, confidence.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
from bench_alignment import machine

from alignment import Audio, read_audio
from alignment.audio import ANALYSIS_RATE
from alignment.segments import Synchronisation
from alignment.synchronise import synchronise
from alignment.transposition import Transposable

_NOISE_SECONDS = (15, 30, 60)
_SHORTEST_HALF_SECONDS = 5.0


def main() -> None:
    """Align all pairs and print the table."""
    data = Path(os.environ["INCIPIT_DATA"])
    print(machine())
    print(f"{'pairs':36s}{'accepted':>10s}{'of':>6s}   confidence")
    first, second = (sorted((data / "anthems").glob(f"*-{side}.mp3")) for side in "ab")
    references = [Transposable.of(read_audio(path)) for path in first]
    others = [read_audio(path) for path in second]
    asked = {(i, j): synchronise(references[i], others[j]) for i, j in product(range(len(first)), range(len(second)))}
    _print("an anthem in two performances", [found for (i, j), found in asked.items() if i == j], min)
    _print("different anthems", [found for (i, j), found in asked.items() if i != j], max)
    halves = (pair for path in sorted((data / "noise").rglob("*.*")) for pair in _halves(path))
    _print("halves of recorded noises", [synchronise(*pair) for pair in halves], max)
    _print("white and pink noise", [synchronise(*pair) for pair in _noises()], max)


def _print(name: str, found: list[Synchronisation], extreme: Callable[[Iterable[float]], float]) -> None:
    accepted = sum(one.accepted for one in found)
    told = "least" if extreme is min else "greatest"
    print(f"{name:36s}{accepted:10d}{len(found):6d}   {told} {extreme(one.confidence for one in found):.2f}")


def _halves(path: Path) -> Iterator[tuple[Audio, Audio]]:
    """Of a recorded noise that is not too short."""
    if path.suffix in (".mp3", ".ogg", ".wav", ".flac"):
        samples = read_audio(path).samples
        half = len(samples) // 2
        if half > _SHORTEST_HALF_SECONDS * ANALYSIS_RATE:
            yield Audio(samples[:half]), Audio(samples[half:])


def _noises() -> Iterator[tuple[Audio, Audio]]:
    rng = np.random.default_rng(3)
    for seconds in _NOISE_SECONDS:
        for steep in ((0.0, 0.0), (0.0, 0.5), (0.5, 0.5)):
            yield _noise(seconds, steep[0], rng), _noise(seconds, steep[1], rng)


def _noise(seconds: int, exponent: float, rng: np.random.Generator) -> Audio:
    """Noise whose amplitude falls with that power of frequency."""
    spectrum = np.fft.rfft(rng.standard_normal(seconds * ANALYSIS_RATE))
    spectrum /= np.maximum(np.arange(len(spectrum)), 50.0) ** exponent
    samples = np.fft.irfft(spectrum)
    return Audio((0.1 * samples / samples.std()).astype(np.float32))


if __name__ == "__main__":
    main()
