"""Several performances aligned jointly agree with each other and with the truth."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from demo_music import Performance, contrasting, perform
from demo_pieces import PIECES

from alignment import Audio, read_audio, synchronise
from alignment.audio import ANALYSIS_RATE
from alignment.ensemble import Ensemble
from alignment.path import WarpingPath
from retrieval.sides import transposable


def synchronise_all(ref, others):
    """Several recordings aligned with a reference, jointly."""
    ensemble = Ensemble(ref)
    for other in others:
        ensemble.add(other)
    return ensemble.joint()


def paths_between(first, second):
    """Paths from the other of one alignment to the other of the next, one for each stretch that both have."""
    out = []
    for one in (segment.path for segment in first.segments if segment.path is not None):
        for two in (segment.path for segment in second.segments if segment.path is not None):
            low, high = max(one.ref[0], two.ref[0]), min(one.ref[-1], two.ref[-1])
            if low < high:
                times = np.unique(np.concatenate([one.ref, two.ref, [low, high]]))
                times = times[(times >= low) & (times <= high)]
                out.append(WarpingPath(one.map(times), two.map(times)))
    return out


@pytest.fixture(scope="module")
def performances():
    """Four performances of one piece, unlike in timing and sound: true times of the notes, and sound."""
    manners = [*contrasting(0), *contrasting(1)]
    rendered = [perform(PIECES[0], manner, ANALYSIS_RATE) for manner in manners]
    return [one.seconds for one in rendered], [Audio(one.samples) for one in rendered]


@pytest.fixture(scope="module")
def joint(performances):
    _, audio = performances
    return synchronise_all(audio[0], audio[1:])


def test_every_performance_meets_the_reference_at_the_notes(performances, joint):
    seconds, _ = performances
    for truth, alignment in zip(seconds[1:], joint, strict=True):
        assert alignment.accepted
        errors = np.abs(alignment.path.map(seconds[0]) - truth)
        assert np.median(errors) < 0.05
        assert np.mean(errors < 0.1) > 0.9


def test_going_through_a_third_performance_is_going_straight(joint):
    (between,) = paths_between(joint[0], joint[1])
    times = np.linspace(joint[0].path.ref[10], joint[0].path.ref[-10], 300)
    through = between.map(joint[0].path.map(times))
    assert np.abs(through - joint[1].path.map(times)).max() < 0.02


def test_two_recordings_alone_are_aligned_as_a_pair(performances):
    _, audio = performances
    ensemble = Ensemble(audio[0])
    ensemble.add(audio[1])
    (alignment,) = ensemble.joint()
    assert np.array_equal(alignment.path.other, synchronise(audio[0], audio[1]).path.other)


def test_performances_in_other_keys_meet_the_reference_at_the_notes(performances):
    seconds, audio = performances
    one, two = contrasting(0)
    manners = replace(one, transposition=4), replace(two, transposition=-3)
    turned = [perform(PIECES[0], manner, ANALYSIS_RATE) for manner in manners]
    joint = synchronise_all(audio[2], [audio[3], *(Audio(one.samples) for one in turned)])
    for truth, alignment in zip([seconds[3], *(one.seconds for one in turned)], joint, strict=True):
        errors = np.abs(alignment.path.map(seconds[2]) - truth)
        assert np.median(errors) < 0.05
        assert np.mean(errors < 0.1) > 0.9


def test_what_the_user_anchored_stays(performances, joint):
    seconds, audio = performances
    anchor = (float(seconds[0][10]), float(seconds[1][10]) + 0.05)
    ensemble = Ensemble(audio[0])
    ensemble.add(audio[1], anchors=[anchor])
    for more in audio[2:]:
        ensemble.add(more)
    assert float(ensemble.joint()[0].path.map(anchor[0])) == pytest.approx(anchor[1], abs=1e-6)


def test_long_recordings_are_refined_in_blocks_that_meet(performances, monkeypatch):
    from alignment import warping

    _, audio = performances
    whole = synchronise_all(audio[0], audio[1:3])
    monkeypatch.setattr(warping, "_BLOCK_SECONDS", 15.0)
    monkeypatch.setattr(warping, "_OVERLAP_SECONDS", 6.0)
    blocks = synchronise_all(audio[0], audio[1:3])
    for one, two in zip(whole, blocks, strict=True):
        assert two.path.is_strictly_monotone
        times = np.linspace(1.0, one.path.ref[-1] - 1.0, 500)
        assert np.quantile(np.abs(one.path.map(times) - two.path.map(times)), 0.99) < 0.02


def test_the_sound_of_a_reference_is_let_go_and_read_again_where_it_is_lowered(music):
    path = str(music.pair(PIECES[0].name)[0].path)
    other = Audio(perform(PIECES[0], Performance(5, "guitar", transposition=-4)).samples)
    sound = read_audio(path)
    expected, samples = synchronise(sound, other), weakref.ref(sound.samples)
    ref = transposable(path, sound)
    del sound
    gc.collect()
    assert samples() is None
    assert np.array_equal(synchronise(ref, other).path.other, expected.path.other)
