"""Notes played by General MIDI instruments, through the program FluidSynth."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.random import Generator
from numpy.typing import NDArray

from alignment.audio import ANALYSIS_RATE
from retrieval.embedding.notes import OFFSET, PART
from retrieval.errors import RetrievalError

__all__ = ["RenderError", "fluidsynth_sound", "play_together"]

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

Notes = NDArray[np.float64]
Samples = NDArray[np.float32]


class RenderError(RetrievalError):
    """Notes cannot be played: FluidSynth or a sound font is missing or broken."""


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
