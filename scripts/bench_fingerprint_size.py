"""What more or fewer bytes an hour buy: recordings identified by dimensions and hop of the fingerprint.

    python scripts/bench_fingerprint_size.py BED [--only REGEX] [--lengths 1 2 5] [--model FILE.onnx] [--every 1]

BED is as for bench_identification.py. Vectors are projected onto their first principal components and rounded to
bytes. Every offset of every recording is tried, so that the table shows the vectors alone: the recording with the
highest mean similarity at one offset is the answer, and no threshold is set.
"""

from __future__ import annotations

import argparse
import csv
import platform
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignment.audio import read_audio
from alignment.features import FEATURE_RATE
from retrieval.embedding.encoder import MODEL_PATH, Encoder
from retrieval.fingerprint import Windows

FINEST_HOP = 12
FORMATS = ((128, 1), (64, 1), (128, 2), (96, 2), (64, 2), (32, 2), (128, 4), (64, 4))
"""Dimensions, and the hop as a multiple of the finest, 0.24 s."""


class Tracks(NamedTuple):
    """All recordings one behind the other: vectors each 0.24 s, and whose they are."""

    vectors: NDArray[np.float32]
    owner: NDArray[np.int64]


def main() -> None:
    """Embed everything once, then judge each format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bed", type=Path)
    parser.add_argument("--only", default="", help="regular expression on condition-level")
    parser.add_argument("--lengths", type=int, nargs="*", default=[1, 2, 5])
    parser.add_argument("--model", type=Path, default=MODEL_PATH)
    parser.add_argument("--every", type=int, default=1, help="only every so-manieth clip")
    arguments = parser.parse_args()
    encoder = Encoder(arguments.model)
    names = [row["track_id"] for row in csv.DictReader((arguments.bed / "collection.csv").open())]
    paths = [row["path"] for row in csv.DictReader((arguments.bed / "collection.csv").open())]
    tracks = embedded(paths, encoder)
    clips = [row for row in csv.DictReader((arguments.bed / "queries.csv").open()) if wanted(row, arguments)]
    right: dict[tuple[int, int], dict[int, list[bool]]] = defaultdict(lambda: defaultdict(list))
    axes = {dimensions: principal_axes(tracks.vectors, dimensions) for dimensions, _ in FORMATS}
    stored = {dimensions: rounded(tracks.vectors @ axes[dimensions]) for dimensions in axes}
    for row in clips[:: arguments.every]:
        prints = Windows(read_audio(arguments.bed / row["path"]), encoder).embed(FINEST_HOP)
        for dimensions, multiple in FORMATS:
            clip = prints.vectors @ axes[dimensions]
            found = names[best_track(clip, stored[dimensions], tracks.owner, multiple)]
            right[dimensions, multiple][int(row["length_s"])].append(found == row["track_id"])
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {len(names)} recordings")
    print("dimensions  hop s  MB/h  " + "".join(f"{length:>7d} s" for length in arguments.lengths))
    for (dimensions, multiple), by_length in right.items():
        hop = multiple * FINEST_HOP / FEATURE_RATE
        cells = "".join(f"{100 * np.mean(by_length[length]):9.1f}" for length in arguments.lengths)
        print(f"{dimensions:10d}  {hop:5.2f}  {dimensions / hop * 3600 / 1e6:4.2f}  {cells}")


def wanted(row: dict[str, str], arguments: argparse.Namespace) -> bool:
    """Whether a clip is in the collection and asked for."""
    named = re.search(arguments.only, f"{row['condition']}-{row['level']}")
    return row["in_collection"] == "1" and int(row["length_s"]) in arguments.lengths and bool(named)


def embedded(paths: list[str], encoder: Encoder) -> Tracks:
    """The vectors of all recordings."""
    found = [Windows(read_audio(path), encoder).embed(FINEST_HOP).vectors for path in paths]
    return Tracks(np.concatenate(found), np.repeat(np.arange(len(found)), [len(vectors) for vectors in found]))


def principal_axes(vectors: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """The directions in which vectors differ most, shape `(128, dimensions)`."""
    if dimensions == vectors.shape[1]:
        return np.eye(dimensions, dtype=np.float32)
    values, axes = np.linalg.eigh(vectors.T @ vectors)
    return np.asarray(axes[:, np.argsort(-values)[:dimensions]], np.float32)


def rounded(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vectors as bytes hold them."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    scale = 127.0 / np.quantile(np.abs(unit), 0.9999)
    return np.asarray(np.clip(np.rint(unit * scale), -127, 127) / scale, np.float32)


def best_track(clip: NDArray[np.float32], stored: NDArray[np.float32], owner: NDArray[np.int64], multiple: int) -> int:
    """The recording with the highest mean similarity at one offset of a clip."""
    totals = list(_scores(clip, stored[::multiple], multiple))
    best = max(range(len(totals)), key=lambda number: totals[number].max(initial=-1.0))
    return int(owner[::multiple][int(np.argmax(totals[best]))])


def _scores(clip: NDArray[np.float32], stored: NDArray[np.float32], multiple: int) -> Iterator[NDArray[np.float32]]:
    """For each phase of the clip against the stored windows, the mean similarity at each offset."""
    unit = clip / np.maximum(np.linalg.norm(clip, axis=1, keepdims=True), 1e-9)
    similarities = unit @ stored.T
    for phase in range(min(multiple, len(clip))):
        rows = np.arange(phase, len(clip), multiple)
        length = similarities.shape[1] - len(rows) + 1
        total = np.zeros(length, np.float32)
        for number, row in enumerate(rows):
            total += similarities[row, number : number + length]
        yield np.asarray(total / len(rows), np.float32)


if __name__ == "__main__":
    main()
