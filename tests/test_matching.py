"""A passage is found wherever it is played, in the keys asked for, and nowhere where it is not."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from demo_music import Performance, perform
from demo_pieces import PIECES
from program import documents, incipit

from alignment import Audio, read_audio
from retrieval import Collection
from retrieval.embedding.sonority import SONORITY, sonority
from retrieval.errors import QueryError
from retrieval.hits import Wanted
from retrieval.passages import passage_of
from retrieval.plausibility import CourseLikeness, Plausibility

RATE = 22050


def passage(item, first_beat, last_beat):
    """Sound from beat to beat, and where the passage lies."""
    start, end = np.interp([first_beat, last_beat], item.beats, item.seconds)
    samples = read_audio(item.path).samples if hasattr(item, "path") else item.samples
    return Audio(samples[round(start * RATE) : round(end * RATE)].copy()), float(start), float(end)


def beats_of(item, share, other_share):
    return item.beats[-1] * share, item.beats[-1] * other_share


@pytest.fixture(scope="module")
def rondo(tmp_path_factory):
    """A library with one recording in which a passage is played three times, at three tempi, and two others."""
    folder = tmp_path_factory.mktemp("rondo")
    refrain, others = PIECES[0], (PIECES[3], PIECES[4])
    turns, parts, seconds = [], [], 0.0
    for number, tempo in enumerate((1.0, 0.85, 1.2)):
        turn = perform(refrain, Performance(number, "piano", tempo_scale=tempo))
        start, end = np.interp(beats_of(turn, 0.2, 0.6), turn.beats, turn.seconds)
        episode = perform(others[number % 2], Performance(number, "piano")).samples[2 * RATE : 12 * RATE]
        parts += [turn.samples[round(start * RATE) : round(end * RATE)], episode]
        turns.append((seconds, seconds + end - start))
        seconds += end - start + 10
    soundfile.write(folder / "rondo.flac", np.concatenate(parts), RATE)
    for piece in PIECES[6:10]:
        soundfile.write(folder / f"{piece.name}.flac", perform(piece, Performance(7, "organ")).samples, RATE)
    collection = Collection(folder / "lib")
    collection.add(folder)
    return collection, turns


def test_a_passage_is_found_in_another_performance_at_its_place(collection, music):
    for piece in PIECES[:6]:
        one, other = music.pair(piece.name)
        if one.performance.transposition != other.performance.transposition:
            continue
        beats = beats_of(one, 0.3, 0.7)
        clip, _, _ = passage(one, *beats)
        _, start, end = passage(other, *beats)
        hits = collection.ask(clip, "match", Wanted(top=10))
        there = [hit.places[0] for hit in hits if hit.path == str(other.path) and hit.accepted]
        assert any(abs(place.start - start) < 0.3 and abs(place.end - end) < 0.6 for place in there)


def test_three_turns_at_three_tempi_are_three_hits(rondo):
    collection, turns = rondo
    turn = perform(PIECES[0], Performance(11, "strings", tempo_scale=0.95))
    clip, _, _ = passage(turn, *beats_of(turn, 0.2, 0.6))
    hits = [hit for hit in collection.ask(clip, "match", Wanted()) if hit.accepted]
    assert len(hits) >= 3
    assert all(len(hit.places) == 1 for hit in hits)
    for start, end in turns:
        place = next(hit.places[0] for hit in hits if abs(hit.places[0].start - start) < 0.4)
        assert place.end == pytest.approx(end, abs=0.6)


def test_another_key_is_found_when_asked_for(rondo):
    collection, turns = rondo
    turn = perform(PIECES[0], Performance(5, "guitar", transposition=3))
    clip, _, _ = passage(turn, *beats_of(turn, 0.2, 0.6))
    assert not any(hit.accepted for hit in collection.ask(clip, "match", Wanted()))
    hits = collection.ask(clip, "match", Wanted(any_key=True))
    assert hits[0].accepted
    assert hits[0].transposition == 3
    assert min(abs(hits[0].places[0].start - start) for start, _ in turns) < 0.4


def test_what_is_not_there_is_not_accepted(collection):
    for number, piece in enumerate(PIECES[6:]):
        clip = perform(piece, Performance(number, "piano")).samples[3 * RATE : 18 * RATE]
        hits = collection.ask(Audio(clip), "match", Wanted(max_false_accepts=0.001))
        assert not any(hit.accepted for hit in hits)


@pytest.mark.parametrize("seconds", [0.0, 2.0, 20.0])
def test_silence_has_no_candidates(collection, seconds):
    assert collection.ask(Audio(np.zeros(int(seconds * RATE), np.float32)), "match", Wanted()) == []


def test_less_than_three_seconds_have_no_candidates(collection, music):
    clip = read_audio(music.recorded[0].path).samples[5 * RATE : int(7.8 * RATE)]
    assert collection.ask(Audio(clip), "match", Wanted()) == []


def held_chord(seconds):
    time = np.arange(int(seconds * RATE)) / RATE
    partials = [(220 * ratio * k, 0.2 / k) for ratio in (1, 1.26, 1.5) for k in (1, 2, 3, 4)]
    return sum(level * np.sin(2 * np.pi * hertz * time) for hertz, level in partials).astype(np.float32)


def drum_solo(seconds):
    rng = np.random.default_rng(2)
    out = 0.001 * rng.standard_normal(int(seconds * RATE))
    for beat in np.arange(0.1, seconds - 0.3, 0.25):
        first, length = round((beat + rng.normal(0, 0.01)) * RATE), RATE // 5
        out[first : first + length] += rng.standard_normal(length) * np.exp(-np.arange(length) / rng.uniform(200, 1500))
    return (0.2 * out).astype(np.float32)


def noise(seconds):
    return (0.1 * np.random.default_rng(0).standard_normal(int(seconds * RATE))).astype(np.float32)


@pytest.mark.parametrize("make", [noise, held_chord, drum_solo])
@pytest.mark.parametrize("any_key", [False, True])
def test_what_is_no_passage_is_not_accepted(collection, make, any_key):
    hits = collection.ask(Audio(make(12)), "match", Wanted(any_key=any_key))
    assert not any(hit.accepted for hit in hits)
    assert all(hit.score < 0.5 for hit in hits)


def test_hits_have_ranks_falling_scores_and_places_inside(collection, music):
    clip = read_audio(music.recorded[1].path).samples[4 * RATE : 12 * RATE]
    hits = collection.ask(Audio(clip), "match", Wanted(top=7))
    assert [hit.rank for hit in hits] == list(range(1, 8))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    durations = {str(item.path): read_audio(item.path).duration for item in music.recorded}
    for hit in hits:
        place = hit.places[0]
        assert 0 <= place.start < place.end <= durations[hit.path] + 0.11
        assert (place.query_start, place.query_end) == (0.0, 8.0)
        assert hit.tempo_ratio == pytest.approx((place.end - place.start) / 8, abs=1e-3)


def test_fewer_false_accepts_accept_no_more(collection, music):
    clip = Audio(read_audio(music.recorded[2].path).samples[10 * RATE : 15 * RATE])
    counts = [
        sum(hit.accepted for hit in collection.ask(clip, "match", Wanted(50, rate))) for rate in (0.3, 0.01, 1e-5)
    ]
    assert counts == sorted(counts, reverse=True)


def test_sonority_does_not_depend_on_gain_and_is_zero_in_silence(music):
    samples = read_audio(music.recorded[0].path).samples[: 6 * RATE]
    samples = np.concatenate([samples, np.zeros(2 * RATE, np.float32)])
    loud, quiet = sonority(samples, RATE, 0.0), sonority(samples * np.float32(0.1), RATE, 0.0)
    assert loud.shape == (80, SONORITY.format.dimensions)
    assert np.allclose(loud, quiet, atol=1e-3)
    assert np.allclose(np.linalg.norm(loud[10:55], axis=1), 1, atol=1e-4)
    assert not loud[-10:].any()


def test_a_larger_library_asks_for_more():
    plausibility = Plausibility.load()
    for seconds in (3.0, 10.0, 120.0):
        ordinary = plausibility.threshold(0.01, 1.0, seconds)
        assert plausibility.threshold(0.01, 1e4, seconds) > ordinary
        assert plausibility.threshold(0.001, 1.0, seconds) > ordinary
    near, far = (CourseLikeness(cost, 0.55, 15.0, 0.7, 5.0, 0.1) for cost in (0.1, 0.5))
    assert plausibility.probability(near) > 0.9 > 0.1 > plausibility.probability(far)
    assert plausibility.logit(replace(near, unevenness=0.6)) < plausibility.logit(near)


def test_where_a_chord_is_held_a_passage_says_little(music):
    samples = read_audio(music.recorded[0].path).samples[3 * RATE : 9 * RATE]
    moving_then_held = np.concatenate([samples, 0.3 * held_chord(6)]).astype(np.float32)
    changes = passage_of(Audio(moving_then_held)).changes
    assert changes.shape == (120,)
    assert (changes > 0).all()
    assert changes[10:50].mean() > 5 * changes[70:110].mean()


@pytest.mark.parametrize("cents", [-54.0, -46.0, 46.0, 54.0])
def test_a_passage_between_two_keys_is_found_unasked(rondo, cents):
    collection, turns = rondo
    turn = perform(PIECES[0], Performance(5, "guitar", tuning_cents=cents))
    clip, _, _ = passage(turn, *beats_of(turn, 0.2, 0.6))
    hits = collection.ask(clip, "match", Wanted())
    assert hits[0].accepted
    assert min(abs(hits[0].places[0].start - start) for start, _ in turns) < 0.4


def test_other_keys_are_refused_where_the_task_knows_none(collection, music):
    with pytest.raises(QueryError, match="Other keys are tried by the tasks match, scores only"):
        collection.query(music.recorded[0].path, any_key=True)


def test_the_program_tells_places(collection, music, tmp_path):
    one, other = music.pair(PIECES[0].name)
    clip, _, _ = passage(one, *beats_of(one, 0.3, 0.7))
    soundfile.write(tmp_path / "passage.wav", clip.samples, RATE)
    done = incipit("query", tmp_path / "passage.wav", "--task", "match", "--json", "--library", collection.folder)
    assert done.returncode == 0
    (document,) = documents(done)
    assert document["task"] == "match"
    assert len(document["hits"]) == 10
    assert {str(one.path), str(other.path)} <= {hit["path"] for hit in document["hits"] if hit["accepted"]}
    for hit in document["hits"]:
        assert hit["places"] == [[hit["start"], hit["end"], hit["query_start"], hit["query_end"]]]
        assert hit["measure"] is None
    told = incipit("query", tmp_path / "passage.wav", "--task", "match", "--library", collection.folder)
    assert told.stdout.count("\n") == sum(hit["accepted"] for hit in document["hits"])


def test_candidates_that_are_not_accepted_are_exit_code_3(collection, tmp_path):
    soundfile.write(tmp_path / "drums.wav", drum_solo(8), RATE)
    done = incipit("query", tmp_path / "drums.wav", "--task", "match", "--json", "--library", collection.folder)
    assert done.returncode == 3
    assert documents(done)[0]["hits"]
    done = incipit("query", tmp_path / "drums.wav", "--task", "match", "--library", collection.folder)
    assert done.returncode == 3
    assert done.stdout == ""


@pytest.mark.parametrize(("task", "seconds"), [("match", 3), ("versions", 5)])
def test_a_clip_that_is_too_short_for_the_task_is_told(collection, music, tmp_path, task, seconds):
    soundfile.write(tmp_path / "clip.wav", read_audio(music.recorded[0].path).samples[: (seconds - 1) * RATE], RATE)
    done = incipit("query", tmp_path / "clip.wav", "--task", task, "--library", collection.folder)
    assert done.returncode == 3
    assert f"no match: shorter than {seconds} s" in done.stderr


@pytest.mark.parametrize("misuse", [("--any-key",), ("--task", "match", "--monitor", "x.wav")])
def test_misuse_is_exit_code_2(collection, tmp_path, misuse):
    clips = [] if "--monitor" in misuse else [tmp_path / "clip.wav"]
    assert incipit("query", *clips, *misuse, "--library", collection.folder).returncode == 2
