"""What happens to music on its way into a query: rooms, loudspeakers, noise, telephones, codecs.

Signals are mono float32 at the analysis rate, shape `(samples,)`, and keep their length and their place in time.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft, signal

from alignment.audio import ANALYSIS_RATE

__all__ = [
    "CODECS",
    "babble",
    "coded",
    "coloured_noise",
    "cut",
    "degraded",
    "in_a_room",
    "room_response",
    "with_noise",
]

Samples = NDArray[np.float32]
Disturbance = Callable[[Generator, int], Samples]
"""Gives so many samples of something that disturbs: recorded noise, other music."""

CODECS = (
    ("MP3", "MPEG_LAYER_III", (22050, 22050, 16000, 11025)),
    ("OGG", "VORBIS", (22050, 22050, 16000, 11025)),
    ("OGG", "OPUS", (24000, 16000, 12000, 8000)),
)
"""Container, codec, and the sample rates at which it is used; libsndfile brings the encoders."""

_WRITTEN_AT_ONCE = 2**16
_SPEED_OF_SOUND = 343.0
_MOST_DELAY = 0.2
_MOST_COMPRESSION = 0.99
"""Libsndfile refuses 1 for MP3."""


def degraded(samples: Samples, rng: Generator, disturbance: Disturbance) -> Samples:
    """A random chain of what degrades music, in the order in which it happens.

    Args:
        samples: clean music.
        rng: source of all randomness.
        disturbance: what is mixed in where it is not computed noise.
    """
    heard = samples / (_rms(samples) + 1e-6)
    if rng.random() < 0.6:
        heard = _equalised(heard, rng)
    if rng.random() < 0.5:
        heard = in_a_room(heard, room_response(rng))
    if rng.random() < 0.75:
        other = disturbance(rng, len(heard)) if rng.random() < 0.7 else coloured_noise(len(heard), rng)
        heard = with_noise(heard, other, rng.uniform(-4.0, 18.0))
    if rng.random() < 0.4:
        heard = _equalised(heard, rng)
    if rng.random() < 0.15:
        heard = np.tanh(heard * np.exp(rng.uniform(np.log(0.5), np.log(5.0))))
    if rng.random() < 0.35:
        heard = _band_limited(heard, rng)
    if rng.random() < 0.35:
        container, codec, rates = CODECS[rng.integers(len(CODECS))]
        heard = coded(heard, container, codec, int(rng.choice(rates)), 1.0 - 0.5 * rng.random() ** 2)
    return np.asarray(heard, np.float32)


def room_response(rng: Generator) -> Samples:
    """Impulse response of a shoebox room, from the direct sound on, at the analysis rate.

    The first reflections are those of image sources (Allen and Berkley, "Image method for efficiently simulating
    small-room acoustics", JASA 1979); what follows is noise that decays by 60 dB in the reverberation time, the
    treble faster.
    """
    rt60 = np.exp(rng.uniform(np.log(0.12), np.log(1.8)))
    size = rng.uniform((2.5, 2.5, 2.2), (12.0, 9.0, 4.5))
    source, microphone = rng.uniform(0.1, 0.9, (2, 3)) * size
    response = np.zeros(int(min(rt60, 1.4) * ANALYSIS_RATE) + 1)
    order = np.arange(-2, 3)
    cells = np.stack(np.meshgrid(order, order, order, indexing="ij"), -1).reshape(-1, 3)
    flips = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), -1).reshape(-1, 3)
    images = 2 * cells[:, None] * size + np.where(flips, -source, source)[None]
    bounces = np.abs(2 * cells[:, None] - flips).sum(axis=2)
    distance = np.linalg.norm(images - microphone, axis=2)
    direct = np.linalg.norm(source - microphone)
    surface = 2 * (size[0] * size[1] + size[1] * size[2] + size[0] * size[2])
    absorption = np.clip(0.161 * size.prod() / (rt60 * surface), 0.02, 0.9)  # Sabine
    strength = (1 - absorption) ** (bounces / 2) * direct / distance
    at = np.rint((distance - direct) / _SPEED_OF_SOUND * ANALYSIS_RATE).astype(int)
    inside = (at >= 0) & (at < len(response))
    np.add.at(response, at[inside], strength[inside] * rng.choice([-1.0, 1.0], int(inside.sum())))
    response[0] = 1.0
    seconds = np.arange(len(response)) / ANALYSIS_RATE
    tail = rng.standard_normal(len(response)) * 10.0 ** (-3.0 * seconds / rt60)
    tail = signal.lfilter(*signal.butter(1, rng.uniform(1500.0, 8000.0), fs=ANALYSIS_RATE), tail)
    tail *= 10.0 ** (rng.uniform(-15.0, 8.0) / 20.0) / np.sqrt(np.square(tail).sum())
    tail[0] = 0.0
    return (response + tail).astype(np.float32)


def in_a_room(samples: Samples, response: Samples) -> Samples:
    """The sound as it arrives in a room, of equal length."""
    return np.asarray(signal.fftconvolve(samples, response)[: len(samples)], np.float32)


def with_noise(samples: Samples, noise: Samples, decibels: float) -> Samples:
    """The sound with a disturbance that lies so many decibels below it."""
    gain = _rms(samples) / (_rms(noise) + 1e-9) * 10.0 ** (-decibels / 20.0)
    return samples + np.float32(gain) * noise


def coloured_noise(count: int, rng: Generator, slope: float | None = None) -> Samples:
    """Noise whose amplitude falls as frequency to the power `-slope`: 0 white, .5 pink, 1 brown; else any of these."""
    spectrum = fft.rfft(rng.standard_normal(count).astype(np.float32))
    chosen = rng.uniform(0.0, 1.0) if slope is None else slope
    return np.asarray(fft.irfft(spectrum * np.linspace(0, 1, len(spectrum)).clip(1e-3) ** -chosen, count), np.float32)


def coded(samples: Samples, container: str, codec: str, rate: int, compression: float) -> Samples:
    """The sound after an encoder and its decoder, at its place again.

    Args:
        samples: of the analysis rate.
        container, codec: as libsndfile names them.
        rate: samples a second for the encoder.
        compression: 0 best quality to 1 lowest rate.
    """
    level = np.abs(samples).max() + 1e-9
    lower = soxr.resample(samples / (1.05 * level), ANALYSIS_RATE, rate)
    buffer = io.BytesIO()
    options: dict[str, Any] = {"compression_level": min(compression, _MOST_COMPRESSION)}
    if container == "MP3":
        options["bitrate_mode"] = "CONSTANT"
    with soundfile.SoundFile(buffer, "w", rate, 1, codec, format=container, **options) as file:
        for start in range(0, len(lower), _WRITTEN_AT_ONCE):  # libsndfile puts what it is given on the stack
            file.write(lower[start : start + _WRITTEN_AT_ONCE])
    buffer.seek(0)
    decoded = soundfile.read(buffer, dtype="float32")[0]
    back = soxr.resample(decoded, rate, ANALYSIS_RATE) * level
    return _in_place(np.asarray(back, np.float32), samples)


def _in_place(late: Samples, samples: Samples) -> Samples:
    """Take away the delay of an encoder, by correlation."""
    length = 2 ** int(np.ceil(np.log2(len(samples) + len(late))))
    correlation = fft.irfft(fft.rfft(late, length) * fft.rfft(samples, length).conj(), length)
    delay = int(np.argmax(correlation[: int(_MOST_DELAY * ANALYSIS_RATE)]))
    moved = late[delay : delay + len(samples)]
    return np.pad(moved, (0, len(samples) - len(moved)))


def _equalised(samples: Samples, rng: Generator) -> Samples:
    """A tilt and smooth gains over log frequency."""
    spectrum = fft.rfft(samples)
    octaves = np.log2(np.maximum(np.linspace(0, ANALYSIS_RATE / 2, len(spectrum)), 40) / 1000)
    gain = rng.uniform(-4, 4) * octaves + np.interp(octaves, np.linspace(-5, 4, 9), rng.normal(0, 4, 9))
    return np.asarray(fft.irfft(spectrum * 10 ** (np.clip(gain, -30, 20) / 20), len(samples)), np.float32)


def _band_limited(samples: Samples, rng: Generator) -> Samples:
    """A telephone's band one time in two, else some other."""
    low, high = (300.0, 3400.0) if rng.random() < 0.5 else (rng.uniform(60, 500), rng.uniform(2500, 9000))
    sections = signal.butter(int(rng.integers(2, 6)), (low, high), "bandpass", fs=ANALYSIS_RATE, output="sos")
    return np.asarray(signal.sosfiltfilt(sections, samples), np.float32)


def babble(tracks: Sequence[NDArray[np.int16]], rng: Generator, count: int, most: int = 6) -> Samples:
    """One to `most` other pieces of music at once."""
    voices = [cut(tracks, rng, count) for _ in range(int(rng.integers(1, most + 1)))]
    return np.sum([voice / (_rms(voice) + 1e-4) for voice in voices], axis=0, dtype=np.float32)


def cut(tracks: Sequence[NDArray[np.int16]], rng: Generator, count: int) -> Samples:
    """So many samples from somewhere in one of the tracks, which is repeated where it is too short."""
    track = tracks[int(rng.integers(len(tracks)))]
    start = int(rng.integers(0, max(len(track) - count, 0) + 1))
    piece = np.resize(track[start : start + count], count)
    return piece.astype(np.float32) / np.float32(32768.0)


def _rms(samples: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
