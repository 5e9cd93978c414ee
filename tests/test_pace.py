"""What corresponds is found though one side is several times as slow, all through or in one passage."""

import numpy as np
import pytest
from columns import music, played

from alignment.pace import at_best_pace

OTHER_MUSIC = 77
BADLY_HEARD = 0.25
"""Noise at which nothing is found while every second frame stands still."""


def slowed(columns, times):
    """Each column held as long as wanted."""
    return columns[:, (np.arange(round(times * columns.shape[1])) / times).astype(int)]


@pytest.mark.parametrize("times", [1, 2, 2.37, 10 / 3, 5])
def test_the_whole_is_found_at_the_pace_of_either_side(times):
    quick = music(0, 400)
    x, y = played([quick], 1), played([slowed(quick, times)], 2)
    for found, pace, spans in [
        (at_best_pace(x, y), times, ((0, 400), (0, 400 * times))),
        (at_best_pace(y, x), 1 / times, ((0, 400 * times), (0, 400))),
    ]:
        assert found.pace_of_matches == pytest.approx(pace, rel=0.02)
        (match,) = found.matches
        scale = np.array(found.scale) / 10
        assert np.array([match.x, match.y]) * scale[:, None] == pytest.approx(np.array(spans), abs=2 * times)


def test_what_the_slow_side_leaves_out_stands_alone():
    first, second, third = np.split(music(1, 600), [200, 350], axis=1)
    found = at_best_pace(played([first, second, third], 1), played([slowed(first, 3), slowed(third, 3)], 2))
    assert [match.x for match in found.matches] == [
        (pytest.approx(0, abs=4), pytest.approx(200, abs=4)),
        (pytest.approx(350, abs=4), pytest.approx(600, abs=4)),
    ]


def test_an_anchor_is_gone_through_at_any_pace():
    quick = music(2, 300)
    x, y = played([quick], 1), played([slowed(quick, 3)], 2)
    found = at_best_pace(x, y, anchors=[(10 * 100, 10 * 300)])
    points = np.concatenate([match.path for match in found.matches]) * np.array(found.scale) / 10
    assert np.abs(points - (100, 300)).max(axis=1).min() <= 3


def test_unlike_music_of_any_length_saves_nothing():
    for frames in (150, 400, 1600):
        assert at_best_pace(music(3, 400), music(OTHER_MUSIC, frames)).matches == []


@pytest.mark.parametrize("times", [0.4, 2.6])
def test_an_excerpt_finds_its_place_at_another_pace(times):
    whole = music(4, 900, held=6)
    found = at_best_pace(played([whole], 1, BADLY_HEARD), played([slowed(whole[:, 400:520], times)], 2, BADLY_HEARD))
    (match,) = found.matches
    assert np.array(match.x) * found.scale[0] / 10 == pytest.approx((400, 520), abs=6)
    assert found.pace_of_matches == pytest.approx(times, rel=0.1)
