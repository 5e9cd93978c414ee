"""Annotations are read and written in their own form, and carried to the other recording and back."""

import numpy as np
import pytest
from alignments import match, only_other, only_ref, swapped, synchronisation, synchronisations, with_cut_and_extra
from hypothesis import given, settings
from hypothesis import strategies as st

from alignment.annotations import (
    Annotation,
    AnnotationError,
    Annotations,
    Layout,
    carry,
    parse_seconds,
    read_annotations,
    write_annotations,
)
from alignment.carrying import carry_span, carry_times, inverted
from alignment.path import WarpingPath
from alignment.segments import Segment, Synchronisation

MILLISECOND = 0.001


def read(folder, name, text):
    path = folder / name
    path.write_text(text, "utf-8")
    return read_annotations(str(path))


def points(*times):
    return Annotations(tuple(Annotation(time, None, (str(time),)) for time in times), Layout("csv"))


def inside(alignment, part):
    """Times of the reference inside the matches, away from their ends."""
    spans = [segment.ref for segment in alignment.segments if segment.kind == "match"]
    return np.array([start + part * (end - start) for start, end in spans])


@given(synchronisations(), st.floats(0.01, 0.99))
@settings(deadline=None)
def test_there_and_back_is_where_it_was(alignment, part):
    times = inside(alignment, part)
    there = carry_times(times, alignment)
    assert np.abs(carry_times(there, inverted(alignment)) - times).max() < MILLISECOND


@given(synchronisations(), st.floats(0.01, 0.4), st.floats(0.6, 0.99))
@settings(deadline=None)
def test_spans_inside_matches_come_back_as_they_were(alignment, first, last):
    for start, end in zip(inside(alignment, first), inside(alignment, last), strict=True):
        (there,) = carry_span(start, end, alignment)
        (back,) = carry_span(*there, inverted(alignment))
        assert back == pytest.approx((start, end), abs=MILLISECOND)


@given(synchronisations())
@settings(deadline=None)
def test_inverting_twice_changes_nothing_that_corresponds(alignment):
    twice = inverted(inverted(alignment))
    kept = [(part.ref, part.other) for part in alignment.segments if part.kind == "match"]
    assert [(part.ref, part.other) for part in twice.segments if part.kind == "match"] == kept
    assert sorted(part.kind for part in twice.segments) == sorted(part.kind for part in alignment.segments)


@given(st.floats(0.5, 2.0))
def test_an_interval_is_as_much_longer_as_the_other_side_is_slower(ratio):
    ref = np.linspace(0, 10, 101)
    path, sure = WarpingPath(ref, 3 + ratio * ref), np.full(101, 0.2)
    match = Segment("match", (0.0, 10.0), (3.0, 3 + 10 * ratio), path, np.ones(101), sure)
    (back,) = inverted(Synchronisation((match,), True, 1.0, 0, 0.0)).segments
    assert back.interval == pytest.approx(sure / ratio)


@given(synchronisations(), st.floats(0.01, 0.99))
@settings(deadline=None)
def test_what_only_the_reference_has_is_left_out_and_counted(alignment, part):
    alone = [segment.ref for segment in alignment.segments if segment.kind == "only_ref"]
    times = [start + part * (end - start) for start, end in alone]
    carried, left_out = carry(points(*times), alignment)
    assert carried.entries == ()
    assert left_out == len(times)


@given(synchronisations(swaps=False), st.floats(0.0, 40.0), st.floats(0.5, 40.0))
@settings(deadline=None)
def test_a_span_is_clipped_to_what_corresponds(alignment, start, length):
    spans = carry_span(start, start + length, alignment)
    assert len(spans) <= 1
    covered = [part for part in alignment.segments if part.kind == "match"]
    overlaps = [part for part in covered if min(part.ref[1], start + length) > max(part.ref[0], start)]
    assert bool(spans) == bool(overlaps)
    for begin, end in spans:
        assert overlaps[0].other[0] <= begin < end <= overlaps[-1].other[1]


def test_how_long_something_lasts_goes_with_the_tempo(tmp_path):
    found = read(tmp_path, "regions.csv", "time,duration\n1.0,2.0\n")
    carried, _ = carry(found, synchronisation(match([0.0, 10.0], [10.0, 30.0])))
    assert write_annotations(carried) == "time,duration\n12.0000,4.0000\n"


def test_where_end_and_duration_stand_both_are_carried(tmp_path):
    found = read(tmp_path, "regions.csv", "start,end,label,duration\n1.0,3.0,theme,2.0\n4.0,,coda,1.0\n")
    carried, _ = carry(found, synchronisation(match([0.0, 10.0], [10.0, 30.0])))
    assert write_annotations(carried) == (
        "start,end,label,duration\n12.0000,16.0000,theme,4.0000\n18.0000,20.0000,coda,2.0000\n"
    )


@pytest.mark.parametrize("first", [".5", "1e-05", "5.000e-01"])
def test_a_first_time_however_it_is_written_is_no_header(first, tmp_path):
    found = read(tmp_path, "labels.csv", f"{first},first\n10,second\n")
    assert [entry.cells for entry in found.entries] == [("first",), ("second",)]
    assert found.entries[0].start == float(first)


def test_a_span_over_a_cut_and_over_an_insertion_stays_one():
    alignment = with_cut_and_extra()
    assert carry_span(10.0, 40.0, alignment) == [(11.0, 31.0)]
    assert carry_span(25.0, 35.0, alignment) == [(21.0, 26.0)]
    assert carry_span(45.0, 55.0, alignment) == [(36.0, 56.0)]
    assert carry_span(22.0, 28.0, alignment) == []


def test_a_span_over_swapped_sections_becomes_two():
    assert carry_span(10.0, 30.0, swapped()) == [(40.0, 50.0), (0.0, 10.0)]
    carried, left_out = carry(Annotations((Annotation(10.0, 30.0, ("theme",)),), Layout("csv")), swapped())
    assert [(entry.start, entry.end, entry.cells) for entry in carried.entries] == [
        (0.0, 10.0, ("theme",)),
        (40.0, 50.0, ("theme",)),
    ]
    assert left_out == 0


def test_what_a_span_reaches_over_a_cut_by_hundredths_is_left_out():
    first, second = (10.0, 20.05), (20.05, 30.0)
    assert carry_span(*first, swapped()) == [(40.0, 50.0)]
    assert carry_span(*second, swapped()) == [(pytest.approx(0.05), 10.0)]
    assert carry_span(19.9, 20.05, swapped()) == [(pytest.approx(49.9), 50.0)]


def test_no_beat_is_lost_where_something_is_put_in():
    alignment = synchronisation(match([0, 10], [0, 10]), only_other(10, 22), match([10.12, 20], [22.12, 32]))
    assert carry_times([10.0, 10.05, 10.12], alignment).tolist() == pytest.approx([10.0, 22.12, 22.12])


def test_a_section_that_is_moved_between_is_not_taken_in():
    alignment = synchronisation(match([0, 10], [0, 10]), match([10, 20], [20, 30]), match([20, 30], [10, 20]))
    assert carry_span(5.0, 15.0, alignment) == [(5.0, 10.0), (20.0, 25.0)]


def test_a_sliver_beside_a_match_counts_as_its_end_but_what_stands_alone_does_not():
    alignment = synchronisation(match([0.06, 10.0], [0.5, 10.5]), only_ref(10.0, 20.0), only_other(0.0, 0.5))
    carried = carry_times([0.0, 10.05, 10.0, 30.0], alignment)
    assert carried[0] == 0.5
    assert carried[2] == 10.5
    assert np.isnan(carried[[1, 3]]).all()


FILES = {
    "bare.csv": ("0.5000\n1.2500\n", [(0.5, None, ()), (1.25, None, ())]),
    "beats.csv": ("time,beat\n0.5000,1\n1.0000,2\n", [(0.5, None, ("1",)), (1.0, None, ("2",))]),
    "plain.csv": ("0.5000,1\n1.0000,2\n", [(0.5, None, ("1",)), (1.0, None, ("2",))]),
    "spans.csv": ("0.5000,1.5000,verse\n1.5000,9.0000,\n", [(0.5, 1.5, ("verse",)), (1.5, 9.0, ("",))]),
    "named.csv": ("label;start;end\na, b;0.5000;1.5000\n", [(0.5, 1.5, ("a, b",))]),
    "clock.csv": ("time,bar\n0:30.500,1\n1:02:03.250,2\n", [(30.5, None, ("1",)), (3723.25, None, ("2",))]),
    "tabs.beats": (
        "0.4600\t1\n0.9600\t2\n1.4600\t1\n",
        [(0.46, None, ("1",)), (0.96, None, ("2",)), (1.46, None, ("1",))],
    ),
    "first.beats": ("0.4600\t1\n0.9600\t2\n", [(0.46, None, ("1",)), (0.96, None, ("2",))]),
    "tempi.txt": ("0.5000\t120.0\n1.0000\t118.0\n", [(0.5, None, ("120.0",)), (1.0, None, ("118.0",))]),
    "bare.txt": ("0.500000\t1.000000\t\n1.000000\t2.500000\t\n", [(0.5, 1.0, ("",)), (1.0, 2.5, ("",))]),
    "lasting.csv": (
        "START,DURATION,LABEL\n1.0000,2.0000,A\n5.0000,3.0000,B\n",
        [(1.0, 3.0, ("A",)), (5.0, 8.0, ("B",))],
    ),
    "quoted.csv": ('time,text\n1.0000,"one, two"\n', [(1.0, None, ("one, two",))]),
    "labels.txt": (
        "0.500000\t0.500000\tpoint\n1.000000\t2.000000\tregion\n\\\t100.0\t200.0\n",
        [(0.5, 0.5, ("point",)), (1.0, 2.0, ("region", "\\\t100.0\t200.0"))],
    ),
    "film.srt": (
        "1\n00:00:01,500 --> 00:00:02,000\nAh!\nche la morte\n\n2\n01:00:00,000 --> 01:00:01,000\nfine\n",
        [(1.5, 2.0, ("Ah!\nche la morte", "", "1")), (3600.0, 3601.0, ("fine", "", "2"))],
    ),
    "film.vtt": (
        "WEBVTT\n\nSTYLE\n::cue { color: red }\n\nfirst\n00:00:01.500 --> 00:00:02.000 line:0\nAh!\n",
        [(1.5, 2.0, ("Ah!", "line:0", "first"))],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_and_written_as_it_was(name, tmp_path):
    text, entries = FILES[name]
    found = read(tmp_path, name, text)
    assert [(entry.start, entry.end, entry.cells) for entry in found.entries] == entries
    assert write_annotations(found) == text


@pytest.mark.parametrize("name", FILES)
def test_other_line_ends_and_a_byte_order_mark_change_nothing(name, tmp_path):
    text, entries = FILES[name]
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    found = read_annotations(str(tmp_path / name))
    assert [(entry.start, entry.end, entry.cells) for entry in found.entries] == entries


def test_what_is_not_utf_8_is_latin(tmp_path):
    (tmp_path / "old.txt").write_bytes("0.5\t0.5\tprélude\n".encode("latin-1"))
    assert read_annotations(str(tmp_path / "old.txt")).entries[0].cells == ("prélude",)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "time\n", "holds no annotations"),
        ("a.csv", "", "holds no annotations"),
        ("a.csv", "0.5,a\nsoon,b\n", "line 2: 'soon' is not a time"),
        ("a.txt", "0.5\t1.0\ta\nx\t2\tb\n", "line 2: 'x' is not a time"),
        ("a.srt", "1\n00:00 -> 00:01\nfirst\n", "holds no annotations"),
        ("a.srt", "1\n00:00:01,0 --> soon\nfirst\n", "line 1: 'soon' is not a time"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(name, text, says, tmp_path):
    with pytest.raises(AnnotationError, match=says):
        read(tmp_path, name, text)


def test_an_absent_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(AnnotationError, match="no such file"):
        read_annotations(str(tmp_path / "absent.csv"))
    with pytest.raises(AnnotationError, match="directory"):
        read_annotations(str(tmp_path))


@given(st.floats(0.0, 359999.0))
def test_seconds_and_clocks_say_the_same(seconds):
    minutes, rest = divmod(seconds, 60.0)
    hours, part = divmod(int(minutes), 60)
    assert parse_seconds(f"{seconds:.6f}") == pytest.approx(seconds, abs=1e-6)
    assert parse_seconds(f"{int(minutes)}:{rest:09.6f}") == pytest.approx(seconds, abs=1e-6)
    assert parse_seconds(f"{hours}:{part:02d}:{rest:09.6f}") == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize("text", ["", "soon", "1:2:3:4", "nan", "inf", "1e400", "1:-2", f"{'9' * 400}:00"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="is not a time"):
        parse_seconds(text)
