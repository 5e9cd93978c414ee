"""Clips are found at their offset, and what is not in the library is not."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import soxr
from demo_music import Performance, perform
from demo_pieces import PIECES

from alignment import Audio, read_audio
from index import Library
from retrieval import Collection
from retrieval.embedding.patches import cut_patches, patch_spectrogram
from retrieval.fingerprint import Windows

RATE = 22050


def cut(path, start, seconds):
    return read_audio(path).samples[round(start * RATE) : round((start + seconds) * RATE)]


def with_noise(samples, decibels, seed=0):
    noise = np.random.default_rng(seed).standard_normal(len(samples)).astype(np.float32)
    gain = np.sqrt(np.mean(samples**2) / np.mean(noise**2)) * 10 ** (-decibels / 20)
    return samples + np.float32(gain) * noise


@pytest.mark.parametrize("start", [3.0, 11.23, 20.71])
def test_a_clip_is_found_at_its_offset(collection, music, start):
    for item in music.recorded[::3]:
        hits = collection.identifier().identify(Audio(cut(item.path, start, 8)), top=5, max_false_accepts=0.01)
        assert hits[0].path == str(item.path)
        assert any(abs(place.start - start) < 0.1 for place in hits[0].places)


def test_a_noisy_quiet_clip_is_found(collection, music):
    item = music.recorded[4]
    clip = np.float32(0.05) * with_noise(cut(item.path, 12.34, 10), 10)
    hits = collection.identifier().identify(Audio(clip), top=5, max_false_accepts=0.01)
    assert hits[0].path == str(item.path)
    assert hits[0].score > 0.5


def test_music_that_is_not_there_is_not_found(collection):
    accepted = 0
    for number, piece in enumerate(PIECES[6:]):
        clip = perform(piece, Performance(seed=number, timbre="piano")).samples[5 * RATE : 15 * RATE]
        accepted += bool(collection.identifier().identify(Audio(clip), top=5, max_false_accepts=0.001))
    assert accepted == 0


@pytest.mark.parametrize("seconds", [0.0, 0.3, 30.0])
def test_silence_is_no_match(collection, seconds):
    assert (
        collection.identifier().identify(Audio(np.zeros(int(seconds * RATE), np.float32)), top=5, max_false_accepts=0.5)
        == []
    )


def test_noise_alone_is_no_match(collection):
    noise = 0.1 * np.random.default_rng(0).standard_normal(10 * RATE).astype(np.float32)
    assert collection.identifier().identify(Audio(noise), top=5, max_false_accepts=0.01) == []


def test_hits_have_ranks_and_falling_scores(collection, music):
    hits = collection.query(music.recorded[0].path)
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert 0.0 <= hits[0].places[0].start < 0.06


def test_a_clip_that_begins_before_the_recording_is_in_it_from_its_own_start_on(collection, music):
    samples = cut(music.recorded[0].path, 0.0, 8.0)
    early = np.concatenate([np.zeros(2 * RATE, np.float32), samples])
    (place, *_) = collection.identifier().identify(Audio(early), top=1, max_false_accepts=0.01)[0].places
    assert 0.0 <= place.start < 0.1
    assert place.query_start - place.start == pytest.approx(2.0, abs=0.1)


def test_fewer_false_accepts_accept_no_more(collection, music):
    clips = [Audio(with_noise(cut(item.path, 10, 3), -5)) for item in music.recorded[:6]]
    identifier = collection.identifier()
    counts = [
        sum(len(identifier.identify(clip, top=50, max_false_accepts=share)) for clip in clips)
        for share in (0.3, 0.01, 1e-5)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1] > 0


def test_patches_do_not_depend_on_gain_or_place(music):
    samples = read_audio(music.recorded[0].path).samples[: 6 * RATE]
    moved = np.concatenate([np.zeros(441 * 25, np.float32), samples])
    here = cut_patches(patch_spectrogram(samples, RATE), np.array([50]))
    quiet = cut_patches(patch_spectrogram(samples * np.float32(0.1), RATE), np.array([50]))
    there = cut_patches(patch_spectrogram(moved, RATE), np.array([75]))
    assert here.shape == (1, 1, 120, 50)
    assert np.allclose(here, quiet, atol=1e-3)
    assert np.allclose(here, there, atol=1e-3)


def test_vectors_have_unit_length_and_silence_none(collection, music):
    samples = np.concatenate([cut(music.recorded[0].path, 5, 3), np.zeros(3 * RATE, np.float32)])
    prints = Windows(Audio(samples), collection.encoders.fingerprint).embed(5)
    lengths = np.linalg.norm(prints.vectors, axis=1)
    assert np.allclose(lengths[prints.audible], 1, atol=1e-4)
    assert not lengths[~prints.audible].any()
    assert prints.audible[0]
    assert not prints.audible[-1]


def test_windows_embedded_by_halves_are_those_embedded_at_once(collection, music):
    clip = Audio(np.concatenate([cut(music.recorded[0].path, 5, 4), np.zeros(2 * RATE, np.float32)]))
    halves, whole = (Windows(clip, collection.encoders.fingerprint) for _ in range(2))
    coarse = halves.embed(20)
    assert halves.finest() is coarse
    found, expected = halves.embed(10), whole.embed(10)
    assert halves.finest() is found
    assert np.array_equal(found.audible, expected.audible)
    assert np.allclose(found.vectors, expected.vectors, atol=1e-5)


@pytest.mark.parametrize("quarter_tones", [0, 2])
def test_windows_asked_by_quarters_and_halves_vote_as_those_asked_at_once(collection, music, quarter_tones):
    clip = Audio(cut(music.recorded[0].path, 5, 4))
    parts, whole = (Windows(clip, collection.encoders.fingerprint) for _ in range(2))
    ballot = collection.identifier()._ballot
    for hop in (40, 20):
        ballot.candidates([parts.embed(hop, quarter_tones)])
    found, expected = (ballot.candidates([each.embed(10, quarter_tones)])[0] for each in (parts, whole))
    assert [candidate[:2] for candidate in found[:5]] == [candidate[:2] for candidate in expected[:5]]
    assert found[0].votes == pytest.approx(expected[0].votes, rel=1e-3)
    assert ballot.most_votes([whole.embed(10, quarter_tones)]) == [expected[0].votes]


def test_an_open_collection_sees_what_another_process_removed(tmp_path, music):
    kept, gone = music.recorded[0].path, music.recorded[2].path
    collection = Collection(tmp_path / "lib")
    collection.add(kept, gone)
    assert collection.query(gone)[0].path == str(gone)
    with Library(collection.folder, write=True) as library:
        library.remove(library.recording_at(str(gone)))
    assert all(hit.path != str(gone) for hit in collection.query(gone))
    assert collection.query(kept)[0].path == str(kept)


def test_a_repeated_passage_has_two_places(tmp_path, music):
    passage = cut(music.recorded[0].path, 5, 12)
    other = cut(music.recorded[5].path, 5, 12)
    soundfile.write(tmp_path / "twice.flac", np.concatenate([passage, other, passage]), RATE)
    collection = Collection(tmp_path / "lib")
    collection.add(tmp_path / "twice.flac")
    hit = collection.identifier().identify(Audio(passage[2 * RATE : 8 * RATE]), top=1, max_false_accepts=0.01)[0]
    starts = sorted(place.start for place in hit.places)
    assert any(abs(start - 2) < 0.1 for start in starts)
    assert any(abs(start - 26) < 0.1 for start in starts)


@pytest.mark.parametrize(("number", "other"), [(0, 5), (2, 7), (4, 1)])
def test_of_a_long_clip_the_place_that_all_of_it_fits_comes_first(tmp_path, music, number, other):
    """In a recording in which half a minute is played four times, and something else after it."""
    passage, rest = cut(music.recorded[number].path, 2, 30), cut(music.recorded[other].path, 2, 30)
    soundfile.write(tmp_path / "often.flac", np.concatenate([passage, passage, passage, passage, rest]), RATE)
    collection = Collection(tmp_path / "lib")
    collection.add(tmp_path / "often.flac")
    clip = np.concatenate([passage, rest]) + np.random.default_rng(0).normal(0, 0.003, len(passage) + len(rest))
    hit = collection.identifier().identify(Audio(clip.astype(np.float32)), top=1, max_false_accepts=0.01)[0]
    assert hit.places[0].start == pytest.approx(3 * len(passage) / RATE, abs=0.1)


@pytest.mark.parametrize(("before", "seconds", "after"), [(0, 4, 16), (9, 3, 9), (120, 8, 200)])
def test_silence_around_a_clip_is_no_part_of_it(collection, music, before, seconds, after):
    silence = [np.zeros(length * RATE, np.float32) for length in (before, after)]
    clip = Audio(np.concatenate([silence[0], cut(music.recorded[2].path, 15, seconds), silence[1]]))
    hit = collection.identifier().identify(clip, top=1, max_false_accepts=0.01)[0]
    assert hit.path == str(music.recorded[2].path)
    assert hit.places[0].start - hit.places[0].query_start == pytest.approx(15 - before, abs=0.1)


def test_a_loop_reports_all_its_turns(tmp_path, music):
    turn = cut(music.recorded[0].path, 6, 4.5)
    soundfile.write(tmp_path / "loop.flac", np.tile(turn, 14), RATE)
    collection = Collection(tmp_path / "lib")
    collection.add(tmp_path / "loop.flac", music.recorded[4].path)
    hit = collection.identifier().identify(Audio(turn), top=1, max_false_accepts=0.01)[0]
    starts = sorted(place.start for place in hit.places)
    assert np.allclose(starts, 4.5 * np.arange(len(starts)), atol=0.15)
    assert len(starts) >= 13


@pytest.mark.parametrize("speed", [0.92, 0.95, 1.05, 1.1])
def test_a_clip_at_another_speed_is_found_and_its_speed_told(collection, music, speed):
    item = music.recorded[4]
    clip = soxr.resample(cut(item.path, 6, 10 * speed), RATE * speed, RATE)
    hit = collection.identifier().identify(Audio(clip), top=1, max_false_accepts=0.01)[0]
    assert hit.path == str(item.path)
    assert hit.places[0].start == pytest.approx(6, abs=0.25)
    assert hit.tempo_ratio == pytest.approx(speed, abs=0.006)
    assert hit.transposition == pytest.approx(12 * np.log2(speed), abs=0.6)


@pytest.mark.parametrize("semitones", [-1, 1])
def test_a_clip_in_another_key_is_found_at_its_own_tempo(collection, music, semitones):
    item = music.recorded[4]
    piece = next(piece for piece in PIECES if piece.name == item.piece)
    samples = perform(
        piece, replace(item.performance, transposition=item.performance.transposition + semitones)
    ).samples
    clip = Audio(samples[6 * RATE : 16 * RATE])
    hit = collection.identifier().identify(clip, top=1, max_false_accepts=0.01)[0]
    assert hit.path == str(item.path)
    assert hit.tempo_ratio == pytest.approx(1.0, abs=0.01)
    assert hit.transposition == semitones
