"""Essentia's Qmax as a peer of Incipit's version search: a program of its own, for an environment that has essentia.

    python scripts/peer_qmax.py TRACKS.csv SCORES.npy [--segment 20]

TRACKS.csv has the columns path and query (1 or 0). SCORES.npy receives the similarities of all tracks to each query,
shape (queries, tracks), minus Qmax's distance; higher is more alike. Prints the seconds of one core for a pair.

Features are harmonic pitch class profiles (22050 Hz, frames of 4096, hop 2048, averages of 8 frames); the cross
recurrence stacks 9 of them, keeps .095 nearest neighbours and takes the optimal transposition (Serra, Serra and
Andrzejak 2009). With --segment only so many seconds from the middle of each query are used.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_FRAMES_AVERAGED = 8
_FRAME_SECONDS = 2048 * _FRAMES_AVERAGED / 22050


def profiles(path: str) -> NDArray[np.float32]:
    """Harmonic pitch class profiles, shape `(frames, 12)`."""
    import essentia.standard as essentia

    samples = essentia.MonoLoader(filename=path, sampleRate=22050)()
    window, spectrum = essentia.Windowing(type="blackmanharris62"), essentia.Spectrum()
    peaks = essentia.SpectralPeaks(
        sampleRate=22050, minFrequency=100, maxFrequency=3500, maxPeaks=100, magnitudeThreshold=1e-5
    )
    whitening = essentia.SpectralWhitening(sampleRate=22050, maxFrequency=3500)
    profile = essentia.HPCP(
        sampleRate=22050,
        minFrequency=100,
        maxFrequency=3500,
        size=12,
        harmonics=8,
        weightType="cosine",
        nonLinear=False,
    )
    out = []
    for frame in essentia.FrameGenerator(samples, frameSize=4096, hopSize=2048, startFromZero=True):
        magnitudes = spectrum(window(frame))
        frequencies, heights = peaks(magnitudes)
        out.append(profile(frequencies, whitening(magnitudes, frequencies, heights)))
    whole = len(out) // _FRAMES_AVERAGED * _FRAMES_AVERAGED
    means = np.array(out[:whole], np.float32).reshape(-1, _FRAMES_AVERAGED, 12).mean(axis=1)
    loudest = np.maximum(means.max(axis=1, keepdims=True), 1e-6)
    return np.asarray(np.maximum(means / loudest, 1e-3), np.float32)


def distance(query: NDArray[np.float32], track: NDArray[np.float32]) -> float:
    """Qmax's, of a query to a track."""
    import essentia.standard as essentia

    alike = essentia.ChromaCrossSimilarity(frameStackSize=9, frameStackStride=1, binarizePercentile=0.095, oti=True)
    found = essentia.CoverSongSimilarity(alignmentType="serra09", distanceType="asymmetric")
    return float(found(alike(query, track))[1])


def middle(frames: NDArray[np.float32], seconds: float) -> NDArray[np.float32]:
    """So many seconds from the middle, or all if that is 0."""
    count = int(seconds / _FRAME_SECONDS)
    start = max(0, (len(frames) - count) // 2)
    return frames[start : start + count] if seconds else frames


def main() -> None:
    """Compare every query with every track."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tracks", type=Path)
    parser.add_argument("scores", type=Path)
    parser.add_argument("--segment", type=float, default=0.0)
    arguments = parser.parse_args()
    rows = list(csv.DictReader(arguments.tracks.open()))
    found = [profiles(row["path"]) for row in rows]
    queries = [
        middle(frames, arguments.segment) for frames, row in zip(found, rows, strict=True) if row["query"] == "1"
    ]
    started = time.process_time()
    scores = np.array([[-distance(query, track) for track in found] for query in queries], np.float32)
    print(f"{(time.process_time() - started) / max(scores.size, 1):.4f}")
    np.save(arguments.scores, np.where(np.isfinite(scores), scores, -1e9))


if __name__ == "__main__":
    main()
