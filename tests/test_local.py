"""Local alignment: chains of paths against a slow oracle, and parts that come in another order."""

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignment.errors import AlignmentError
from alignment.local import best_chain, chain_scores


def oracle(gains, jump):
    """Best chain by recursion over where paths may come from."""
    rows, columns = gains.shape

    @lru_cache(None)
    def before(row):
        if row == 0:
            return 0.0
        return max([before(row - 1), *(ending(row - 1, column) for column in range(columns))])

    @lru_cache(None)
    def ending(row, column):
        if row < 0 or column < 0:
            return -np.inf
        ways = (ending(row - 1, column - 1), ending(row - 1, column - 2), ending(row - 2, column - 1))
        return max(before(row) - jump, *ways) + float(gains[row, column])

    return before(rows)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 9), st.floats(0.0, 2.0))
def test_score_equals_that_of_a_slow_oracle(seed, rows, columns, jump):
    gains = np.random.default_rng(seed).normal(-0.2, 0.6, (rows, columns)).astype(np.float32)
    assert best_chain(gains, jump).score == pytest.approx(oracle(gains, jump), abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0, 2.0))
def test_paths_add_up_to_the_score(seed, jump):
    gains = np.random.default_rng(seed).normal(-0.1, 0.6, (14, 17)).astype(np.float32)
    chain = best_chain(gains, jump)
    found = sum(gains[path[:, 0], path[:, 1]].sum() - jump for path in chain.paths)
    assert chain.score == pytest.approx(found, abs=1e-4)
    rows = np.concatenate([np.zeros(0), *(path[:, 0] for path in chain.paths)])
    assert (np.diff(rows) > 0).all()
    for path in chain.paths:
        steps = {tuple(step) for step in np.diff(path, axis=0)}
        assert steps <= {(1, 1), (1, 2), (2, 1)}


def test_parts_in_another_order_are_found_as_paths_of_their_own():
    rng = np.random.default_rng(3)
    sequence = rng.normal(size=(90, 16))
    sequence /= np.linalg.norm(sequence, axis=1, keepdims=True)
    other = np.concatenate([sequence[50:80], rng.normal(size=(15, 16)) / 4, sequence[10:40]])
    gains = (other @ sequence.T - 0.5).astype(np.float32)
    chain = best_chain(gains, 2.0)
    ends = [(tuple(path[0]), tuple(path[-1])) for path in chain.paths]
    assert ends == [((0, 50), (29, 79)), ((45, 10), (74, 39))]


def test_nothing_alike_gives_no_path():
    chain = best_chain(np.full((30, 40), -0.1, np.float32), 1.0)
    assert chain.score == 0.0
    assert chain.paths == ()


def test_gains_that_are_not_finite_are_refused():
    with pytest.raises(AlignmentError):
        best_chain(np.full((3, 3), np.nan, np.float32), 1.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.lists(st.integers(1, 9), min_size=1, max_size=5), st.floats(0, 2))
def test_scores_of_several_are_those_of_each_by_itself(seed, rows, widths, jump):
    bounds = np.cumsum([0, *widths])
    gains = np.random.default_rng(seed).normal(-0.1, 0.6, (rows, bounds[-1])).astype(np.float32)
    alone = [best_chain(part, jump).score for part in np.split(gains, bounds[1:-1], axis=1)]
    assert chain_scores(gains, bounds, jump) == pytest.approx(alone, abs=1e-5)


def test_scores_of_what_is_not_finite_or_not_cut_up_are_refused():
    with pytest.raises(AlignmentError):
        chain_scores(np.full((3, 3), np.nan, np.float32), np.array([0, 3]), 1.0)
    with pytest.raises(AlignmentError):
        chain_scores(np.zeros((3, 3), np.float32), np.array([0, 4]), 1.0)
