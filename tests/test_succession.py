"""Successions of turns against a slow oracle, and sequences put together of parts of several others."""

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignment.errors import AlignmentError
from alignment.local import best_chain
from alignment.succession import Block, SuccessionCosts, best_succession


def oracle(blocks, costs):
    """Score of the best succession by recursion."""

    def endings(row, group=None):
        for number, block in enumerate(blocks):
            if group in (None, block.group):
                yield from (ending(row, number, column) for column in range(block.gains.shape[1]))

    @lru_cache(None)
    def outside(row):
        return max([outside(row - 1), *endings(row - 1)]) if row else 0.0

    @lru_cache(None)
    def inside(row, group):
        return max([inside(row - 1, group) - costs.idle, *endings(row - 1, group)]) if row else -np.inf

    @lru_cache(None)
    def ending(row, number, column):
        if row < 0 or column < 0:
            return -np.inf
        block = blocks[number]
        steps = (ending(row - down, number, column - right) for down, right in ((1, 1), (1, 2), (2, 1)))
        begun = max(outside(row) - costs.switch, inside(row, block.group)) - costs.jump
        return max(begun, *steps) + float(block.gains[row, column])

    return outside(len(blocks[0].gains))


def drawn(seed, rows, groups):
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 5, len(groups))
    return [
        Block(rng.normal(-0.2, 0.6, (rows, width)).astype(np.float32), group)
        for width, group in zip(widths, groups, strict=True)
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 8),
    st.lists(st.integers(0, 2), min_size=1, max_size=4),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
    st.floats(0.0, 0.3),
)
def test_score_equals_that_of_a_slow_oracle(seed, rows, groups, jump, switch, idle):
    blocks, costs = drawn(seed, rows, groups), SuccessionCosts(jump, switch, idle)
    assert best_succession(blocks, costs).score == pytest.approx(oracle(blocks, costs), abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12), st.floats(0.0, 1.0))
def test_one_sequence_and_free_turns_are_a_chain(seed, rows, columns, jump):
    gains = np.random.default_rng(seed).normal(-0.2, 0.6, (rows, columns)).astype(np.float32)
    found = best_succession([Block(gains, 0)], SuccessionCosts(jump, 0.0, 0.0))
    assert found.score == pytest.approx(best_chain(gains, jump).score, abs=1e-4)


def test_parts_of_three_groups_are_told_apart():
    played = [(1, 0, 20), (0, 5, 30), (2, 0, 15)]
    rows = np.cumsum([0, *(5 + last - first for _, first, last in played)])
    blocks = [np.full((rows[-1], 30), -0.4, np.float32) for _ in range(3)]
    for (group, first, last), row in zip(played, rows, strict=False):
        blocks[group][row + np.arange(last - first), np.arange(first, last)] = 0.4
    turns = best_succession(
        [Block(gains, group) for group, gains in enumerate(blocks)], SuccessionCosts(1, 1, 0.1)
    ).turns
    wanted = [(group, row, row + last - first - 1) for (group, first, last), row in zip(played, rows, strict=False)]
    assert [(turn.group, turn.first, turn.last) for turn in turns] == wanted
    assert [(path.block, path.start, path.end) for turn in turns for path in turn.paths] == [
        (group, first, last - 1) for group, first, last in played
    ]


def test_sequences_of_a_group_share_a_turn():
    halves = [np.full((20, 20), -0.4, np.float32) for _ in range(2)]
    halves[0][np.arange(10), np.arange(10)] = 0.4
    halves[1][np.arange(10, 20), np.arange(10, 20)] = 0.4
    costs = SuccessionCosts(1.0, 1.0, 0.1)
    (turn,) = best_succession([Block(gains, 0) for gains in halves], costs).turns
    assert [(path.block, path.first, path.last) for path in turn.paths] == [(0, 0, 9), (1, 10, 19)]
    assert len(best_succession([Block(gains, group) for group, gains in enumerate(halves)], costs).turns) == 2


def test_nothing_to_compare_with_has_no_turns():
    assert best_succession([], SuccessionCosts(1, 1, 0)).turns == ()


def test_gains_must_be_finite_and_of_the_same_rows():
    costs = SuccessionCosts(1, 1, 0)
    with pytest.raises(AlignmentError, match="finite"):
        best_succession([Block(np.full((2, 2), np.nan, np.float32), 0)], costs)
    with pytest.raises(AlignmentError, match="rows"):
        best_succession([Block(np.zeros((rows, 2), np.float32), 0) for rows in (2, 3)], costs)
