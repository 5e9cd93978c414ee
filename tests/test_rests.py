"""Where matches end: they reach over what dies away, and never into what another match holds."""

from dataclasses import replace

import numpy as np
import pytest
from alignments import match

from alignment.analysed import Analysed
from alignment.features.sync import SyncFeatures
from alignment.pair import Pair
from alignment.rests import matches_over_rests

RATE = 50


def side(*stretches):
    """A recording of stretches (seconds, decibels)."""
    level = np.concatenate([np.full(round(RATE * seconds), decibels, np.float32) for seconds, decibels in stretches])
    seconds = len(level) / RATE
    nothing = np.zeros((1, len(level)), np.float32)
    return Analysed(seconds, 0.0, seconds, level, 0.0, SyncFeatures(nothing, nothing, nothing.astype(np.float16)))


def reached(left, right, *matches, band=None):
    measured = [replace(one, interval=np.zeros(len(one.path))) for one in matches]
    return [(one.ref, one.other) for one in matches_over_rests(Pair.of(left, right, band, ()), measured)]


def test_a_match_reaches_to_where_the_level_rises():
    left, right = side((10, -10), (3, -60)), side((10, -10), (2.5, -60), (8, -10))
    ((ref, other),) = reached(left, right, match([0.0, 10.0], [0.0, 10.0]))
    assert ref == (0.0, pytest.approx(13.0))
    assert other == (0.0, pytest.approx(12.5, abs=0.05))


def test_music_that_plays_on_is_no_rest():
    rng = np.random.default_rng(0)
    steady = [(0.02, level) for level in rng.normal(-20, 1, 1000)]
    left, right = side(*steady, *steady, (3, -70)), side((10, -20), (5, -70))
    assert reached(left, right, match([0.0, 10.0], [0.0, 10.0])) == [((0.0, 10.0), (0.0, 10.0))]
    late = match([12.0, 20.0], [5.0, 13.0])
    right = side((5, -70), (15, -20))
    assert reached(left, right, late) == [((12.0, 20.0), (5.0, 13.0))]


def test_a_much_longer_rest_stands_alone_and_a_band_lets_none_be_stretched():
    left, longer = side((10, -10), (1, -60)), side((10, -10), (5, -60))
    ((_, other),) = reached(left, longer, match([0.0, 10.0], [0.0, 10.0]))
    assert other[1] == pytest.approx(11.0)
    ((_, other),) = reached(left, side((10, -10), (2, -60)), match([0.0, 10.0], [0.0, 10.0]), band=0.5)
    assert other[1] == pytest.approx(11.0)


def test_applause_belongs_to_the_match_with_the_same_applause_alone():
    rng = np.random.default_rng(0)
    claps = [(0.02, level) for level in rng.normal(-20, 4, 1200)]
    one, louder = side((10, -10), *claps), side((10, -7), *((seconds, level + 3) for seconds, level in claps[:900]))
    another = side((10, -10), *((0.02, level) for level in rng.normal(-20, 4, 1200)))
    same = match([0.0, 10.0], [0.0, 10.0])
    assert reached(one, one, same) == [((0.0, 34.0), (0.0, 34.0))]
    assert reached(one, louder, same) == [((0.0, pytest.approx(28.0)), (0.0, 28.0))]
    ((ref, _),) = reached(one, another, same)
    assert ref[1] < 11.0


def test_a_match_that_is_last_on_one_side_alone_stays_as_it_is():
    left, right = side((20, -10), (2, -60)), side((10, -10), (2, -60), (10, -60))
    swapped = match([0.0, 10.0], [10.0, 20.0]), match([10.0, 20.0], [0.0, 10.0])
    assert reached(left, right, *swapped) == [(one.ref, one.other) for one in swapped]


def test_what_is_shorter_than_a_frame_at_the_edge_of_a_recording_belongs_to_the_match():
    left, right = side((10, -10)), side((12, -10))
    assert reached(left, right, match([0.004, 9.99], [0.0, 12.0])) == [((0.0, 10.0), (0.0, 12.0))]
