"""A version that is unlike the query is found by way of another one that is like both."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_vectors import between, keep, recorded

from index.library import Library
from retrieval.correspondence import Likeness, Strength, VersionQuery
from retrieval.embedding.version_encoder import VersionEncoder, rolled
from retrieval.hits import Place
from retrieval.logistic import as_probability, both_hold
from retrieval.version_calibration import VersionCalibration, VersionEvidence
from retrieval.version_search import VersionSearch
from retrieval.work_upkeep import FALSE_VERSIONS

seconds = st.floats(0, 300)
evidence = VersionEvidence(20.0, 40.0, 0.8, 0.1, 0.3, 0.2, 1, 100, 100, 0.2)


everywhere = Strength(np.ones(800, np.float32), 1.0)
everything = Place(0.0, 80.0, 0.0, 80.0)


@st.composite
def places(draw):
    start, asked, lasts, pace = draw(seconds), draw(seconds), draw(st.floats(5, 200)), draw(st.floats(0.5, 2.0))
    return Place(start, start + lasts * pace, asked, asked + lasts)


@given(places(), places(), st.integers(0, 11), st.integers(0, 11))
def test_a_place_carried_over_lies_within_both_and_as_its_ends_lie(first, second, up, further_up):
    linked = Likeness(up, (first,), evidence).by_way_of(Likeness(further_up, (second,), evidence, everywhere))
    assert linked.semitones == (up + further_up) % 12
    overlap = min(first.end, second.query_end) - max(first.start, second.query_start)
    assert bool(linked.places) == (overlap > 0)
    for place in linked.places:
        assert first.query_start - 1e-6 <= place.query_start <= place.query_end <= first.query_end + 1e-6
        assert second.start - 1e-6 <= place.start <= place.end <= second.end + 1e-6
        between = np.interp(
            (place.query_start, place.query_end), (first.query_start, first.query_end), (first.start, first.end)
        )
        onward = np.interp(between, (second.query_start, second.query_end), (second.start, second.end))
        assert onward == pytest.approx((place.start, place.end), abs=1e-6)


@given(st.floats(-20, 20), st.floats(-20, 20))
def test_a_chain_is_as_probable_as_both_of_its_links(one, other):
    assert as_probability(both_hold(one, other)) == pytest.approx(as_probability(one) * as_probability(other))
    assert both_hold(one, other) <= min(one, other)


@pytest.fixture
def searched(tmp_path):
    """What finds: a query, its neighbour, a recording like that neighbour alone in another key, and others."""
    encoder, rng = VersionEncoder(), np.random.default_rng(0)
    query, far = recorded(encoder, rng), recorded(encoder, rng)
    kept = {
        "neighbour": between(query, far),
        "far": VersionQuery(*(rolled(part, 3) for part in (far.local, far.quick, far.segments))),
        **{f"other {number}": recorded(encoder, rng) for number in range(20)},
    }
    keep(tmp_path / "library", encoder, kept)
    with Library(tmp_path / "library") as library:
        yield VersionSearch(library, encoder, VersionCalibration.load()), query


def test_a_recording_unlike_the_query_is_found_by_way_of_one_that_is_like_both(searched):
    search, query = searched
    by_itself = [search.logit(likeness) for recording, likeness in search.candidates(query) if recording.title == "far"]
    found = {recording.title: likeness for recording, likeness in search.found(query)}
    assert list(found)[:2] == ["neighbour", "far"]
    assert max(by_itself, default=-np.inf) < search.logit(found["far"]) <= search.logit(found["neighbour"])
    assert found["far"].semitones == 3
    for place in found["far"].places:
        assert place.start == pytest.approx(place.query_start, abs=1.0)
    assert found["far"].onward is not None
    assert found["neighbour"].onward is None


def test_what_is_like_another_part_of_a_long_recording_is_not_found_by_way_of_it(tmp_path):
    encoder, rng = VersionEncoder(), np.random.default_rng(1)
    first, second = (recorded(encoder, rng) for _ in range(2))
    side = joined(first, second)
    version = joined(VersionQuery(first.local[-12:], first.quick[-8:], first.segments[-1:]), second)
    keep(tmp_path / "library", encoder, {"side": side, "version": version})
    with Library(tmp_path / "library") as library:
        search = VersionSearch(library, encoder, VersionCalibration.load())
        found = {recording.title: likeness for recording, likeness in search.found(first)}
    assert next(iter(found)) == "side"
    assert found["version"].onward is None or found["version"].aside
    assert search.logit(found["version"]) < 0.0
    assert not search.accepts(found["version"], 0.01)


def joined(one, other):
    """One after the other."""
    pairs = (one.local, other.local), (one.quick, other.quick), (one.segments, other.segments)
    return VersionQuery(*map(np.concatenate, pairs))


def test_where_the_query_is_like_nothing_no_chain_is_accepted(searched):
    search, _ = searched
    stranger = recorded(search.encoder, np.random.default_rng(1))
    assert not any(search.accepts(likeness, 0.01) for _, likeness in search.found(stranger))


def test_what_is_found_by_way_of_another_is_accepted_only_if_the_two_would_be_put_to_one_work(searched):
    search, _ = searched
    for gain in np.linspace(0.0, 100.0, 200):
        worth = replace(evidence, gain=float(gain))
        likeness = Likeness(0, (everything,), worth, everywhere)
        assert search.accepts(likeness.by_way_of(likeness), 0.01) == search.accepts(likeness, FALSE_VERSIONS)
        assert search.accepts(likeness.by_way_of(likeness), 1e-4) == search.accepts(likeness, 1e-4)
    assert not search.accepts(Likeness(0, (), replace(evidence, gain=0.0)), FALSE_VERSIONS)
    assert search.accepts(Likeness(0, (), replace(evidence, gain=100.0)), FALSE_VERSIONS)
