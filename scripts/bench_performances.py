"""Measure how often a clip of one performance is claimed as another performance of the same work.

    INCIPIT_DATA=DATA python scripts/bench_performances.py --folder FOLDER [--works 30] [--cuts 2] [--seed 1]

Works of DATA/asap that two pianists play are rendered into FOLDER, the first minute and a half of each performance, by
one sound font without effects, so that nothing but the playing differs; of DATA/anthems there are two real recordings
each. A library holds the first performance of each. Clips of the second are asked for, clean and with pink noise at
10 dB, cut at the same places for all lengths. Prints, for pianos and anthems, which share of them is claimed as the
first at the default rate, by the fingerprint alone and with fine timing. Wants mido and FluidSynth.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import mido
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from alignment.audio import ANALYSIS_RATE, Audio, read_audio
from retrieval.collection import Collection
from retrieval.embedding.degradation import coloured_noise
from retrieval.identification import Identifier
from retrieval.lines import Line

LENGTHS = (1, 2, 3, 5, 10)
_FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
_SECONDS = 90.0
_NOISE_DB, _PINK = 10.0, 0.5
_ACCEPTS = 0.01

Samples = NDArray[np.float32]
Pair = tuple[Path, Path]


def main() -> None:
    """Render, index, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where renderings and library lie, or shall")
    parser.add_argument("--works", type=int, default=30)
    parser.add_argument("--cuts", type=int, default=2, help="clips of each performance")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    data = Path(os.environ["INCIPIT_DATA"])
    rng = np.random.default_rng(arguments.seed)
    anthems = [(one, one.with_name(one.name.replace("-a.", "-b."))) for one in sorted((data / "anthems").glob("*-a.*"))]
    groups = {
        "two pianists, one font": rendered(arguments.folder / "pianos", data / "asap", arguments.works, rng),
        "anthems": anthems,
    }
    collection = Collection(arguments.folder / "library")
    collection.add(*(one for pairs in groups.values() for one, _ in pairs))
    identifier = collection.identifier()
    print(f"{'claimed %':40s}" + "".join(f"{length:>6d} s" for length in LENGTHS) + "  clips")
    for name, pairs in groups.items():
        alone, timed = claimed(identifier, pairs, arguments.cuts, rng)
        for how, shares in (("fingerprint alone", alone), ("fine timing", timed)):
            cells = "".join(f"{100 * share:8.1f}" for share in shares)
            print(f"{name + ', ' + how:40s}{cells}{2 * arguments.cuts * len(pairs):7d}", flush=True)


def rendered(folder: Path, asap: Path, count: int, rng: Generator) -> list[Pair]:
    """Two performances of so many works; what is in the folder already is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    works: dict[str, list[Path]] = {}
    for row in csv.DictReader((asap / "metadata.csv").open(encoding="utf-8")):
        if (asap / row["midi_performance"]).exists():
            works.setdefault(row["folder"], []).append(asap / row["midi_performance"])
    several = [sorted(files) for _, files in sorted(works.items()) if len(files) > 1]
    chosen = [several[number] for number in rng.permutation(len(several))[:count]]
    pairs = []
    for number, files in enumerate(chosen):
        one, other = (folder / f"{number:02d}{side}.wav" for side in "ab")
        for midi, wave in zip(files, (one, other), strict=False):
            if not wave.exists():
                _render(midi, wave)
        pairs.append((one, other))
    return pairs


def _render(midi: Path, wave: Path) -> None:
    """Its first part, by one font."""
    short, unfinished = wave.with_suffix(".mid"), wave.with_suffix(".part")
    _beginning(midi).save(short)
    where = ["-F", str(unfinished), "-T", "wav", str(_FONT), str(short)]
    subprocess.run(["fluidsynth", "-niq", "-R0", "-C0", "-g0.5", f"-r{ANALYSIS_RATE}", *where], check=True)
    unfinished.rename(wave)


def _beginning(midi: Path) -> mido.MidiFile:
    """What sounds in the first seconds, on one track."""
    ticks, tempo = 1000, 500_000
    track, last, now = mido.MidiTrack(), 0, 0.0
    for message in mido.MidiFile(midi):
        now += message.time
        if now > _SECONDS:
            break
        if not message.is_meta:
            at = round(mido.second2tick(now, ticks, tempo))
            track.append(message.copy(time=at - last))
            last = at
    return mido.MidiFile(type=0, ticks_per_beat=ticks, tracks=[track])


def claimed(
    identifier: Identifier, pairs: Sequence[Pair], cuts: int, rng: Generator
) -> tuple[list[float], list[float]]:
    """Shares of clips of the second of each two that are accepted as the first: fingerprint alone, with timing."""
    alone, timed = [], []
    for one, other in pairs:
        track = read_audio(other).samples[: int(_SECONDS * ANALYSIS_RATE)]
        for _ in range(cuts):
            first = int(rng.integers(0, max(len(track) - max(LENGTHS) * ANALYSIS_RATE, 1)))
            clip = track[first : first + max(LENGTHS) * ANALYSIS_RATE]
            for heard in (clip, _noisy(clip, rng)):
                for length in LENGTHS:
                    windows = identifier.windows(Audio(heard[: length * ANALYSIS_RATE]))
                    lines = [line for line in identifier.lines(windows) if identifier.accepts(line, _ACCEPTS)]
                    alone.append(_is_among(identifier, lines, one))
                    timed.append(_is_among(identifier, identifier.accepted(windows, _ACCEPTS), one))
    by_length = (np.reshape(found, (-1, len(LENGTHS))).mean(axis=0) for found in (alone, timed))
    shares = [[float(share) for share in found] for found in by_length]
    return shares[0], shares[1]


def _is_among(identifier: Identifier, lines: Sequence[Line], path: Path) -> bool:
    recordings = (identifier.recording(line.position) for line in lines)
    return any(recording is not None and recording.path == str(path) for recording in recordings)


def _noisy(clip: Samples, rng: Generator) -> Samples:
    noise = coloured_noise(len(clip), rng, _PINK)
    gain = np.sqrt(np.mean(clip**2) / np.mean(noise**2)) * 10 ** (-_NOISE_DB / 20)
    return clip + np.float32(gain) * noise


if __name__ == "__main__":
    main()
