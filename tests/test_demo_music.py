"""The demo's music: its notes are music of the stated length, and its ground truth is where it sounds."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from demo_music import (
    MOST_JITTER,
    TIMBRES,
    Performance,
    Rendering,
    contrasting,
    perform,
    snippet,
    tempo_curve,
    write_collection,
)
from demo_pieces import ACCOMPANIMENT, PIECES, Note, Piece, accompany, line

RATE = 22050
BY_NAME = {piece.name: piece for piece in PIECES}
MINUET = BY_NAME["petzold-minuet"]
OPENING = replace(MINUET, notes=tuple(note for note in MINUET.notes if note.onset < 24))
PLAIN = Performance(seed=5, timbre="piano", room=0.0)


def one_note(pitch: int, beats: float = 4.0) -> Piece:
    return Piece("one", "One note", "Nobody", 60.0, (Note(0.0, beats, pitch),))


def spectral_peak(rendering: Rendering, near: float) -> float:
    """Return the frequency in Hz of the strongest partial within a semitone of `near`."""
    first = int((rendering.seconds[0] + 0.1) * rendering.rate)
    cut = rendering.samples[first : first + 2 * rendering.rate].astype(np.float64)
    size = 1 << 20
    spectrum = np.abs(np.fft.rfft(cut * np.hanning(len(cut)), size))
    frequencies = np.fft.rfftfreq(size, 1 / rendering.rate)
    spectrum[(frequencies < near * 2 ** (-1 / 12)) | (frequencies > near * 2 ** (1 / 12))] = 0.0
    return float(frequencies[np.argmax(spectrum)])


def rise_times(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return the times in seconds of the peaks of the spectral flux."""
    hop, width = 128, 512
    frames = np.lib.stride_tricks.sliding_window_view(samples, width)[::hop] * np.hanning(width)
    loudness = np.log1p(1000.0 * np.abs(np.fft.rfft(frames, axis=1)))
    flux = np.maximum(np.diff(loudness, axis=0), 0.0).sum(axis=1)
    middle = flux[1:-1]
    peaks = (middle > flux[:-2]) & (middle >= flux[2:]) & (middle > 2.0 * np.median(flux))
    return (np.flatnonzero(peaks) + 2) * hop / rate + 0.5 * width / rate


@pytest.mark.parametrize("piece", PIECES, ids=BY_NAME)
def test_a_piece_is_sorted_in_range_and_of_the_stated_length(piece: Piece) -> None:
    assert 30.0 <= piece.beats * 60.0 / piece.tempo <= 80.0
    onsets = [note.onset for note in piece.notes]
    assert onsets == sorted(onsets)
    assert onsets[0] == 0.0
    assert all(30 <= note.pitch <= 96 and note.duration > 0 for note in piece.notes)
    silences = np.diff(np.unique(onsets))
    assert silences.max() <= 4.0


@pytest.mark.parametrize("piece", PIECES, ids=BY_NAME)
def test_a_piece_has_harmony_under_its_melody(piece: Piece) -> None:
    ends = {part: max(n.onset + n.duration for n in piece.notes if n.part == part) for part in range(3)
            if any(n.part == part for n in piece.notes)}  # fmt: skip
    assert len(ends) >= 2
    assert max(ends.values()) - min(ends.values()) <= 8.0
    sounding = [sum(n.onset <= beat < n.onset + n.duration for n in piece.notes)
                for beat in np.arange(0.25, piece.beats, 0.5)]  # fmt: skip
    assert np.mean(np.array(sounding) >= 2) > 0.6


def test_there_are_ten_different_pieces_in_at_least_six_keys() -> None:
    assert len(BY_NAME) == len(PIECES) >= 10
    last_basses = {min(piece.notes[-12:], key=lambda n: (-n.onset, n.pitch)).pitch % 12 for piece in PIECES}
    assert len(last_basses) >= 6


def test_the_notation_reads_lengths_rests_chords_and_accidentals() -> None:
    assert line("C4:1 R:.5 | Bb3+F#4 R C5:2", shift=1) == [
        Note(0.0, 1.0, 61), Note(1.5, 0.5, 59), Note(1.5, 0.5, 67), Note(2.5, 2.0, 73),
    ]  # fmt: skip
    chord = accompany("Am/C:1.5", "b+0:1 3")
    assert [(n.onset, n.duration, n.pitch % 12) for n in chord] == [(0, 1, 0), (0, 1, 9), (1, 0.5, 9)]
    assert chord[2].pitch - chord[1].pitch == 12
    assert [n.pitch % 12 for n in accompany("F#7:1", "c") if n.part == ACCOMPANIMENT] == [6, 10, 1, 4]


def test_the_same_performance_is_identical_and_another_seed_differs() -> None:
    first, again = (perform(OPENING, PLAIN) for _ in range(2))
    np.testing.assert_array_equal(first.samples, again.samples)
    np.testing.assert_array_equal(first.seconds, again.seconds)
    other = perform(OPENING, replace(PLAIN, seed=6))
    assert np.max(np.abs(other.seconds - first.seconds)) > 0.1


@pytest.mark.parametrize("timbre", TIMBRES)
def test_every_timbre_sounds_from_the_lead_to_the_end_at_the_stated_peak(timbre: str) -> None:
    rendering = perform(OPENING, Performance(seed=3, timbre=timbre, room=0.6, lead=0.5))
    samples = rendering.samples
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert np.max(np.abs(samples)) == pytest.approx(0.7, rel=1e-5)
    lead = samples[: int(0.45 * RATE)]
    assert -66 < 10 * np.log10(np.mean(lead.astype(np.float64) ** 2) / 0.7**2) < -56
    first, last = (int(second * RATE) for second in rendering.seconds[[0, -1]])
    quarters = samples[first : last + RATE // 4][: (last - first) // 5512 * 5512].reshape(-1, 5512)
    assert np.sqrt(np.mean(quarters.astype(np.float64) ** 2, axis=1)).min() > 0.01


def test_the_music_rises_at_the_stated_seconds() -> None:
    rendering = perform(MINUET, PLAIN)
    rises = rise_times(rendering.samples, RATE)
    gaps = np.array([np.min(np.abs(rises - second)) for second in rendering.seconds])
    assert np.mean(gaps < 0.04) > 0.95
    moved = np.array([np.min(np.abs(rises - second - 0.07)) for second in rendering.seconds])
    assert np.median(gaps) < MOST_JITTER < np.median(moved)


def test_the_tempo_bends_by_the_asked_depth_and_never_turns_back() -> None:
    for piece, other in pairwise(PIECES):
        for performance in contrasting(PIECES.index(other)):
            beats, seconds = tempo_curve(piece, performance)
            assert (beats[0], beats[-1], seconds[0]) == (0.0, piece.beats, performance.lead)
            assert np.diff(seconds).min() > 0
    even = perform(one_note(60), replace(PLAIN, rubato=0.0, tempo_scale=0.5, lead=0.25))
    assert even.seconds.tolist() == [0.25]
    beats, seconds = tempo_curve(MINUET, replace(PLAIN, rubato=0.0, tempo_scale=0.5))
    np.testing.assert_allclose(seconds, 0.5 + beats * 2 * 60.0 / MINUET.tempo, atol=1e-9)
    beats, seconds = tempo_curve(MINUET, PLAIN)
    slowness = np.log(np.diff(seconds) / np.diff(beats) * MINUET.tempo / 60.0)
    assert 0.1 < np.max(np.abs(slowness[beats[1:] < MINUET.beats - 6])) < 0.25


@pytest.mark.parametrize(("pitch", "transposition", "cents"), [(69, 0, 0.0), (57, 0, 23.0), (64, -3, -30.0)])
@pytest.mark.parametrize("timbre", ["piano", "clarinet"])
def test_the_pitch_is_as_transposed_and_tuned(timbre: str, pitch: int, transposition: int, cents: float) -> None:
    asked = Performance(2, timbre, transposition=transposition, tuning_cents=cents, room=0.0)
    expected = 440.0 * 2.0 ** ((pitch - 69 + transposition + cents / 100) / 12)
    found = spectral_peak(perform(one_note(pitch), asked), expected)
    assert abs(1200 * np.log2(found / expected)) < 5.0


@pytest.mark.parametrize("room", [0.4, 0.8, 1.4])
def test_a_room_rings_for_its_time(room: float) -> None:
    cluster = Piece("many", "Many notes", "Nobody", 60.0, tuple(Note(0.0, 1.0, n) for n in range(40, 76)))
    rendering = perform(cluster, Performance(4, "clarinet", room=room, rubato=0.0))
    power = np.convolve(rendering.samples.astype(np.float64) ** 2, np.ones(441) / 441, mode="same")
    start = int((rendering.seconds[0] + 1.0 + TIMBRES["clarinet"].release + 0.05) * RATE)
    decibels = 10 * np.log10(power[start : start + int(room / 3 * RATE)])
    slope = np.polyfit(np.arange(len(decibels)) / RATE, decibels, 1)[0]
    assert -60.0 / slope == pytest.approx(room, rel=0.25)


@pytest.mark.parametrize("snr_db", [20.0, 0.0, -5.0])
def test_a_snippet_has_the_asked_length_and_noise(snr_db: float) -> None:
    rendering = perform(one_note(60), PLAIN)
    noisy = snippet(rendering, 0.5, 2.0, snr_db, seed=8)
    assert noisy.dtype == np.float32
    assert len(noisy) == 2 * RATE
    clean = rendering.samples[RATE // 2 : RATE // 2 + 2 * RATE].astype(np.float64)
    noise = noisy - clean
    assert 10 * np.log10(np.mean(clean**2) / np.mean(noise**2)) == pytest.approx(snr_db, abs=0.01)
    power = np.abs(np.fft.rfft(noise)) ** 2
    octaves = [power[2**k : 2 ** (k + 1)].sum() for k in range(6, 14)]
    assert max(octaves) < 2 * min(octaves)
    assert not np.array_equal(noisy, snippet(rendering, 0.5, 2.0, snr_db, seed=9))


def test_the_collection_is_tagged_flac_of_two_contrasting_performances(tmp_path: Path) -> None:
    written = write_collection(tmp_path / "music", [OPENING])
    assert [recorded.path.name for recorded in written] == ["petzold-minuet-a.flac", "petzold-minuet-b.flac"]
    for recorded in written:
        with sf.SoundFile(recorded.path) as file:
            assert (file.title, file.artist) == (MINUET.title, MINUET.composer)
            assert (file.samplerate, file.channels, file.subtype) == (RATE, 1, "PCM_16")
            assert file.frames / RATE > recorded.seconds[-1]
        assert recorded.piece == "petzold-minuet"
        assert recorded.beats.shape == recorded.seconds.shape


def test_the_performances_contrast_within_their_bounds() -> None:
    pairs = [contrasting(index) for index in range(len(PIECES))]
    for first, second in pairs:
        assert first.timbre != second.timbre
        for performance in (first, second):
            assert abs(performance.tuning_cents) <= 30.0
            assert 0.85 <= performance.tempo_scale <= 1.2
    assert {performance.timbre for pair in pairs for performance in pair} == set(TIMBRES)
    assert len({performance.seed for pair in pairs for performance in pair}) == 2 * len(PIECES)
