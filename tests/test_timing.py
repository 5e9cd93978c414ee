"""The same sound has the recording's timing, whatever happens to it; another performance has not."""

from itertools import pairwise, product

import numpy as np
import pytest
import soundfile
import soxr
from demo_music import Performance, perform
from demo_pieces import PIECES

from alignment import Audio
from retrieval import Collection
from retrieval._timing_kernels import (
    along_lines,
    block_products,
    correlation_of_bands,
    nearest_phases,
    phase_products,
    wandering,
)
from retrieval.calibration import Evidence
from retrieval.lines import Line
from retrieval.rises import PHASES, RISES_RATE, packed_rises, rises, rises_in_phases, unpacked_rises
from retrieval.timing import TimingTest, lay

RATE = 22050


@pytest.fixture(scope="module")
def recording():
    return perform(PIECES[0], Performance(seed=1, timbre="piano")).samples


def stored(samples):
    return packed_rises(rises(samples)).astype(np.uint8)


def heard(samples, quarter_tones=0):
    return rises_in_phases(samples, quarter_tones)


def laid(samples, kept, asked):
    return lay(heard(samples, asked.quarter_tones), kept, asked, PHASES)


def judged(samples, kept, asked):
    return TimingTest.load().judged(heard(samples, asked.quarter_tones), kept, asked, PHASES)


def line(offset, ratio=1.0, quarter_tones=0):
    return Line(0, offset, ratio, quarter_tones, Evidence(0.9, 0.4, 10))


def noisy(samples, decibels, seed=0):
    noise = np.random.default_rng(seed).standard_normal(len(samples)).astype(np.float32)
    gain = np.sqrt(np.mean(samples**2) / np.mean(noise**2)) * 10 ** (-decibels / 20)
    return samples + np.float32(gain) * noise


def cut(samples, start, seconds):
    return samples[round(start * RATE) : round((start + seconds) * RATE)]


def test_signs_of_rises_survive_packing(recording):
    values = rises(recording)
    assert values.shape == ((len(recording) - 1) // 220 + 1, 16)
    assert packed_rises(values).max() < 256
    assert np.array_equal(unpacked_rises(packed_rises(values).astype(np.uint8)) > 0, values > 0)


@pytest.mark.parametrize("samples", [0, 1, 700])
def test_next_to_nothing_has_rises_of_its_length(samples):
    assert rises(np.zeros(samples, np.float32)).shape == (-(-samples // 220), 16)


def test_each_phase_is_that_of_the_sound_begun_later(recording):
    clip = cut(recording, 5, 4)
    for number, phase in enumerate(np.split(rises_in_phases(clip).reshape(-1, PHASES, 16), PHASES, axis=1)):
        later = rises(clip[220 // PHASES * number :])
        assert np.corrcoef(phase[120:280].ravel(), later[120:280].ravel())[0, 1] > 0.97


@pytest.mark.parametrize("apart", [55, 110, 165])
def test_a_clip_agrees_as_well_where_its_frames_lie_between_the_recording_s(recording, apart):
    first = 100 * 1100
    asked = line(first / RATE)
    found, between = (
        laid(recording[start : start + RATE], stored(recording), asked) for start in (first, first + apart)
    )
    assert between[1].height > 0.95 * found[1].height
    assert between[0].offset == pytest.approx((first + apart) / RATE, abs=0.003)


def test_rises_do_not_depend_on_gain(recording):
    clip = cut(recording, 5, 3)
    assert np.allclose(rises(clip), rises(np.float32(0.05) * clip), atol=0.02)


@pytest.mark.parametrize("decibels", [30, 10, 3])
@pytest.mark.parametrize("seconds", [2, 5, 10])
def test_noise_leaves_the_timing_and_the_place_to_ten_milliseconds(recording, decibels, seconds):
    clip = noisy(cut(recording, 7.123, seconds), decibels)
    found = judged(clip, stored(recording), line(7.25, 0.98))
    assert found is not None
    assert found.offset == pytest.approx(7.123, abs=0.01)
    assert found.tempo_ratio == pytest.approx(1.0, abs=0.006 if seconds < 5 else 0.002)


@pytest.mark.parametrize("seconds", [1, 2, 5])
def test_timing_supports_the_recording_in_noise_and_nothing_else(recording, seconds):
    clip = noisy(cut(recording, 7.123, seconds), 3)
    unrelated = stored(perform(PIECES[4], Performance(seed=3, timbre="piano")).samples)
    test = TimingTest.load()
    supports = [test.support(laid(clip, kept, line(7.2))[1]) for kept in (stored(recording), unrelated)]
    assert supports[0] > 3
    assert 0 <= supports[1] < 1


@pytest.mark.parametrize("speed", [0.95, 1.05])
def test_another_speed_has_the_same_timing(recording, speed):
    clip = soxr.resample(cut(recording, 6, 6 * speed), RATE * speed, RATE)
    quarter_tones = round(24 * np.log2(speed))
    found = judged(clip, stored(recording), line(6.1, 1.0 + 0.8 * (speed - 1), quarter_tones))
    assert found is not None
    assert found.offset == pytest.approx(6, abs=0.01)
    assert found.tempo_ratio == pytest.approx(speed, abs=0.002)


@pytest.mark.parametrize("piece", PIECES[:3], ids=lambda piece: piece.name)
def test_another_performance_has_other_timing(piece):
    one, other = (perform(piece, Performance(seed=seed, timbre="piano")) for seed in (1, 2))
    evidence = laid(cut(one.samples, 6, 8), stored(one.samples), line(6))[1]
    wandering = laid(cut(other.samples, 6, 8), stored(one.samples), line(6))[1]
    assert judged(cut(one.samples, 6, 8), stored(one.samples), line(6)) is not None
    assert judged(cut(other.samples, 6, 8), stored(one.samples), line(6)) is None
    assert TimingTest.load().logit(evidence, 0.9) > 0
    assert evidence.steadiness > 10 > 0 > wandering.steadiness


def test_a_clip_beyond_the_recording_is_judged_by_what_is_covered(recording):
    end = len(recording) / RATE
    clip = np.concatenate([cut(recording, end - 4, 4), np.zeros(RATE, np.float32)])
    found = judged(clip, stored(recording), line(end - 4.1))
    assert found is not None
    assert found.offset == pytest.approx(end - 4, abs=0.01)


@pytest.mark.parametrize("clip", [np.zeros(0), np.zeros(2000), np.zeros(3 * RATE)], ids=len)
def test_where_nothing_can_be_told_the_line_stays(recording, clip):
    asked = line(5)
    assert judged(clip.astype(np.float32), stored(recording), asked) is asked
    outside = line(1e4)
    assert judged(cut(recording, 5, 3), stored(recording), outside) is outside


def test_a_query_finds_the_recording_finely_and_not_another_performance(tmp_path, recording):
    soundfile.write(tmp_path / "one.flac", recording, RATE)
    soundfile.write(tmp_path / "else.flac", perform(PIECES[4], Performance(seed=3, timbre="piano")).samples, RATE)
    collection = Collection(tmp_path / "library")
    collection.add(tmp_path)
    identifier = collection.identifier()
    (hit,) = identifier.identify(Audio(noisy(cut(recording, 8.021, 5), 10)), top=1, max_false_accepts=0.01)
    assert hit.path.endswith("one.flac")
    assert hit.places[0].start == pytest.approx(8.021, abs=0.01)
    other = perform(PIECES[0], Performance(seed=9, timbre="piano")).samples
    for start in (12, 17, 22):
        windows = identifier.windows(Audio(cut(other, start, 8)))
        assert identifier.alike(windows, 0.01)
        assert identifier.accepted(windows, 0.01) == []


def test_ticks_in_time_support_no_recording(recording):
    """They agree on every beat; a clip of music that was recorded agrees on one line alone."""
    ticks = np.zeros(20 * RATE, np.float32)
    ticks[:: RATE // 2] = 1.0
    others = np.roll(ticks, RATE // 4) + np.float32(0.01) * np.random.default_rng(0).standard_normal(len(ticks))
    beat, clip = (
        laid(sound, stored(kept), line(5.0))
        for sound, kept in ((ticks[: 5 * RATE], others), (recording[5 * RATE : 10 * RATE], recording))
    )
    assert beat[1].elsewhere > 0.9
    assert clip[1].elsewhere < 0.7
    test = TimingTest.load()
    assert test.support(beat[1]) == 0.0
    assert test.support(clip[1]) > 1.0


def test_frames_are_hundredths_of_a_second():
    assert pytest.approx(100, abs=0.3) == RISES_RATE


@pytest.mark.parametrize(("middle", "ratio"), [(40.3, 1.0), (41.0, 0.93), (12.0, 1.07), (68.5, 1.0)])
def test_blocks_correlate_as_plain_loops_do(middle, ratio):
    rng = np.random.default_rng(1)
    clip, stored = rng.standard_normal((30, 16)).astype(np.float32), rng.integers(0, 256, (80, 2), np.uint8)
    stored.flags.writeable = False
    signs = unpacked_rises(stored)
    sums, inside = np.empty((3, 25), np.float32), np.empty(3)
    block_products(clip, stored, middle, ratio, sums, inside)
    places = np.rint(middle + ratio * (np.arange(-12, 42) - 14.5)).astype(int)
    kept = np.array([signs[at] if 0 <= at < 80 else np.zeros(16) for at in places])
    for block in range(3):
        part = clip[10 * block : 10 * block + 10]
        expected = [np.sum(part * kept[10 * block + move : 10 * block + move + 10]) for move in range(25)]
        assert np.allclose(sums[block], expected, atol=1e-4)
        covered = places[12 + 10 * block : 22 + 10 * block]
        assert inside[block] == pytest.approx(np.mean((covered >= 0) & (covered < 80)))
    ahead = (places >= 0) & (places < 80)
    one, other = (values[ahead[12:42]] for values in (clip, kept[12:42]))
    one, other = one - one.mean(axis=1, keepdims=True), other - other.mean(axis=1, keepdims=True)
    found = correlation_of_bands(clip, stored, middle - ratio * 14.5, ratio)
    assert found == pytest.approx(np.corrcoef(one.ravel(), other.ravel())[0, 1], abs=1e-6)
    times, slopes, out = np.array([-10.0, 0.0, 10.0]), np.array([-0.3, 0.0, 0.14]), np.empty((3, 13), np.float32)
    along_lines(sums, times, slopes, out)
    for line, slope in zip(out, slopes, strict=True):
        turned = [round(slope * time) for time in times]
        expected = [sum(sums[block, 12 + shift + turned[block]] for block in range(3)) for shift in range(-6, 7)]
        assert np.allclose(line, expected, atol=1e-4)


@pytest.mark.parametrize(("middle", "ratio"), [(40.3, 1.0), (41.0, 0.93), (12.0, 1.07), (68.5, 1.0)])
def test_phases_correlate_as_plain_loops_do(middle, ratio):
    rng = np.random.default_rng(3)
    clip, stored = rng.standard_normal((4 * 30, 16)).astype(np.float32), rng.integers(0, 256, (80, 2), np.uint8)
    stored.flags.writeable = False
    signs = unpacked_rises(stored)
    expected, nearest = np.zeros((3, 21)), np.zeros((30, 16))
    for frame, move in product(range(30), range(-10, 11)):
        place = middle + ratio * (frame - 14.5) + move / 4
        heard = clip[np.clip(4 * frame + round(4 * (round(place) - place) / ratio), 0, 119)]
        if 0 <= round(place) < 80:
            expected[frame // 10, move + 10] += heard @ signs[round(place)]
        if not move:
            nearest[frame] = heard
    sums, out = np.empty((3, 21), np.float32), np.empty((30, 16), np.float32)
    phase_products(clip, 4, stored, middle, ratio, sums)
    nearest_phases(clip, 4, middle, ratio, out)
    assert np.allclose(sums, expected, atol=1e-4)
    assert np.array_equal(out, nearest.astype(np.float32))


def test_wandering_is_as_likely_as_all_ways_together():
    rng = np.random.default_rng(2)
    likely, first, moves = rng.random((4, 3)), rng.random(3), rng.random((3, 3))
    ways = 0.0
    for way in product(range(3), repeat=4):
        steps = np.prod([moves[here, there] for here, there in pairwise(way)])
        ways += first[way[0]] * steps * np.prod([likely[block, place] for block, place in enumerate(way)])
    assert wandering(likely, first, moves) == pytest.approx(np.log(ways))
