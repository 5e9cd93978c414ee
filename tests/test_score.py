"""Scores become what is played of them: order, times, pitches, beats."""

import contextlib
import io
import subprocess
import sys
import zipfile

import mido
import numpy as np
import pytest
from written import (
    BEGIN,
    DIVISIONS,
    KERN,
    MEI,
    REPEAT,
    attributes,
    document,
    jump,
    measure,
    midi_note,
    note,
    tempo,
    volta,
    write_midi,
)

from alignment.errors import ScoreError
from alignment.score import SCORE_SUFFIXES, Score, is_score, read_score

pytest.importorskip("partitura", reason="wants the score extra")


@pytest.fixture
def musicxml(tmp_path):
    def read(*measures, title=""):
        path = tmp_path / "score.musicxml"
        path.write_text(document("".join(measures), title=title), encoding="utf-8")
        return read_score(path)

    return read


@pytest.fixture
def midi(tmp_path):
    return lambda *tracks, **header: read_score(write_midi(tmp_path / "score.mid", *tracks, **header))


def order(score):
    return [beat.measure for beat in score.measures]


def pitches(score):
    return score.notes[:, 2].tolist()


def test_repeats_and_voltas_are_unfolded(musicxml):
    score = musicxml(
        measure(1, note(60, 4), attributes=attributes()),
        measure(2, BEGIN, note(62, 4)),
        measure(3, volta(1, "start", "left"), note(64, 4), volta(1, "stop", "right")),
        measure(4, volta(2, "start", "left"), note(65, 4), volta(2, "discontinue", "right")),
        measure(5, note(67, 4)),
        title="Twice",
    )
    assert order(score) == ["1", "2", "3", "2", "4", "5"]
    assert pitches(score) == [60, 62, 64, 62, 65, 67]
    np.testing.assert_allclose(score.notes[:, 0], [0, 2, 4, 6, 8, 10])
    np.testing.assert_allclose([beat.seconds for beat in score.beats], np.arange(24) / 2)
    assert score.duration == pytest.approx(12)
    assert score.title == "Twice"


def test_a_repeat_is_played_as_often_as_it_says(musicxml):
    three = '<barline location="right"><repeat direction="backward" times="3"/></barline>'
    score = musicxml(measure(1, note(60, 4), three, attributes=attributes()), measure(2, note(62, 4), REPEAT))
    assert order(score) == ["1", "1", "1", "2", "2"]


def test_a_bracket_over_the_first_of_several_measures_lasts_until_the_repeat(musicxml):
    score = musicxml(
        measure(1, note(60, 4), attributes=attributes()),
        measure(2, volta(1, "start", "left"), note(62, 4)),
        measure(3, note(64, 4), REPEAT),
        measure(4, volta(2, "start", "left"), note(65, 4), volta(2, "discontinue", "right")),
    )
    assert order(score) == ["1", "2", "3", "1", "4"]


def test_da_capo_ends_at_fine_without_repeats(musicxml):
    score = musicxml(
        measure(1, note(60, 4), attributes=attributes()),
        measure(2, note(62, 4), jump(fine="yes"), REPEAT),
        measure(3, note(64, 4), jump(dacapo="yes")),
    )
    assert order(score) == ["1", "2", "1", "2", "3", "1", "2"]


def test_dal_segno_goes_by_way_of_the_coda(musicxml):
    score = musicxml(
        measure(1, note(60, 4), attributes=attributes()),
        measure(2, jump(segno="segno"), note(62, 4), jump(tocoda="1")),
        measure(3, note(64, 4), jump(dalsegno="segno")),
        measure(4, jump(coda="codab"), note(65, 4)),
    )
    assert order(score) == ["1", "2", "3", "2", "4"]


def written(content):
    return f"<direction><direction-type>{content}</direction-type></direction>"


@pytest.mark.parametrize("to_coda", ["<words>To Coda</words>", "<coda/>"])
def test_jumps_that_are_only_written_are_played(musicxml, to_coda):
    by_coda = musicxml(
        measure(1, note(60, 4), attributes=attributes()),
        measure(2, written("<segno/>"), note(62, 4), written(to_coda)),
        measure(3, note(64, 4), written("<words>D.S. al Coda</words>")),
        measure(4, written("<coda/>"), note(65, 4)),
    )
    assert order(by_coda) == ["1", "2", "3", "2", "4"]
    to_fine = musicxml(
        measure(1, note(60, 4), written("<words>Fine</words>"), attributes=attributes()),
        measure(2, note(62, 4), written("<words>Menuetto da capo</words>")),
    )
    assert order(to_fine) == ["1", "2", "1"]


def test_a_finale_and_a_name_are_no_jumps(musicxml):
    score = musicxml(
        measure(1, note(60, 4), written("<words>al fine dc</words>"), attributes=attributes()), measure(2, note(62, 4))
    )
    assert order(score) == ["1", "2"]


def test_movements_are_unfolded_one_by_one(musicxml):
    """Their measures are numbered anew; a da capo or a repeat goes back to where its own movement begins."""

    def three(*marks):
        numbers = [1, 2, 3, 4] * 3
        return musicxml(
            *(
                measure(number, note(60 + index, 4), *marks[index], attributes=attributes())
                for index, number in enumerate(numbers)
            )
        )

    nothing = [()] * 12
    da_capo = [*nothing[:5], (jump(fine="yes"),), (), (jump(dacapo="yes"),), *nothing[8:]]
    assert pitches(three(*da_capo)) == [60, 61, 62, 63, 64, 65, 66, 67, 64, 65, 68, 69, 70, 71]
    repeated = [*nothing[:5], (REPEAT,), *nothing[6:]]
    assert pitches(three(*repeated)) == [60, 61, 62, 63, 64, 65, 64, 65, 66, 67, 68, 69, 70, 71]


def test_labels_that_are_no_numbers_begin_no_movement(musicxml):
    score = musicxml(*(measure(label, note(60, 4), attributes=attributes()) for label in ("3", "²", "12a", "1")))
    assert len(score.played) == 4


def test_a_pickup_ends_at_the_bar_line(musicxml):
    score = musicxml(
        measure(0, note(60, 1), attributes=attributes(), implicit=True),
        measure(1, note(62, 4)),
    )
    assert [(beat.measure, beat.beat) for beat in score.beats] == [
        ("0", 4.0),
        ("1", 1.0),
        ("1", 2.0),
        ("1", 3.0),
        ("1", 4.0),
    ]
    assert score.position(0.25) == ("0", 4.5)
    assert score.position(0.75) == ("1", 1.5)


def test_a_pickup_within_a_beat_starts_there(musicxml):
    score = musicxml(measure(0, note(60, 0.5), attributes=attributes(3, 4)), measure(1, note(62, 3)))
    assert (score.beats[0].beat, score.beats[1].seconds) == (3.5, 0.25)
    assert score.position(0.125) == ("0", 3.75)


@pytest.mark.parametrize("last", [4.05, 4.0, 3.95])
def test_what_rounding_leaves_of_a_beat_is_none(musicxml, last):
    finely = attributes().replace(f"<divisions>{DIVISIONS}<", f"<divisions>{20 * DIVISIONS}<")
    lengths = np.array([4, last, 4]) * 20
    score = musicxml(*(measure(number, note(60, length), attributes=finely) for number, length in enumerate(lengths)))
    assert [beat.beat for beat in score.beats] == [1.0, 2.0, 3.0, 4.0] * 3
    assert score.quarters[8] == pytest.approx(4 + last)


def test_half_a_beat_counts_for_half_of_one(musicxml):
    score = musicxml(
        measure(1, note(60, 4), attributes=attributes()), measure(2, note(62, 2.5)), measure(3, note(64, 4))
    )
    assert score.quarters == (*np.arange(7.0), 6.5, 7.5, 8.5, 9.5)
    np.testing.assert_allclose(np.diff([beat.seconds for beat in score.beats]), np.diff(score.quarters) / 2)


def test_a_beat_lasts_the_unit_of_its_metre(musicxml):
    score = musicxml(
        measure(1, note(60, 2), attributes=attributes(2, 4)), measure(2, note(62, 1.5), attributes=attributes(3, 8))
    )
    assert (score.quarters, score.units) == ((0.0, 1.0, 2.0, 2.5, 3.0), (1.0, 1.0, 0.5, 0.5, 0.5))


def test_a_measure_without_anything_has_no_beats(musicxml):
    score = musicxml(measure(1, note(60, 4), attributes=attributes()), measure(2), measure(3, note(64, 4)))
    assert order(score) == ["1", "3"]
    assert (np.diff([beat.seconds for beat in score.beats]) > 0).all()


def test_a_part_in_another_metre_changes_none_of_the_beats(tmp_path):
    path = tmp_path / "two.xml"
    first = measure(1, note(60, 4), attributes=attributes()) + measure(2, note(62, 4))
    none = f"<attributes><divisions>{DIVISIONS}</divisions></attributes>"
    for metre in (attributes(12, 8), attributes(3, 4), none):
        path.write_text(document(first, measure(1, note(48, 4), attributes=metre) + measure(2, note(50, 4))))
        assert [beat.beat for beat in read_score(path).beats] == [1.0, 2.0, 3.0, 4.0] * 2


def test_two_halves_of_a_measure_count_as_one(musicxml):
    score = musicxml(
        measure(1, note(60, 4), attributes=attributes()),
        measure(2, note(62, 3), REPEAT),
        measure("X1", note(64, 1), implicit=True),
        measure(3, note(65, 4)),
    )
    assert [(beat.measure, beat.beat) for beat in score.beats[-5:-3]] == [("2", 4.0), ("3", 1.0)]


def test_tempo_marks_are_followed_also_after_a_repeat(musicxml):
    score = musicxml(
        measure(1, tempo(60), note(60, 4), attributes=attributes()),
        measure(2, tempo(240), note(62, 4), REPEAT),
        measure(3, note(64, 4)),
    )
    np.testing.assert_allclose(score.notes[:, 0], [0, 4, 5, 9, 10])
    np.testing.assert_allclose(score.notes[:, 1], [4, 5, 9, 10, 11])


def test_a_metronome_mark_without_sound_counts(musicxml):
    mark = (
        "<direction><direction-type><metronome><beat-unit>half</beat-unit><per-minute>ca. 30</per-minute>"
        "</metronome></direction-type></direction>"
    )
    score = musicxml(measure(1, mark, note(60, 4), attributes=attributes()))
    assert score.duration == pytest.approx(4.0)


def test_a_tempo_in_the_middle_of_a_measure(musicxml):
    score = musicxml(measure(1, note(60, 2), tempo(60), note(62, 2), attributes=attributes()))
    np.testing.assert_allclose([beat.seconds for beat in score.beats], [0, 0.5, 1, 2])


@pytest.mark.parametrize(
    ("transpose", "sounding"),
    [
        ("<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>", 58),
        ("<transpose><chromatic>0</chromatic><octave-change>-1</octave-change></transpose>", 48),
        ("<transpose><chromatic/><octave-change>-1</octave-change></transpose>", 48),
        ("<transpose><chromatic>inf</chromatic><octave-change>-1</octave-change></transpose>", 48),
    ],
    ids=["clarinet in B flat", "double bass", "no semitones", "no finite number of them"],
)
def test_transposing_instruments_sound_where_they_sound(musicxml, transpose, sounding):
    score = musicxml(measure(1, note(60, 4), attributes=attributes(transpose=transpose)))
    assert pitches(score) == [sounding]


def test_tied_notes_are_one(musicxml):
    score = musicxml(
        measure(1, note(60, 4, '<tie type="start"/>'), attributes=attributes()),
        measure(2, note(60, 2, '<tie type="stop"/>'), note(60, 2)),
    )
    np.testing.assert_allclose(score.notes[:, :2], [[0, 3], [3, 4]])


def test_grace_notes_sound_just_before_the_beat(musicxml):
    score = musicxml(
        measure(1, note(60, 2), note(64, 0, before="<grace/>"), note(65, 0, before="<grace/>"), note(62, 2),
                attributes=attributes()),
    )  # fmt: skip
    assert pitches(score) == [60, 64, 65, 62]
    np.testing.assert_allclose(score.notes[:, 0], [0, 0.875, 0.9375, 1])


def test_unpitched_notes_are_left_out(musicxml):
    drum = (
        "<note><unpitched><display-step>E</display-step><display-octave>4</display-octave></unpitched>"
        "<duration>8</duration><voice>1</voice></note>"
    )
    assert pitches(musicxml(measure(1, drum, note(60, 2), attributes=attributes()))) == [60]


def test_a_short_measure_in_one_part_displaces_nothing(tmp_path):
    path = tmp_path / "two.xml"
    first = measure(1, note(60, 4), attributes=attributes()) + measure(2, note(62, 4))
    second = measure(1, note(48, 2), attributes=attributes()) + measure(2, note(50, 4))
    path.write_text(document(first, second))
    np.testing.assert_allclose(read_score(path).notes[:, [0, 2]], [[0, 48], [0, 60], [2, 50], [2, 62]])


def test_compressed_and_plain_are_the_same(tmp_path):
    text = document(measure(1, note(60, 4), attributes=attributes()))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(
            "META-INF/container.xml", '<container><rootfiles><rootfile full-path="a/b.xml"/></rootfiles></container>'
        )
        archive.writestr("a/b.xml", text)
    (tmp_path / "a.mxl").write_bytes(packed.getvalue())
    (tmp_path / "a.musicxml").write_text(text)
    plain, compressed = (read_score(tmp_path / name) for name in ("a.musicxml", "a.mxl"))
    np.testing.assert_array_equal(plain.notes, compressed.notes)
    assert plain.beats == compressed.beats


def packed(name, content, size=1, encrypted=False):
    """A zip file with one member, `content` repeated `size` times."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as member:
        for _ in range(size):
            member.write(content)
    data = bytearray(made.getvalue())
    if encrypted:
        data[6] |= 1
        data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


SMALL = document(measure(1, note(60, 4), attributes=attributes()))


@pytest.mark.parametrize("suffix", sorted(SCORE_SUFFIXES))
@pytest.mark.parametrize("data", [SMALL.encode(), packed("a.xml", SMALL.encode())], ids=["plain", "compressed"])
def test_the_content_decides_under_whatever_name(tmp_path, suffix, data):
    path = tmp_path / f"score{suffix}"
    path.write_bytes(data)
    assert pitches(read_score(path)) == [60]


def entities(declared, used):
    named = SMALL[21:].replace("<part-name/>", f"<part-name>{used}</part-name>")
    return f'<?xml version="1.0"?><!DOCTYPE l [{declared}]>{named}'


LAUGHS = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
MEGABYTE = bytes(2**20)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (entities('<!ENTITY a0 "lol">' + LAUGHS, "&a9;").encode(), "not well-formed|cannot be understood"),
        (entities(f'<!ENTITY a "{"x" * 100_000}">', "&a;" * 100_000).encode(), "not well-formed|cannot be understood"),
        (("<score-partwise>" + "<a>" * 100_000).encode(), "not well-formed"),
        (packed("a.xml", MEGABYTE, 65), "too large"),
        (packed("META-INF/container.xml", MEGABYTE, 65), "too large"),
        (packed("a.xml", SMALL.encode(), encrypted=True), "encrypted"),
        (b"MThd" + bytes(2**23), "too large"),
    ],
    ids=["billion laughs", "quadratic", "deep", "zip bomb", "container bomb", "encrypted", "midi"],
)
def test_bombs_are_refused_by_what_they_are(tmp_path, data, cause):
    path = tmp_path / "bomb.mxl"
    path.write_bytes(data)
    with pytest.raises(ScoreError, match=cause):
        read_score(path)


def test_a_repeat_without_end_is_played_some_times(musicxml):
    endless = '<barline location="right"><repeat direction="backward" times="999999999"/></barline>'
    assert len(musicxml(measure(1, note(60, 4), endless, attributes=attributes())).measures) == 32


def test_forty_staves_sound_together(tmp_path):
    path = tmp_path / "tutti.musicxml"
    path.write_text(document(*(measure(1, note(40 + part, 4), attributes=attributes()) for part in range(40))))
    score = read_score(path)
    assert sorted(pitches(score)) == list(range(40, 80))
    assert not score.notes[:, 0].any()


def test_hours_are_exact_to_the_end(midi):
    score = midi([message for _ in range(3 * 1200) for message in midi_note(60, 6 * 480)])
    assert score.duration == pytest.approx(3 * 3600.0, abs=1e-6)
    assert score.measures[-1].seconds == pytest.approx(3 * 3600.0 - 2.0, abs=1e-6)


def test_the_composer_is_told_where_the_file_states_one(tmp_path):
    path = tmp_path / "composed.musicxml"
    stated = '<identification><creator type="composer">Anon\n Y.</creator></identification><part-list>'
    path.write_text(SMALL.replace("<part-list>", stated))
    assert read_score(path).composer == "Anon Y."


def test_midi_follows_its_tempi_in_any_track(midi):
    score = midi(
        [mido.MetaMessage("set_tempo", tempo=500_000), mido.MetaMessage("set_tempo", tempo=1_000_000, time=960)],
        [*midi_note(60, 960), *midi_note(62, 960)],
        [*midi_note(48, 480, wait=960, channel=1)],
    )
    np.testing.assert_allclose(score.notes[:, :3], [[0, 1, 60], [1, 2, 48], [1, 3, 62]])
    assert score.notes[0, 3] == pytest.approx(64 / 127)


def test_midi_keeps_its_seconds_at_any_tempo(midi):
    tempi = [mido.MetaMessage("set_tempo", tempo=16_000_000), mido.MetaMessage("set_tempo", tempo=20_000, time=480)]
    score = midi(tempi, [*midi_note(60, 480), *midi_note(62, 480)])
    np.testing.assert_allclose(score.notes[:, :2], [[0, 16], [16, 16.02]])


def test_midi_measures_are_counted_by_its_time_signatures(midi):
    score = midi(
        [
            mido.MetaMessage("time_signature", numerator=3, denominator=4),
            mido.MetaMessage("time_signature", numerator=6, denominator=8, time=3 * 480),
        ],
        midi_note(60, 6 * 480),
    )
    assert [(beat.measure, beat.beat, beat.seconds) for beat in score.beats[:5]] == [
        ("1", 1, 0),
        ("1", 2, 0.5),
        ("1", 3, 1.0),
        ("2", 1, 1.5),
        ("2", 2, 1.75),
    ]
    assert score.beats[-1][1:] == ("2", 6.0)


def test_midi_percussion_is_left_out(midi):
    assert pitches(midi([*midi_note(38, 480, channel=9), *midi_note(60, 480)])) == [60]


def test_the_sustain_pedal_holds_until_it_comes_up_or_the_key_is_struck_again(midi):
    def pedal(value, wait=0):
        return mido.Message("control_change", control=64, value=value, time=wait)

    score = midi([pedal(127), *midi_note(60, 240), *midi_note(60, 240, wait=240), pedal(0, 480), *midi_note(62, 480)])
    np.testing.assert_allclose(score.notes[:, :2], [[0, 0.5], [0.5, 1.25], [1.25, 1.75]])


def test_midi_title_and_parts_of_a_second(midi, tmp_path):
    score = midi([mido.MetaMessage("track_name", name="Air")], midi_note(60, 480))
    assert score.title == "Air"
    path = tmp_path / "smpte.mid"
    data = bytearray((tmp_path / "score.mid").read_bytes())
    data[12:14] = bytes([256 - 25, 40])  # 25 frames of 40 ticks: a tick is a millisecond
    path.write_bytes(data)
    np.testing.assert_allclose(read_score(path).notes[:, :2], [[0, 0.48]])


def test_kern_is_unfolded(tmp_path):
    path = tmp_path / "small.krn"
    path.write_text(KERN)
    score = read_score(path)
    assert order(score) == ["1", "1", "2", "3", "2", "3"]
    assert score.title == "Small"
    assert score.duration == pytest.approx(12.0)
    assert np.count_nonzero(score.notes[:, 2] == 65) == 2  # the tied f, twice


def test_mei_is_unfolded(tmp_path):
    path = tmp_path / "small.mei"
    path.write_text(MEI)
    score = read_score(path)
    assert order(score) == ["0", "1", "0", "1", "2"]
    assert (score.title, score.beats[0].beat) == ("Little", 4.0)
    assert pitches(score)[:2] == [58, 60]
    assert score.notes[1, 1] - score.notes[1, 0] == pytest.approx(4.0, abs=0.02)


@pytest.mark.parametrize(
    ("mark", "last"),
    [
        ('tstamp="3" midi.bpm="60"', 3.0),
        ('tstamp="1" mm="60" mm.unit="4" mm.dots="1"', 4 * 60 / 90),
        ('tstamp="1" mm="30" mm.unit="2" mm.dots="2"', 4 * 60 / 105),
        ('tstamp="1"', 2.0),
        ('tstamp="9" midi.bpm="60"', 2.0),
        ('tstamp="1" midi.bpm="0" mm="60" mm.unit="4"', 4.0),
    ],
)
def test_mei_tempo_marks_fall_within_measures_and_have_dots(tmp_path, mark, last):
    path = tmp_path / "marked.mei"
    path.write_text(MEI.replace('tstamp="1" midi.bpm="60"', mark))
    (first, again) = [beat.seconds for beat in read_score(path).beats if beat.measure == "1" and beat.beat == 1.0]
    starts = [beat.seconds for beat in read_score(path).beats]
    assert starts[starts.index(first) + 4] - first == pytest.approx(last)
    assert again > first


def test_positions_run_on_between_beats(musicxml):
    score = musicxml(measure(1, note(60, 4), attributes=attributes()), measure(2, note(62, 4), REPEAT))
    assert score.position(-1.0) == ("1", 1.0)
    assert score.position(1.25) == ("1", 3.5)
    assert score.position(5.75) == ("1", 4.5)
    assert score.position(99.0) == ("2", 5.0)


def test_endings_of_names_are_known():
    assert is_score("a/B.MXL")
    assert not is_score("a.wav")
    assert ".krn" in SCORE_SUFFIXES


def test_nothing_heavy_is_imported_before_a_score_is_read():
    heavy = ("partitura", "lxml", "mido", "verovio")
    code = f"import sys, alignment.score; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def empty_zip():
    packed = io.BytesIO()
    zipfile.ZipFile(packed, "w").close()
    return packed.getvalue()


RESTS = document(measure(1, "<note><rest/><duration>16</duration></note>", attributes=attributes())).encode()


@pytest.mark.parametrize(
    ("name", "data", "cause"),
    [
        ("empty.mxl", b"", "empty"),
        ("cut.musicxml", RESTS[:200], "not well-formed XML"),
        ("rests.musicxml", RESTS, "no notes"),
        ("page.xml", b"<html><body/></html>", "not MusicXML"),
        ("time.xml", b"<score-timewise/>", "ordered by time"),
        ("noise.mxl", b"PK\x03\x04" + bytes(range(256)), "damaged compressed"),
        ("hollow.mxl", empty_zip(), "without a score|damaged compressed"),
        ("noise.mid", bytes(range(256)), "not a MIDI file"),
        ("cut.mid", b"MThd\0\0\0\6\0\1", "not a MIDI file"),
        ("bare.mid", b"MThd\0\0\0\6\0\0\0\0\0\x60", "no notes"),
        ("noise.mei", b"<mei><broken", "not MEI"),
        ("noise.krn", b"four score and seven years ago", "not"),
    ],
)
def test_what_is_no_score_is_told(tmp_path, name, data, cause):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ScoreError, match=cause) as caught:
        read_score(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_absent_files_and_folders_are_told(tmp_path):
    with pytest.raises(ScoreError, match="no such file"):
        read_score(tmp_path / "absent.mid")
    with pytest.raises(ScoreError, match="folder"):
        read_score(tmp_path)


def test_absurd_lengths_are_told(midi):
    with pytest.raises(ScoreError, match="broken"):
        midi([mido.MetaMessage("set_tempo", tempo=10_000_000), *midi_note(60, 2**27)])


def test_a_score_without_duration_is_told(midi):
    with pytest.raises(ScoreError, match="no duration"):
        midi([*midi_note(60, 0)])


def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mido", None)
    path = tmp_path / "a.mid"
    path.write_bytes(b"MThd\0\0\0\6\0\0\0\0\0\x60")
    with pytest.raises(ScoreError, match=r'pip install "incipit-music\[score\]"'):
        read_score(path)


@pytest.mark.parametrize("seed", range(12))
def test_damage_never_shows_a_traceback(tmp_path, seed):
    rng = np.random.default_rng(seed)
    good = document(measure(1, note(60, 4), attributes=attributes()), measure(2, note(62, 4), REPEAT)).encode()
    file = mido.MidiFile()
    file.tracks.append(mido.MidiTrack([*midi_note(60, 480), *midi_note(62, 480)]))
    packed = io.BytesIO()
    file.save(file=packed)
    for name, data in (("a.musicxml", good), ("a.mid", packed.getvalue()), ("a.krn", KERN.encode())):
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[rng.integers(0, len(damaged), 3)] = rng.integers(0, 256, 3)
        path = tmp_path / name
        path.write_bytes(damaged.tobytes()[: rng.integers(len(damaged) // 2, len(damaged) + 1)])
        with contextlib.suppress(ScoreError):
            assert isinstance(read_score(path), Score)


@pytest.mark.data
@pytest.mark.parametrize(
    "name", ["Bach/Fugue/bwv_862", "Beethoven/Piano_Sonatas/17-1", "Mozart/Piano_Sonatas/11-3", "Chopin/Sonata_2/2nd"]
)
def test_real_scores_agree_with_their_midi_and_its_beats(data, name):
    folder = data / "asap" / name
    printed, played = read_score(folder / "xml_score.mxl"), read_score(folder / "midi_score.mid")
    assert len(printed.measures) == len(played.measures)
    assert printed.duration == pytest.approx(played.duration, rel=2e-3)
    lines = [line.split("\t") for line in (folder / "midi_score_annotations.txt").read_text().splitlines()]
    downbeats = np.array([float(seconds) for seconds, _, label in lines if label.startswith("db")])
    starts = np.array([beat.seconds for beat in played.measures])
    assert np.abs(downbeats[:, None] - starts).min(axis=1).max() < 0.03


@pytest.mark.data
def test_which_repeats_a_real_score_has_shows_in_its_measures(data):
    both, none, first = (
        len(read_score(data / "violin" / f"bwv1002_mov7{ending}.mxl").measures) for ending in ("", "_00", "_10")
    )
    assert none == 69
    assert none < first < both
    assert both in (2 * none, 2 * none + 1)
