"""Families of versions: a passage of a song, arranged and played anew several times.

What makes versions of a work differ is drawn for each: key, tempo and its wandering, instruments, the
accompaniment (as written, or new from the chords in many patterns), chords put for others, a melody with notes
left out, ornamented, shifted, doubled or missing, drums, parts left out or in another order, room, microphone and
noise. Versions reach from near ones to those that share little but a tune or the harmony.

What is kept of each is what the version network sees, and at which beat of the song each frame is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from alignment.audio import ANALYSIS_RATE
from retrieval.embedding.fluidsynth import play_together
from retrieval.embedding.microphone import LOUD, NOW_AND_THEN, Noise, degraded
from retrieval.embedding.npz import save_npz
from retrieval.embedding.songs import Chord, Song
from retrieval.embedding.version_patches import FRAME_HOP, version_spectrogram

__all__ = ["MOSTLY_FAR", "MOSTLY_NEAR", "NEAR_AND_FAR", "SOME_DROWNED", "Family", "Version", "make_family"]

_DISTANCES = (0.15, 0.5, 1.0, 1.5, 2.0)
_DROWNED = 2.0
"""A distance at which half of the versions are a tune alone, changed no more than at the one before, and nearly all are
in loud noise."""

NEAR_AND_FAR = (0.25, 0.35, 0.4, 0.0, 0.0)
"""How often versions are near, at some distance, far, farther, and drowned."""

MOSTLY_FAR = (0.1, 0.2, 0.35, 0.35, 0.0)
SOME_DROWNED = (0.15, 0.2, 0.2, 0.15, 0.3)
MOSTLY_NEAR = (0.6, 0.4, 0.0, 0.0, 0.0)
"""They keep their chords: songs that share theirs are hardest to tell apart so."""

_LONGEST_FACTOR = 1.5
_MELODIC = (*range(0, 8), *range(11, 14), *range(16, 32), *range(40, 45), *range(48, 80), 80, 81, 85, 104, 105)
_CHORDAL = (*range(0, 8), 11, *range(16, 32), 46, *range(48, 52), 60, 61, *range(88, 93), 95)
_BASSES = (*range(32, 40), 42, 43, 58, 0)
_WRITTEN, _NEW, _NONE = "written", "new", "none"

Notes = NDArray[np.float64]


@dataclass(frozen=True)
class Voice:
    """What one instrument plays: rows of onset and offset in beats, MIDI pitch and velocity."""

    program: int
    notes: Notes
    drums: bool = False


@dataclass(frozen=True)
class Version:
    """One version as the network sees it.

    Attributes:
        spectrogram: float16, shape `(84, frames)`; see `version_patches`.
        beats: the song's beat at each frame, float32, shape `(frames,)`; it jumps where parts are out of order. Of
            recordings, whose beats are not known, seconds of the work's first; NaN where it lacks the music.
    """

    spectrogram: NDArray[np.float16]
    beats: NDArray[np.float32]


@dataclass(frozen=True)
class Family:
    """Versions of one passage of a work."""

    versions: tuple[Version, ...]

    def save(self, path: Path) -> None:
        """Write an npz file, whole or not at all."""
        parts: dict[str, NDArray[Any]] = {}
        for number, version in enumerate(self.versions):
            parts |= {f"spectrogram{number}": version.spectrogram, f"beats{number}": version.beats}
        save_npz(path, **parts)

    @classmethod
    def load(cls, path: Path) -> Family:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as parts:
            count = len(parts.files) // 2
            return cls(tuple(Version(parts[f"spectrogram{n}"], parts[f"beats{n}"]) for n in range(count)))


@dataclass(frozen=True)
class _Form:
    """In which order the blocks of a passage come: the beat of the song at which each begins, and its length."""

    blocks: tuple[tuple[float, float], ...]

    def arranged(self, notes: Notes) -> Notes:
        """Notes in the order of the blocks, from beat 0 on; those that reach over an end are cut there."""
        out, now = [], 0.0
        for start, length in self.blocks:
            part = notes[(notes[:, 0] >= start) & (notes[:, 0] < start + length)].copy()
            part[:, 1] = np.minimum(part[:, 1], start + length)
            part[:, :2] += now - start
            out.append(part)
            now += length
        return np.concatenate(out)

    def song_beats(self, played: NDArray[np.float64]) -> NDArray[np.float64]:
        """Beats of the song at beats of the version."""
        begins = np.concatenate([[0.0], np.cumsum([length for _, length in self.blocks])])
        which = np.clip(np.searchsorted(begins, played, side="right") - 1, 0, len(self.blocks) - 1)
        starts = np.array([start for start, _ in self.blocks])
        return np.asarray(starts[which] + played - begins[which], np.float64)

    @property
    def beats(self) -> float:
        """How long it is."""
        return sum(length for _, length in self.blocks)


def make_family(
    song: Song,
    versions: int,
    rng: Generator,
    fonts: Sequence[Path],
    seconds: float = 50.0,
    chances: Sequence[float] = NEAR_AND_FAR,
) -> Family:
    """Arrange, play and record a passage of a song several times.

    Args:
        song: to take a passage from.
        versions: how many.
        rng: source of all randomness.
        fonts: sound fonts; the first plays two times in three.
        seconds: of the passage as it is usually played; slow versions are cut when they last half as long again.
        chances: of the five distances.

    Raises:
        RenderError: FluidSynth cannot play.
    """
    length = min(seconds * song.tempo / 60.0, song.beats)
    first = float(np.floor(rng.uniform(0.0, max(song.beats - length, 0.0) + 1e-9)))
    made = []
    for _ in range(versions):
        distance = float(rng.choice(_DISTANCES, p=chances))
        form = _form(first, length, distance, rng)
        voices = _arrangement(song, distance, rng)
        transposition = int(rng.integers(-6, 6))
        played = [_transposed(replace(voice, notes=form.arranged(voice.notes)), transposition) for voice in voices]
        beats = np.arange(0.0, form.beats + 1.0, 0.5)
        times = _times(beats, song.tempo, distance, rng)
        noise = LOUD if distance == _DROWNED else NOW_AND_THEN
        made.append(_record(played, beats, times, form, rng, fonts, _LONGEST_FACTOR * seconds, noise))
    return Family(tuple(made))


def _record(
    voices: Sequence[Voice],
    beats: NDArray[np.float64],
    times: NDArray[np.float64],
    form: _Form,
    rng: Generator,
    fonts: Sequence[Path],
    longest: float,
    noise: Noise,
) -> Version:
    players = []
    for voice in voices:
        notes = voice.notes.copy()
        notes[:, :2] = np.interp(notes[:, :2], beats, times)
        notes[:, 0] += rng.normal(0.0, 0.008, len(notes))
        notes[:, 0] = np.maximum(notes[:, 0], 0.05)
        notes[:, 1] = np.maximum(notes[:, 1], notes[:, 0] + 0.05)
        notes[:, 3] = np.clip(notes[:, 3] + rng.normal(0, 6, len(notes)), 15, 125)
        inside = (notes[:, 2] > 20) & (notes[:, 2] < 108) & (notes[:, 0] < longest)
        players.append((voice.program, notes[inside], voice.drums))
    sound = play_together(players, rng, fonts)
    seconds = round(min(times[-1], longest, len(sound) / ANALYSIS_RATE))
    sound = degraded(sound[: seconds * ANALYSIS_RATE], rng, noise)
    spectrogram = version_spectrogram(sound, ANALYSIS_RATE, rng.uniform(-15, 15))
    played = np.interp(np.arange(spectrogram.shape[1]) * FRAME_HOP / ANALYSIS_RATE, times, beats)
    return Version(spectrogram.astype(np.float16), form.song_beats(played).astype(np.float32))


def _form(first: float, length: float, distance: float, rng: Generator) -> _Form:
    """The whole passage or, of far versions half, some of its blocks in another order."""
    if distance < 1.0 or rng.random() < 0.5:
        return _Form(((first, length),))
    block = float(rng.choice([12, 16, 24, 32]))
    starts = np.arange(first, first + length - 4, block)
    kept = rng.permutation(starts)[: max(2, round(len(starts) * rng.uniform(0.5, 1.0)))]
    return _Form(tuple((float(start), min(block, first + length - float(start))) for start in kept))


def _times(beats: NDArray[np.float64], tempo: float, distance: float, rng: Generator) -> NDArray[np.float64]:
    """Seconds at beats: a tempo that differs from the song's the more the farther the version, and wanders."""
    spread = 0.12 + 0.16 * distance
    factor = np.exp(np.clip(rng.normal(0.0, spread), -0.5, 0.5))
    walk = np.cumsum(rng.normal(0.0, rng.choice([0.0, 0.015, 0.03]), len(beats)))
    walk -= np.linspace(walk[0], walk[-1], len(beats))
    steps = 0.5 * 60.0 / (tempo * factor) * np.exp(np.clip(walk, -0.3, 0.3))
    return np.concatenate([[0.1], 0.1 + np.cumsum(steps)[:-1]])


def _transposed(voice: Voice, semitones: int) -> Voice:
    return voice if voice.drums else replace(voice, notes=voice.notes + np.array([0, 0, semitones, 0]))


def _arrangement(song: Song, distance: float, rng: Generator) -> list[Voice]:
    """Who plays what, over the whole song."""
    accompaniment = str(rng.choice([_WRITTEN, _NEW, _NONE], p=_accompaniments(distance)))
    sung = accompaniment == _NONE or rng.random() > 0.2 * distance
    voices = []
    if sung:
        voices += _melody(song.melody, distance, rng)
    if accompaniment == _WRITTEN:
        alone = rng.random() < 0.4
        common = int(rng.choice(_CHORDAL))
        for part in song.accompaniment:
            program = common if alone else int(rng.choice(_CHORDAL))
            voices.append(Voice(program, _with_velocity(part, rng.uniform(50, 85))))
    if accompaniment == _NEW:
        chords = _other_chords(song.chords, 0.4 * distance * rng.random(), rng)
        voices += _new_accompaniment(chords, rng)
    if rng.random() < (0.15 if accompaniment == _WRITTEN else 0.55):
        voices.append(_drums(song.beats, rng))
    return voices


def _accompaniments(distance: float) -> tuple[float, float, float]:
    if distance < 0.3:
        return 0.92, 0.05, 0.03
    if distance == _DROWNED:
        return 0.1, 0.4, 0.5
    return (0.35, 0.55, 0.1) if distance < 1.0 else (0.15, 0.73, 0.12)


def _with_velocity(notes: Notes, velocity: float) -> Notes:
    return np.column_stack([notes[:, :3], np.full(len(notes), velocity)])


def _melody(melody: Notes, distance: float, rng: Generator) -> list[Voice]:
    """The melody as somebody makes it their own, by one instrument, sometimes two."""
    changed = min(distance, 1.5)
    dropped, ornamented = 0.35 * changed * rng.random(), 0.35 * changed * rng.random()
    dislocated = 0.08 * changed * rng.random()
    out = []
    for onset, offset, pitch in melody:
        if rng.random() < dropped:
            continue
        onset += rng.normal(0.0, dislocated)
        held = max(offset - onset, 0.1) * rng.uniform(0.6, 1.1)
        if held > 0.4 and rng.random() < ornamented:
            short = min(0.25, held / 3)
            step = float(rng.choice([-2, -1, 1, 2]))
            if rng.random() < 0.5:
                out.append((onset, onset + short, pitch + step))
                out.append((onset + short, onset + held, pitch))
            else:
                out += [(onset, onset + held / 2, pitch), (onset + held / 2, onset + held / 2 + short, pitch + step)]
                out.append((onset + held / 2 + short, onset + held, pitch))
        else:
            out.append((onset, onset + held, pitch))
    notes = np.array(out, np.float64).reshape(-1, 3)
    notes[:, 2] += rng.choice([-12, 0, 0, 0, 12])
    voices = [Voice(int(rng.choice(_MELODIC)), _with_velocity(notes, rng.uniform(70, 110)))]
    if rng.random() < 0.15:
        doubled = notes + np.array([0, 0, rng.choice([-12, 12, -4, -3, 3, 4])])
        voices.append(Voice(int(rng.choice(_MELODIC)), _with_velocity(doubled, rng.uniform(50, 80))))
    return voices


def _other_chords(chords: Sequence[Chord], share: float, rng: Generator) -> list[Chord]:
    """Chords, a share of them replaced by relatives, with a seventh, a suspension, or on another degree."""
    out = []
    for chord in chords:
        if rng.random() < share:
            minor = chord.intervals[1:2] == (3,)
            root, intervals = [
                (chord.root + (3 if minor else 9), (0, 4, 7) if minor else (0, 3, 7)),
                (chord.root, (0, 3, 7, 10) if minor else (0, 4, 7, 11)),
                (chord.root, (0, 5, 7)),
                (chord.root + (8 if minor else 4), (0, 4, 7) if minor else (0, 3, 7)),
                (chord.root, (0, 3, 7) if minor else (0, 4, 7)),
            ][rng.integers(5)]
            chord = chord._replace(root=root % 12, intervals=intervals)
        out.append(chord)
    return out


def _new_accompaniment(chords: Sequence[Chord], rng: Generator) -> list[Voice]:
    """A bass and one instrument that plays the chords, in one of many patterns."""
    pattern = str(rng.choice(["block", "broken", "offbeat", "held", "alberti", "strummed"]))
    subdivision = int(rng.choice([1, 2, 2, 3, 4]))
    low = int(rng.integers(46, 60))
    walking = str(rng.choice(["root", "fifth", "held", "walking", "none"], p=[0.3, 0.25, 0.2, 0.15, 0.1]))
    chordal: list[tuple[float, float, float]] = []
    bass: list[tuple[float, float, float]] = []
    for chord in chords:
        tones = sorted(low + (chord.root + interval - low) % 12 for interval in chord.intervals)
        deep = 33 + (chord.root - 33) % 12
        if pattern == "held":
            chordal += [(chord.start, chord.end, tone) for tone in tones]
        if walking == "held":
            bass.append((chord.start, chord.end, deep))
        for number, beat in enumerate(np.arange(np.round(chord.start), chord.end - 0.1)):
            chordal += _beat_of_chord(pattern, beat, number, tones, subdivision)
            if walking == "root" or (walking == "fifth" and number % 2 == 0):
                bass.append((beat, beat + 0.9, deep))
            elif walking == "fifth":
                bass.append((beat, beat + 0.9, deep + 7))
            elif walking == "walking":
                bass.append((beat, beat + 0.9, deep + int(rng.choice(chord.intervals))))
    voices = []
    if chordal:
        voices.append(Voice(int(rng.choice(_CHORDAL)), _with_velocity(np.array(chordal), rng.uniform(45, 80))))
    if bass:
        voices.append(Voice(int(rng.choice(_BASSES)), _with_velocity(np.array(bass), rng.uniform(60, 95))))
    return voices


def _beat_of_chord(
    pattern: str, beat: float, number: int, tones: list[int], subdivision: int
) -> list[tuple[float, float, float]]:
    part = 1.0 / subdivision
    if pattern == "block":
        return [(beat, beat + 0.85, tone) for tone in tones]
    if pattern == "offbeat":
        return [(beat + 0.5, beat + 0.95, tone) for tone in tones]
    if pattern == "strummed":
        return [
            (beat + step * part + 0.03 * rank, beat + (step + 1) * part, tone)
            for step in range(subdivision)
            for rank, tone in enumerate(tones)
        ]
    if pattern == "broken":
        steps = [(number * subdivision + step) % len(tones) for step in range(subdivision)]
        return [(beat + step * part, beat + (step + 1.5) * part, tones[which]) for step, which in enumerate(steps)]
    if pattern == "alberti":
        order = (0, -1, len(tones) // 2, -1)
        return [
            (beat + step * part, beat + (step + 1) * part, tones[order[(number * subdivision + step) % 4]])
            for step in range(subdivision)
        ]
    return []


def _drums(beats: float, rng: Generator) -> Voice:
    """A kick and a snare in turn and a hi-hat between, louder or softer."""
    notes = []
    level = rng.uniform(40, 115)
    for beat in np.arange(0.0, beats):
        notes.append((beat, beat + 0.1, 36 if beat % 2 == 0 else 38, level))
        if rng.random() < 0.8:
            notes.append((beat + 0.5, beat + 0.6, 42, 0.8 * level))
    return Voice(0, np.array(notes, np.float64), drums=True)
