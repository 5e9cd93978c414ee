"""Who is wrong where an annotation and an alignment differ, told by the notes."""

import numpy as np
import pytest

pytest.importorskip("mido", reason="reading MIDI by events wants mido: scripts/test --all")

from check_annotations import _fault


def fault(pitches, off, error):
    """Of a note in a run of sixteenths, annotated `off` seconds late in the other and aligned `error` later still."""
    onsets = 0.15 * np.arange(len(pitches))
    notes = np.column_stack([onsets, pitches])
    truth = np.column_stack([onsets, 1.2 * onsets, np.ones(len(onsets))])
    truth[10, 1] += off
    others = {int(pitch): 1.2 * onsets[notes[:, 1] == pitch] for pitch in pitches}
    return _fault(10, truth, error, notes, others)


def test_the_notes_tell_who_is_a_sixteenth_off():
    run = 60 + np.random.default_rng(2).permutation(24)
    assert fault(run, 0.18, -0.18) == "annotation"
    assert fault(run, 0.0, 0.18) == "alignment"
    assert fault(run, 0.0, np.inf) == "alignment"


def test_nothing_is_decided_where_one_note_returns_for_ever():
    assert fault(np.full(24, 60), 0.18, -0.18) == "neither"
