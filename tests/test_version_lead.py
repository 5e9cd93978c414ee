"""A hit that is far ahead of the rest of the library is accepted where the same likeness, one among many, is not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_vectors import between, keep, recorded

from index.library import Library
from retrieval.correspondence import Likeness
from retrieval.embedding.version_encoder import VersionEncoder
from retrieval.version_calibration import VersionCalibration, VersionEvidence, level_of_rest
from retrieval.version_search import VersionSearch

STRANGERS = 20
VERSIONS = [f"version {number}" for number in range(12)]

ordinary = VersionEvidence(0.0, 18.0, 0.75, 0.1, 0.3, 0.2, 1, 25, 250, 0.2)
evidences = st.floats(0.0, 30.0).map(lambda gain: replace(ordinary, gain=gain))
rests = st.floats(-6.0, 10.0)

CALIBRATION = VersionCalibration.load()


def too_weak(recordings):
    """The likeliest evidence that does not suffice by itself in a library of so many recordings."""
    falling = (replace(ordinary, gain=float(gain)) for gain in np.linspace(30.0, 0.0, 300))
    return next(evidence for evidence in falling if not CALIBRATION.accepts(evidence, 0.01, recordings))


def test_a_lead_makes_up_for_a_likeness_that_does_not_suffice():
    likely = too_weak(1000)
    lead = CALIBRATION.lead_threshold(0.005, likely.query)
    assert not CALIBRATION.accepts(likely, 0.01, 1000)
    assert not CALIBRATION.accepts(likely, 0.01, 1000, rest=CALIBRATION.logit(likely) - lead + 0.01)
    assert CALIBRATION.accepts(likely, 0.01, 1000, rest=CALIBRATION.logit(likely) - lead - 0.01)


def test_what_is_not_likely_by_itself_no_lead_makes_up_for():
    falling = (replace(ordinary, gain=float(gain)) for gain in np.linspace(30.0, 0.0, 300))
    unlikely = next(evidence for evidence in falling if CALIBRATION.probability(evidence) < 0.9)
    assert CALIBRATION.probability(unlikely) > 0.8
    assert not CALIBRATION.accepts(unlikely, 0.01, 1000, rest=-1000.0)


@given(evidences, rests, rests, st.floats(1e-4, 0.1))
def test_the_nearer_the_rest_the_less_is_accepted(evidence, one, other, rate):
    near, far = max(one, other), min(one, other)
    assert CALIBRATION.accepts(evidence, rate, 1000, far) >= CALIBRATION.accepts(evidence, rate, 1000, near)
    assert CALIBRATION.accepts(evidence, rate, 1000, near) >= CALIBRATION.accepts(evidence, rate / 2, 1000)


@given(evidences, rests)
def test_no_less_is_accepted_of_surer_ones_and_at_a_higher_rate(evidence, rest):
    accepted = CALIBRATION.accepts(evidence, 0.01, 1000, rest)
    assert CALIBRATION.accepts(replace(evidence, gain=evidence.gain + 5.0), 0.01, 1000, rest) >= accepted
    assert CALIBRATION.accepts(evidence, 0.02, 1000, rest) >= accepted


@pytest.mark.parametrize(
    ("logits", "level"),
    [((9, 8, 7, 6, 4, 3, 2, 1), 5.0), ((9, 8, 7, -50), (7 - 6 - 6 - 6) / 4), ((9,), -6.0), ((), -6.0)],
)
def test_the_rest_is_the_third_to_the_sixth_of_the_other_works(logits, level):
    assert level_of_rest(logits) == pytest.approx(level)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A library of many versions of a query and many strangers, and the query."""
    encoder, rng = VersionEncoder(), np.random.default_rng(0)
    query = recorded(encoder, rng, 60)
    kept = {f"stranger {number}": recorded(encoder, rng) for number in range(STRANGERS)}
    for name in VERSIONS:
        kept[name] = between(query, recorded(encoder, rng, 60), 0.4)
    folder = tmp_path_factory.mktemp("vectors") / "library"
    keep(folder, encoder, kept)
    return folder, encoder, query


@pytest.fixture
def search(searched):
    folder, encoder, _ = searched
    with Library(folder) as library:
        yield VersionSearch(library, encoder, CALIBRATION)


def test_versions_are_no_rest_to_each_other_once_they_are_put_to_a_work(searched):
    folder, encoder, query = searched
    leads = []
    for _ in range(2):
        with Library(folder) as library:
            search = VersionSearch(library, encoder, CALIBRATION)
            found = {recording.title: likeness for recording, likeness in search.candidates(query)}
        likely = sorted((search.logit(likeness) for likeness in found.values()), reverse=True)
        leads.append([search.logit(found[name]) - found[name].rest for name in VERSIONS])
        if len(leads) == 1:
            best = max(VERSIONS, key=lambda name: search.logit(found[name]))
            assert found[best].rest == pytest.approx(level_of_rest(likely[1:]))
            with Library(folder, write=True) as library:
                library.works.merge([one for one in library.recordings() if one.title in VERSIONS])
    strangers = [search.logit(found[name]) for name in found if name not in VERSIONS]
    for name, scattered, grouped in zip(VERSIONS, *leads, strict=True):
        assert scattered < 2.0 < grouped - scattered
        assert found[name].rest == pytest.approx(level_of_rest(sorted(strangers, reverse=True)))


def test_a_hit_that_leads_is_accepted_by_the_search(search):
    weak = Likeness(0, (), too_weak(len(VERSIONS) + STRANGERS))
    leading = weak._replace(rest=-6.0)
    assert not search.accepts(weak, 0.01)
    assert search.accepts(leading, 0.01)
    assert leading.by_way_of(weak).rest == leading.rest


def test_in_a_library_of_few_recordings_nothing_leads(tmp_path):
    encoder, rng = VersionEncoder(), np.random.default_rng(0)
    query = recorded(encoder, rng)
    for strangers in (20, 40):
        kept = {f"stranger {number}": recorded(encoder, rng) for number in range(strangers)}
        keep(tmp_path / str(strangers), encoder, {"version": between(recorded(encoder, rng), query), **kept})
        with Library(tmp_path / str(strangers)) as library:
            found = VersionSearch(library, encoder, CALIBRATION).candidates(query)
        assert [likeness.rest is not None for _, likeness in found] == [strangers > 20] * len(found)


def test_a_likelier_way_round_takes_back_no_hit(search):
    leading = Likeness(0, (), too_weak(len(VERSIONS) + STRANGERS), rest=-6.0)
    round_about = leading.by_way_of(Likeness(0, (), ordinary))
    assert not search.accepts(round_about, 0.01)
    assert search.accepts(round_about._replace(by_itself=leading), 0.01)
