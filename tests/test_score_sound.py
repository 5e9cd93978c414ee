"""The sound of a score shows its notes: onsets, pitches, loudness, lengths."""

import numpy as np
import pytest
from written import midi_note, write_midi

from alignment.features.frames import FEATURE_RATE
from alignment.features.onsets import onset_strength
from alignment.score import read_score
from alignment.score_sound import score_sound

pytest.importorskip("partitura", reason="wants the score extra")


@pytest.fixture
def midi(tmp_path):
    return lambda *tracks, **header: read_score(write_midi(tmp_path / "score.mid", *tracks, **header))


def test_the_sound_has_its_onsets_at_the_notes(midi):
    score = midi([midi_note(pitch, 450, wait=30)[i] for pitch in (60, 64, 67, 72, 48, 55) for i in (0, 1)])
    sound = score_sound(score)
    strength = onset_strength(sound.samples, sound.rate)
    for onset in score.notes[1:, 0]:
        near = slice(round((onset - 0.15) * FEATURE_RATE), round((onset + 0.15) * FEATURE_RATE))
        assert abs((near.start + np.argmax(strength[near])) / FEATURE_RATE - onset) <= 0.03


@pytest.mark.parametrize("pitch", [36, 57, 69, 81, 100])
def test_the_sound_has_the_pitch_of_the_note(midi, pitch):
    sound = score_sound(midi([*midi_note(pitch, 960)]))
    spectrum = np.abs(np.fft.rfft(sound.samples * np.hanning(len(sound.samples))))
    found = np.argmax(spectrum) * sound.rate / len(sound.samples)
    assert found == pytest.approx(440 * 2 ** ((pitch - 69) / 12), rel=0.02)


def test_the_sound_ends_with_the_score_and_is_loud_enough(midi):
    score = midi([*midi_note(60, 480), *midi_note(62, 480)])
    sound = score_sound(score, 16000)
    assert (sound.rate, sound.samples.dtype) == (16000, np.float32)
    assert np.abs(sound.samples).max() == pytest.approx(0.7, rel=1e-5)
    assert score.duration < sound.duration < score.duration + 0.3
    released = sound.samples[round((score.duration + 0.05) * 16000) :]
    assert np.abs(released).max() == 0


def test_louder_notes_sound_louder_and_held_ones_longer(midi):
    sound = score_sound(midi([*midi_note(60, 240, velocity=120), *midi_note(60, 960, wait=240, velocity=30)]))

    def level(start, end):
        return np.sqrt(np.mean(sound.samples[round(start * sound.rate) : round(end * sound.rate)] ** 2))

    assert level(0.0, 0.2) / level(0.5, 0.7) == pytest.approx(4.0, rel=0.05)
    assert level(0.3, 0.45) < 1e-6 < level(1.2, 1.4)


def test_one_score_sounds_the_same_twice(midi):
    score = midi([*midi_note(60, 240), *midi_note(72, 240)])
    np.testing.assert_array_equal(score_sound(score).samples, score_sound(score).samples)
