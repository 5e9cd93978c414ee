"""A concert is divided into the works that are played in it; what is not in the library and silence are gaps."""

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
from demo_music import Performance, perform
from demo_pieces import PIECES
from program import documents, incipit

from alignment import read_audio
from retrieval import Collection
from retrieval.version_monitoring import VersionMonitor

RATE = 22050
PLAYED = (1, 0, 5)


class Concert(NamedTuple):
    samples: np.ndarray
    works: list[tuple[str, float, float]]


@pytest.fixture(scope="module")
def library(music, tmp_path_factory):
    """The first performance of each piece."""
    made = Collection(tmp_path_factory.mktemp("first performances") / "lib")
    made.add(*(item.path for item in music.recorded[::2]))
    return made


@pytest.fixture(scope="module")
def concert(music):
    """The second performances of three pieces with silence, and a piece that is not in the library, between."""
    unknown = perform(PIECES[7], Performance(seed=1, timbre="piano")).samples[: 40 * RATE]
    between = [np.zeros(8 * RATE), np.concatenate([np.zeros(2 * RATE), unknown, np.zeros(2 * RATE)]), np.zeros(0)]
    parts, works, now = [], [], 0.0
    for number, pause in zip(PLAYED, between, strict=True):
        item = music.recorded[2 * number + 1]
        samples = read_audio(item.path).samples
        works.append((str(music.recorded[2 * number].path), now, now + len(samples) / RATE))
        parts += [samples, pause]
        now += (len(samples) + len(pause)) / RATE
    return Concert(np.concatenate(parts).astype(np.float32), works)


def monitored(collection, pieces):
    monitor = VersionMonitor(collection.version_search(), 0.01)
    return [stretch for piece in pieces for stretch in monitor.feed(piece)] + list(monitor.finish())


@pytest.fixture(scope="module")
def heard(library, concert):
    """What the monitor says when the concert comes in odd pieces."""
    return monitored(library, np.split(concert.samples, np.cumsum([100, 44100, 7, 300000, 12345])))


def test_works_are_found_in_order_with_start_and_end(heard, concert):
    found = [stretch for stretch in heard if stretch.hit]
    assert [stretch.hit.path for stretch in found] == [path for path, _, _ in concert.works]
    for stretch, (_, start, end) in zip(found, concert.works, strict=True):
        assert stretch.start == pytest.approx(start, abs=3.0)
        assert stretch.end == pytest.approx(end, abs=4.0)


def test_hits_tell_key_tempo_and_places_in_the_stream(heard, concert, music):
    for stretch, number in zip([stretch for stretch in heard if stretch.hit], PLAYED, strict=True):
        first, second = music.recorded[2 * number : 2 * number + 2]
        assert (
            stretch.hit.transposition - second.performance.transposition + first.performance.transposition
        ) % 12 == 0
        ratio = read_audio(first.path).duration / read_audio(second.path).duration
        assert stretch.hit.tempo_ratio == pytest.approx(ratio, rel=0.12)
        for place in stretch.hit.places:
            assert stretch.start - 5.0 < place.query_start < place.query_end < stretch.end + 5.0


def test_stretches_follow_each_other_without_overlap(heard, concert):
    times = [time for stretch in heard for time in (stretch.start, stretch.end)]
    assert times == sorted(times)
    assert times[-1] <= len(concert.samples) / RATE + 0.01


def test_what_is_not_in_the_library_is_a_gap_and_silence_a_silent_one(heard, concert):
    first, second, third = concert.works
    gaps = [stretch for stretch in heard if not stretch.hit]
    (pause,) = [gap for gap in gaps if first[2] - 2 < (gap.start + gap.end) / 2 < second[1] + 2]
    (unknown,) = [gap for gap in gaps if second[2] - 2 < (gap.start + gap.end) / 2 < third[1] + 2]
    assert pause.silent
    assert not unknown.silent


def test_how_the_sound_comes_does_not_matter(library, heard, concert):
    assert monitored(library, [concert.samples]) == heard


def test_unknown_music_alone_is_one_gap(library):
    samples = perform(PIECES[7], Performance(seed=3, timbre="organ")).samples
    (gap,) = monitored(library, [samples])
    assert (gap.start, gap.hit, gap.silent) == (0.0, None, False)
    assert gap.end == pytest.approx(len(samples) / RATE)


@pytest.mark.parametrize("seconds", [1, 300])
def test_silence_alone_is_one_silent_gap(library, seconds):
    if seconds < 2:
        assert monitored(library, [np.zeros(seconds * RATE, np.float32)]) == []
        return
    (gap,) = monitored(library, [np.zeros(seconds * RATE, np.float32)])
    assert (gap.start, gap.hit, gap.silent) == (0.0, None, True)
    assert gap.end == pytest.approx(seconds)


def test_nothing_is_nothing(library):
    assert monitored(library, []) == []


def test_what_is_kept_does_not_grow_with_the_stream(library):
    monitor = VersionMonitor(library.version_search(), 0.01)
    for _ in range(40):
        list(monitor.feed(np.zeros(10 * RATE, np.float32)))
    assert monitor.kept_seconds < 180


def test_a_work_that_is_played_twice_is_told_twice(library, music):
    samples = read_audio(music.recorded[1].path).samples
    applause = 0.05 * np.random.default_rng(1).standard_normal(15 * RATE)
    twice = np.concatenate([samples, applause, samples]).astype(np.float32)
    played = [(stretch.start, stretch.end) for stretch in monitored(library, [twice]) if stretch.hit]
    seconds = len(samples) / RATE
    assert np.array(played) == pytest.approx(np.array([(0, seconds), (seconds + 15, 2 * seconds + 15)]), abs=4.0)


def test_recordings_of_a_work_are_one_stretch(collection, music):
    samples = perform(PIECES[1], Performance(40, "organ", tempo_scale=1.12, transposition=3)).samples
    (found,) = [stretch for stretch in monitored(collection, [samples]) if stretch.hit]
    assert Path(found.hit.path) in {item.path for item in music.pair(PIECES[1].name)}
    assert found.hit.work
    assert found.end - found.start > 0.9 * len(samples) / RATE


def test_the_program_tells_stretches(library, concert, tmp_path):
    soundfile.write(tmp_path / "concert.flac", concert.samples, RATE)
    options = ("--monitor", tmp_path / "concert.flac", "--task", "versions", "--library", library.folder)
    done = incipit("query", *options, "--json")
    assert done.returncode == 0
    told = documents(done)
    assert [one["path"] for one in told if one["path"]] == [path for path, _, _ in concert.works]
    for one in told:
        assert one["task"] == "versions"
        assert one["query"] == str(tmp_path / "concert.flac")
        assert (one["gap"] is None) == (one["path"] is not None)
        assert one["query_start"] < one["query_end"]
        for *_, since, until in one["places"] or ():
            assert one["query_start"] <= since < until <= one["query_end"]
        if one["places"]:
            start, end, since, until = min(one["places"], key=lambda place: place[2])
            before = (since - one["query_start"]) * (end - start) / (until - since)
            assert one["start"] == pytest.approx(max(start - before, 0.0), abs=0.01)
    lines = incipit("query", *options).stdout.splitlines()
    assert len(lines) == len(told)
    assert concert.works[0][0] in lines[0]


def test_a_concert_that_is_in_the_library_is_no_version_of_itself(library, concert, tmp_path):
    shutil.copytree(library.folder, tmp_path / "lib")
    soundfile.write(tmp_path / "concert.flac", concert.samples, RATE)
    Collection(tmp_path / "lib").add(tmp_path / "concert.flac", works=False)
    options = ("--monitor", tmp_path / "concert.flac", "--task", "versions", "--library", tmp_path / "lib")
    told = documents(incipit("query", *options, "--json"))
    assert [one["path"] for one in told if one["path"]] == [path for path, _, _ in concert.works]


def test_nothing_found_and_misuse_have_their_exit_codes(library, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(10 * RATE), RATE)
    options = ("--monitor", tmp_path / "silence.wav", "--library", library.folder)
    assert incipit("query", *options, "--task", "versions").returncode == 3
    refused = incipit("query", *options, "--task", "match")
    assert refused.returncode == 2
    assert "--monitor" in refused.stderr
