"""What degrades music leaves it at its place."""

import numpy as np
import pytest
from scipy import fft

from alignment import read_audio
from retrieval.embedding.degradation import (
    CODECS,
    coded,
    coloured_noise,
    degraded,
    in_a_room,
    room_response,
    with_noise,
)

RATE = 22050


@pytest.fixture(scope="module")
def passage(music):
    return read_audio(music.recorded[0].path).samples[5 * RATE : 11 * RATE]


def delay(late, early):
    """Seconds by which one signal lies behind the other."""
    length = fft.next_fast_len(len(late) + len(early))
    correlation = np.abs(fft.irfft(fft.rfft(late, length) * fft.rfft(early, length).conj(), length))
    lag = int(np.argmax(correlation))
    return (lag - length if lag > length / 2 else lag) / RATE


@pytest.mark.parametrize(("container", "codec", "rates"), CODECS)
def test_codecs_keep_length_place_and_most_of_the_sound(passage, container, codec, rates):
    for rate in rates[1:]:
        heard = coded(passage, container, codec, rate, 1.0)
        assert heard.shape == passage.shape
        assert abs(delay(heard, passage)) < 0.002
        assert np.corrcoef(heard, passage)[0, 1] > 0.6


def test_lower_rates_leave_less(passage):
    fine, coarse = (coded(passage, "MP3", "MPEG_LAYER_III", 22050, level) for level in (0.3, 1.0))
    assert np.corrcoef(fine, passage)[0, 1] > np.corrcoef(coarse, passage)[0, 1]


def test_a_room_begins_with_the_direct_sound_and_dies_away():
    for seed in range(8):
        response = room_response(np.random.default_rng(seed))
        energy = np.cumsum(response[::-1].astype(float) ** 2)[::-1]
        assert response[0] == 1.0
        assert energy[len(energy) // 2] < 0.2 * energy[0]


def test_a_room_adds_what_comes_later_only(passage):
    click = np.zeros(RATE, np.float32)
    click[1000] = 1.0
    heard = in_a_room(click, room_response(np.random.default_rng(0)))
    assert np.abs(heard[:1000]).max() < 1e-6
    assert np.abs(heard[1001:]).max() > 1e-3


def test_noise_lies_so_many_decibels_below(passage):
    noise = coloured_noise(len(passage), np.random.default_rng(0))
    added = with_noise(passage, noise, 7.0) - passage
    assert 10 * np.log10(np.mean(passage**2) / np.mean(added**2)) == pytest.approx(7.0, abs=0.01)


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_coloured_noise_falls_as_its_slope_says(slope):
    samples = coloured_noise(1 << 17, np.random.default_rng(0), slope)
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    bands = [spectrum[1 << k : 2 << k].mean() for k in range(10, 16)]
    fall = np.polyfit(np.arange(len(bands)), np.log2(bands), 1)[0]
    assert fall == pytest.approx(-2 * slope, abs=0.15)


def test_degraded_music_is_finite_and_at_its_place(passage):
    delays = []
    for seed in range(24):
        heard = degraded(passage, np.random.default_rng(seed), lambda rng, count: rng.standard_normal(count))
        assert heard.shape == passage.shape
        assert np.isfinite(heard).all()
        delays.append(abs(delay(heard, passage)))
    assert np.mean(np.array(delays) < 0.03) > 0.8
