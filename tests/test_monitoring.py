"""A stream's recordings are found with start and end in both, and its gaps are named."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import soxr
from demo_music import Performance, perform
from demo_pieces import PIECES
from program import documents, incipit

from alignment import read_audio
from retrieval.monitoring import Monitor

RATE = 22050


@pytest.fixture(scope="module")
def stream(music):
    """Twenty seconds of one recording, silence, music that is not in the library, and another recording 3 % fast."""
    first, second = (read_audio(music.recorded[number].path).samples for number in (0, 6))
    unknown = perform(PIECES[7], Performance(seed=1, timbre="piano")).samples
    quick = soxr.resample(second[2 * RATE : 24 * RATE], RATE * 1.03, RATE)
    parts = [first[5 * RATE : 25 * RATE], np.zeros(8 * RATE), unknown[4 * RATE : 19 * RATE], quick]
    return np.concatenate([np.asarray(part, np.float32) for part in parts])


@pytest.fixture(scope="module")
def heard(collection, stream):
    """What the monitor says when the stream comes in odd pieces."""
    monitor = Monitor(collection.identifier(), 0.01)
    pieces = np.split(stream, np.cumsum([100, 44100, 7, 300000, 12345]))
    return [detection for piece in pieces for detection in monitor.feed(piece)] + list(monitor.finish())


def path_of(collection, detection):
    return collection.identifier().recording(detection.line.position).path


def test_recordings_are_found_where_they_play(collection, music, heard):
    found = [detection for detection in heard if detection.line]
    assert [path_of(collection, detection) for detection in found] == [
        str(music.recorded[0].path),
        str(music.recorded[6].path),
    ]
    first, second = found
    assert first.start == pytest.approx(0.0, abs=0.6)
    assert first.end == pytest.approx(20.0, abs=1.0)
    assert first.line.offset == pytest.approx(5.0, abs=0.1)
    assert second.start == pytest.approx(43.0, abs=1.0)
    assert second.line.tempo_ratio == pytest.approx(1.03, abs=0.005)
    assert second.line.offset + second.line.tempo_ratio * 43.0 == pytest.approx(2.0, abs=0.2)


def test_gaps_lie_between_and_detections_do_not_overlap(heard):
    assert any(not detection.line and 20 < detection.start + 1.5 < 23 for detection in heard)
    times = [time for detection in heard for time in (detection.start, detection.end)]
    assert times == sorted(times)


def test_silence_between_recordings_is_told_from_noise(collection, music):
    sound = read_audio(music.recorded[0].path).samples[5 * RATE : 25 * RATE]
    silence = np.zeros(20 * RATE, np.float32)
    noise = np.random.default_rng(0).normal(0, 0.05, 20 * RATE).astype(np.float32)
    monitor = Monitor(collection.identifier(), 0.01)
    told = [*monitor.feed(np.concatenate([silence, sound, silence, sound, noise])), *monitor.finish()]
    assert [(one.line is not None, one.silent) for one in told] == [
        (False, True),
        (True, False),
        (False, True),
        (True, False),
        (False, False),
    ]


def test_silence_alone_is_one_silent_gap(collection):
    monitor = Monitor(collection.identifier(), 0.01)
    (gap,) = [*monitor.feed(np.zeros(40 * RATE, np.float32)), *monitor.finish()]
    assert (gap.start, gap.line, gap.silent) == (0.0, None, True)
    assert gap.end == pytest.approx(40.0)


def test_what_is_kept_does_not_grow_with_the_stream(collection):
    monitor = Monitor(collection.identifier(), 0.01)
    for _ in range(40):
        list(monitor.feed(np.zeros(10 * RATE, np.float32)))
    assert monitor.kept_seconds < 40


def test_a_file_and_standard_input_give_the_same(collection, stream, tmp_path):
    soundfile.write(tmp_path / "radio.flac", stream, RATE)
    by_file = incipit("query", "--monitor", tmp_path / "radio.flac", "--library", collection.folder, "--json")
    assert by_file.returncode == 0
    pcm = np.repeat(np.rint(stream * 32767).astype("<i2"), 2).tobytes()
    options = ["--monitor", "-", "--rate", str(RATE), "--channels", "2", "--library", collection.folder, "--json"]
    by_stream = subprocess.run(
        [sys.executable, "-m", "retrieval.cli", "query", *map(str, options)],
        input=pcm,
        capture_output=True,
        check=False,
    )
    assert by_stream.returncode == 0, by_stream.stderr
    ones, others = documents(by_file), [json.loads(line) for line in by_stream.stdout.splitlines()]
    assert [one["path"] for one in ones] == [other["path"] for other in others]
    for one, other in zip(ones, others, strict=True):
        assert one["query_start"] == pytest.approx(other["query_start"], abs=0.3)
        assert (one["gap"] is None) == (one["path"] is not None)
    assert {one["query"] for one in ones} == {str(tmp_path / "radio.flac")}
    assert {other["query"] for other in others} == {"-"}


def test_a_stream_that_is_not_there_is_one_line(collection, tmp_path):
    done = incipit("query", "--monitor", tmp_path / "none.wav", "--library", collection.folder)
    assert done.returncode == 1
    assert "no such file" in done.stderr


def test_clips_and_a_stream_at_once_are_misuse(collection, tmp_path):
    assert incipit("query", "a.wav", "--monitor", "b.wav", "--library", collection.folder).returncode == 2
    assert incipit("query", "--library", collection.folder).returncode == 2
