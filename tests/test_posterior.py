"""The mean over warping paths, against an enumeration of all of them."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignment.dtw import SYMMETRIC_WEIGHTS, Corridor, corridor_around, dtw
from alignment.posterior import path_posterior


def random_features(seed, frames, dims=4):
    values = np.abs(np.random.default_rng(seed).standard_normal((dims, frames))).astype(np.float32)
    return values / np.linalg.norm(values, axis=0, keepdims=True)


def everything(n, m):
    return Corridor(np.zeros(n, np.int64), np.full(n, m, np.int64))


def all_paths(n, m):
    """Every path from (0, 0) to (n - 1, m - 1), as tuples of cells."""
    unfinished, finished = [((0, 0),)], []
    while unfinished:
        path = unfinished.pop()
        i, j = path[-1]
        if (i, j) == (n - 1, m - 1):
            finished.append(path)
            continue
        for step in ((1, 1), (1, 0), (0, 1)):
            if i + step[0] < n and j + step[1] < m:
                unfinished.append((*path, (i + step[0], j + step[1])))
    return finished


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(2, 5), st.integers(0, 1000), st.sampled_from([1.0, 6.0]))
def test_mean_path_equals_the_mean_over_all_paths(n, m, seed, sharpness):
    x, y = random_features(seed, n), random_features(seed + 1, m)
    found = path_posterior(x, y, everything(n, m), sharpness=sharpness)
    costs = 1.0 - x.T.astype(float) @ y.astype(float)
    weight_of = dict(zip(((1, 1), (1, 0), (0, 1)), SYMMETRIC_WEIGHTS, strict=True))
    moments = np.zeros((3, n + m - 1))
    for path in all_paths(n, m):
        cost = sum(weight_of[b[0] - a[0], b[1] - a[1]] * max(costs[b], 0.0) for a, b in pairwise(path))
        for i, j in path:
            moments[:, i + j] += math.exp(-sharpness * cost) * np.array([1.0, i - j, (i - j) ** 2])
    weight, first, second = (np.convolve(row, [0.25, 0.5, 0.25], mode="same") for row in moments)
    along, inside = np.arange(n + m - 1), slice(1, -1)
    assert found.x[inside] == pytest.approx(np.clip((along + first / weight) / 2, 0, n - 1)[inside], abs=1e-3)
    assert found.y[inside] == pytest.approx(np.clip((along - first / weight) / 2, 0, m - 1)[inside], abs=1e-3)
    variance = second / weight - (first / weight) ** 2
    assert found.deviation[inside] == pytest.approx(np.sqrt(np.maximum(variance, 0))[inside], abs=1e-3)
    assert (found.x[0], found.y[0], found.x[-1], found.y[-1]) == (0, 0, n - 1, m - 1)


@pytest.mark.parametrize("seed", range(3))
def test_exchanging_the_sides_exchanges_the_mean(seed):
    x, y = random_features(seed, 60), random_features(seed + 5, 70)
    there = path_posterior(x, y, everything(60, 70), sharpness=8.0)
    back = path_posterior(y, x, everything(70, 60), sharpness=8.0)
    assert there.x == pytest.approx(back.y, abs=1e-6)
    assert there.deviation == pytest.approx(back.deviation, abs=1e-6)


def test_a_sharp_mean_is_the_path_of_least_cost_and_a_blunt_one_is_less_sure():
    x, y = random_features(1, 80, dims=12), random_features(2, 90, dims=12)
    path = dtw(x, y, weights=SYMMETRIC_WEIGHTS).path
    near = corridor_around(path, 1, 15, 80, 90)
    sharp, blunt = (path_posterior(x, y, near, sharpness=value) for value in (500.0, 2.0))
    on_path = np.interp(path.sum(axis=1), sharp.x + sharp.y, sharp.x - sharp.y)
    assert np.median(np.abs(on_path - (path[:, 0] - path[:, 1]))) < 0.5
    assert blunt.deviation.mean() > 2 * sharp.deviation.mean()


def test_the_mean_lies_between_frames_where_the_truth_does():
    rng = np.random.default_rng(0)
    smooth = np.cumsum(rng.standard_normal((12, 2000)), axis=1)
    smooth = (smooth / np.linalg.norm(smooth, axis=0)).astype(np.float32)
    x, y = smooth[:, :-10:10], smooth[:, 5::10]  # halfway between the frames
    found = path_posterior(
        np.ascontiguousarray(x), np.ascontiguousarray(y), everything(x.shape[1], y.shape[1]), sharpness=2000.0
    )
    lag = (found.x - found.y)[20:-20]
    assert lag.mean() == pytest.approx(0.5, abs=0.1)
