"""The warping path in seconds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignment import FeatureError, WarpingPath

steps = st.lists(st.sampled_from([(0, 1), (1, 0), (1, 1)]), min_size=2, max_size=60)


def path_of(moves):
    points = np.cumsum([(0, 0), *moves], axis=0) / 50.0
    return WarpingPath(points[:, 0].copy(), points[:, 1].copy())


@given(steps)
@settings(deadline=None)
def test_monotone_rises_strictly_and_keeps_the_ends(moves):
    path = path_of(moves)
    strict = path.monotone()
    if len(strict) > 1:
        assert strict.is_strictly_monotone
        assert (strict.ref[0], strict.other[0]) == (path.ref[0], path.other[0])
        assert (strict.ref[-1], strict.other[-1]) == (path.ref[-1], path.other[-1])


@given(steps)
@settings(deadline=None)
def test_mapping_there_and_back_is_the_identity(moves):
    strict = path_of(moves).monotone()
    if len(strict) > 1:
        times = np.linspace(strict.ref[0], strict.ref[-1], 37)
        assert np.allclose(strict.invert().map(strict.map(times)), times, atol=1e-9)


@given(steps, st.floats(0.001, 0.1))
@settings(deadline=None)
def test_thinning_stays_within_its_tolerance(moves, tolerance):
    strict = path_of(moves).monotone()
    keep = strict.thin(tolerance)
    thinned = np.interp(strict.ref, strict.ref[keep], strict.other[keep])
    assert np.abs(thinned - strict.other).max() <= tolerance + 1e-9


def test_standstill_maps_to_its_middle():
    path = WarpingPath(np.array([0.0, 1, 1, 1, 2]), np.array([0.0, 1, 2, 3, 4]))
    assert path.map(1.0) == 2.0


def test_a_straight_line_needs_two_points():
    line = WarpingPath(np.linspace(0, 10, 500), np.linspace(3, 25, 500))
    assert list(line.thin()) == [0, 499]


def test_falling_times_are_refused():
    with pytest.raises(FeatureError, match="never fall"):
        WarpingPath(np.array([0.0, 1, 0.5]), np.array([0.0, 1, 2]))
    with pytest.raises(FeatureError, match="one length"):
        WarpingPath(np.zeros(3), np.zeros(2))
