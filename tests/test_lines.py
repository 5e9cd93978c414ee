"""A clip cut out of a recording's own vectors is laid where it was, at the tempo at which it was cut."""

import numpy as np
import pytest

from retrieval._line_kernels import REACH, best_pairing, similarity_moved
from retrieval.fingerprint import FIRST_CENTRE, RECORDING_HOP_SECONDS, Fingerprint
from retrieval.lines import best_line, similar_places


def course(seconds):
    """Unit vectors that turn smoothly with time, so that windows half a second apart are alike but not the same."""
    rng = np.random.default_rng(0)
    frequencies, phases = rng.uniform(0.3, 1.6, 64), rng.uniform(0, 6.3, 64)
    values = np.cos(np.outer(seconds, frequencies) + phases).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


RECORDING = course(FIRST_CENTRE + RECORDING_HOP_SECONDS * np.arange(120))


def clip(offset, ratio, seconds, hop=0.2):
    centres = np.arange(FIRST_CENTRE, seconds - FIRST_CENTRE + 1e-9, hop)
    return Fingerprint(course(offset + ratio * centres), np.ones(len(centres), bool), centres)


@pytest.mark.parametrize("offset", [12.0, 20.13, 33.37])
@pytest.mark.parametrize("ratio", [0.94, 1.0, 1.05])
def test_offset_and_tempo_are_recovered(offset, ratio):
    line = best_line(clip(offset, ratio, 10.0), RECORDING, 3, offset + 5 * ratio + 0.2)
    assert line.position == 3
    assert line.offset == pytest.approx(offset, abs=0.05)
    assert line.tempo_ratio == pytest.approx(ratio, abs=0.01)
    assert line.evidence.similarity > line.evidence.surroundings


@pytest.mark.parametrize("phase", [0.0, 0.1, 0.24, 0.4])
def test_one_window_is_compared_with_the_recordings_nearest(phase):
    offset = 20.0 + phase
    line = best_line(clip(offset, 1.0, 1.0), RECORDING, 0, offset + FIRST_CENTRE + 0.2)
    assert line.offset == pytest.approx(offset, abs=0.15)
    nearest = RECORDING[[40, 41]] @ course(np.array([offset + FIRST_CENTRE]))[0]
    assert line.evidence.similarity == pytest.approx(nearest.max(), abs=0.01)


def test_a_clip_beyond_the_recording_has_no_line():
    assert best_line(clip(0.0, 1.0, 5.0), RECORDING, 0, 500.0) is None


def test_all_turns_of_a_loop_are_similar_places():
    turn = course(np.arange(10) * 0.5)
    loop = np.tile(turn, (6, 1))
    prints = Fingerprint(turn[:8], np.ones(8, bool), FIRST_CENTRE + 0.5 * np.arange(8))
    line = best_line(prints, loop, 0, FIRST_CENTRE + 1.75)
    places = sorted(similar_places(prints, loop, line))
    assert np.allclose(places, FIRST_CENTRE + 1.75 + 5.0 * np.arange(6), atol=0.01)


@pytest.mark.parametrize("windows", [1, 2, 9])
def test_the_best_line_pairs_what_is_alike_as_plain_loops_do(windows):
    rng = np.random.default_rng(windows)
    centres, times = 0.5 + 0.3 * np.arange(windows), 7.0 + 0.5 * np.arange(12)
    audible, sounding = rng.random(windows) < 0.8, rng.random(12) < 0.9
    audible[0] = True
    similarities = rng.standard_normal((windows, 12)).astype(np.float32)
    ratios, middles = np.array([0.95, 1.0, 1.06]), np.arange(8.0, 12.0, 0.13)
    lines = {}
    for ratio in range(3):
        for middle in range(len(middles)):
            found, weights = [], []
            for row in range(12):
                at = (times[row] - middles[middle]) / ratios[ratio] + centres.mean()
                window = int(np.argmin(np.abs(at - centres)))
                if abs(at - centres[window]) <= REACH and audible[window] and sounding[row]:
                    found.append((window, row))
                    weights.append(np.exp(-(((at - centres[window]) / 0.2) ** 2)))
            if len(found) >= 2 - (windows == 1):
                values = [similarities[pair] for pair in found]
                lines[ratio, middle] = np.dot(weights, values) / sum(weights), sum(weights) ** 0.5, found
    pairs = np.empty((2, 12), np.int64)
    count, *best, mean = best_pairing(
        similarities, sounding, audible, centres, times, ratios, middles, 2.0 - (windows == 1), pairs
    )
    surest = max(lines, key=lambda line: lines[line][0] * lines[line][1])
    assert tuple(best) == surest
    assert mean == pytest.approx(lines[surest][0])
    assert [tuple(pair) for pair in pairs[:, :count].T] == lines[surest][2]


def test_similarity_beside_a_line_is_the_mean_of_those_that_meet():
    clip, recording = course(np.arange(4) + 0.3), course(np.arange(6.0))
    pairs = np.array([[0, 1, 3], [1, 2, 4]])
    by_move = [
        [clip[one] @ recording[two + move] for one, two in pairs.T if two + move in range(6)] for move in (-2, 1, 9)
    ]
    expected = np.mean([np.mean(found) for found in by_move if found])
    assert similarity_moved(clip, recording, pairs, np.array([-2, 1, 9])) == pytest.approx(expected)
    assert similarity_moved(clip, recording, pairs, np.array([9])) == 0
