"""How sure a path is of its points, of paths made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from alignment.confidence import INPUTS, path_evidence, point_confidence, point_interval
from alignment.warping import MeanPath


def straight(**changed):
    """Ten seconds at one tempo, alike all along, with what is given in place."""
    ref = np.arange(0.0, 10.0, 0.01)
    fields = {"deviation": 0.01, "blunt_deviation": 0.03, "similarity": 0.8, "onset": 0.5}
    return MeanPath(ref, 1.1 * ref, **{name: np.full(len(ref), value) for name, value in fields.items()} | changed)


def at(path, *seconds):
    """Confidence and interval at some moments."""
    evidence = path_evidence(path)
    assert evidence.shape == (len(INPUTS), len(path.ref))
    places = np.searchsorted(path.ref, np.array(seconds) - 1e-6)
    return point_confidence(evidence)[places], point_interval(evidence)[places]


@pytest.mark.parametrize("name", ["deviation", "blunt_deviation"])
def test_where_the_paths_nearly_as_good_stray_a_point_is_less_sure(name):
    wide = np.full(1000, getattr(straight(), name)[0])
    wide[490:511] *= 4
    sure, width = at(straight(**{name: wide}), 5.0, 8.0)
    assert sure[0] < sure[1]
    assert width[0] > width[1]


def test_a_point_beside_one_that_strays_is_less_sure_than_one_far_from_it_and_surer_than_that_one():
    wide = np.full(1000, 0.03)
    wide[490:511] = 0.12
    sure, width = at(straight(blunt_deviation=wide), 5.0, 5.2, 8.0)
    assert sure[0] < sure[1] < sure[2]
    assert width[0] > width[1] > width[2]


def test_what_begins_on_both_sides_and_sounds_alike_is_surer_and_a_leap_is_less():
    plain = at(straight(), 5.0)[0]
    assert at(straight(onset=np.full(1000, 0.9)), 5.0)[0] > plain
    assert at(straight(similarity=np.full(1000, 0.9)), 5.0)[0] > plain
    ref = straight().ref
    leaping = replace(straight(), other=1.1 * ref + 0.4 * (ref > 5.0))
    assert at(leaping, 5.0)[0] < plain
