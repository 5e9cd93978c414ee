"""Other performances of a work are found and told from other works, in any key; what is no music claims nothing."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from demo_music import Performance, perform
from demo_pieces import PIECES
from hypothesis import given
from hypothesis import strategies as st
from program import documents, incipit

from alignment import Audio, read_audio
from index.schema import Recording
from retrieval import Collection
from retrieval.correspondence import FIRST_CENTRE, VersionQuery, correspondence_in_any_tempo, likely_keys, likeness_of
from retrieval.embedding.version_encoder import LOCAL_HOP_SECONDS, VersionEncoder, rolled, segment_vectors
from retrieval.embedding.version_patches import QUICKER
from retrieval.hits import Wanted
from retrieval.version_calibration import VersionCalibration, VersionEvidence
from retrieval.version_search import _by_work

RATE = 22050


@pytest.fixture(scope="module")
def encoder():
    return VersionEncoder()


@pytest.fixture(scope="module")
def elsewhere():
    """A piece of the library as another band plays it: in another key, at another tempo."""
    return Audio(perform(PIECES[1], Performance(40, "organ", tempo_scale=1.12, transposition=3)).samples)


def test_the_other_performance_of_each_piece_comes_first(collection, music):
    for item in music.recorded:
        hits = collection.query(item.path, "versions")
        assert str(item.path) not in {hit.path for hit in hits}
        assert hits[0].path == str(next(o.path for o in music.recorded if o.piece == item.piece and o is not item))


def test_key_tempo_and_places_of_a_version_are_told(collection, music, elsewhere):
    hits = collection.ask(elsewhere, "versions", Wanted())
    for hit, item in zip(hits[:2], music.pair(PIECES[1].name), strict=False):
        assert {hit.path for hit in hits[:2]} == {str(other.path) for other in music.pair(PIECES[1].name)}
        item = next(other for other in music.recorded if str(other.path) == hit.path)
        assert (hit.transposition - (3 - item.performance.transposition)) % 12 == 0
        lasts = read_audio(item.path).duration
        assert hit.tempo_ratio == pytest.approx(lasts / elsewhere.duration, rel=0.12)
        assert sum(place.query_end - place.query_start for place in hit.places) > 0.5 * elsewhere.duration


def test_a_passage_is_enough(collection, music):
    item = music.recorded[2]
    samples = read_audio(item.path).samples
    start = len(samples) // 3
    passage = Audio(samples[start : start + 20 * RATE])
    found = [hit.path for hit in collection.ask(passage, "versions", Wanted())[:2]]
    assert {str(other.path) for other in music.pair(item.piece)} == set(found)


def test_places_lie_within_the_query_and_the_recording(collection, music):
    item = music.recorded[2]
    passage = Audio(read_audio(item.path).samples[: round(20.21 * RATE)])
    assert passage.duration < 25 * LOCAL_HOP_SECONDS + FIRST_CENTRE  # where the last vector is centred
    hit = next(hit for hit in collection.ask(passage, "versions", Wanted()) if hit.path == str(item.path))
    assert hit.places[0].query_end == passage.duration
    assert all(0 <= place.query_start < place.query_end <= passage.duration for place in hit.places)


@pytest.mark.parametrize("what", ["silence", "noise", "drums", "chord", "three seconds", "speech"])
def test_what_is_no_work_is_no_version(collection, music, what):
    rng = np.random.default_rng(0)
    time = np.arange(20 * RATE) / RATE
    drum = np.exp(-np.arange(RATE // 2) / 800) * rng.standard_normal(RATE // 2)
    voice = sum(np.sin(2 * np.pi * k * np.cumsum(110 + 30 * np.sin(2 * time)) / RATE) / k for k in range(1, 9))
    samples = {
        "silence": np.zeros(20 * RATE),
        "noise": rng.standard_normal(20 * RATE),
        "drums": np.tile(drum, 40),
        "chord": sum(np.sin(2 * np.pi * pitch * time) for pitch in (220, 277.2, 329.6)),
        "three seconds": read_audio(music.recorded[0].path).samples[: 3 * RATE],
        "speech": voice * (np.sin(2 * np.pi * 4 * time) > -0.3),
    }[what]
    hits = collection.ask(Audio((0.1 * samples).astype(np.float32)), "versions", Wanted())
    assert not [hit for hit in hits if hit.accepted]
    assert all(hit.score < 0.9 for hit in hits)


def test_recordings_of_a_work_stand_together():
    works = [1, 2, None, 1, None, 3, 2]
    found = [(Recording(id=number, work_id=work), None) for number, work in enumerate(works)]
    assert [recording.id for recording, _ in _by_work(found)] == [0, 3, 1, 6, 2, 4, 5]


def test_vectors_of_a_query_do_not_depend_on_what_is_after_the_next_chunk(encoder):
    rng = np.random.default_rng(0)
    spectrogram = rng.random((84, 6400)).astype(np.float32)
    whole, part = encoder.encode(spectrogram), encoder.encode(spectrogram[:, :3200])
    assert np.allclose(whole.local[:700], part.local[:700], atol=1e-4)
    assert np.allclose(whole.quick[:500], part.quick[:500], atol=1e-4)


@given(st.integers(1, 200))
def test_every_moment_lies_in_a_segment(count):
    contributions = np.eye(count, dtype=np.float32)
    segments = segment_vectors(contributions)
    assert (segments.sum(axis=0) > 0).all()
    assert np.allclose(np.linalg.norm(segments, axis=1), 1, atol=1e-5)


def test_a_reference_in_another_key_is_alike_in_that_key(encoder):
    audio = Audio(perform(PIECES[2], Performance(3, "piano")).samples)
    query = VersionQuery.of(audio, encoder)
    higher = rolled(query.local, 4)
    keys = likely_keys(query.segments, rolled(query.segments, 4))
    assert keys[0] == 4
    likeness = likeness_of(query, higher, keys)
    assert likeness.semitones == 4
    assert likeness.evidence.similarity > 0.99
    assert likeness.evidence.matched == len(higher)


def test_quick_vectors_are_those_of_the_music_played_quicker(encoder):
    slow, quick = (
        VersionQuery.of(Audio(perform(PIECES[2], Performance(3, "piano", tempo_scale=pace, lead=0.0)).samples), encoder)
        for pace in (1.0, QUICKER)
    )
    count = min(len(slow.quick), len(quick.local))
    assert np.median((slow.quick[:count] * quick.local[:count]).sum(axis=1)) > 0.8


def test_likeness_in_another_key_equals_plain_loops(encoder):
    query, reference = (
        VersionQuery.of(Audio(perform(PIECES[2], Performance(seed, "piano")).samples), encoder) for seed in (3, 4)
    )
    found = correspondence_in_any_tempo(query, reference, [0])
    assert found.query_pace == found.reference_pace == 1.0
    cells = np.concatenate(found.chain.paths)
    in_keys = [
        np.mean([rolled(query.local[i : i + 1], key)[0] @ reference.local[j] for i, j in cells]) for key in range(1, 12)
    ]
    assert found.in_another_key == pytest.approx(max(in_keys), abs=1e-5)


def test_noise_is_alike_in_every_key_and_music_in_one(encoder):
    rng = np.random.default_rng(0)
    noises = [Audio((0.1 * rng.standard_normal(40 * RATE)).astype(np.float32)) for _ in range(2)]
    pieces = [Audio(perform(PIECES[2], Performance(seed, "piano", transposition=seed)).samples) for seed in (0, 4)]
    noise, music = (likeness_of(*_query_and_reference(pair, encoder)) for pair in (noises, pieces))
    assert noise.evidence.similarity > 0.6
    assert music.semitones == 4
    calibration = VersionCalibration.load()
    assert calibration.logit(noise.evidence) < calibration.logit_in_any_key(noise.evidence) - 4
    assert calibration.logit(music.evidence) == calibration.logit_in_any_key(music.evidence)


def _query_and_reference(pair, encoder):
    query, reference = (VersionQuery.of(audio, encoder) for audio in pair)
    return query, reference.local, likely_keys(query.segments, reference.segments)


def test_noise_is_not_likely_to_be_other_noise(tmp_path, encoder):
    rng = np.random.default_rng(1)
    for number in range(3):
        samples = (0.1 * rng.standard_normal(40 * RATE)).astype(np.float32)
        soundfile.write(tmp_path / f"noise{number}.wav", samples, RATE)
    collection = Collection(tmp_path / "library")
    collection.add(tmp_path / "noise0.wav", tmp_path / "noise1.wav")
    hits = collection.query(tmp_path / "noise2.wav", "versions")
    assert len(hits) == 2
    assert all(hit.score < 0.4 and not hit.accepted for hit in hits)


@pytest.mark.parametrize("swapped", [False, True])
def test_half_again_as_quick_is_compared_in_that_tempo(encoder, swapped):
    sounds = [perform(PIECES[2], Performance(seed, "strings", tempo_scale=pace)) for seed, pace in ((3, 1.0), (4, 1.5))]
    query, reference = sounds[::-1] if swapped else sounds
    sides = [VersionQuery.of(Audio(side.samples), encoder) for side in (query, reference)]
    found = correspondence_in_any_tempo(*sides, [0])
    assert (found.query_pace, found.reference_pace) == ((1.0, QUICKER) if swapped else (QUICKER, 1.0))
    assert found.gain > 1.1 * likeness_of(sides[0], sides[1].local, [0]).evidence.gain
    seconds = found.seconds(np.concatenate(found.chain.paths))
    expected = np.interp(seconds[:, 0], query.seconds, reference.seconds)
    assert np.median(np.abs(seconds[:, 1] - expected)) < 1.0


def test_thresholds_grow_with_the_library_and_with_what_is_asked_of_them():
    calibration = VersionCalibration.load()
    ordinary = calibration.threshold(0.01, 1000, 100)
    assert calibration.threshold(0.01, 100000, 100) > ordinary
    assert calibration.threshold(0.001, 1000, 100) > ordinary


def test_more_alike_and_longer_is_surer():
    calibration = VersionCalibration.load()
    ordinary = VersionEvidence(8.0, 40, 0.7, 0.1, 0.3, 0.2, 2, 100, 120, 0.2)
    alike = replace(ordinary, gain=12.0, similarity=0.8)
    longer = replace(ordinary, gain=12.0, matched=60)
    everywhere = replace(ordinary, elsewhere=0.6, elsewhere_less=0.5)
    drone = replace(ordinary, surroundings=0.4)
    assert calibration.logit(alike) > calibration.logit(ordinary)
    assert calibration.logit(longer) > calibration.logit(ordinary)
    assert calibration.logit(everywhere) < calibration.logit(ordinary)
    assert calibration.logit(drone) < calibration.logit(ordinary)


def test_longer_queries_than_were_looked_at_are_taken_in_proportion():
    calibration = VersionCalibration.load()
    long = VersionEvidence(200.0, 600, 0.8, 0.3, 0.5, 0.4, 2, 1000, 1200, 0.4)
    longer = replace(long, gain=400.0, matched=1200, query=2000, reference=2400)
    assert calibration.logit(longer) == pytest.approx(calibration.logit(long))
    cut = long.of_no_more_than(7.0)
    assert (cut.query, cut.matched / cut.query, cut.similarity) == (128, 0.6, 0.8)
    assert cut.of_no_more_than(7.0) == cut


def test_what_goes_round_is_alike_elsewhere_too_and_less_sure():
    calibration = VersionCalibration.load()
    rng = np.random.default_rng(0)
    once = rng.standard_normal((120, 72)).astype(np.float32)
    round_and_round = np.tile(once[:10], (12, 1))
    logits = []
    for music, low, high in ((once, 0.0, 0.3), (round_and_round, 0.7, 0.9)):
        noisy = (music + 0.5 * rng.standard_normal(music.shape) for _ in range(2))
        one, other = (np.float32(one / np.linalg.norm(one, axis=1, keepdims=True)) for one in noisy)
        evidence = likeness_of(VersionQuery(one, one[:0], one[:0]), other, [0]).evidence
        assert evidence.matched == 120
        assert low < evidence.elsewhere_less <= evidence.elsewhere < high
        logits.append(calibration.logit(evidence))
    assert logits[0] > logits[1]


def test_the_program_tells_versions(collection, music):
    item = music.recorded[0]
    done = incipit("query", item.path, "--task", "versions", "--library", collection.folder, "--json")
    (document,) = documents(done)
    assert document["task"] == "versions"
    assert document["hits"][0]["path"] in {str(other.path) for other in music.pair(item.piece)}


def test_versions_of_real_anthems(data, tmp_path):
    names = ("austria-a", "austria-b", "italy-a", "italy-b", "japan-a", "japan-b")
    for name in names:
        if not (data / "anthems" / f"{name}.mp3").exists():
            pytest.skip("the anthems are not there")
    collection = Collection(tmp_path / "lib")
    collection.add(*(data / "anthems" / f"{name}.mp3" for name in names))
    for name in names:
        hits = collection.query(data / "anthems" / f"{name}.mp3", "versions")
        accepted = [hit.path for hit in hits if hit.accepted]
        other = f"{name[:-1]}{'b' if name.endswith('a') else 'a'}.mp3"
        assert accepted == [str(data / "anthems" / other)]
