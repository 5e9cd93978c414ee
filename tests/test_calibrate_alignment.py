"""What the calibration of the synchroniser's confidence is judged by."""

import numpy as np
import pytest

pytest.importorskip("mido", reason="reading MIDI by events wants mido: scripts/test --all")

from calibrate_alignment import auroc


def test_auroc_is_the_share_of_pairs_in_which_the_right_one_scores_higher_and_half_of_the_ties():
    generator = np.random.default_rng(5)
    score, right = generator.integers(0, 6, 80).astype(float), generator.random(80) < 0.7
    ahead = score[right][:, None] - score[~right]
    assert auroc(score, right) == np.mean((ahead > 0) + 0.5 * (ahead == 0))
