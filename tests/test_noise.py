"""Where music begins in steady noise: it rises out of it, is louder, and comes and goes while the noise stays."""

import numpy as np
import pytest

from alignment.features.noise import noise_before

RATE = 50
BANDS = 40


def noise(frames, seed=0):
    """Magnitudes of bands of Gaussian noise, of power 1."""
    real, imaginary = np.random.default_rng(seed).standard_normal((2, BANDS, frames))
    return np.hypot(real, imaginary).astype(np.float32) / np.float32(np.sqrt(2.0))


def notes(frames, seed=1):
    """Five bands at a time sound for a quarter of a second each, 26 dB above the noise."""
    rng = np.random.default_rng(seed)
    out = np.zeros((BANDS, frames), np.float32)
    for start in range(0, frames, RATE // 4):
        out[rng.choice(BANDS, 5, replace=False), start : start + RATE // 4] = 20.0
    return out


@pytest.mark.parametrize("seconds", [1, 4])
def test_noise_ends_where_the_first_note_rises_out_of_it(seconds):
    music = np.concatenate([np.zeros((BANDS, seconds * RATE), np.float32), notes(20 * RATE)], axis=1)
    heard = np.hypot(music, noise(music.shape[1]))
    assert noise_before(heard) == pytest.approx(seconds * RATE, abs=1)
    clicked = heard.copy()
    clicked[:, RATE // 2 : RATE // 2 + 2] *= 5.0
    assert noise_before(clicked) == pytest.approx(seconds * RATE, abs=1)


def test_nothing_is_taken_from_music_that_begins_at_once():
    assert noise_before(np.hypot(notes(20 * RATE), noise(20 * RATE))) == 0


def test_a_held_chord_and_applause_that_stops_are_no_noise():
    music = notes(20 * RATE)
    music[:, : 3 * RATE] = 0.0
    held, clapped = music + 0.02, music + 0.02
    held[:5, : 3 * RATE] = 4.0
    clapped[:, : 3 * RATE] = 4.0 * noise(3 * RATE)
    assert noise_before(held) == 0
    assert noise_before(clapped) == 0


def test_what_is_all_noise_or_shorter_than_a_note_is_left_whole():
    assert noise_before(noise(10 * RATE)) == 0
    assert noise_before(noise(3)) == 0
