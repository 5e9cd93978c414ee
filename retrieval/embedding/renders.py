"""Scenes to train the synchroniser's encoder on: some of a score, played three times on one timeline.

The players differ in everything but the notes: instruments, articulation, dynamics, hundredths of a second,
room, microphone, tuning. They are General MIDI instruments by FluidSynth, or tones added up from partials, whose
attack may take a tenth of a second. What is kept is what the encoder sees, `alignment.features.encoder.compress`.

All randomness of a scene comes from one seed, drawn in a fixed order. Notes are rows of float64 with the columns
onset and offset in seconds, MIDI pitch, part and, once they are played, MIDI velocity.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft, signal

from alignment.audio import ANALYSIS_RATE
from alignment.errors import ScoreError
from alignment.features.encoder import BANKS, compress
from alignment.features.filterbank import semitone_magnitudes
from alignment.features.frames import FEATURE_RATE, HOP
from retrieval.errors import RetrievalError

__all__ = [
    "LOG_SCALE",
    "RENDERINGS",
    "RenderError",
    "Scene",
    "additive_sound",
    "degraded",
    "fluidsynth_sound",
    "make_scene",
    "play_together",
    "played",
    "score_notes",
    "timed_excerpt",
    "wandering_steps",
]

RENDERINGS = 3
"""Of the same notes in each scene."""

LOG_SCALE = 3.0
"""What scenes hold over what the encoder sees: unscaled logarithms, to which a gain is applied in training."""

ONSET, OFFSET, PITCH, PART, VELOCITY = range(5)
"""Columns of notes."""

_FAMILIES = (
    (range(0, 8), 5.0),  # pianos
    (range(8, 15), 1.0),  # mallets and bells
    (range(16, 24), 2.0),  # organs
    (range(24, 32), 1.5),  # guitars
    (range(40, 52), 4.0),  # strings
    (range(52, 55), 1.5),  # voices
    (range(56, 64), 1.5),  # brass
    (range(64, 72), 2.0),  # reeds
    (range(72, 80), 1.5),  # pipes
    (range(80, 88), 0.7),  # synthetic leads
    (range(88, 96), 1.0),  # synthetic pads
    (range(104, 109), 0.5),  # plucked strings of the world
)
"""General MIDI programs that hold a pitch, and how often each family plays."""

_CHANCES = np.array([weight for _, weight in _FAMILIES]) / sum(weight for _, weight in _FAMILIES)
_PIANOS = _FAMILIES[0][0]
_TICKS_A_QUARTER = 220
_SECONDS_A_TICK = 60.0 / (120.0 * _TICKS_A_QUARTER)
_SUSTAIN_PEDAL = 64
_DRUM_CHANNEL = 9
_OTHER_FONTS = 0.35
_FEWEST_NOTES = 30
_LEAD_SECONDS = 0.5
_TAIL_SECONDS = 3.0
_EARLIEST = 0.05
_HIGHEST_PARTIAL = 10000.0

Notes = NDArray[np.float64]
Samples = NDArray[np.float32]


class RenderError(RetrievalError):
    """A scene cannot be rendered: FluidSynth or a sound font is missing or broken."""


@dataclass(frozen=True)
class Scene:
    """The same notes, as `RENDERINGS` players are heard.

    Attributes:
        notes: float64, shape `(n, 3)`: onset and offset in seconds as written, and the MIDI pitch at which the
            renderings show it (they are transposed together).
        renderings: float16, shape `(203, frames)` each: `LOG_SCALE` times what the encoder sees.
        instruments: what plays in each rendering, for people.
    """

    notes: Notes
    renderings: tuple[NDArray[np.float16], ...]
    instruments: str

    def save(self, path: Path) -> None:
        """Write an npz file, whole or not at all."""
        parts: dict[str, Any] = {f"v{number}": rendering for number, rendering in enumerate(self.renderings)}
        parts |= {"notes": self.notes, "desc": np.array(self.instruments)}
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as handle:
            np.savez(handle, **parts)
        unfinished.replace(path)

    @classmethod
    def load(cls, path: Path) -> Scene:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as parts:
            renderings = tuple(parts[f"v{number}"] for number in range(RENDERINGS))
            return cls(parts["notes"], renderings, str(parts["desc"]))


def make_scene(score: Path, seed: int, fonts: Sequence[Path], seconds: float = 40.0) -> Scene:
    """Render a random passage of a score.

    Args:
        score: a file that partitura reads.
        seed: of all that is random.
        fonts: sound fonts; the first plays two times in three.
        seconds: of the passage; the renderings are 3 s longer.

    Raises:
        ScoreError: the score cannot be read, or the passage has hardly any notes.
        RenderError: FluidSynth cannot play.
    """
    rng = np.random.default_rng(seed)
    notes = timed_excerpt(score_notes(score), rng, seconds)
    if len(notes) < _FEWEST_NOTES:
        raise ScoreError(str(score), f"has only {len(notes)} notes in the passage")
    transposition = int(rng.integers(-5, 7))
    frames = int((seconds + _TAIL_SECONDS) * FEATURE_RATE)
    renderings, instruments = [], []
    for _ in range(RENDERINGS):
        performance = played(notes, rng)
        additive = rng.random() < 0.2
        sound, names = additive_sound(performance, rng) if additive else fluidsynth_sound(performance, rng, fonts)
        sound = degraded(sound, rng)
        sound = np.pad(sound, (0, max(0, frames * HOP - len(sound))))[: frames * HOP]
        tuning = -100.0 * transposition + rng.uniform(-12, 12)
        seen = compress(semitone_magnitudes(sound, ANALYSIS_RATE, BANKS, tuning))
        renderings.append((LOG_SCALE * seen).astype(np.float16))
        instruments.append(names)
    shown = notes[:, [ONSET, OFFSET, PITCH]] + [0, 0, transposition]
    return Scene(shown, tuple(renderings), str(instruments))


def score_notes(path: Path) -> Notes:
    """The notes of a score in quarters, repeats as written: onset, duration, pitch and part, sorted.

    Raises:
        ScoreError: the score cannot be read or has no notes.
    """
    import partitura

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parts = [part.note_array() for part in partitura.load_score(str(path)).parts]
    except Exception as error:  # partitura raises whatever an odd score leads it to
        raise ScoreError(str(path), f"cannot be read ({error})") from error
    notes = sorted(
        (float(note["onset_quarter"]), float(note["duration_quarter"]), int(note["pitch"]), number)
        for number, part in enumerate(parts)
        for note in part
        if note["duration_quarter"] > 0
    )
    if not notes:
        raise ScoreError(str(path), "has no notes")
    return np.array(notes, float)


def timed_excerpt(notes: Notes, rng: Generator, seconds: float) -> Notes:
    """A passage of the notes that `score_notes` gives, at a tempo that wanders; it begins half a second in."""
    onsets = notes[:, 0]
    quarters = np.arange(0, onsets.max() + 9, 0.5)
    steps = wandering_steps(len(quarters), rng.uniform(55, 150), rng)
    times = np.concatenate([[0], np.cumsum(steps)])[: len(quarters)]
    on, off = np.interp(onsets, quarters, times), np.interp(onsets + notes[:, 1], quarters, times)
    start = rng.uniform(0, max(0, on.max() - seconds))
    inside = (on >= start) & (on < start + seconds)
    shift = _LEAD_SECONDS - start
    return np.column_stack([on[inside] + shift, off[inside] + shift, notes[inside, 2:]])


def wandering_steps(count: int, tempo: float, rng: Generator) -> NDArray[np.float64]:
    """Seconds of so many half quarters at a tempo, in quarters a minute, that wanders."""
    walk = np.cumsum(rng.normal(0, 0.04, count))
    walk -= np.linspace(walk[0], walk[-1], count)
    return 0.5 * 60 / tempo * np.exp(np.clip(walk, -0.5, 0.5))


def played(notes: Notes, rng: Generator) -> Notes:
    """The notes as somebody plays them, shape `(m, 5)`, velocities in the last column.

    Onsets wander by milliseconds, chords spread, notes are held longer or shorter, a few are left out, and
    one time in eight a part plays an octave off.
    """
    out = notes.copy()
    articulation = rng.uniform(0.55, 1.15)
    kept = rng.random(len(out)) > rng.choice([0, 0.03])
    jitter, chord_jitter = rng.uniform(0, 8e-3), rng.uniform(0, 6e-3)
    moves: dict[float, float] = {}
    together = [moves.setdefault(round(onset, 3), rng.normal(0, chord_jitter)) for onset in out[:, ONSET]]
    lengths = (out[:, OFFSET] - out[:, ONSET]) * articulation * np.exp(rng.normal(0, 0.1, len(out)))
    out[:, ONSET] += together + rng.normal(0, jitter, len(out))
    out[:, OFFSET] = out[:, ONSET] + np.maximum(0.05, lengths)
    if rng.random() < 0.12:
        part = rng.choice(np.unique(out[:, PART]))
        out[out[:, PART] == part, PITCH] += rng.choice([-12, 12])
    out = np.column_stack([out, _velocities(out, rng)])[kept]
    return out[(out[:, PITCH] > 20) & (out[:, PITCH] < 108) & (out[:, ONSET] >= _EARLIEST)]


def _velocities(notes: Notes, rng: Generator) -> NDArray[np.float64]:
    """Swelling and ebbing every few seconds; the first part, which sings, a little louder."""
    level = rng.uniform(50, 90)
    swell = np.clip(level + np.cumsum(rng.normal(0, 8, 20)), 30, 115)
    each = np.interp(notes[:, ONSET], np.arange(0, 60, 3), swell) + rng.normal(0, 8, len(notes))
    return np.clip(each + np.where(notes[:, PART] == 0, rng.uniform(0, 15), 0), 12, 125)


class _Player(NamedTuple):
    """One instrument's program, notes, pedal as pairs of seconds and value, and whether it is the drums."""

    program: int
    notes: Notes
    pedal: list[tuple[float, int]]
    drums: bool = False


def fluidsynth_sound(notes: Notes, rng: Generator, fonts: Sequence[Path]) -> tuple[Samples, list[int]]:
    """Play notes by FluidSynth, each part or all of them by a random General MIDI instrument.

    Returns:
        mono samples at the analysis rate, and the program of each part.

    Raises:
        RenderError: FluidSynth is missing or fails, or a sound font is missing.
    """
    players = _orchestrated(notes, rng)
    return _fluidsynth(players, rng, fonts), [player.program for player in players]


def play_together(
    players: Sequence[tuple[int, NDArray[np.float64], bool]], rng: Generator, fonts: Sequence[Path]
) -> Samples:
    """Play by FluidSynth what several instruments play.

    Args:
        players: General MIDI program, notes as rows of onset and offset in seconds, MIDI pitch and velocity, and
            whether they are drums.
        rng: source of all randomness: reverberation, chorus, font.
        fonts: sound fonts; the first plays two times in three.

    Returns:
        mono samples at the analysis rate.

    Raises:
        RenderError: FluidSynth is missing or fails, or a sound font is missing.
    """
    band = [
        _Player(program, np.insert(notes, PART, 0.0, axis=1), [], drums)
        for program, notes, drums in players
        if len(notes)
    ]
    return _fluidsynth(band, rng, fonts)


def _fluidsynth(players: Sequence[_Player], rng: Generator, fonts: Sequence[Path]) -> Samples:
    """Play in a random room, by a random font."""
    effects = ["-R", "0"]
    if rng.random() < 0.6:
        size, level = rng.uniform(0.2, 0.9), rng.uniform(0.2, 1)
        effects = ["-R", "1", "-o", f"synth.reverb.room-size={size:.2f}", "-o", f"synth.reverb.level={level:.2f}"]
    effects += ["-C", "1" if rng.random() < 0.2 else "0"]
    font = _font(fonts, rng.random())
    with tempfile.TemporaryDirectory() as folder:
        midi, wave = Path(folder) / "x.mid", Path(folder) / "x.wav"
        _write_midi(midi, players)
        _run_fluidsynth(["-g", "0.5", "-r", str(ANALYSIS_RATE), *effects, "-F", str(wave), str(font), str(midi)])
        try:
            samples = soundfile.read(wave, dtype="float32", always_2d=True)[0]
        except soundfile.LibsndfileError as error:
            raise RenderError(f"FluidSynth wrote no sound with {font} ({error})") from error
    return np.asarray(samples.mean(axis=1), np.float32)


def _orchestrated(notes: Notes, rng: Generator) -> list[_Player]:
    """Give the notes to instruments; pianos often use the pedal."""
    alone, common = rng.random() < 0.5, _program(rng)
    players = []
    for part in np.unique(notes[:, PART]):
        program = common if alone else _program(rng)
        pedal: list[tuple[float, int]] = []
        if program in _PIANOS and rng.random() < 0.6:
            time = 0.0
            while time < notes[:, OFFSET].max():
                pedal.append((time + 0.08, 127))
                time += rng.uniform(0.5, 3)
                pedal.append((time, 0))
        players.append(_Player(program, notes[notes[:, PART] == part], pedal))
    return players


def _program(rng: Generator) -> int:
    family, _ = _FAMILIES[rng.choice(len(_FAMILIES), p=_CHANCES)]
    return int(rng.choice(list(family)))


def _font(fonts: Sequence[Path], chance: float) -> Path:
    """The first font or, below `_OTHER_FONTS`, one of the others."""
    others = fonts[1:]
    if chance >= _OTHER_FONTS or not others:
        return fonts[0]
    return others[min(int(chance / _OTHER_FONTS * len(others)), len(others) - 1)]


def _write_midi(path: Path, players: Sequence[_Player]) -> None:
    """Write a MIDI file at 120 quarters a minute: a track and a channel for each player."""
    import mido

    file = mido.MidiFile(ticks_per_beat=_TICKS_A_QUARTER)
    tempo, metre = mido.MetaMessage("set_tempo", tempo=500000), mido.MetaMessage("time_signature")
    file.tracks.append(mido.MidiTrack([tempo, metre, mido.MetaMessage("end_of_track", time=1)]))
    channels = [channel for channel in range(16) if channel != _DRUM_CHANNEL]
    for number, player in enumerate(players):
        channel = _DRUM_CHANNEL if player.drums else channels[number % len(channels)]
        track = mido.MidiTrack([mido.Message("program_change", program=player.program, channel=channel)])
        before = 0
        for tick, is_note, what, value in _events(player):
            if is_note:
                message = mido.Message("note_on", channel=channel, note=what, velocity=value, time=tick - before)
            else:
                message = mido.Message("control_change", channel=channel, control=what, value=value, time=tick - before)
            track.append(message)
            before = tick
        track.append(mido.MetaMessage("end_of_track", time=1))
        file.tracks.append(track)
    file.save(path)


def _events(player: _Player) -> list[tuple[int, bool, int, int]]:
    """Tick, whether a note, pitch or control, and velocity or value; ends of notes come before new notes."""
    events = [(_tick(time), False, _SUSTAIN_PEDAL, value) for time, value in player.pedal]
    for onset, offset, pitch, _, velocity in player.notes:
        events.append((_tick(onset), True, int(pitch), int(velocity)))
        events.append((_tick(max(offset, onset + 0.03)), True, int(pitch), 0))
    return sorted(events)


def _tick(seconds: float) -> int:
    return round(seconds / _SECONDS_A_TICK)


def _run_fluidsynth(options: list[str]) -> None:
    program = shutil.which("fluidsynth")
    if program is None:
        raise RenderError(
            "The program 'fluidsynth' is not on the PATH. Install FluidSynth 2 (Debian: apt install fluidsynth)."
        )
    few = ["-o", "synth.dynamic-sample-loading=1"]  # read the samples of these instruments alone
    done = subprocess.run([program, "-ni", "-q", *few, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise RenderError(f"FluidSynth failed with exit code {done.returncode}: {last}")


class _Tone(NamedTuple):
    """How an additive instrument sounds; times in seconds, vibrato in cents."""

    partials: int
    rolloff: float
    even: float
    attack: float
    decay: float
    inharmonicity: float
    vibrato: float
    release: float
    breath: float


def _random_tone(rng: Generator) -> _Tone:
    return _Tone(
        partials=int(rng.integers(3, 12)),
        rolloff=rng.uniform(0.3, 1.6),
        even=rng.choice([1.0, 0.2]),
        attack=10 ** rng.uniform(-2.7, -0.85),
        decay=10 ** rng.uniform(-0.5, 1.5),
        inharmonicity=rng.choice([0, 3e-4]),
        vibrato=rng.choice([0, 0, rng.uniform(2, 12)]),
        release=10 ** rng.uniform(-1.7, -0.4),
        breath=rng.choice([0, 0.02]),
    )


def additive_sound(notes: Notes, rng: Generator) -> tuple[Samples, list[str]]:
    """Play notes by partials added up, all by one random tone; attacks take 2 to 140 ms.

    Returns:
        mono samples at the analysis rate, and the tone's attack.
    """
    tone = _random_tone(rng)
    out = np.zeros(int((notes[:, OFFSET].max() + 2) * ANALYSIS_RATE), np.float32)
    for onset, offset, pitch, _, velocity in notes:
        sound = _additive_note(tone, pitch, offset - onset, rng) * (velocity / 127) ** 1.5
        first = int(onset * ANALYSIS_RATE)
        place = out[first : first + len(sound)]
        place += sound[: len(place)]
    return out, [f"add {tone.attack:.3f}"]


def _additive_note(tone: _Tone, pitch: float, held: float, rng: Generator) -> NDArray[np.float64]:
    frequency = 440 * 2 ** ((pitch - 69) / 12 + tone.vibrato * rng.uniform(-0.3, 0.3) / 1200)
    t = np.arange(int((held + 4 * tone.release) * ANALYSIS_RATE)) / ANALYSIS_RATE
    phase = 2 * np.pi * frequency * t
    if tone.vibrato:
        phase += tone.vibrato / 1200 * 0.69 * frequency * np.cos(2 * np.pi * 5.5 * t) / 5.5
    wave = np.zeros(len(t))
    for partial in range(1, tone.partials + 1):
        multiple = partial * np.sqrt(1 + tone.inharmonicity * partial**2)
        if frequency * multiple > _HIGHEST_PARTIAL:
            break
        strength = (tone.even if partial % 2 == 0 else 1) * partial**-tone.rolloff
        wave += strength * np.sin(phase * multiple + rng.uniform(0, 6))
    if tone.breath:
        wave += tone.breath * rng.standard_normal(len(t))
    released = np.maximum(t - held, 0)
    return wave * np.minimum(1, t / tone.attack) * np.exp(-t / tone.decay - released / tone.release)


def degraded(samples: Samples, rng: Generator) -> Samples:
    """What a microphone makes of a sound: now and then a room, an equaliser and coloured noise, of equal length."""
    out = samples / (np.abs(samples).max() + 1e-9)
    if rng.random() < 0.45:
        out = _in_a_room(out, rng)
    if rng.random() < 0.6:
        out = _equalised(out, rng)
    if rng.random() < 0.55:
        out = _with_noise(out, rng)
    return out.astype(np.float32)


def _in_a_room(samples: Samples, rng: Generator) -> Samples:
    """Direct sound, and noise that falls by 60 dB in .2 to 1.6 s."""
    length = int(rng.uniform(0.2, 1.6) * ANALYSIS_RATE)
    response = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    response *= rng.uniform(0.15, 0.7) / np.sqrt(np.square(response).sum())
    response[0] += 1
    return signal.fftconvolve(samples, response.astype(np.float32))[: len(samples)]


def _equalised(samples: Samples, rng: Generator) -> Samples:
    """A tilt of -4 to 3 dB an octave, and a few dB up and down along it."""
    spectrum = fft.rfft(samples)
    octaves = np.log2(np.maximum(np.linspace(0, ANALYSIS_RATE / 2, len(spectrum)), 40) / 1000)
    gain = rng.uniform(-4, 3) * octaves
    gain += np.interp(octaves, np.linspace(-5, 4, 8), rng.normal(0, 3, 8))
    spectrum *= 10 ** (np.clip(gain, -40, 25) / 20)
    return fft.irfft(spectrum, len(samples))


def _with_noise(samples: Samples, rng: Generator) -> NDArray[np.float64]:
    """White, pink or brown noise, 12 to 45 dB below."""
    spectrum = fft.rfft(rng.standard_normal(len(samples)))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** rng.choice([0.5, 0.5, 0, 1])
    noise = fft.irfft(spectrum, len(samples))
    ratio = np.sqrt(np.square(samples).mean() / (np.square(noise).mean() + 1e-12))
    return samples + noise * ratio * 10 ** (-rng.uniform(12, 45) / 20)
