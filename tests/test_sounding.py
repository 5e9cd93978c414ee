"""Silence around a clip is no music: what is found with it is what is found without."""

from dataclasses import replace

import numpy as np
import pytest

from alignment import Audio, read_audio
from retrieval.comparison import compare
from retrieval.hits import Wanted
from retrieval.sounding import sounding_part

RATE = 22050


def silence(seconds):
    return np.zeros(round(seconds * RATE), np.float32)


@pytest.mark.parametrize("task", ["versions", "match"])
def test_hits_are_those_of_what_sounds_at_its_times(collection, music, task):
    samples = read_audio(music.recorded[2].path).samples
    part = samples[8 * RATE : 28 * RATE]
    around = Audio(np.concatenate([silence(7.0), part, silence(40.0)]))
    hits, expected = (collection.ask(clip, task, Wanted()) for clip in (around, Audio(part)))
    assert expected
    assert [hit.path for hit in hits] == [hit.path for hit in expected]
    for hit, other in zip(hits, expected, strict=True):
        assert hit.score == pytest.approx(other.score, abs=0.02)
        place, where = hit.places[0], other.places[0]
        later = replace(where, query_start=where.query_start + 7.0, query_end=where.query_end + 7.0)
        assert vars(place) == pytest.approx(vars(later), abs=0.5)


def test_two_works_compare_as_without_silence(music):
    one, other = (read_audio(item.path) for item in music.pair(music.recorded[2].piece))
    later = Audio(np.concatenate([silence(30.0), one.samples]))
    found, expected = compare(later, other), compare(one, other)
    assert found.verdict == expected.verdict
    assert found.work.probability == pytest.approx(expected.work.probability, abs=0.01)
    shift = [30.0, 30.0, 0.0, 0.0]
    assert np.array(found.work.places) == pytest.approx(np.array(expected.work.places) + shift, abs=0.5)
    assert found.work.spans[0] == pytest.approx(np.array(expected.work.spans[0]) + 30.0, abs=0.5)


def test_short_silence_and_silence_alone_stay():
    breath = Audio(np.concatenate([silence(0.3), np.full(RATE, 0.1, np.float32), silence(0.4)]))
    for audio in (breath, Audio(silence(3.0)), Audio(silence(0.0))):
        part, start = sounding_part(audio)
        assert (part.samples.tolist(), start) == (audio.samples.tolist(), 0.0)


def test_hiss_and_a_click_before_the_music_are_silence():
    hiss = 3e-4 * np.random.default_rng(0).standard_normal(4 * RATE)
    hiss[10] = 0.01
    sound = 0.2 * np.sin(np.arange(6 * RATE) / 9.0)
    part, start = sounding_part(Audio(np.concatenate([hiss, sound, hiss]).astype(np.float32)))
    assert (start, part.duration) == pytest.approx((4.0, 6.0), abs=0.06)


def test_after_ten_minutes_of_hiss_nothing_of_the_music_is_cut_off():
    hiss = 3e-4 * np.random.default_rng(0).standard_normal(600 * RATE)
    sound = 0.2 * np.sin(np.arange(60 * RATE) / 9.0)
    part, start = sounding_part(Audio(np.concatenate([hiss, sound]).astype(np.float32)))
    assert start == pytest.approx(600.0, abs=0.06)
    assert part.duration >= 60.0


def test_what_is_cut_off_is_silent_and_told():
    sound = np.full(RATE, 0.1, np.float32)
    part, start = sounding_part(Audio(np.concatenate([silence(2.0), sound, silence(3.0), sound, silence(9.0)])))
    assert start == pytest.approx(2.0)
    assert part.duration == pytest.approx(5.0)
    assert (part.samples[[0, -1]] > 0).all()
