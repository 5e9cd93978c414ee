"""What the bed of ASAP's performances takes for true."""

import numpy as np
import pytest

pytest.importorskip("mido", reason="reading MIDI by events wants mido: scripts/test --all")

from asap_pairs import points


def test_beats_that_one_side_leaves_out_are_dropped_and_struck_are_those_with_notes():
    first = np.arange(40.0)
    left_out = np.concatenate([np.arange(10.0), 9.0 + 0.001 * np.arange(1, 21), np.arange(10.0, 20.0)])
    truth = points(np.column_stack([first, left_out]), [first, np.delete(left_out, 5)])
    assert truth[:, 0].tolist() == [*range(10), *range(29, 40)]
    assert truth[truth[:, 2] == 0, 0].tolist() == [5.0]


def test_points_rise_on_both_sides():
    truth = points(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.9], [3.0, 3.0]]), [np.arange(4.0), np.arange(4.0)])
    assert truth[:, :2].tolist() == [[0.0, 0.0], [1.0, 1.0], [3.0, 3.0]]
