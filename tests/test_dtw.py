"""Dynamic time warping against a slow oracle, and by its properties."""

from itertools import pairwise

import librosa
import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignment.dtw import SYMMETRIC_WEIGHTS, Corridor, Steps, corridor_around, dtw
from alignment.errors import FeatureError


def random_features(seed, frames, dims=4):
    values = np.abs(np.random.default_rng(seed).standard_normal((dims, frames))).astype(np.float32)
    return values / np.linalg.norm(values, axis=0, keepdims=True)


def is_complete(path, n, m):
    steps = {tuple(step) for step in np.diff(path, axis=0).tolist()}
    return tuple(path[0]) == (0, 0) and tuple(path[-1]) == (n - 1, m - 1) and steps <= {(1, 1), (1, 0), (0, 1)}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 24),
    st.integers(1, 24),
    st.integers(0, 1000),
    st.sampled_from([(1.0, 1.0, 1.0), SYMMETRIC_WEIGHTS, (1.0, 2.0, 3.0)]),
)
def test_full_dtw_equals_the_oracle(n, m, seed, weights):
    x, y = random_features(seed, n), random_features(seed + 1, m)
    found = dtw(x, y, weights=weights)
    assert found.cost == pytest.approx(naive.dtw(x, y, weights)[-1, -1], abs=1e-4)
    assert is_complete(found.path, n, m)
    assert naive.path_cost(x, y, found.path.tolist(), weights) == pytest.approx(found.cost, abs=1e-4)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 24),
    st.integers(1, 24),
    st.integers(0, 1000),
    st.sampled_from([(1.0, 1.0, 1.0), (2.0, 3.0, 3.0)]),
    st.booleans(),
    st.sampled_from([1, 2]),
)
def test_steps_of_half_to_double_equal_the_oracle(n, m, seed, weights, subsequence, threads):
    x, y = random_features(seed, n), random_features(seed + 1, m)
    steps = Steps.HALF_TO_DOUBLE
    oracle = naive.dtw(x, y, weights, subsequence, steps=steps.value)[-1]
    wanted = oracle.min() if subsequence else oracle[-1]
    if not np.isfinite(wanted):
        with pytest.raises(FeatureError, match="keeps to the steps"):
            dtw(x, y, steps=steps, weights=weights, subsequence=subsequence, threads=threads)
        return
    found = dtw(x, y, steps=steps, weights=weights, subsequence=subsequence, threads=threads)
    assert found.cost == pytest.approx(wanted, abs=1e-4)
    path = found.path.tolist()
    assert path[0][0] == 0
    assert path[-1][0] == n - 1
    assert naive.path_cost(x, y, path, weights, steps.value) == pytest.approx(found.cost, abs=1e-4)


@settings(max_examples=120, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 1000), st.booleans())
def test_two_threads_find_what_one_finds(n, m, seed, subsequence):
    x, y = random_features(seed, n), random_features(seed + 1, m)
    found = dtw(x, y, weights=SYMMETRIC_WEIGHTS, subsequence=subsequence, threads=2)
    alone = dtw(x, y, weights=SYMMETRIC_WEIGHTS, subsequence=subsequence)
    assert found.cost == pytest.approx(alone.cost, abs=1e-4)
    assert naive.path_cost(x, y, found.path.tolist(), SYMMETRIC_WEIGHTS) == pytest.approx(found.cost, abs=1e-4)
    assert {tuple(step) for step in np.diff(found.path, axis=0).tolist()} <= set(naive.SINGLE)


@pytest.mark.parametrize("threads", [1, 2])
def test_long_sequences_lose_nothing_to_single_precision(threads):
    x, y = random_features(1, 2500, dims=12), random_features(2, 2200, dims=12)
    found = dtw(x, y, threads=threads)
    costs = 1.0 - x.T.astype(np.float64) @ y.astype(np.float64)
    wanted = librosa.sequence.dtw(C=costs, backtrack=False)[-1, -1]
    assert found.cost == pytest.approx(wanted, rel=1e-6)
    assert costs[found.path[:, 0], found.path[:, 1]].sum() == pytest.approx(wanted, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 16), st.integers(1, 30), st.integers(0, 1000))
def test_subsequence_dtw_equals_the_oracle(n, m, seed):
    x, y = random_features(seed, n), random_features(seed + 1, m)
    found = dtw(x, y, subsequence=True)
    assert found.cost == pytest.approx(naive.dtw(x, y, subsequence=True)[-1].min(), abs=1e-4)
    assert found.path[0, 0] == 0
    assert found.path[-1, 0] == n - 1
    assert naive.path_cost(x, y, found.path.tolist()) == pytest.approx(found.cost, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 24), st.integers(2, 24), st.integers(0, 1000), st.integers(1, 6))
def test_dtw_in_a_corridor_equals_the_oracle_in_it(n, m, seed, radius):
    x, y = random_features(seed, n), random_features(seed + 1, m)
    middle = np.linspace(0, m - 1, n)
    step = int(np.ceil(m / n))
    low = np.maximum.accumulate(np.clip(np.floor(middle - radius - step), 0, m - 1).astype(np.int64))
    high = np.maximum.accumulate(np.clip(np.ceil(middle + radius + step) + 1, 1, m).astype(np.int64))
    low[0], high[-1] = 0, m
    corridor = Corridor(low, high)
    found = dtw(x, y, corridor=corridor)
    assert found.cost == pytest.approx(naive.dtw(x, y, corridor=corridor)[-1, -1], abs=1e-4)
    assert dtw(x, y, corridor=corridor, threads=2).cost == pytest.approx(found.cost, abs=1e-4)
    assert is_complete(found.path, n, m)
    assert found.cost >= dtw(x, y).cost - 1e-4


@pytest.mark.parametrize("seed", range(5))
def test_cost_is_symmetric_and_zero_on_itself(seed):
    x, y = random_features(seed, 40), random_features(seed + 9, 55)
    there, back = dtw(x, y, weights=SYMMETRIC_WEIGHTS), dtw(y, x, weights=SYMMETRIC_WEIGHTS)
    assert there.cost == pytest.approx(back.cost, abs=1e-4)
    itself = dtw(x, x)
    assert itself.cost == pytest.approx(0, abs=1e-4)
    assert np.array_equal(itself.path[:, 0], itself.path[:, 1])


def test_a_known_warp_is_recovered():
    x = random_features(3, 200, dims=12)
    warp = np.sort(np.random.default_rng(1).integers(0, 200, 260))
    warp[0], warp[-1] = 0, 199
    found = dtw(x, np.ascontiguousarray(x[:, warp]))
    wanted = warp[found.path[:, 1]]
    assert np.abs(found.path[:, 0] - wanted).max() <= np.diff(warp).max()


def test_a_passage_is_found_at_its_offset():
    y = random_features(4, 300, dims=12)
    found = dtw(np.ascontiguousarray(y[:, 120:170]), y, subsequence=True)
    assert found.path[0, 1] == 120
    assert found.path[-1, 1] == 169


def test_a_wider_corridor_never_costs_more():
    x, y = random_features(5, 120), random_features(6, 150)
    coarse = dtw(x[:, ::4], y[:, ::4]).path
    costs = [dtw(x, y, corridor=corridor_around(coarse, 4, radius, 120, 150)).cost for radius in (4, 8, 16, 200)]
    assert all(wider <= narrower + 1e-4 for narrower, wider in pairwise(costs))
    assert costs[-1] == pytest.approx(dtw(x, y).cost, abs=1e-3)


def test_wrong_input_is_explained():
    x = random_features(0, 5)
    with pytest.raises(FeatureError, match="Got shape"):
        dtw(x[:, :0], x)
    with pytest.raises(FeatureError, match="same dimension"):
        dtw(x, random_features(0, 5, dims=3))
    with pytest.raises(FeatureError, match="finite"):
        dtw(x * np.nan, x)
    with pytest.raises(FeatureError, match="never fall"):
        dtw(x, x, corridor=Corridor(np.array([0, 1, 0, 0, 0]), np.full(5, 5)))
