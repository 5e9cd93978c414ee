"""Recordings are grouped into works by accepted pairs, and confirmed works stay."""

import random

from hypothesis import given
from hypothesis import strategies as st

from index.works import Grouping
from retrieval.works import group_works

AS_LONG = dict.fromkeys(range(10), 100.0)


def groups(pairs, durations=AS_LONG):
    return sorted(sorted(grouping.recordings) for grouping in group_works(pairs, {}, durations))


def complete(*recordings):
    return [(one, other, 0.9) for one in recordings for other in recordings if one < other]


def test_what_was_accepted_is_together():
    assert groups([*complete(1, 2, 3), *complete(7, 9)]) == [[1, 2, 3], [7, 9]]


def test_one_false_pair_does_not_chain_two_works():
    assert groups([*complete(1, 2, 3), *complete(4, 5), (3, 4, 0.99)]) == [[1, 2, 3], [4, 5]]


def test_one_overlooked_pair_does_not_tear_a_work_apart():
    assert groups([pair for pair in complete(1, 2, 3, 4) if pair[:2] != (1, 4)]) == [[1, 2, 3, 4]]


def test_a_recording_joins_where_at_least_half_accept_it():
    trio = complete(1, 2, 3)
    assert groups([*trio, (4, 1, 0.5), (2, 4, 0.5)]) == [[1, 2, 3, 4]]
    assert groups([*trio, (4, 1, 0.5)]) == [[1, 2, 3]]


def test_a_record_side_does_not_chain_what_is_on_it():
    side, first, second, another_first = 1, 2, 3, 4
    durations = {side: 300.0, first: 100.0, second: 120.0, another_first: 110.0}
    on_it = [(side, first, 0.99), (side, second, 0.98)]
    assert groups(on_it, durations) == [[side, first]]
    played_again = [*on_it, (first, another_first, 0.99), (side, another_first, 0.99)]
    assert groups(played_again, durations) == [[side, first, another_first]]


def test_confirmed_works_are_never_joined_and_keep_what_is_theirs():
    pairs = complete(1, 2, 3, 4)
    found = group_works(pairs, {1: (10, True), 2: (10, True), 3: (20, True)}, AS_LONG)
    assert {grouping.work: set(grouping.recordings) - {4} for grouping in found} == {10: {1, 2}, 20: {3}}
    assert group_works([], {5: (30, True)}, {}) == [Grouping(30, frozenset({5}))]


def test_a_group_keeps_the_work_that_most_of_it_was_in():
    membership = {1: (10, False), 2: (10, False), 3: (10, False), 4: (20, False)}
    assert group_works(complete(1, 2, 3, 4, 5), membership, AS_LONG) == [Grouping(10, frozenset({1, 2, 3, 4, 5}))]
    parted = group_works([*complete(1, 2), *complete(3, 4, 5)], membership, AS_LONG)
    assert {(grouping.work, min(grouping.recordings)) for grouping in parted} == {(10, 1), (20, 3)}


PAIRS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.floats(0.1, 1.0)).filter(lambda pair: pair[0] != pair[1])
)
DURATIONS = st.fixed_dictionaries({number: st.floats(10, 1000) for number in range(10)})
MEMBERSHIP = st.dictionaries(st.integers(0, 9), st.tuples(st.integers(100, 103), st.booleans()))


@given(PAIRS, MEMBERSHIP, DURATIONS, st.randoms())
def test_order_and_direction_do_not_matter(pairs, membership, durations, source: random.Random):
    turned = [(other, one, p) if source.random() < 0.5 else (one, other, p) for one, other, p in pairs]
    source.shuffle(turned)
    assert group_works(pairs, membership, durations) == group_works(turned, membership, durations)


@given(PAIRS, MEMBERSHIP, DURATIONS)
def test_groups_are_apart_and_what_is_confirmed_stays(pairs, membership, durations):
    found = group_works(pairs, membership, durations)
    recordings = [recording for grouping in found for recording in grouping.recordings]
    assert len(recordings) == len(set(recordings))
    works = [grouping.work for grouping in found if grouping.work is not None]
    assert len(works) == len(set(works))
    for recording, (work, confirmed) in membership.items():
        if confirmed:
            assert [grouping.work for grouping in found if recording in grouping.recordings] == [work]
    linked = {frozenset(pair[:2]) for pair in pairs}
    for grouping in found:
        told = {recording for recording in grouping.recordings if membership.get(recording, (None, False))[1]}
        for recording in grouping.recordings - told:
            assert any(frozenset({recording, other}) in linked for other in grouping.recordings)


@given(PAIRS, DURATIONS)
def test_grouping_again_changes_nothing(pairs, durations):
    first = group_works(pairs, {}, durations)
    membership = {recording: (number, False) for number, found in enumerate(first) for recording in found.recordings}
    again = group_works(pairs, membership, durations)
    assert [grouping.work for grouping in again] == list(range(len(first)))
    assert [grouping.recordings for grouping in again] == [grouping.recordings for grouping in first]
