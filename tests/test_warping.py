"""Sections are warped within what the user allows."""

import numpy as np
import pytest

from alignment.analysed import Analysed
from alignment.features.sync import SyncFeatures
from alignment.pair import Pair
from alignment.sections import Section
from alignment.warping import mean_path_of


def analysed(frames, seed):
    fine = np.random.default_rng(seed).standard_normal((8, frames))
    fine = (fine / np.linalg.norm(fine, axis=0)).astype(np.float16)
    coarse = fine[:, ::10].astype(np.float32)
    return Analysed(
        frames / 50, 0.0, frames / 50, np.zeros(frames, np.float32), 0.0, SyncFeatures(coarse, coarse, fine)
    )


@pytest.mark.parametrize("turn", [(30, 570), (170, 30)])
def test_a_band_that_the_coarse_path_leaves_is_kept_to(turn):
    pair = Pair.of(analysed(200, 1), analysed(600, 2), 0.5, ())
    points = np.array([(0, 0), turn, (190, 590)])
    path = mean_path_of(pair, Section((0, 0), (200, 600), points))
    assert np.abs(path.other - 3 * path.ref).max() < 1.0
