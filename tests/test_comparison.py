"""Two files are told apart as what they are: one recording, another mix of it, performances of one work, or neither."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from demo_music import Performance, perform
from demo_pieces import MELODY, PIECES
from program import documents, incipit

from alignment import Audio, read_audio
from alignment.audio import ANALYSIS_RATE
from alignment.path import WarpingPath
from alignment.straightness import straightness
from retrieval.comparison import Verdict, compare
from retrieval.embedding.encoder import Encoder
from retrieval.encoders import Encoders
from retrieval.shared_sound import shared_sound

RATE = 22050


@pytest.fixture(scope="module")
def encoders():
    return Encoders()


@pytest.fixture(scope="module")
def mixes():
    """A performance with its melody and without: the parts are played once, and added up."""
    piece, how = PIECES[0], Performance(7, "piano")
    parts = [
        perform(replace(piece, notes=tuple(note for note in piece.notes if (note.part == MELODY) is sung)), how).samples
        for sung in (True, False)
    ]
    length = min(len(part) for part in parts)
    melody, backing = (part[:length] for part in parts)
    return Audio(0.5 * (melody + backing)), Audio(backing)


def test_a_recording_cut_quiet_and_equalised_is_the_same(music, encoders):
    whole = read_audio(music.recorded[0].path)
    part = 0.05 * np.diff(whole.samples[5 * RATE : 30 * RATE])
    found = compare(whole, Audio(part.astype(np.float32)), encoders)
    assert found.verdict is Verdict.same_recording
    assert found.score > 0.9
    assert found.transposition == 0
    assert found.tempo_ratio == pytest.approx(1.0, abs=0.002)
    (segment,) = found.segments
    assert segment == pytest.approx((5.0, 30.0, 0.0, 25.0), abs=0.1)


def test_of_a_recording_cut_up_in_noise_what_corresponds_is_told_and_nothing_else(music, encoders):
    whole = read_audio(music.recorded[0].path)
    noise = 0.01 * np.random.default_rng(0).standard_normal(8 * RATE)
    without_middle = whole.samples[: 15 * RATE], whole.samples[22 * RATE :]
    edited = Audio(np.concatenate([noise, *without_middle, noise]).astype(np.float32))
    lasts = whole.duration
    for pair, turn in (((edited, whole), 1), ((whole, edited), -1)):
        found = compare(*pair, encoders)
        assert found.verdict is Verdict.same_recording
        segments = [(*segment[2:], *segment[:2]) if turn < 0 else segment for segment in found.segments]
        before, after = segments
        assert before == pytest.approx((8.0, 23.0, 0.0, 15.0), abs=0.5)
        assert after == pytest.approx((23.0, 1.0 + lasts, 22.0, lasts), abs=0.5)


def test_a_recording_at_another_speed_is_the_same_both_ways(music, encoders):
    whole = read_audio(music.recorded[2].path)
    times = np.arange(0.0, len(whole.samples) - 1, 1.03)
    quicker = Audio(np.interp(times, np.arange(len(whole.samples)), whole.samples).astype(np.float32))
    for pair, ratio in (((whole, quicker), 1 / 1.03), ((quicker, whole), 1.03)):
        found = compare(*pair, encoders)
        assert found.verdict is Verdict.same_recording
        assert found.tempo_ratio == pytest.approx(ratio, rel=0.003)


def test_without_its_melody_it_is_another_mix(mixes, encoders):
    found = compare(*mixes, encoders)
    assert found.verdict is Verdict.another_mix
    assert found.timing.median < 0.015
    assert found.tempo_ratio == pytest.approx(1.0, abs=0.005)


def test_performances_are_of_one_work_in_any_order(music, encoders):
    one, other = (read_audio(item.path) for item in music.pair(PIECES[1].name))
    found, turned = compare(one, other, encoders), compare(other, one, encoders)
    assert found.verdict is turned.verdict is Verdict.same_work
    assert found.score == turned.score > 0.9
    assert found.transposition == -turned.transposition
    assert found.tempo_ratio == pytest.approx(1 / turned.tempo_ratio)
    assert found.work.similarities.shape == turned.work.similarities.shape[::-1]
    assert sum(segment[1] - segment[0] for segment in found.segments) > 0.5 * one.duration


def test_other_works_and_what_is_no_music_are_neither(music, encoders):
    one, other = (read_audio(music.pair(PIECES[number].name)[0].path) for number in (0, 2))
    drum = np.tile(np.exp(-np.arange(RATE // 2) / 800) * np.random.default_rng(0).standard_normal(RATE // 2), 40)
    for pair in ((one, other), (one, Audio(np.zeros(20 * RATE, np.float32))), (one, Audio(drum.astype(np.float32)))):
        found = compare(*pair, encoders)
        assert found.verdict is Verdict.neither
        assert found.segments == ()
        assert found.transposition is found.tempo_ratio is None


def test_a_line_is_straight_in_spite_of_stray_points():
    times = np.arange(0.0, 60.0, 0.02)
    strays = np.where((times > 20) & (times < 22), 0.3, 0.0)
    found = straightness(WarpingPath(times, np.maximum.accumulate(1.01 * times + 2.0 + strays)))
    assert found.tempo_ratio == pytest.approx(1.01, abs=1e-4)
    assert found.median < 0.001
    wandering = straightness(WarpingPath(times, times + 0.1 * np.sin(times)))
    assert wandering.median > 0.05


def test_the_program_prints_a_document_and_draws(music, tmp_path):
    pytest.importorskip("matplotlib")
    one, other = (item.path for item in music.pair(PIECES[1].name))
    picture = tmp_path / "alike.png"
    done = incipit("compare", one, other, "--json", "--plot", picture)
    assert done.returncode == 0
    (document,) = documents(done)
    assert list(document) == [
        *("a", "b", "verdict", "score", "transposition", "tempo_ratio", "segments", "sound", "timing", "work"),
        "seconds",
    ]
    assert document["a"] == str(one)
    assert document["verdict"] == "same work"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_exit_codes(music, tmp_path):
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(RATE), RATE)
    assert incipit("compare", music.recorded[0].path).returncode == 2
    assert incipit("compare", silent, silent, "--plot", "x.bmp").returncode == 2
    absent = incipit("compare", music.recorded[0].path, tmp_path / "absent.wav", "--json")
    assert absent.returncode == 1
    assert documents(absent)[0]["error"].endswith("absent.wav: no such file")
    neither = incipit("compare", music.recorded[0].path, silent, "-q")
    assert neither.returncode == 3
    assert neither.stdout.startswith("neither\t")
    assert neither.stderr == ""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="wants /proc")
def test_nothing_of_the_library_is_mapped_when_it_is_removed(music, monkeypatch):
    """Windows removes no file that is mapped."""
    mapped, remove = [], tempfile.TemporaryDirectory.__exit__

    def watched(folder, *error):
        mapped.extend(row for row in Path("/proc/self/maps").read_text().splitlines() if folder.name in row)
        return remove(folder, *error)

    monkeypatch.setattr(tempfile.TemporaryDirectory, "__exit__", watched)
    sound = read_audio(music.recorded[0].path)
    found = shared_sound(Audio(sound.samples[: 5 * ANALYSIS_RATE]), sound, Encoder())
    assert found.share == 1.0
    assert mapped == []
