"""A small synthesiser that performs the pieces of `demo_pieces`, with the exact time of every score beat.

Every performance has its own tempo curve, timbre, tuning and room, all drawn from its seed. Run
``python scripts/demo_music.py FOLDER`` to write two contrasting performances of every piece as FLAC files.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
from demo_pieces import PIECES, Note, Piece
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Floats = NDArray[np.float64]

PEAK = 0.7
ROOM_NOISE = 0.001
CONCERT_PITCH = 440.0
VIBRATO_RATE = 5.5
JITTER = 0.008
MOST_JITTER = 0.02
PHRASE_BEATS = 16.0
PART_GAINS = (1.0, 0.55, 0.7)
_BLOCK = 512
_TICKS_A_BEAT = 480
_CURVE_STEPS = 32


@dataclass(frozen=True)
class Timbre:
    """The recipe of a tone.

    `levels` are the amplitudes of the partials and `ratios` their frequencies over the first; without
    ratios they are harmonic, stretched by `stiffness`. `decay` is the time in seconds in which the first
    partial of a tone at A4 falls by 60 dB (0 for a sustained tone), and `damping` how much faster each next
    one falls. `attack` and `release` are in seconds, `noise` is relative to the tone and lasts `noise_length`
    seconds (0 for as long as the tone), `vibrato` and `detune` (one voice each) are in cents.
    """

    levels: tuple[float, ...]
    ratios: tuple[float, ...] = ()
    stiffness: float = 0.0
    decay: float = 0.0
    damping: float = 0.0
    attack: float = 0.003
    release: float = 0.1
    noise: float = 0.0
    noise_length: float = 0.0
    vibrato: float = 0.0
    detune: tuple[float, ...] = (0.0,)


def _rolled(count: int, slope: float, pluck: float = 0.0) -> tuple[float, ...]:
    """Return levels falling as k**-slope, with the nodes of a string plucked at the fraction `pluck`."""
    number = np.arange(1, count + 1)
    shape = np.abs(np.sin(np.pi * number * pluck)) if pluck else np.ones(count)
    return tuple((shape * number**-slope).tolist())


TIMBRES: dict[str, Timbre] = {
    "piano": Timbre(_rolled(18, 1.3, 0.12), stiffness=0.0004, decay=5.0, damping=0.25, noise=0.25,
                    noise_length=0.012, release=0.12, detune=(-0.7, 0.8)),
    "guitar": Timbre(_rolled(14, 1.1, 0.21), stiffness=0.0001, decay=3.0, damping=0.5, noise=0.1,
                     noise_length=0.006, release=0.2),
    "harpsichord": Timbre(_rolled(24, 0.6, 0.14), stiffness=0.00005, decay=3.5, damping=0.12, noise=0.15,
                          noise_length=0.004, release=0.06, attack=0.001),
    "organ": Timbre((1.0, 0.8, 0.35, 0.5, 0.08, 0.3, 0.0, 0.25), attack=0.025, release=0.07, noise=0.3,
                    noise_length=0.015, detune=(0.0, 1.5)),
    "strings": Timbre(_rolled(14, 1.0), attack=0.08, release=0.15, noise=0.02, vibrato=12.0,
                      detune=(-6.0, 0.0, 5.0)),
    "flute": Timbre((1.0, 0.35, 0.2, 0.06, 0.03), attack=0.04, release=0.08, noise=0.06, vibrato=8.0),
    "clarinet": Timbre((1.0, 0.04, 0.6, 0.05, 0.35, 0.06, 0.2, 0.05, 0.1), attack=0.03, release=0.07,
                       noise=0.02),
    "musicbox": Timbre((1.0, 0.3, 0.2, 0.12, 0.06), ratios=(1.0, 2.0, 3.01, 5.42, 8.2), decay=3.0,
                       damping=0.5, attack=0.001, release=0.6, noise=0.1, noise_length=0.003),
}  # fmt: skip


@dataclass(frozen=True)
class Performance:
    """How a piece is played: `room` is the RT60 in seconds, `lead` the silence before the first note.

    `rubato` is the largest relative change of the tempo along the piece, beside the slowing at phrase ends.
    """

    seed: int
    timbre: str
    tempo_scale: float = 1.0
    tuning_cents: float = 0.0
    transposition: int = 0
    room: float = 0.3
    rubato: float = 0.12
    lead: float = 0.5


@dataclass(frozen=True)
class Rendering:
    """Mono samples at `rate`, and for each distinct score onset in `beats` the second at which it sounds."""

    samples: Samples
    rate: int
    beats: Floats
    seconds: Floats


@dataclass(frozen=True)
class Recorded:
    """A written file, the slug of its piece, how it was played, and its ground truth as in `Rendering`."""

    path: Path
    piece: str
    performance: Performance
    beats: Floats
    seconds: Floats


def tempo_curve(piece: Piece, performance: Performance) -> tuple[Floats, Floats]:
    """Return score beats on a fine even grid and the strictly increasing time in seconds of each.

    Slow sinusoids bend the tempo; it yields at the end of each phrase and broadens at the close.
    """
    rng = np.random.default_rng([performance.seed, 1])
    beats = np.linspace(0.0, piece.beats, int(np.ceil(piece.beats * _CURVE_STEPS)) + 1)
    periods = rng.uniform(5.0, 40.0, 6)[:, None]
    phases = rng.uniform(0.0, 2 * np.pi, (6, 1))
    bend = np.sum(np.sqrt(periods) * np.sin(2 * np.pi * beats / periods + phases), axis=0)
    bend /= np.max(np.abs(bend))
    phrase_end = np.exp(-0.5 * (((beats + 1) % PHRASE_BEATS - 1) / 0.7) ** 2) * (beats > PHRASE_BEATS / 2)
    closing = np.clip((beats - piece.beats + 6) / 6, 0.0, 1.0) ** 2
    slowness = np.exp(performance.rubato * (bend + phrase_end + 2.5 * closing))
    beat_seconds = 60.0 / (piece.tempo * performance.tempo_scale) * slowness
    steps = 0.5 * (beat_seconds[1:] + beat_seconds[:-1]) * np.diff(beats)
    return beats, performance.lead + np.concatenate([[0.0], np.cumsum(steps)])


def _partials(frequency: float, timbre: Timbre, brightness: float, rate: int) -> tuple[Floats, Floats, Floats]:
    """Return the angular frequencies and decay rates a sample, and the levels, of a tone's partials."""
    number = np.arange(1, len(timbre.levels) + 1)
    stretch = np.sqrt((1 + timbre.stiffness * number**2) / (1 + timbre.stiffness))
    ratios = np.array(timbre.ratios) if timbre.ratios else number * stretch
    levels = np.array(timbre.levels) * ratios ** (-1.2 * (1.0 - brightness))
    shorter = (CONCERT_PITCH / frequency) ** 0.6
    fall = np.log(1000.0) / (timbre.decay * shorter) if timbre.decay else 0.0
    falls = fall * (1 + timbre.damping * (number - 1)) / rate
    voices = 2.0 ** (np.array(timbre.detune) / 1200.0)
    omegas = np.outer(voices, 2 * np.pi * frequency * ratios / rate).ravel()
    kept = omegas < 0.9 * np.pi
    count = len(voices)
    return omegas[kept], np.tile(falls, count)[kept], np.tile(levels / count, count)[kept]


def _oscillate(omegas: Floats, falls: Floats, amplitudes: NDArray[np.complex128], length: int) -> Floats:
    """Sum decaying sinusoids over `length` samples, as one matrix product of coarse and fine steps."""
    step = -falls + 1j * omegas
    coarse = amplitudes * np.exp(np.outer(np.arange(0, length, _BLOCK), step))
    fine = np.exp(np.outer(step, np.arange(_BLOCK)))
    left = np.hstack([coarse.real, -coarse.imag])
    summed: Floats = (left @ np.vstack([fine.real, fine.imag])).ravel()[:length]
    return summed


def _envelope(timbre: Timbre, held: int, length: int, rate: int) -> Floats:
    """Return a raised-cosine attack, no longer than 0.4 of the note, and a decay from sample `held` on."""
    envelope = np.ones(length)
    attack = max(int(min(timbre.attack * rate, 0.4 * held)), 1)
    envelope[:attack] = 0.5 - 0.5 * np.cos(np.pi * np.arange(attack) / attack)
    envelope[held:] *= np.exp(-np.log(1000.0) * np.arange(length - held) / (length - held))
    return envelope


def _noise(timbre: Timbre, level: float, length: int, rate: int, rng: np.random.Generator) -> Floats:
    """Return the hammer, pluck or breath noise of one tone, softened above a quarter of the rate."""
    white = level * timbre.noise * rng.standard_normal(length + 1)
    soft: Floats = 0.5 * (white[1:] + white[:-1])
    if timbre.noise_length:
        soft *= np.exp(-np.arange(length) / (timbre.noise_length * rate))
    return soft


def _tone(frequency: float, seconds: float, velocity: float, timbre: Timbre, rate: int,
          rng: np.random.Generator) -> Floats:  # fmt: skip
    """Return one tone, held for `seconds` and then released, with a level of about `velocity`."""
    held = max(int(seconds * rate), 1)
    length = held + int(timbre.release * rate)
    omegas, falls, levels = _partials(frequency, timbre, velocity, rate)
    levels = levels / np.sqrt(np.sum(levels**2))
    phases = rng.uniform(0.0, 2 * np.pi, len(levels))
    tone = _oscillate(omegas, falls, levels * np.exp(1j * phases), length)
    if timbre.vibrato:
        deepest = rate * (2.0 ** (timbre.vibrato / 1200) - 1) / (2 * np.pi * VIBRATO_RATE)
        time = np.arange(length)
        swing = np.sin(2 * np.pi * VIBRATO_RATE * time / rate + rng.uniform(0.0, 2 * np.pi))
        tone = np.interp(time + deepest * swing * np.minimum(1.0, time / (0.3 * rate)), time, tone)
    tone += _noise(timbre, 1.0, length, rate, rng)
    tone *= velocity * _envelope(timbre, held, length, rate)
    return tone


def _velocities(notes: Sequence[Note], rng: np.random.Generator) -> Floats:
    """Return how hard each note is played, within 0 to 1: by part, swelling with the phrase, uneven."""
    onsets = np.array([note.onset for note in notes])
    swell = 0.12 * np.sin(2 * np.pi * (onsets / PHRASE_BEATS + rng.uniform()))
    accent = 0.06 * (onsets % 2 == 0)
    gains = np.array([PART_GAINS[note.part] for note in notes])
    uneven = rng.normal(0.0, 0.05, len(notes))
    velocities: Floats = np.clip(gains * (0.75 + swell + accent + uneven), 0.1, 1.0)
    return velocities


def _room_response(room: float, rate: int, rng: np.random.Generator) -> Floats:
    """Return an impulse response: direct sound, early reflections, and a noise tail with RT60 `room`."""
    length = int((room + 0.05) * rate)
    time = np.arange(length) / rate
    tail = np.convolve(rng.standard_normal(length), np.hanning(6)[1:-1], mode="same")
    tail *= 10.0 ** (-3.0 * time / room) * (time > 0.012)
    tail *= np.sqrt(0.7 * room / np.sum(tail**2))
    delays = np.sort(rng.uniform(0.004, 0.04, 6))
    tail[(delays * rate).astype(int)] += 0.3 * rng.choice([-1.0, 1.0], 6) * 10.0 ** (-12.0 * delays)
    tail[0] = 1.0
    return tail


def _convolve(signal: Floats, response: Floats) -> Floats:
    length = len(signal) + len(response) - 1
    size = 1 << (length - 1).bit_length()
    spectrum = np.fft.rfft(signal, size) * np.fft.rfft(response, size)
    return np.fft.irfft(spectrum, size)[:length]


def _play(piece: Piece, performance: Performance, rate: int) -> Floats:
    """Return the piece played without a room, ending half a second after the last release."""
    rng = np.random.default_rng([performance.seed, 2])
    timbre = TIMBRES[performance.timbre]
    beats, times = tempo_curve(piece, performance)
    starts = np.interp([note.onset for note in piece.notes], beats, times)
    ends = np.interp([note.onset + note.duration for note in piece.notes], beats, times)
    jitter = np.clip(rng.normal(0.0, JITTER, len(starts)), -MOST_JITTER, MOST_JITTER)
    firsts = np.round(np.maximum(starts + jitter, 0.0) * rate).astype(int)
    played = np.zeros(int((times[-1] + MOST_JITTER + timbre.release + 0.5) * rate))
    velocities = _velocities(piece.notes, rng)
    cents = 100.0 * performance.transposition + performance.tuning_cents
    for note, first, held, velocity in zip(piece.notes, firsts, ends - starts, velocities, strict=True):
        frequency = CONCERT_PITCH * 2.0 ** ((note.pitch - 69 + cents / 100.0) / 12)
        tone = _tone(frequency, held, velocity, timbre, rate, rng)
        played[first : first + len(tone)] += tone
    return played


def perform(piece: Piece, performance: Performance, rate: int = 22050) -> Rendering:
    """Play a piece in its room; the peak is 0.7 and the noise of the room lies 60 dB below it.

    A note's attack begins at its stated time, give or take a jitter of at most 20 ms.
    """
    rng = np.random.default_rng([performance.seed, 3])
    sound = _play(piece, performance, rate)
    if performance.room:
        sound = _convolve(sound, _room_response(performance.room, rate, rng))
    sound /= np.max(np.abs(sound))
    sound += ROOM_NOISE * rng.standard_normal(len(sound))
    sound *= PEAK / np.max(np.abs(sound))
    onsets = np.unique([note.onset for note in piece.notes])
    seconds = np.interp(onsets, *tempo_curve(piece, performance))
    return Rendering(sound.astype(np.float32), rate, onsets, seconds)


def _pink(length: int, rng: np.random.Generator) -> Floats:
    """Return noise of unit power whose power falls by 3 dB an octave."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    spectrum[0] = 0.0
    noise: Floats = np.fft.irfft(spectrum, length)
    noise /= np.sqrt(np.mean(noise**2))
    return noise


def snippet(rendering: Rendering, start: float, length: float, snr_db: float, seed: int) -> Samples:
    """Cut `length` seconds from `start` on and add pink noise `snr_db` below the power of the cut.

    The sum is not scaled, and may pass 1 in size where the noise is strong.
    """
    first = round(start * rendering.rate)
    cut = rendering.samples[first : first + round(length * rendering.rate)].astype(np.float64)
    level = np.sqrt(np.mean(cut**2)) * 10.0 ** (-snr_db / 20)
    noisy: Floats = cut + level * _pink(len(cut), np.random.default_rng(seed))
    return noisy.astype(np.float32)


def contrasting(index: int) -> tuple[Performance, Performance]:
    """Return the two performances of the piece at `index`: other timbres, tempi, tunings and rooms."""
    rng = np.random.default_rng([2024, index])
    names = list(TIMBRES)
    first = names[index % len(names)]
    second = names[(index + 3 + index // len(names)) % len(names)]
    quick, slow = rng.uniform(1.02, 1.2), rng.uniform(0.85, 0.98)
    sharp, flat = rng.uniform(3.0, 30.0), rng.uniform(-30.0, -3.0)
    dry, wet = rng.uniform(0.15, 0.5), rng.uniform(0.6, 1.4)
    lead_a, lead_b = rng.uniform(0.3, 1.5, 2)
    rubato_a, rubato_b = rng.uniform(0.06, 0.18, 2)
    return (
        Performance(2 * index, first, quick, sharp, 0, dry, rubato_a, lead_a),
        Performance(2 * index + 1, second, slow, flat, 0, wet, rubato_b, lead_b),
    )


def write_collection(folder: Path, pieces: Sequence[Piece] = PIECES, rate: int = 22050) -> list[Recorded]:
    """Write two performances of every piece as mono 16-bit FLAC, `<name>-a.flac` and `<name>-b.flac`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for index, piece in enumerate(pieces):
        for letter, performance in zip("ab", contrasting(index), strict=True):
            rendering = perform(piece, performance, rate)
            path = folder / f"{piece.name}-{letter}.flac"
            with sf.SoundFile(path, "w", rate, 1, "PCM_16", format="FLAC") as file:
                file.title, file.artist = piece.title, piece.composer
                file.write(rendering.samples)
            written.append(Recorded(path, piece.name, performance, rendering.beats, rendering.seconds))
    return written


def write_scores(folder: Path, pieces: Sequence[Piece] = PIECES) -> list[Path]:
    """Write the pieces as MIDI files, a track each part; measures are 4/4, so that beats are counted by fours."""
    import mido

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for piece in pieces:
        file = mido.MidiFile(ticks_per_beat=_TICKS_A_BEAT)
        tempo = mido.MetaMessage("set_tempo", tempo=round(60e6 / piece.tempo))
        file.tracks.append(mido.MidiTrack([mido.MetaMessage("track_name", name=piece.title), tempo]))
        for part in sorted({note.part for note in piece.notes}):
            events = [
                (round(when * _TICKS_A_BEAT), kind, note.pitch)
                for note in piece.notes
                if note.part == part
                for when, kind in ((note.onset + note.duration, "note_off"), (note.onset, "note_on"))
            ]
            events.sort(key=lambda event: (event[0], event[1] == "note_on"))
            track, before = mido.MidiTrack(), 0
            for tick, kind, pitch in events:
                track.append(mido.Message(kind, note=pitch, velocity=80, channel=part, time=tick - before))
                before = tick
            file.tracks.append(track)
        paths.append(folder / f"{piece.name}.mid")
        file.save(paths[-1])
    return paths


def _main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print("usage: python scripts/demo_music.py FOLDER", file=sys.stderr)
        return 2
    for recorded in write_collection(Path(arguments[0])):
        how = recorded.performance
        manner = f"{how.timbre}, tempo x{how.tempo_scale:.2f}, {how.tuning_cents:+.0f} cents"
        print(f"{recorded.path}  {manner}, room {how.room:.1f} s, {len(recorded.beats)} onsets")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
