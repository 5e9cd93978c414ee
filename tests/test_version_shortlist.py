"""The shortlist of the search for versions: what shares a course of music comes before what shares its sum."""

import numpy as np
import pytest

from index.library import FileState, Library, NewRecording
from index.runs import Vectors
from retrieval._vote_kernels import tallied
from retrieval.correspondence import VersionQuery
from retrieval.embedding.version_encoder import LOCAL_HOP_SECONDS, SEGMENT_HOP_SECONDS, VersionEncoder, rolled
from retrieval.version_shortlist import VersionShortlist

ROWS = 200
OTHERS = 60


@pytest.fixture(scope="module")
def encoder():
    return VersionEncoder()


@pytest.fixture
def shortlist_of(tmp_path, encoder):
    """Of a library of these recordings, by name, a shortlist as names and keys."""

    def asked(recordings, query, wanted, other_than=""):
        with Library(tmp_path / "library", write=True) as library:
            for number, (name, (local, segments)) in enumerate(recordings.items()):
                runs = [
                    Vectors(encoder.local, local, LOCAL_HOP_SECONDS),
                    Vectors(encoder.segments, segments, SEGMENT_HOP_SECONDS),
                ]
                recording = NewRecording(f"{number:012x}", len(local) * LOCAL_HOP_SECONDS, name)
                library.add(recording, FileState(f"/{name}", 0, 0), runs)
            library.refresh_store(encoder.segments)
        with Library(tmp_path / "library") as library:
            names = {recording.id: recording.title for recording in library.recordings()}
            itself = next((number for number, name in names.items() if name == other_than), -1)
            local, segments = query
            runs = library.runs(encoder.segments)
            shortlist = VersionShortlist(library.store(encoder.segments, runs), runs, library.runs(encoder.local))
            found = shortlist.of(VersionQuery(local, local[:0], segments), wanted, itself)
        return [(names[number], keys) for number, keys in found]

    return asked


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def drawn(encoder, rng, rows=ROWS):
    """Local and segment vectors of no music."""
    local = rng.standard_normal((rows, encoder.local.format.dimensions))
    return unit(local), unit(rng.standard_normal((rows // 10, encoder.segments.format.dimensions)))


def blurred(vectors, rng, much):
    return unit(vectors + much * unit(rng.standard_normal(vectors.shape)))


def moved(recording, semitones):
    return tuple(rolled(part, semitones) for part in recording)


def others(encoder, rng):
    return {f"other {number}": drawn(encoder, rng) for number in range(OTHERS)}


def test_a_version_in_another_key_comes_first_and_with_its_key(encoder, shortlist_of):
    rng = np.random.default_rng(0)
    query = drawn(encoder, rng)
    version = moved(tuple(blurred(part, rng, 1.2) for part in query), 4)
    name, keys = shortlist_of({**others(encoder, rng), "version": version}, query, 1)[0]
    assert name == "version"
    assert keys[0] == 4


def test_of_two_whose_segments_are_alike_the_one_with_the_same_course_comes_first(encoder, shortlist_of):
    rng = np.random.default_rng(1)
    local, segments = drawn(encoder, rng)
    near = blurred(segments, rng, 1.0)
    same = blurred(local, rng, 0.8)
    recordings = {"shuffled": (rng.permutation(same), near), "same": (same, near), **others(encoder, rng)}
    assert [name for name, _ in shortlist_of(recordings, (local, segments), 2)] == ["same", "shuffled"]


def test_music_that_all_recordings_have_speaks_for_none(encoder, shortlist_of):
    """A recording that shares a common chord for long comes behind one that shares less of what it has alone."""
    rng = np.random.default_rng(2)
    local, segments = drawn(encoder, rng)
    chord = unit(rng.standard_normal((1, local.shape[1])))
    local[60:] = blurred(np.repeat(chord, ROWS - 60, axis=0), rng, 0.3)
    recordings = {}
    for name, (its_local, _) in others(encoder, rng).items():
        its_local[30:] = blurred(np.repeat(chord, ROWS - 30, axis=0), rng, 0.3)
        recordings[name] = its_local, blurred(segments, rng, 1.5)
    version, _ = drawn(encoder, rng)
    version[:60] = blurred(local[:60], rng, 0.8)
    recordings["version"] = version, blurred(segments, rng, 1.5)
    first, _ = shortlist_of(recordings, (local, segments), OTHERS)[0]
    assert first == "version"


def test_a_recording_is_none_of_its_own_candidates_and_no_more_are_given_than_wanted(encoder, shortlist_of):
    rng = np.random.default_rng(3)
    recordings = others(encoder, rng)
    found = shortlist_of(recordings, recordings["other 7"], 20, "other 7")
    assert len(found) == len({name for name, _ in found}) == 20
    assert "other 7" not in dict(found)


@pytest.mark.parametrize("rows", [10, 25, 1500, 6000])
def test_short_and_long_queries_find_what_contains_them_or_is_contained(encoder, shortlist_of, rows):
    rng = np.random.default_rng(4)
    local, segments = drawn(encoder, rng, max(rows, ROWS))
    known = {**others(encoder, rng), "whole": (local, segments)}
    asked = local[50 : 50 + rows] if rows < ROWS else local, segments[5:6] if rows < ROWS else segments
    assert shortlist_of(known, asked, 1)[0][0] == "whole"


def test_an_empty_library_has_no_candidates(encoder, shortlist_of):
    assert shortlist_of({}, drawn(encoder, np.random.default_rng(5)), 10) == []


def test_what_is_like_the_likeliest_alone_is_found_by_way_of_it_and_in_its_key(encoder, shortlist_of):
    rng = np.random.default_rng(5)
    query, far = drawn(encoder, rng), drawn(encoder, rng)
    between = tuple(unit(one + other) for one, other in zip(query, far, strict=True))
    recordings = {**others(encoder, rng), "between": moved(between, 3), "far": moved(far, 8)}
    found = dict(shortlist_of(recordings, query, 4))
    assert found["between"][0] == 3
    assert found["far"][0] == 8


@pytest.mark.parametrize("recordings", [1, 7, 300])
def test_each_row_votes_once_for_a_recording_in_its_key_by_the_nearest_of_its_neighbours_there(recordings):
    rng = np.random.default_rng(6)
    segments, keys, k = 5, 12, 40
    neighbours = rng.integers(0, recordings, (segments * keys, k))
    for row, count in enumerate(rng.integers(0, k + 1, len(neighbours))):
        neighbours[row, count:] = -1
    votes = -np.sort(-rng.random(neighbours.shape), axis=1)
    expected = {}
    for row, (places, counts) in enumerate(zip(neighbours.tolist(), votes.tolist(), strict=True)):
        nearest = {place: count for place, count in reversed(list(zip(places, counts, strict=True))) if place >= 0}
        for place, count in nearest.items():
            sums = expected.setdefault(place, {})
            sums[row // segments] = sums.get(row // segments, 0.0) + count
    found, totals = tallied(neighbours, votes, keys, recordings)
    assert sorted(found.tolist()) == sorted(expected)
    assert totals == pytest.approx(
        np.array([[expected[place].get(key, -1.0) for key in range(keys)] for place in found.tolist()])
    )
