"""Tempo curves recover known warps, the pulse finds the beat, and both can be drawn and asked for."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from program import incipit

from alignment import Audio, FeatureError, Segment, Synchronisation, WarpingPath
from alignment.errors import AlignmentError
from alignment.features import onset_strength
from alignment.pulse import predominant_local_pulse
from alignment.tempo import beats_per_minute, local_lines, path_ratio, tempo_csv, tempo_ratio

RATE = 22050
JITTER = 0.02


def path_of(warp, seconds=60.0, jitter=JITTER, start=0.0):
    """A path at 50 points a second along a warp, each point off by up to `jitter`."""
    ref = np.arange(start, start + seconds, 0.02)
    other = warp(ref) + np.random.default_rng(7).uniform(-jitter, jitter, len(ref))
    return WarpingPath(ref, np.maximum.accumulate(np.maximum(other, 0.0)))


def aligned(*paths):
    segments = [
        Segment("match", (path.ref[0], path.ref[-1]), (path.other[0], path.other[-1]), path, np.ones(len(path)))
        for path in paths
    ]
    return Synchronisation(tuple(segments), True, 1.0, 0, 0.0)


def clicks(times, duration):
    samples = np.zeros(round(duration * RATE), np.float32)
    noise = np.random.default_rng(3)
    for time in times:
        first = round(time * RATE)
        burst = noise.standard_normal(400) * np.exp(-np.arange(400) / 80.0)
        samples[first : first + 400] += burst[: len(samples) - first].astype(np.float32)
    return samples


def distance(wanted, found):
    """Seconds from each wanted time to the nearest found one."""
    return np.abs(np.asarray(wanted)[:, None] - np.asarray(found)[None, :]).min(axis=1)


@pytest.mark.parametrize("ratio", [0.5, 0.93, 1.0, 1.7])
def test_a_constant_ratio_is_recovered_through_jitter(ratio):
    path = path_of(lambda ref: ratio * ref)
    found = path_ratio(path, np.linspace(0.1, 59.5, 200))
    assert np.abs(found / ratio - 1).max() < 0.015


def test_a_ramp_is_recovered_through_jitter():
    path = path_of(lambda ref: ref + 0.25 * ref**2 / 60)
    times = np.linspace(2.5, 57.0, 200)
    wanted = 1 + 0.5 * times / 60
    assert np.abs(path_ratio(path, times) / wanted - 1).max() < 0.01


def test_a_sudden_change_is_dated_within_the_window():
    path = path_of(lambda ref: np.where(ref < 30, ref, 30 + 1.5 * (ref - 30)))
    times = np.arange(0.5, 59, 0.1)
    found = path_ratio(path, times, window=3.0)
    assert np.abs(found[times < 28.5] - 1.0).max() < 0.015
    assert np.abs(found[times > 31.5] - 1.5).max() < 0.02
    assert np.interp(1.25, found[(times > 28.5) & (times < 31.5)], times[(times > 28.5) & (times < 31.5)]) == (
        pytest.approx(30.0, abs=0.2)
    )


@given(st.floats(0.3, 3.0), st.floats(0.5, 8.0), st.floats(0.5, 40.0))
@settings(deadline=None, max_examples=40)
def test_a_straight_path_has_its_slope_everywhere_whatever_the_window(ratio, window, seconds):
    ref = np.array([1.0, 1.0 + seconds])
    lines = local_lines(WarpingPath(ref, 2.0 + ratio * (ref - 1.0)), window)
    assert np.allclose(lines.ratio, ratio, rtol=1e-6)
    assert np.allclose(lines.other, 2.0 + ratio * (lines.ref - 1.0), atol=1e-6)
    assert (lines.ref[0], lines.ref[-1]) == (1.0, 1.0 + seconds)


def test_the_inverse_path_has_the_inverse_ratio():
    path = path_of(lambda ref: ref + 0.6 * np.sin(ref / 4), jitter=0.0)
    times = np.linspace(5, 55, 100)
    there = path_ratio(path, times, 1.0)
    back = path_ratio(path.invert(), path.map(times), 1.0)
    assert np.abs(there * back - 1).max() < 0.02


def test_nothing_is_told_where_nothing_corresponds_nor_across_a_cut():
    alignment = aligned(path_of(lambda ref: 1.2 * ref, 20), path_of(lambda ref: 90 + 0.8 * (ref - 30), 20, start=30.0))
    times = np.arange(0.0, 60.0, 0.5)
    found = tempo_ratio(alignment, times)
    alone = ((times > 20) & (times < 30)) | (times > 50)
    assert np.isnan(found[alone]).all()
    assert np.abs(found[times < 19.9] - 1.2).max() < 0.02
    assert np.abs(found[(times >= 30) & (times < 49.9)] - 0.8).max() < 0.02


def test_a_moment_has_no_slope():
    moment = WarpingPath(np.array([1.0]), np.array([2.0]))
    with pytest.raises(FeatureError, match="single moment"):
        local_lines(moment)
    assert np.isnan(tempo_ratio(aligned(moment), [0.5, 1.0])).all()
    with pytest.raises(FeatureError, match="'window' must be a positive"):
        local_lines(path_of(lambda ref: ref), 0.0)


def test_beats_a_minute_of_a_recording_against_its_score():
    beats = np.arange(0.0, 40.0, 0.5)  # the score's tempo is 120
    played = 60 / np.interp(np.arange(len(beats)), [0, 79], [80.0, 140.0])  # seconds a beat
    times = np.concatenate([[0.0], np.cumsum(played[:-1])])
    path = WarpingPath(beats, times)
    plain = beats_per_minute(beats, aligned(path), around=0)
    assert np.allclose(plain[:-1], 60 / played[:-1])
    assert plain[-1] == plain[-2]
    smooth = beats_per_minute(beats, aligned(path), around=3)
    assert np.abs(smooth[3:-3] / (60 / played[3:-3]) - 1).max() < 0.01


def test_smoothing_over_beats_quiets_jitter():
    beats = np.arange(0.0, 59.0, 0.5)
    alignment = aligned(path_of(lambda ref: 1.25 * ref))
    spread = [np.nanstd(beats_per_minute(beats, alignment, around)) for around in (0, 2, 4)]
    assert spread[0] > 1.5 * spread[1] > 1.5 * spread[2]
    assert np.nanmedian(beats_per_minute(beats, alignment)) == pytest.approx(96, abs=0.5)


def test_beats_shortly_beyond_a_match_go_on_as_fast_and_others_are_unknown():
    ref = np.linspace(1.05, 9.95, 400)
    tempi = beats_per_minute(np.arange(0.0, 12.0), aligned(WarpingPath(ref, 1.5 * ref)), around=0)
    assert np.allclose(tempi[1:11], 40.0)
    assert np.isnan(tempi[[0, 11]]).all()


@pytest.mark.parametrize("around", [0, 2])
def test_a_measure_that_ends_within_a_beat_does_not_look_fast(around):
    numbers = np.array([0.0, 1, 2, 2.5, 3.5, 4.5, 5.5, 5.75, 6.75])
    path = WarpingPath(np.array([0.0, 4.0]), np.array([3.0, 9.0]))
    tempi = beats_per_minute(0.5 * numbers, aligned(path), around, numbers)
    assert np.allclose(tempi, 80.0)


def test_another_beat_unit_is_another_tempo_at_once():
    quarters = np.array([0.0, 1, 2, 3, 4, 4.5, 5, 5.5, 6])
    units = np.where(quarters < 4, 1.0, 0.5)
    path = WarpingPath(np.array([0.0, 4.0]), np.array([3.0, 9.0]))
    tempi = beats_per_minute(0.5 * quarters, aligned(path), quarters=quarters, units=units)
    assert tempi == pytest.approx(80.0 / units)
    with pytest.raises(FeatureError, match="units"):
        beats_per_minute([0.0, 1.0], aligned(path), units=[1.0, 0.0])


def test_unsorted_beats_are_refused():
    with pytest.raises(FeatureError, match="rise"):
        beats_per_minute([0.0, 2.0, 1.0], aligned(path_of(lambda ref: ref)))
    with pytest.raises(FeatureError, match="negative"):
        beats_per_minute([0.0, 1.0], aligned(path_of(lambda ref: ref)), around=-1)


def test_the_table_is_blank_where_nothing_is_known():
    text = tempo_csv([("time", np.array([0.0, 0.5])), ("measure", ["1", "1a"]), ("a, b", np.array([np.nan, 1.23456]))])
    assert text == 'time,measure,"a, b"\n0.0000,1,\n0.5000,1a,1.2346\n'


@pytest.mark.parametrize("bpm", [45, 75, 100, 120, 168, 240])
def test_clicks_have_their_tempo_and_their_beats(bpm):
    times = np.arange(0.5, 29.0, 60 / bpm)
    pulse = predominant_local_pulse(onset_strength(clicks(times, 30.0), RATE))
    assert np.median(pulse.beats_bpm) == pytest.approx(bpm, rel=0.005)
    assert distance(times, pulse.beats).max() < 0.02
    inside = pulse.beats[(pulse.beats > 0.4) & (pulse.beats < times[-1] + 0.1)]
    assert distance(inside, times).max() < 0.02


def test_a_ramp_of_the_tempo_is_followed():
    times = [0.5]
    while times[-1] < 39:
        times.append(times[-1] + 60 / (90 + 1.5 * times[-1]))
    pulse = predominant_local_pulse(onset_strength(clicks(times, 41.0), RATE))
    inside = (pulse.beats > 2.0) & (pulse.beats < 37.0)
    assert np.abs(pulse.beats_bpm[inside] - (90 + 1.5 * pulse.beats[inside])).max() < 5.0
    assert distance(times, pulse.beats).max() < 0.03


def test_a_sudden_change_of_tempo_is_followed_within_a_window():
    times = np.concatenate([np.arange(0.5, 20, 0.6), np.arange(20.3, 40, 60 / 140)])
    pulse = predominant_local_pulse(onset_strength(clicks(times, 41.0), RATE))
    at = np.round(np.interp([10.0, 30.0], np.arange(len(pulse.bpm)) / 50, pulse.bpm))
    assert list(at) == [100, 140]
    settled = times[(times < 17) | (times > 24)]
    assert distance(settled, pulse.beats).max() < 0.02


def test_the_tempo_stays_on_the_level_of_music_that_has_several(music):
    leaps = 0
    for item in music.recorded:
        samples, rate = soundfile.read(item.path, dtype="float32")
        pulse = predominant_local_pulse(onset_strength(samples, rate))
        leaps += int((np.abs(np.diff(np.log2(pulse.beats_bpm))) > 0.2).sum())
    assert leaps <= len(music.recorded)


def test_beats_fall_on_notes(music):
    first, _ = music.pair("bach-prelude")
    samples, rate = soundfile.read(first.path, dtype="float32")
    beats = predominant_local_pulse(onset_strength(samples, rate)).beats
    beats = beats[(beats > first.seconds[0]) & (beats < first.seconds[-1])]
    assert len(beats) > 50
    assert np.median(distance(beats, first.seconds)) < 0.03


def test_silence_has_no_pulse():
    for frames in (0, 1, 500):
        pulse = predominant_local_pulse(np.zeros(frames, np.float32))
        assert pulse.curve.shape == pulse.bpm.shape == (frames,)
        assert not pulse.curve.any()
        assert not len(pulse.beats)


def test_wrong_ranges_are_refused():
    strength = np.ones(100, np.float32)
    for slowest, fastest in ((0, 100), (100, 50), (30, 2000)):
        with pytest.raises(FeatureError, match="slowest < fastest"):
            predominant_local_pulse(strength, slowest=slowest, fastest=fastest)
    with pytest.raises(FeatureError, match="finite"):
        predominant_local_pulse(np.full(10, np.nan, np.float32))
    with pytest.raises(FeatureError, match="'window'"):
        predominant_local_pulse(strength, window=0)


def test_pictures_are_drawn_in_the_format_of_their_ending(tmp_path):
    pytest.importorskip("matplotlib")
    from alignment.plot import plot_alignment, plot_bpm, plot_pulse, plot_ratio

    tones = [np.sin(2 * np.pi * 440 * 2 ** (step / 12) * np.arange(RATE) / RATE) for step in (0, 4, 7, 2, 5, 9)]
    ref = Audio(np.concatenate([np.zeros(RATE), *tones]).astype(np.float32))
    other = Audio(np.concatenate([*tones, np.zeros(RATE // 2)]).astype(np.float32))
    alone = Segment("only_ref", (0.0, 1.0), None, None, np.zeros(0))
    late = Segment("only_other", None, (6.0, 6.5), None, np.zeros(0))
    match = aligned(WarpingPath(np.linspace(1, 7, 300), np.linspace(0, 6, 300))).segments[0]
    alignment = Synchronisation((alone, match, late), True, 1.0, 0, 0.0)
    times = np.arange(0.0, 7.0, 0.5)
    ratio = tempo_ratio(alignment, times)
    strength = onset_strength(ref.samples, RATE)
    for suffix, signature in ((".png", b"\x89PNG"), (".svg", b"<?xml")):
        drawn = [tmp_path / f"{name}{suffix}" for name in "abcd"]
        plot_alignment(drawn[0], ref, other, alignment, ("/a/$ref_{x.flac", "/b/o" + 90 * "x" + ".mp3"))
        plot_ratio(drawn[1], times, [("other.mp3", ratio)])
        plot_bpm(drawn[2], times, [("other.mp3", 100 * ratio)], "s.mei", [str(1 + i // 4) for i in range(len(times))])
        plot_pulse(drawn[3], strength, predominant_local_pulse(strength))
        assert all(path.read_bytes().startswith(signature) for path in drawn)
    text = (tmp_path / "a.svg").read_text()
    assert "only in the reference" in text
    assert "only in the other" in text


def test_nothing_to_draw_is_drawn_too(tmp_path):
    pytest.importorskip("matplotlib")
    from alignment.plot import plot_alignment, plot_bpm, plot_pulse, plot_ratio

    nothing, silence = np.zeros(0), Audio(np.zeros(RATE, np.float32))
    unrelated = Synchronisation((), False, 0.0, 0, 0.0)
    plot_alignment(tmp_path / "a.png", silence, silence, unrelated)
    plot_ratio(tmp_path / "b.png", nothing, [("x", nothing)])
    plot_bpm(tmp_path / "c.png", np.arange(3.0), [("x", np.full(3, np.nan))])
    plot_pulse(tmp_path / "d.png", np.zeros(0, np.float32), predominant_local_pulse(np.zeros(0, np.float32)))
    assert len(list(tmp_path.iterdir())) == 4


def test_unknown_pictures_are_refused_before_any_work(tmp_path):
    from alignment.plot import require_picture

    with pytest.raises(AlignmentError, match=r"ends in \.png, \.svg"):
        require_picture(tmp_path / "a.bmp")


def test_without_matplotlib_the_error_names_the_extra():
    code = "import sys; sys.modules['matplotlib'] = None; from alignment.plot import require_picture; "
    code += "\ntry: require_picture('a.png')\nexcept Exception as error: print(type(error).__name__, error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "AlignmentError pictures want the plot extra: pip install 'incipit-music[plot]'"


def table(text):
    return list(csv.DictReader(text.splitlines()))


def test_tempo_of_one_recording_prints_its_beats(tmp_path):
    path = tmp_path / "clicks.wav"
    soundfile.write(path, clicks(np.arange(0.5, 14.5, 0.5), 15.0) * 0.3, RATE)
    done = incipit("tempo", path)
    assert done.returncode == 0
    rows = table(done.stdout)
    assert list(rows[0]) == ["time", "bpm"]
    assert np.median([float(row["bpm"]) for row in rows]) == pytest.approx(120, abs=1)
    document = json.loads(incipit("tempo", path, "--json").stdout)
    assert document["unit"] == "bpm"
    assert document["times"] == [float(row["time"]) for row in rows]
    assert document["values"] == [float(row["bpm"]) for row in rows]


def test_tempo_of_performances_against_one_prints_a_column_each(music, tmp_path):
    pytest.importorskip("matplotlib")
    first, second = music.pair("petzold-minuet")
    out, picture = tmp_path / "t.csv", tmp_path / "t.png"
    done = incipit("tempo", first.path, second.path, first.path, "-o", out, "--plot", picture, "--json")
    assert done.returncode == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = table(out.read_text())
    assert list(rows[0]) == ["time", str(second.path), str(first.path)]
    inside = [row for row in rows if row[str(second.path)] and row[str(first.path)]]
    times = np.array([float(row["time"]) for row in inside])
    found = np.array([float(row[str(second.path)]) for row in inside])
    wanted = path_ratio(WarpingPath(first.seconds, second.seconds), times)
    known = np.isfinite(wanted)
    assert np.median(np.abs(found / wanted - 1)[known]) < 0.03
    assert np.allclose([float(row[str(first.path)]) for row in inside], 1.0, atol=0.01)
    document = json.loads(done.stdout)
    assert document["unit"] == "ratio"
    assert [other["accepted"] for other in document["others"]] == [True, True]
    assert len(document["times"]) == len(document["others"][0]["values"]) == len(rows)


def test_exit_codes_of_tempo(music, tmp_path):
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(3 * RATE), RATE)
    first = music.recorded[0].path
    assert incipit("tempo", silent).returncode == 3
    assert incipit("tempo", first, silent, "-q").returncode == 3
    missing = incipit("tempo", first, tmp_path / "absent.wav", silent)
    assert missing.returncode == 1
    assert "no such file" in missing.stderr
    assert incipit("tempo", tmp_path / "absent.wav").returncode == 1
    assert incipit("tempo", first, "--plot", tmp_path / "x.bmp").returncode == 2
    assert incipit("tempo", first, "-o", tmp_path / "no" / "x.csv").returncode == 2
    before = silent.read_bytes()
    assert incipit("tempo", first, silent, "-o", silent).returncode == 2
    assert silent.read_bytes() == before
