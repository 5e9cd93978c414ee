"""What is exported says the same as the alignment, read back as the other program reads it."""

import csv
import io
import itertools
import json
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from alignments import match, only_other, only_ref, swapped, synchronisation, synchronisations, with_cut_and_extra
from hypothesis import given, settings

from alignment import export
from alignment.carrying import carry_times, inverted
from alignment.score import Beat

RATE = 44100
UNACCEPTED = synchronisation(only_ref(0.0, 60.0), only_other(0.0, 66.0), accepted=False)


def score_of(seconds, measures=15, beats=4):
    """Beats of so many measures in so many seconds."""
    length = seconds / (measures * beats)
    return tuple(
        Beat((measure * beats + beat) * length, str(measure + 1), beat + 1.0)
        for measure in range(measures)
        for beat in range(beats)
    )


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def chain_times(alignment):
    return np.concatenate([np.linspace(*part.ref, 21)[1:-1] for part in alignment.chain()])


@given(synchronisations())
@settings(deadline=None)
def test_the_chain_rises_on_both_sides_and_no_single_match_covers_more(alignment):
    chain = alignment.chain()
    for side in ("ref", "other"):
        edges = [time for part in chain for time in getattr(part, side)]
        assert edges == sorted(edges)
    covered = sum(part.ref[1] - part.ref[0] for part in chain)
    assert covered >= max(part.ref[1] - part.ref[0] for part in alignment.segments if part.kind == "match")


@given(synchronisations(swaps=False))
@settings(deadline=None)
def test_the_chain_is_every_match_where_nothing_is_swapped(alignment):
    assert list(alignment.chain()) == [part for part in alignment.segments if part.kind == "match"]


def test_the_chain_of_two_swapped_sections_is_the_longer():
    assert [part.ref for part in swapped().chain()] == [(20.0, 50.0)]


def test_nothing_that_matches_gives_no_chain():
    assert UNACCEPTED.chain() == ()
    assert export.path_csv([("other", UNACCEPTED)]) == "ref,other,segment\n"


@given(synchronisations())
@settings(deadline=None)
def test_csv_of_one_interpolates_to_the_alignment(alignment):
    rows = table(export.path_csv([("other", alignment)]))
    ref, other, segment = (np.array([float(row[name]) for row in rows]) for name in ("ref", "other", "segment"))
    assert (np.diff(ref) >= 0).all()
    assert (np.diff(other) >= 0).all()
    for number, part in enumerate(alignment.chain(), 1):
        mine = segment == number
        times = np.linspace(*part.ref, 21)
        assert np.abs(np.interp(times, ref[mine], other[mine]) - part.path.map(times)).max() < 0.0015


@given(synchronisations(), synchronisations())
@settings(deadline=None)
def test_csv_of_several_interpolates_to_each_and_is_blank_in_gaps(first, second):
    rows = table(export.path_csv([("/a", first), ("/failed", None), ("/b", second)]))
    assert all(row["/failed"] == "" for row in rows)
    for name, alignment in (("/a", first), ("/b", second)):
        for time in chain_times(alignment):
            assert value_at(rows, name, time) == pytest.approx(carry_times(time, alignment), abs=0.002)
        parts = alignment.chain()
        for part, following in itertools.pairwise(parts):
            if following.ref[0] - part.ref[1] > 0.01:
                assert np.isnan(value_at(rows, name, (part.ref[1] + following.ref[0]) / 2))


def value_at(rows, name, time, key="ref"):
    """Interpolate between the two rows around a time, as a reader would; NaN beside a blank cell."""
    before = [row for row in rows if float(row[key]) <= time][-1]
    after = next(row for row in rows if float(row[key]) >= time)
    if before[name] == "" or after[name] == "":
        return np.nan
    span = float(after[key]) - float(before[key])
    part = (time - float(before[key])) / span if span else 0.0
    return float(before[name]) + part * (float(after[name]) - float(before[name]))


@given(synchronisations())
@settings(deadline=None)
def test_the_document_is_the_contracts_and_json_gives_it_back(alignment):
    document = export.synchronisation_document("/other", alignment)
    assert list(document) == ["path", "segments", "accepted", "confidence", "transposition", "tuning_cents"]
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    for part, written in zip(alignment.segments, document["segments"], strict=True):
        assert list(written) == ["kind", "ref", "other", "warping_path", "confidence", "interval"]
        assert (written["ref"] is None) == (part.kind == "only_other")
        assert (written["other"] is None) == (part.kind == "only_ref")
        assert len(written["confidence"]) == len(written["warping_path"])
        path = np.array(written["warping_path"]).reshape(-1, 2)
        assert (np.diff(path, axis=0) > 0).all()


def labels(text):
    rows = [line.split("\t") for line in text.splitlines()]
    assert all(len(row) == 3 for row in rows)
    return [(float(start), float(end), label) for start, end, label in rows]


def test_audacity_labels_say_where_in_the_reference_each_stretch_is():
    assert labels(export.audacity_labels(with_cut_and_extra())) == [
        (1.0, 21.0, "reference 0:00.0-0:20.0"),
        (21.0, 21.0, "left out: 0:20.0-0:30.0"),
        (21.0, 41.0, "reference 0:30.0-0:50.0"),
        (41.0, 46.0, "only here"),
        (46.0, 66.0, "reference 0:50.0-1:00.0"),
    ]


def test_audacity_labels_the_measures_of_a_score_where_they_sound():
    beats = score_of(60.0)
    found = labels(export.audacity_labels(with_cut_and_extra(), beats))
    assert [start for start, _, _ in found] == sorted(start for start, _, _ in found)
    measures = {label.removeprefix("measure "): start for start, end, label in found if label.startswith("measure")}
    assert measures["1"] == 1.0
    assert measures["10"] == pytest.approx(27.0)
    assert "7" not in measures  # begins at 24 s, which is left out
    assert len(measures) == 15 - 2


def layer(text):
    """What Sonic Visualiser's reader takes from a layer file: rate, layer, points."""
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE sonic-visualiser>\n')
    root = ET.fromstring(text)
    assert root.tag == "sv"
    model, dataset, shown = root.find("data/model"), root.find("data/dataset"), root.find("display/layer")
    assert model.get("type") == "sparse"
    assert model.get("dataset") == dataset.get("id")
    assert model.get("dimensions") == dataset.get("dimensions")
    assert shown.get("model") == model.get("id")
    assert int(model.get("resolution")) == 1
    frames = [int(point.get("frame")) for point in dataset]
    assert frames == sorted(frames)
    return int(model.get("sampleRate")), shown.get("type"), [dict(point.attrib) for point in dataset]


@given(synchronisations())
@settings(deadline=None)
def test_the_layer_of_time_values_is_the_reference_along_the_other(alignment):
    rate, kind, points = layer(export.sonic_visualiser_layer(alignment, RATE))
    assert (rate, kind) == (RATE, "timevalues")
    back = inverted(alignment)
    for point in points:
        close = carry_times(int(point["frame"]) / RATE + np.array([-1e-4, 0.0, 1e-4]), back)
        assert np.nanmin(np.abs(close - float(point["value"]))) < 0.001


def test_the_layer_of_a_score_has_its_beats():
    rate, kind, points = layer(export.sonic_visualiser_layer(with_cut_and_extra(), 48000, score_of(60.0)))
    assert (rate, kind) == (48000, "timeinstants")
    assert points[0] == {"frame": "48000", "label": "1:1"}
    assert points[1] == {"frame": "96000", "label": "1:2"}
    assert len(points) == 60 - 9


def test_a_layer_of_nothing_can_be_read():
    assert layer(export.sonic_visualiser_layer(UNACCEPTED, RATE))[2] == []


@given(synchronisations(), synchronisations())
@settings(deadline=None)
def test_trackswitch_has_a_number_in_every_cell_and_interpolates_to_the_alignment(first, second):
    rows = table(export.trackswitch_csv("/ref/gould.flac", [("/a/x.mp3", first), ("/b/x.mp3", second)]))
    assert list(rows[0]) == ["gould", "x", "x_2"]
    values = np.array([[float(row[name]) for name in row] for row in rows])
    assert (np.diff(values[:, 0]) >= 0).all()
    for name, alignment in (("x", first), ("x_2", second)):
        matches = [part for part in alignment.segments if part.kind == "match"]
        times = np.concatenate([np.linspace(*part.ref, 9)[1:-1] for part in matches])
        for time, wanted in zip(times, carry_times(times, alignment), strict=True):
            assert value_at(rows, name, time, "gould") == pytest.approx(wanted, abs=0.002)


def test_trackswitch_stands_still_in_a_cut_and_jumps_over_what_is_more():
    rows = table(export.trackswitch_csv("ref.wav", [("other.wav", with_cut_and_extra())]))
    assert [(float(row["ref"]), float(row["other"])) for row in rows] == [
        *((0.0, 1.0), (20.0, 21.0), (30.0, 21.0), (50.0, 41.0), (50.0, 46.0), (60.0, 66.0)),
    ]


def test_trackswitch_steps_back_where_sections_are_swapped():
    rows = table(export.trackswitch_csv("ref.wav", [("other.wav", swapped())]))
    assert [(float(row["ref"]), float(row["other"])) for row in rows] == [
        *((0.0, 30.0), (20.0, 50.0), (20.0, 0.0), (50.0, 30.0)),
    ]


def test_trackswitch_leaves_out_what_is_not_the_same_music():
    text = export.trackswitch_csv("r.wav", [("a.wav", None), ("b.wav", UNACCEPTED), ("c.wav", swapped())])
    assert text.splitlines()[0] == "r,c"


def test_trackswitch_counts_a_score_in_measures_that_step_back_at_a_repeat():
    once = score_of(30.0, measures=2)
    beats = (*once, *(Beat(beat.seconds + 30.0, beat.measure, beat.beat) for beat in once))
    rows = table(export.trackswitch_csv("score.mxl", [("other.wav", with_cut_and_extra())], beats))
    at_repeat = [float(row["measure"]) for row in rows if float(row["score"]) == 30.0]
    assert at_repeat == [3.0, 1.0]
    assert value_at(rows, "measure", 15.0, "score") == pytest.approx(2.0)
    assert value_at(rows, "measure", 18.75, "score") == pytest.approx(2.25)
    assert float(rows[-1]["measure"]) == 3.0


def test_trackswitch_counts_measures_though_the_score_is_the_other():
    rows = table(export.trackswitch_csv("r.wav", [("s.mid", with_cut_and_extra())], score_of(66.0), 0))
    back = inverted(with_cut_and_extra())
    for beat in score_of(66.0)[4:40:4]:
        time = float(carry_times(beat.seconds, back))
        if not np.isnan(time) and time not in (0.0, 20.0, 30.0, 50.0):
            assert value_at(rows, "measure", time, "r") == pytest.approx(int(beat.measure), abs=0.01)


def test_measures_tell_each_beat_in_each_performance_and_are_blank_where_it_is_left_out():
    beats = score_of(60.0)
    alignment = with_cut_and_extra()
    rows = table(export.measure_table(beats, [("/a", alignment), ("/failed", None)]))
    assert list(rows[0]) == ["measure", "beat", "ref", "/a", "/failed"]
    assert [(row["measure"], float(row["beat"])) for row in rows] == [(beat.measure, beat.beat) for beat in beats]
    for row, beat in zip(rows, beats, strict=True):
        assert float(row["ref"]) == pytest.approx(beat.seconds, abs=1e-4)
        assert (row["/a"] == "") == (20.0 < beat.seconds < 30.0)
        assert row["/failed"] == ""
        if row["/a"]:
            assert float(row["/a"]) == pytest.approx(carry_times(beat.seconds, alignment), abs=1e-4)


def test_measures_of_a_score_that_is_an_other_go_over_the_reference():
    beats = score_of(60.0)
    to_score = inverted(with_cut_and_extra())  # the reference is the performance
    third = synchronisation(match([0.0, 70.0], [10.0, 150.0]))
    rows = table(export.measure_table(beats, [("/third", third), ("/score", to_score)], 1))
    for row, beat in zip(rows, beats, strict=True):
        assert float(row["/score"]) == pytest.approx(beat.seconds, abs=1e-4)
        assert (row["ref"] == "") == (row["/third"] == "") == (20.0 < beat.seconds < 30.0)
        if row["ref"]:
            assert float(row["ref"]) == pytest.approx(carry_times(beat.seconds, with_cut_and_extra()), abs=1e-3)
            assert float(row["/third"]) == pytest.approx(10.0 + 2.0 * float(row["ref"]), abs=1e-3)
