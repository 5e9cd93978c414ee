"""Subsequences cost what the recurrence says, and begin where their paths begin."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval import subsequences as module
from retrieval.subsequences import best_subsequences, course, halved, overlap, subsequences


def unit(rng, frames, dimensions=6):
    vectors = rng.standard_normal((frames, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(0, 25), st.integers(0, 10**6))
def test_costs_are_those_of_the_recurrence(n, m, seed):
    rng = np.random.default_rng(seed)
    query, recording = unit(rng, n), unit(rng, m)
    found = subsequences(query, recording)
    costs, starts = naive.subsequence_costs(1.0 - query @ recording.T)
    assert np.allclose(found.costs, costs, atol=1e-4)
    reached = np.isfinite(costs)
    assert np.array_equal(found.starts[reached], starts[reached])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(0, 25), st.integers(0, 10**6))
def test_the_course_is_a_path_of_the_least_cost(n, m, seed):
    rng = np.random.default_rng(seed)
    query, recording = unit(rng, n), unit(rng, m)
    found, followed = subsequences(query, recording), course(query, recording)
    if not np.isfinite(found.costs).any():
        assert followed is None
        return
    end = int(np.argmin(found.costs))
    assert followed.costs.mean() == pytest.approx(float(found.costs[end]), abs=1e-5)
    assert (followed.places[0], followed.places[-1]) == (found.starts[end], pytest.approx(end, abs=0.5))
    distances = 1.0 - query @ recording.T
    between = [
        np.mean([distances[i, int(np.floor(at))], distances[i, int(np.ceil(at))]])
        for i, at in enumerate(followed.places)
    ]
    assert np.allclose(followed.costs, between, atol=1e-5)
    steps = np.diff(followed.places)
    assert (steps >= 0).all()
    assert (steps <= 2).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(0, 10**6))
def test_recordings_side_by_side_cost_what_each_costs_alone(n, lengths, seed):
    rng = np.random.default_rng(seed)
    query = unit(rng, n)
    stored = [np.rint(127 * unit(rng, length)).astype(np.int8) for length in lengths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CELLS_AT_ONCE", 100)  # so that they are taken in several blocks
        costs, starts, ends = best_subsequences(query, stored)
    for number, recording in enumerate(stored):
        alone = subsequences(query, halved(recording))
        if np.isfinite(alone.costs).any():
            assert costs[number] == pytest.approx(float(alone.costs.min()), abs=1e-4)
            assert alone.costs[ends[number]] == pytest.approx(float(alone.costs.min()), abs=1e-4)
            assert starts[number] == alone.starts[ends[number]]
        else:
            assert np.isinf(costs[number])


def test_what_is_halved_is_smoothed_and_of_unit_length():
    frames = unit(np.random.default_rng(1), 9)
    frames[4:7] = 0.0
    around = np.pad(frames, ((1, 1), (0, 0)))
    smoothed = (around[:-2] + 2 * around[1:-1] + around[2:])[::2]
    found = halved(frames)
    lengths = np.linalg.norm(smoothed, axis=1, keepdims=True)
    assert np.allclose(found * lengths, smoothed, atol=1e-5)
    assert not halved(np.zeros((4, 6), np.float32)).any()


@pytest.mark.parametrize(("slow", "frames"), [(1.0, 40), (1.9, 76), (0.55, 22)])
def test_a_stretched_passage_is_found_whole(slow, frames):
    rng = np.random.default_rng(3)
    walk = np.cumsum(rng.standard_normal((42, 12)), axis=0)
    passage = np.stack([np.interp(np.arange(frames) / slow, np.arange(42), column) for column in walk.T], axis=1)
    query = (walk[:40] / np.linalg.norm(walk[:40], axis=1, keepdims=True)).astype(np.float32)
    passage = (passage / np.linalg.norm(passage, axis=1, keepdims=True)).astype(np.float32)
    found = subsequences(query, np.concatenate([unit(rng, 50, 12), passage, unit(rng, 60, 12)]))
    end = int(np.argmin(found.costs))
    assert found.costs[end] < 0.1
    assert found.starts[end] == pytest.approx(50, abs=2)
    assert end == pytest.approx(50 + frames - 1, abs=2)


def test_minima_are_no_higher_than_their_neighbours():
    rng = np.random.default_rng(0)
    found = subsequences(unit(rng, 5), unit(rng, 60))
    minima = found.minima()
    assert int(np.argmin(found.costs)) in minima
    for frame in minima:
        assert found.costs[frame] <= found.costs[max(frame - 1, 0)]
        assert np.isfinite(found.costs[frame])


def test_a_recording_too_short_has_no_minima():
    rng = np.random.default_rng(0)
    assert not len(subsequences(unit(rng, 9), unit(rng, 3)).minima())
    assert not len(subsequences(unit(rng, 9), unit(rng, 0)).minima())


def test_places_that_touch_are_two():
    assert not overlap((0.0, 10.0), (9.0, 19.0))
    assert overlap((0.0, 10.0), (6.0, 16.0))
    assert overlap((0.0, 10.0), (4.0, 6.0))
