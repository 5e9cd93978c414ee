"""A hit that is far ahead of all other works is accepted where the same likeness, one among many, is not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_vectors import between, keep, recorded

from index.library import Library
from retrieval.embedding.version_encoder import VersionEncoder
from retrieval.version_calibration import VersionCalibration, VersionEvidence, level_of_rest
from retrieval.version_search import VersionSearch

STRANGERS = 20
VERSIONS = 8

ordinary = VersionEvidence(0.0, 18.0, 0.75, 0.1, 0.3, 0.2, 1, 25, 250)
evidences = st.floats(0.0, 30.0).map(lambda gain: replace(ordinary, gain=gain))
rests = st.floats(-6.0, 10.0)


@pytest.fixture(scope="module")
def calibration():
    return VersionCalibration.load()


def test_a_lead_makes_up_for_a_likeness_that_does_not_suffice(calibration):
    likely = next(
        evidence
        for gain in np.linspace(0.0, 30.0, 300)
        if 0.0 < calibration.logit(evidence := replace(ordinary, gain=float(gain))) < 3.0
    )
    lead = calibration.lead_threshold(0.005, 1000, likely.query)
    assert not calibration.accepts(likely, 0.01, 1000)
    assert not calibration.accepts(likely, 0.01, 1000, rest=calibration.logit(likely) - lead + 0.01)
    assert calibration.accepts(likely, 0.01, 1000, rest=calibration.logit(likely) - lead - 0.01)


@given(evidences, rests, rests, st.floats(1e-4, 0.1))
def test_the_nearer_the_rest_the_less_is_accepted(evidence, one, other, rate):
    calibration = VersionCalibration.load()
    near, far = max(one, other), min(one, other)
    assert calibration.accepts(evidence, rate, 1000, far) >= calibration.accepts(evidence, rate, 1000, near)
    assert calibration.accepts(evidence, rate, 1000, far) >= calibration.accepts(evidence, rate / 2, 1000)


@given(evidences, rests)
def test_no_less_is_accepted_of_surer_ones_and_at_a_higher_rate(evidence, rest):
    calibration = VersionCalibration.load()
    accepted = calibration.accepts(evidence, 0.01, 1000, rest)
    assert calibration.accepts(replace(evidence, gain=evidence.gain + 5.0), 0.01, 1000, rest) >= accepted
    assert calibration.accepts(evidence, 0.02, 1000, rest) >= accepted


def test_the_lead_that_is_wanted_is_greater_in_small_libraries(calibration):
    wanted = [calibration.lead_threshold(0.01, recordings, 25) for recordings in (5, 50, 90, 1000, 100_000)]
    assert wanted[0] > wanted[1] > wanted[2] == wanted[3] == wanted[4]


@given(st.lists(st.floats(-20.0, 20.0), max_size=30))
def test_the_rest_is_neither_of_the_likeliest_nor_of_what_counts_for_nothing(logits):
    ordered = sorted(logits, reverse=True)
    level = level_of_rest(ordered)
    assert -6.0 <= level <= max([-6.0, *ordered[2:3]])
    assert level_of_rest([*ordered, -30.0]) == pytest.approx(level)
    if len(ordered) > 2:
        assert level_of_rest([ordered[0] + 100.0, ordered[1] + 50.0, *ordered[2:]]) == pytest.approx(level)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A library of many versions of a query and many strangers, and the query."""
    encoder, rng = VersionEncoder(), np.random.default_rng(0)
    query = recorded(encoder, rng, 60)
    kept = {f"stranger {number}": recorded(encoder, rng) for number in range(STRANGERS)}
    for number in range(VERSIONS):
        kept[f"version {number}"] = between(query, recorded(encoder, rng, 60), 0.4)
    folder = tmp_path_factory.mktemp("vectors") / "library"
    keep(folder, encoder, kept)
    return folder, encoder, query


def leads(searched):
    """By title, how far ahead of the rest each recording that is like the query is."""
    folder, encoder, query = searched
    with Library(folder) as library:
        search = VersionSearch(library, encoder, VersionCalibration.load())
        return {its.title: search.logit(likeness) - likeness.rest for its, likeness in search.candidates(query)}


def test_versions_are_no_rest_to_each_other_once_they_are_put_to_a_work(searched):
    folder, *_ = searched
    versions = {f"version {number}" for number in range(VERSIONS)}
    scattered = leads(searched)
    with Library(folder, write=True) as library:
        library.works.merge([recording for recording in library.recordings() if recording.title in versions])
    grouped = leads(searched)
    assert versions <= set(scattered) == set(grouped)
    for name in versions:
        assert scattered[name] < 2.0
        assert grouped[name] > scattered[name] + 2.0
