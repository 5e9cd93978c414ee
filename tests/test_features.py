"""Features agree with librosa's where both exist, and keep the properties of their definitions."""

import librosa
import numpy as np
import pytest
from demo_music import contrasting, perform
from demo_pieces import PIECES

from alignment.audio import read_audio
from alignment.features import (
    HOP,
    LogFrequency,
    cens,
    chroma,
    estimate_tuning,
    frame_count,
    frames_to_seconds,
    log_frequency_spectrogram,
    onset_strength,
    seconds_to_frames,
    stft_magnitude,
)
from alignment.features.encoder import BANKS, compress, encode
from alignment.features.filterbank import SemitoneBank, semitone_magnitudes
from alignment.features.spectrum import log_frequency_filterbank

RATE = 22050


@pytest.fixture(scope="module")
def samples(music):
    return read_audio(music.recorded[0].path).samples[: 20 * RATE]


def tone(midi, seconds=2.0, cents=0.0):
    hertz = 440.0 * 2 ** ((midi - 69 + cents / 100) / 12)
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def test_frames_and_seconds_are_inverse():
    frames = np.arange(1000)
    assert np.array_equal(seconds_to_frames(frames_to_seconds(frames)), frames)
    assert frames_to_seconds(50) == 1.0
    assert [frame_count(n) for n in (0, 1, HOP, HOP + 1)] == [0, 1, 1, 2]


@pytest.mark.parametrize("window", [1024, 2048])
def test_stft_equals_librosas(samples, window):
    ours = stft_magnitude(samples, window)
    padded = np.pad(samples, window // 2)
    theirs = np.abs(librosa.stft(padded, n_fft=window, hop_length=HOP, center=False)) * 4 / window
    frames = min(ours.shape[1], theirs.shape[1])
    assert abs(ours.shape[1] - theirs.shape[1]) <= 1
    assert np.allclose(ours[:, :frames], theirs[:, :frames], atol=1e-4)


def test_log_frequency_bins_are_roots_of_weighted_power(samples):
    layout = LogFrequency(lowest=50.0, bins=70, shortest_window=1024, longest_window=2048)
    found = log_frequency_spectrogram(samples, RATE, layout)
    for window in (1024, 2048):
        weights = log_frequency_filterbank(layout, RATE, window, 0.0)
        expected = np.sqrt(weights @ stft_magnitude(samples, window) ** 2)
        chosen = layout.windows(RATE) == window
        assert chosen.any()
        assert np.allclose(found[chosen], expected[chosen], rtol=1e-4, atol=1e-7)


def test_a_sinusoid_of_amplitude_one_has_magnitude_one_in_its_bin_for_every_window():
    for midi in (45, 57, 69, 81, 93):
        layout = LogFrequency(lowest=24.0, bins=84)
        column = log_frequency_spectrogram(2 * tone(midi), RATE, layout)[:, 50]
        assert np.argmax(column) == midi - 24
        assert column.max() == pytest.approx(1.0, rel=0.35)


def test_chroma_correlates_with_librosas(samples):
    ours = chroma(samples, RATE)
    theirs = librosa.feature.chroma_cqt(y=samples, sr=RATE, hop_length=HOP + 7, tuning=0, norm=2)
    assert ours.shape[0] == 12
    times = np.arange(ours.shape[1]) * HOP / RATE
    columns = np.clip(np.rint(times * RATE / (HOP + 7)).astype(int), 0, theirs.shape[1] - 1)
    correlation = np.corrcoef(ours.ravel(), theirs[:, columns].ravel())[0, 1]
    assert correlation > 0.85


def test_cens_equals_librosas_on_the_same_chroma(samples):
    given = chroma(samples, RATE)
    ours = cens(given, smoothing=41, downsampling=1)
    theirs = librosa.feature.chroma_cens(C=given, bins_per_octave=12, n_octaves=1, win_len_smooth=41)
    assert ours.shape == theirs.shape
    inner = slice(50, -50)
    assert np.corrcoef(ours[:, inner].ravel(), theirs[:, inner].ravel())[0, 1] > 0.995


def test_cens_keeps_every_tenth_frame_and_unit_length(samples):
    ours = cens(chroma(samples, RATE), 41, 10)
    assert ours.shape == (12, -(-frame_count(len(samples)) // 10))
    lengths = np.linalg.norm(ours, axis=0)
    assert np.allclose(lengths[lengths > 0], 1.0, atol=1e-5)


def test_onset_strength_peaks_where_librosas_does(samples):
    ours = onset_strength(samples, RATE)
    theirs = librosa.onset.onset_strength(y=samples, sr=RATE, hop_length=HOP)
    assert abs(len(ours) - len(theirs)) <= 1
    n = min(len(ours), len(theirs))
    lags = [
        np.corrcoef(ours[max(0, -k) : n - max(0, k)], theirs[max(0, k) : n - max(0, -k)])[0, 1] for k in range(-2, 3)
    ]
    assert max(lags) > 0.6


def test_onset_strength_is_high_where_notes_begin(music):
    first, _ = music.pair("bach-prelude")
    audio = read_audio(first.path)
    strength = onset_strength(audio.samples, RATE)
    onsets = seconds_to_frames(first.seconds)
    at = np.array([strength[max(frame - 2, 0) : frame + 4].max() for frame in onsets])
    assert np.median(at) > 5 * np.median(strength)


@pytest.mark.parametrize("semitones", [1, 5, -3])
def test_transposing_the_sound_rolls_the_chroma(semitones):
    chord = sum(tone(60 + interval) for interval in (0, 4, 7))
    moved = sum(tone(60 + interval + semitones) for interval in (0, 4, 7))
    before, after = (chroma(np.float32(x), RATE)[:, 20:-20].mean(axis=1) for x in (chord, moved))
    assert np.corrcoef(np.roll(before, semitones), after)[0, 1] > 0.97


def test_doubling_the_gain_changes_nothing(samples):
    quiet = samples * np.float32(0.4)
    assert np.allclose(chroma(quiet, RATE), chroma(2 * quiet, RATE), atol=1e-5)
    assert np.allclose(onset_strength(quiet, RATE), onset_strength(2 * quiet, RATE), atol=1e-4)
    assert estimate_tuning(quiet, RATE) == pytest.approx(estimate_tuning(2 * quiet, RATE), abs=0.01)


@pytest.mark.parametrize("cents", [-40, -15, 0, 22, 45])
def test_tuning_of_a_detuned_scale_is_found(cents):
    scale = np.concatenate([tone(midi, 0.5, cents) for midi in (60, 62, 64, 65, 67, 69, 71, 72)])
    assert estimate_tuning(scale, RATE) == pytest.approx(cents, abs=3)


def test_tuning_of_music_agrees_with_librosas_and_the_truth(music):
    for item in music.recorded[:4]:
        samples = read_audio(item.path).samples
        assert estimate_tuning(samples, RATE) == pytest.approx(item.performance.tuning_cents, abs=6)
        theirs = 100 * librosa.estimate_tuning(y=samples, sr=RATE)
        assert estimate_tuning(samples, RATE) == pytest.approx(theirs, abs=12)


def test_silence_and_nothing_have_features_without_nan():
    for samples in (np.zeros(RATE, np.float32), np.zeros(0, np.float32), np.zeros(1, np.float32)):
        for feature in (chroma(samples, RATE), onset_strength(samples, RATE), cens(chroma(samples, RATE))):
            assert np.isfinite(feature).all()
            assert not feature.any()
        assert estimate_tuning(samples, RATE) == 0.0


@pytest.mark.parametrize("midi", [33, 50, 69, 88])
def test_a_tone_lights_its_semitone_in_every_bank(midi):
    banks = (SemitoneBank(24, 84, 8192), SemitoneBank(33, 40, 4096), SemitoneBank(57, 45, 1024))
    magnitudes = semitone_magnitudes(2 * tone(midi), RATE, banks)
    first = 0
    for bank in banks:
        column = magnitudes[first : first + bank.bins, 50]
        first += bank.bins
        if bank.lowest <= midi < bank.lowest + bank.bins:
            assert int(np.argmax(column)) + bank.lowest == midi
            assert column.max() == pytest.approx(1.0, rel=0.05)


def test_the_filterbank_is_a_windowed_sum_frame_by_frame(samples):
    bank = SemitoneBank(57, 24, 2048)
    found = semitone_magnitudes(samples, RATE, (bank,))
    centres, deviations = bank.filters(RATE, 0.0)
    for row in (0, 11, 23):
        reach = round(RATE / deviations[row])
        t = np.arange(-reach, reach + 1) / RATE
        window = np.exp(-2.0 * (np.pi * deviations[row] * t) ** 2)
        kernel = window * np.exp(-2j * np.pi * centres[row] * t) * 2.0 / window.sum()
        for frame in (40, 90, 133):
            middle = frame * HOP
            direct = abs(np.sum(samples[middle - reach : middle + reach + 1] * kernel))
            assert found[row, frame] == pytest.approx(direct, abs=0.05 * float(found[row].max()))


@pytest.mark.parametrize(("seconds", "tuning"), [(0.03, 0.0), (2.5, 13.0), (2.52, -31.0)])
def test_the_filterbank_is_the_filtered_spectrum_brought_back(seconds, tuning):
    rng = np.random.default_rng(1)
    samples = (0.1 * rng.standard_normal(round(seconds * RATE))).astype(np.float32)
    bank = SemitoneBank(36, 70, 1024)
    found = semitone_magnitudes(samples, RATE, (bank,), tuning)
    size = (found.shape[1] + 100) * HOP
    spectrum = np.fft.fft(np.concatenate([np.zeros(50 * HOP), samples]), size)[: size // 2]
    for row, (centre, deviation) in enumerate(zip(*bank.filters(RATE, tuning), strict=True)):
        distance = np.abs(np.arange(size // 2) * RATE / size - centre) / deviation
        passed = np.where(distance < 3, np.exp(-0.5 * distance**2), 0.0)
        power = np.square(2.0 * np.abs(np.fft.ifft(passed * spectrum, size)))
        frames = power[50 * HOP - HOP // 2 :][: found.shape[1] * HOP].reshape(-1, HOP).mean(axis=1)
        assert np.abs(found[row] - np.sqrt(frames)).max() < 0.1 * np.sqrt(frames).max()


def test_chunks_of_the_filterbank_meet_without_a_seam():
    rng = np.random.default_rng(0)
    long = (0.1 * rng.standard_normal(RATE * 70)).astype(np.float32)
    whole = semitone_magnitudes(long, RATE, (SemitoneBank(40, 40, 4096),))
    start = 50 * HOP * 55  # the part begins at 55 s and holds the seam at 63 s
    part = semitone_magnitudes(long[start:], RATE, (SemitoneBank(40, 40, 4096),))
    assert np.abs(whole[:, 50 * 55 + 60 : 50 * 69] - part[:, 60 : 50 * 14]).max() < 0.01 * whole.max()


def test_another_tuning_moves_the_filters():
    low = (np.sin(2 * np.pi * 440 * 2 ** (-30 / 1200) * np.arange(RATE * 3) / RATE)).astype(np.float32)
    bank = (SemitoneBank(60, 20, 8192),)
    flat, tuned = (semitone_magnitudes(low, RATE, bank, tuning)[9, 75] for tuning in (0.0, -30.0))
    assert tuned == pytest.approx(1.0, rel=0.02)
    assert flat < 0.95 * tuned


def test_the_embedding_is_of_unit_length_and_does_not_care_for_gain():
    audio = perform(PIECES[0], contrasting(0)[0], RATE).samples[: 20 * RATE]
    one, two = (encode(compress(semitone_magnitudes(x, RATE, BANKS))) for x in (audio, np.float32(0.1) * audio))
    assert np.linalg.norm(one, axis=0) == pytest.approx(1.0, abs=1e-3)
    assert np.abs(one - two).max() < 1e-2
