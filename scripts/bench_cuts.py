"""Measure how short cuts and insertions are told, and applause on both sides.

    python scripts/bench_cuts.py BED... [--every 4]

A bed is a folder of NAME/{a.wav, b.wav, truth.csv}, or a folder of such folders, as `bench_alignment.py` takes them.
Into b of every so many-th pair four edits are made where notes begin, a fifth of it apart: seconds are cut out, or
applause, silence or other music is put in. What is said to stand alone within three seconds of an edit is to be as long
as it to one second. The path is judged at the notes within five seconds that both still play.

Then 8 s of applause are put before a and 12 s before b, or after both, no two alike: printed is how many seconds
of them are matched.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench_alignment import beds_in, errors_of, machine, struck
from numpy.typing import NDArray

from alignment import Audio, read_audio, synchronise
from alignment.segments import Synchronisation

_KINDS = (
    *(("cut out", seconds) for seconds in (2, 4, 3, 6, 1)),
    *(("applause", seconds) for seconds in (3, 6, 2)),
    *(("other music", seconds) for seconds in (3, 2, 6)),
    *(("silence", seconds) for seconds in (3, 2)),
)
_EDITS = 4
_APART_SECONDS = 8.0
_NEAR_SECONDS, _AROUND_SECONDS, _RIGHT_SECONDS = 3.0, 5.0, 1.0
_WITHIN_MS = 100.0


class Edit(NamedTuple):
    """What is to stand alone: on which side, from when to when; and when in b, as it was, the edit lies."""

    kind: str
    seconds: int
    side: str
    start: float
    end: float
    at: float


def main() -> None:
    """Measure all pairs and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("beds", type=Path, nargs="+")
    parser.add_argument("--every", type=int, default=4)
    arguments = parser.parse_args()
    pairs = [pair for _, found in beds_in(arguments.beds) for pair in found][:: arguments.every]
    rng = np.random.default_rng(5)
    told: dict[tuple[str, int], list[tuple[bool, int, int]]] = defaultdict(list)
    matched: dict[str, list[float]] = defaultdict(list)
    for number, pair in enumerate(pairs):
        ref, other, foreign = (
            read_audio(path) for path in (pair / "a.wav", pair / "b.wav", pairs[number - 1] / "a.wav")
        )
        truth = struck(pair)
        edited, edits, points = _edited(other, truth, foreign, number, rng)
        result = synchronise(ref, edited)
        kept = np.isfinite(points[:, 1])
        errors = np.full(len(points), np.inf)
        errors[kept] = np.abs(errors_of(_matches(result), points[kept]))
        for edit in edits:
            near = np.abs(truth[:, 1] - edit.at) < _AROUND_SECONDS + edit.seconds * (edit.side == "ref")
            near &= kept
            told[edit.kind, edit.seconds].append(
                (_is_told(result, edit), int((errors[near] > _WITHIN_MS).sum()), int(near.sum()))
            )
        for trailing, name in ((False, "before"), (True, "after")):
            matched[name].append(_matched_applause(ref, other, truth, rng, trailing=trailing))
    _print(told, matched)


def _edited(
    other: Audio, truth: NDArray[np.float64], foreign: Audio, number: int, rng: np.random.Generator
) -> tuple[Audio, list[Edit], NDArray[np.float64]]:
    """The recording with its edits, these, and the points with their new times, not finite where they were cut out."""
    pieces, edits, done, now = [], [], 0.0, 0.0
    moved = truth.copy()
    for place in range(_EDITS):
        kind, seconds = _KINDS[(_EDITS * number + place) % len(_KINDS)]
        share = (place + 1) / (_EDITS + 1) + np.array([-0.03, 0.05])
        tried = truth[(truth[:, 1] > share[0] * other.duration) & (truth[:, 1] < share[1] * other.duration), 1]
        if not len(tried) or (at := float(rng.choice(tried))) - done < _APART_SECONDS:
            continue
        pieces.append(_part(other, done, at))
        now, done = now + at - done, at
        if kind == "cut out":
            start, end = np.interp([at, at + seconds], truth[:, 1], truth[:, 0])
            edits.append(Edit(kind, seconds, "ref", float(start), float(end), at))
            gone = (truth[:, 1] >= at) & (truth[:, 1] < at + seconds)
            moved[truth[:, 1] >= at, 1] -= seconds
            moved[gone, 1] = np.inf
            done = at + seconds
        else:
            edits.append(Edit(kind, seconds, "other", now, now + seconds, at))
            pieces.append(_put_in(kind, seconds, foreign, rng))
            moved[truth[:, 1] >= at, 1] += seconds
            now += seconds
    pieces.append(_part(other, done, other.duration))
    return replace(other, samples=np.concatenate(pieces).astype(np.float32)), edits, moved


def _part(audio: Audio, start: float, end: float) -> NDArray[np.float32]:
    return audio.samples[round(start * audio.rate) : round(end * audio.rate)]


def _put_in(kind: str, seconds: float, foreign: Audio, rng: np.random.Generator) -> NDArray[np.float32]:
    if kind == "silence":
        return np.zeros(round(seconds * foreign.rate), np.float32)
    if kind == "applause":
        return _applause(seconds, foreign.rate, rng)
    start = float(rng.uniform(20.0, 50.0))
    return _part(foreign, start, start + seconds)


def _applause(seconds: float, rate: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Forty people who clap, each with hands and a beat of their own."""
    count = round(seconds * rate)
    out = np.zeros(count + rate)
    decay = np.exp(-np.arange(rate // 50) / (rate / 400))
    for _ in range(40):
        period, loud, pitch = rng.uniform(0.18, 0.33), rng.uniform(0.2, 1.0), rng.uniform(800.0, 2500.0)
        ringing = decay * np.sin(2.0 * np.pi * pitch / rate * np.arange(len(decay)))
        for at in np.arange(rng.uniform(0.0, period), seconds, period) + 0.02 * rng.standard_normal():
            first = max(round(at * rate), 0)
            out[first : first + len(decay)] += loud * ringing * rng.standard_normal(len(decay))
    return (0.1 * out[:count] / np.sqrt(np.square(out[:count]).mean())).astype(np.float32)


def _is_told(result: Synchronisation, edit: Edit) -> bool:
    spans = [getattr(one, edit.side) for one in result.segments if one.kind == f"only_{edit.side}"]
    near = [(lo, hi) for lo, hi in spans if hi > edit.start - _NEAR_SECONDS and lo < edit.end + _NEAR_SECONDS]
    return abs(sum(hi - lo for lo, hi in near) - (edit.end - edit.start)) <= _RIGHT_SECONDS


def _matched_applause(
    ref: Audio, other: Audio, truth: NDArray[np.float64], rng: np.random.Generator, *, trailing: bool
) -> float:
    """Seconds of applause that a match holds, of the side that has more of them."""
    sides, spans = [], []
    for audio, column, seconds in ((ref, 0, 8.0), (other, 1, 12.0)):
        music = _part(audio, max(truth[0, column] - 0.05, 0.0), truth[-1, column] + 2.0)
        clapping = _applause(seconds, audio.rate, rng)
        sides.append(replace(audio, samples=np.concatenate([music, clapping] if trailing else [clapping, music])))
        end = len(music) / audio.rate
        spans.append((end, end + seconds) if trailing else (0.0, seconds))
    result = synchronise(*sides)
    matches = [one for one in result.segments if one.path is not None]
    held = [
        sum(max(0.0, min(hi, getattr(one, side)[1]) - max(lo, getattr(one, side)[0])) for one in matches)
        for side, (lo, hi) in zip(("ref", "other"), spans, strict=True)
    ]
    return max(held)


def _matches(result: Synchronisation) -> list[NDArray[np.float64]]:
    return [np.column_stack([one.path.ref, one.path.other]) for one in result.segments if one.path is not None]


def _print(told: dict[tuple[str, int], list[tuple[bool, int, int]]], matched: dict[str, list[float]]) -> None:
    print(machine("numpy", "numba"), end="\n\n")
    print(f"{'edit':12s} seconds  edits  told %  points beyond 100 ms around %")
    everything = [row for rows in told.values() for row in rows]
    for (kind, seconds), rows in [*sorted(told.items()), (("all", 0), everything)]:
        right, beyond, points = (sum(column) for column in zip(*rows, strict=True))
        share = 100 * beyond / max(points, 1)
        print(f"{kind:12s} {seconds or '':>7}  {len(rows):5d}  {100 * right / len(rows):6.0f}  {share:10.1f}")
    print("\napplause on both sides   pairs  matched s: median, nine in ten, greatest")
    for name, seconds in matched.items():
        median, most = np.quantile(seconds, [0.5, 0.9])
        print(f"{name:23s} {len(seconds):6d}  {median:6.1f} {most:6.1f} {max(seconds):6.1f}")


if __name__ == "__main__":
    main()
