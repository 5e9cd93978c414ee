"""Set what an alignment's confidences mean, on renderings whose truth is known.

    INCIPIT_DATA=DATA python scripts/calibrate_alignment.py --cache FOLDER [--pairs 80] [--instrument-pairs 130]

Renders pairs of performances of the lieder that the encoder was not trained on, with tempi of their own, and
fits the constants of `alignment.acceptance` (the same music or not: pairs, whole and short, with and without cuts,
against pairs of other songs, of popular songs on one beat, and of noise) and of `alignment.confidence` (a point's error
against the posterior's deviation and the similarity around it): that it is within a tenth of a second on these pairs,
the interval on those of `instrument_pairs.py`, whose players are more like players. Prints them, with what they achieve
on the half of the pairs, or works, that they were not fitted on. Wants the `train` extra, `fluidsynth` and the sound
fonts of `scripts/train_sync.py`.
"""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile as sf
from instrument_pairs import render as render_instruments
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import rankdata
from train_sync import held_out_lieder, sound_fonts
from train_versions import songs as trained_songs

from alignment.acceptance import Evidence
from alignment.audio import ANALYSIS_RATE, Audio, read_audio
from alignment.confidence import INPUTS, path_evidence
from alignment.cuts import parted, sharpened
from alignment.errors import ScoreError
from alignment.pair import Pair
from alignment.rests import path_of_music, sections_over_rests
from alignment.sections import matching_sections
from alignment.transposition import Transposable, in_one_key, likely_transpositions
from alignment.warping import mean_path_of
from retrieval.embedding.additive import additive_sound
from retrieval.embedding.fluidsynth import fluidsynth_sound
from retrieval.embedding.microphone import degraded
from retrieval.embedding.notes import played, score_notes
from retrieval.embedding.songs import Song, pop_song

TOO_FAR = 0.1
ELSEWHERE = 0.5
HELD = 0.9
SMOOTHED = 0.05


_BEAT_SECONDS = 0.5
_SONG_SECONDS = 60.0
_STEADY_SONGS = 40
_OTHERS = (1, 7, 11)
"""With which of the songs behind it each of those on one beat is paired."""


class Points(NamedTuple):
    """Notes of aligned pairs: what is known of the path there, its error in seconds, and the work's number."""

    evidence: NDArray[np.float64]
    errors: NDArray[np.float64]
    work: NDArray[np.int64]


def render(folder: Path, scores: list[Path], count: int, fonts: list[Path]) -> list[tuple[Path, str]]:
    """Folders with `a.wav`, `b.wav` and `truth.csv` (seconds of each onset in both), and the name of each one's work.

    Those that lack are rendered.
    """
    rng = np.random.default_rng(7)
    chosen = [scores[number] for number in rng.permutation(len(scores))[:count]]
    for number, score in enumerate(chosen):
        place = folder / f"{number:03d}"
        if not (place / "truth.csv").exists():
            try:
                _render_pair(place, score, np.random.default_rng(10000 + number), fonts)
            except ScoreError as error:
                print(f"left out: {error}")
    kept = sorted(path.parent for path in folder.glob("*/truth.csv"))
    return [(place, chosen[int(place.name)].name) for place in kept if int(place.name) < count]


def _render_pair(place: Path, score: Path, rng: np.random.Generator, fonts: list[Path]) -> None:
    notes = score_notes(score)
    quarters = np.arange(0, notes[:, 0].max() + 9, 0.5)
    seconds = np.interp(notes[:, 0], quarters, _times(rng, quarters))
    length = rng.uniform(60, 150)
    start = rng.uniform(0, max(0, seconds.max() - length))
    notes = notes[(seconds >= start) & (seconds < start + length)]
    if len(notes) < 60:
        return
    notes[:, 0] -= notes[0, 0]
    quarters = np.arange(0, notes[:, 0].max() + 40, 0.5)
    onsets = np.unique(notes[:, 0])
    transposition = rng.integers(-3, 4) if rng.random() < 0.2 else 0
    truth = []
    place.mkdir(parents=True, exist_ok=True)
    for side, moved in (("a", 0), ("b", transposition)):
        times, lead = _times(rng, quarters), rng.uniform(0.3, 2)
        on = np.interp(notes[:, 0], quarters, times) + lead
        off = np.interp(notes[:, 0] + notes[:, 1], quarters, times) + lead
        performance = played(np.column_stack([on, off, notes[:, 2] + moved, notes[:, 3]]), rng)
        additive = rng.random() < 0.15
        sound, _ = additive_sound(performance, rng) if additive else fluidsynth_sound(performance, rng, fonts)
        sound = degraded(sound, rng)
        sf.write(place / f"{side}.wav", 0.7 * sound / np.abs(sound).max(), ANALYSIS_RATE)
        truth.append(np.interp(onsets, quarters, times) + lead)
    np.savetxt(place / "truth.csv", np.column_stack(truth), "%.6f", ",", header="time_a,time_b", comments="")


def render_on_a_beat(folder: Path, songs: list[Path], fonts: list[Path]) -> list[Path]:
    """A minute each of popular songs as a machine plays them, all at one tempo; those that lack are rendered."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = np.random.default_rng(8).permutation(len(songs))[:_STEADY_SONGS]
    places = [folder / f"{number:03d}.wav" for number in range(len(chosen))]
    for number, (place, song) in enumerate(zip(places, chosen, strict=True)):
        if not place.exists():
            rng = np.random.default_rng(20000 + number)
            sound, _ = fluidsynth_sound(_on_a_beat(pop_song(songs[song]), rng), rng, fonts)
            sf.write(place, 0.7 * sound / np.abs(sound).max(), ANALYSIS_RATE)
    return places


def _on_a_beat(song: Song, rng: np.random.Generator) -> NDArray[np.float64]:
    """A minute of all parts of a song: onset, offset, pitch, part, velocity."""
    parts = [song.melody, *song.accompaniment]
    notes = np.concatenate([np.column_stack([part, np.full(len(part), k)]) for k, part in enumerate(parts)])
    notes[:, :2] *= _BEAT_SECONDS
    start = rng.uniform(0, max(0, notes[:, 0].max() - _SONG_SECONDS))
    notes = notes[(notes[:, 0] >= start) & (notes[:, 0] < start + _SONG_SECONDS)]
    notes[:, :2] -= notes[:, 0].min()
    return np.column_stack([notes, np.full(len(notes), 80.0)])[np.argsort(notes[:, 0])]


def _times(rng: np.random.Generator, quarters: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds of quarters at a tempo that wanders."""
    tempo = rng.uniform(60, 130)
    walk = np.cumsum(rng.normal(0, 0.05, len(quarters)))
    walk -= np.linspace(walk[0], walk[-1], len(quarters))
    steps = 0.5 * 60 / tempo * np.exp(np.clip(walk, -0.5, 0.5))
    return np.concatenate([[0], np.cumsum(steps)])[: len(quarters)]


def paired(left: Transposable, other: Audio) -> Pair | None:
    """Both sides as `synchronise` compares them, in the key in which most corresponds, or None where one is silent."""
    right = Transposable.of(other)
    if left.analysed.features is None or right.analysed.features is None:
        return None
    keys = likely_transpositions(left.analysed.features.harmony, right.analysed.features.harmony)
    pairs = [Pair.of(*in_one_key(left, right, key), None, ()) for key in keys]
    return max(pairs, key=lambda pair: matching_sections(pair).gain)


def without_middle(audio: Audio) -> Audio:
    """A third of the sound cut out."""
    third = len(audio.samples) // 3
    return Audio(np.concatenate([audio.samples[:third], audio.samples[2 * third :]]))


def excerpt(audio: Audio, seconds: float, rng: np.random.Generator) -> Audio:
    """A stretch from anywhere."""
    length = min(round(seconds * audio.rate), len(audio.samples))
    start = int(rng.integers(0, len(audio.samples) - length + 1))
    return Audio(audio.samples[start : start + length])


def gather(folders: list[Path], steady: list[Path]) -> list[tuple[Evidence, bool, int]]:
    """Evidence of right and wrong pairs, and the number of each one's song: of performances, and of other songs."""
    rng = np.random.default_rng(0)
    evidence: list[tuple[Evidence, bool, int]] = []
    lefts = [Transposable.read_by(partial(read_audio, folder / "a.wav")) for folder in folders]
    for number, folder in enumerate(folders):
        other = read_audio(folder / "b.wav")
        seconds = float(np.exp(rng.uniform(np.log(5), np.log(40))))
        for sound in (other, without_middle(other), excerpt(other, seconds, rng)):
            noise, more = (_noise(rng, len(sound.samples)) for _ in range(2))
            another = (number + 1 + int(rng.integers(min(9, len(folders) - 1)))) % len(folders)
            pairs = (
                (lefts[number], sound, True),
                (lefts[another], sound, False),
                (lefts[number], noise, False),
                (Transposable.of(more), noise, False),
            )
            for left, right, same in pairs:
                evidence += [(found, same, number) for found in _evidence(left, right)]
        print(f"{number + 1} of {len(folders)}", end="\r", flush=True)
    print()
    lefts = [Transposable.of(read_audio(place)) for place in steady]
    for number, left in enumerate(lefts):
        others = (steady[(number + other) % len(steady)] for other in _OTHERS)
        evidence += [(found, False, number) for other in others for found in _evidence(left, read_audio(other))]
    return evidence


def _evidence(left: Transposable, right: Audio) -> list[Evidence]:
    """What speaks for the same music, if anything does."""
    pair = paired(left, right)
    found = matching_sections(pair).evidence() if pair else None
    return [found] if found else []


def _noise(rng: np.random.Generator, samples: int) -> Audio:
    return Audio((0.05 * rng.standard_normal(samples)).astype(np.float32))


def gather_points(pairs: list[tuple[Path, str]], elsewhere: float = np.inf) -> Points:
    """The points of all pairs: their folders, and the names of their works.

    Sections of which half is `elsewhere` seconds off are left out: they lie along another playing of the same music,
    which no point can tell.
    """
    points = []
    works = sorted({work for _, work in pairs})
    for number, (folder, work) in enumerate(pairs):
        truth = np.loadtxt(folder / "truth.csv", delimiter=",", skiprows=1)
        pair = paired(Transposable.read_by(partial(read_audio, folder / "a.wav")), read_audio(folder / "b.wav"))
        if pair is not None:
            points.append(_points(pair, matching_sections(pair).sections, truth, works.index(work), elsewhere))
        print(f"{number + 1} of {len(pairs)}", end="\r", flush=True)
    print()
    return Points(*(np.concatenate(part) for part in zip(*points, strict=True)))


def _points(pair: Pair, sections: list, truth: NDArray[np.float64], number: int, elsewhere: float) -> Points:
    evidence, errors = [np.zeros((0, len(INPUTS)))], [np.zeros(0)]
    for section in sections_over_rests(pair, parted(pair, sharpened(pair, sections))):
        path = path_of_music(pair, mean_path_of(pair, section))
        if path is None:
            continue
        ref, other = truth[:, 0] - pair.left.start, truth[:, 1] - pair.right.start
        inside = (ref >= path.ref[0]) & (ref <= path.ref[-1])
        at = ref[inside]
        error = np.interp(at, path.ref, path.other) - other[inside]
        if not len(at) or np.median(np.abs(error)) > elsewhere:
            continue
        along = path_evidence(path)
        evidence.append(np.column_stack([np.interp(at, path.ref, row) for row in along]))
        errors.append(error)
    joined = np.concatenate(errors)
    if len(joined):
        joined = joined - np.median(joined)  # an attack's lag is no error of the path
    return Points(np.concatenate(evidence), np.abs(joined), np.full(len(joined), number))


def logistic(inputs: NDArray[np.float64], right: NDArray[np.bool_], balanced: bool) -> NDArray[np.float64]:
    """Weights of a logistic regression, intercept first; both classes weigh the same if it is balanced."""
    design = np.column_stack([np.ones(len(inputs)), inputs])
    sign = np.where(right, 1.0, -1.0)
    weight = np.where(right, 0.5 / right.mean(), 0.5 / (~right).mean()) if balanced else np.ones(len(right))

    def loss(w: NDArray[np.float64]) -> float:
        return float((weight * np.logaddexp(0.0, -sign * (design @ w))).mean() + 1e-4 * np.square(w[1:]).sum())

    return np.asarray(minimize(loss, np.zeros(design.shape[1]), method="BFGS").x)


def auroc(score: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Probability that a right one scores above a wrong one, of equals one half."""
    ranks = rankdata(score)
    count = right.sum()
    return float((ranks[right].sum() - count * (count + 1) / 2) / max(count * (~right).sum(), 1))


def quantile(inputs: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of the logarithm of the error's `HELD` quantile, intercept first.

    Of the pinball loss, made smooth so that its one minimum is found; large weights cost, since renderings of
    other instruments than these should be held as well.
    """
    design = np.column_stack([np.ones(len(inputs)), inputs])
    target = np.log(errors + 1e-3)

    def loss(w: NDArray[np.float64]) -> float:
        beyond = target - design @ w
        pinball = HELD * beyond + SMOOTHED * np.logaddexp(0.0, -beyond / SMOOTHED)
        return float(pinball.mean() + 3e-4 * np.square(w[1:]).sum())

    return np.asarray(minimize(loss, np.zeros(design.shape[1]), method="BFGS").x)


def main() -> None:
    """Render, fit, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=80)
    parser.add_argument("--instrument-pairs", type=int, default=130)
    parser.add_argument("--font", type=Path, action="append", default=[])
    arguments = parser.parse_args()
    fonts = sound_fonts(arguments.font)
    songs = render(arguments.cache / "songs", held_out_lieder(), arguments.pairs, fonts)
    instruments = render_instruments(arguments.cache / "instruments", arguments.instrument_pairs, fonts)
    popular = [folder for folder in trained_songs(Path(os.environ["INCIPIT_DATA"])) if folder.is_dir()]
    steady = render_on_a_beat(arguments.cache / "steady", popular, fonts)
    evidence = gather([folder for folder, _ in songs], steady)

    inputs = np.array([found for found, _, _ in evidence])
    right = np.array([right for _, right, _ in evidence])
    odd = np.array([number % 2 == 1 for _, _, number in evidence])
    half = logistic(inputs[~odd], right[~odd], balanced=True)
    score = np.column_stack([np.ones(len(inputs)), inputs]) @ half
    print(f"same music: {right.sum()} right, {(~right).sum()} wrong")
    print(f"  fitted on even pairs, on odd ones: AUROC {auroc(score[odd], right[odd]):.4f}, right accepted", end=" ")
    print(f"{(score[odd & right] > 0).mean():.3f}, wrong accepted {(score[odd & ~right] > 0).mean():.3f}")
    print(f"  intercept, {', '.join(Evidence._fields)}:", np.round(logistic(inputs, right, balanced=True), 2).tolist())

    points = gather_points(songs)
    known, near = points.evidence, points.errors < TOO_FAR
    odd = points.work % 2 == 1
    half = logistic(known[~odd], near[~odd], balanced=False)
    score = np.column_stack([np.ones(len(known)), known]) @ half
    print(f"points: {len(near)}, {100 * (~near).mean():.1f} % beyond {1000 * TOO_FAR:.0f} ms")
    print(f"  fitted on even works, on odd ones: AUROC {auroc(score[odd], near[odd]):.3f}")
    print(f"  intercept, {', '.join(INPUTS)}:", np.round(logistic(known, near, balanced=False), 2).tolist())

    points = gather_points(instruments, ELSEWHERE)
    scale = points.evidence.std(axis=0)  # so that what is kept small are weights of like inputs
    known, odd = points.evidence / scale, points.work % 2 == 1
    width = quantile(known[~odd], points.errors[~odd])
    held = points.errors < np.exp(np.column_stack([np.ones(len(known)), known]) @ width)
    print(f"  {100 * HELD:.0f} % interval fitted on even works holds {100 * held[odd].mean():.1f} % on odd ones")
    weights = quantile(known, points.errors) / np.concatenate([[1.0], scale])
    print("  interval:", np.round(weights, 3).tolist())


if __name__ == "__main__":
    main()
