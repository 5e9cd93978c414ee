"""Engraved scores are followed: every measure and note has an element, and is found where it sounds."""

import json
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from program import documents, incipit
from written import KERN, MEI, REPEAT, attributes, document, measure, midi_note, note, tempo, volta

from alignment.audio import Audio
from alignment.carrying import carry_times, inverted
from alignment.engraving import engrave
from alignment.errors import ScoreError
from alignment.following import follow, following_document, matched_share, recording_rows
from alignment.path import WarpingPath
from alignment.score import read_score
from alignment.score_sound import score_sound
from alignment.segments import Segment, Synchronisation
from alignment.synchronise import synchronise

mido = pytest.importorskip("mido", reason="wants the score extra")
pytest.importorskip("partitura", reason="wants the score extra")
pytest.importorskip("verovio", reason="wants the score extra")

TWICE = (
    measure(1, note(60, 1), note(62, 1), note(64, 2), attributes=attributes()),
    measure(2, volta(1, "start", "left"), note(65, 4), volta(1, "stop", "right")),
    measure(3, volta(2, "start", "left"), note(67, 4), volta(2, "discontinue", "right")),
)


@pytest.fixture
def written(tmp_path):
    def write(*parts, name="score.musicxml"):
        path = tmp_path / name
        path.write_text(document(*("".join(part) for part in parts)), encoding="utf-8")
        return path

    return write


def long_piece():
    """Twenty measures of a wandering melody over held basses, the first ten repeated."""
    rng = np.random.default_rng(7)
    pitches = 67 + np.cumsum(rng.choice([-3, -2, -1, 1, 2, 4], 80)) % 17
    back = "<backup><duration>16</duration></backup>"
    found = []
    for index in range(20):
        melody = "".join(note(int(pitch), 1) for pitch in pitches[4 * index : 4 * index + 4])
        bass = note(int(rng.integers(40, 55)), 4)
        found.append(
            measure(
                index + 1, melody, back, bass, REPEAT if index == 9 else "", attributes="" if index else attributes()
            )
        )
    return found


def warped(seconds):
    """A performance that is slower, and wavers."""
    return 1.2 * seconds + 0.4 * np.sin(seconds / 3.0)


def match(ref, other):
    ones = np.ones(len(ref))
    return Segment("match", (ref[0], ref[-1]), (other[0], other[-1]), WarpingPath(ref, other), ones)


def along(*segments):
    return Synchronisation(segments, True, 1.0, 0, 0.0)


def elements(page, kind):
    return set(re.findall(rf'<g id="([^"]+)" class="{kind}[ "]', page))


def test_every_measure_as_written_has_an_element_also_the_second_time(written):
    path = written(TWICE)
    engraving, score = engrave(path), read_score(path)
    assert [measure.label for measure in engraving.measures] == ["1", "2", "3"]
    assert {measure.id for measure in engraving.measures} == elements(engraving.pages[0], "measure")
    assert {head.id for head in engraving.notes} == elements(engraving.pages[0], "note")
    assert [measure.written for measure in score.played] == [0, 1, 0, 2]
    assert [head.pitch for head in engraving.notes] == [60, 62, 64, 65, 67]
    assert {(measure.page, measure.system) for measure in engraving.measures} == {(1, 1)}
    assert engrave(path) == engraving


def test_a_measure_in_two_halves_is_two_elements(written):
    path = written(
        (
            measure(1, note(60, 4), attributes=attributes()),
            measure(2, note(62, 3), REPEAT),
            measure("X1", note(64, 1), implicit=True),
            measure(3, note(65, 4)),
        )
    )
    score = read_score(path)
    assert [measure.written for measure in score.played] == [0, 1, 0, 1, 2, 3]
    assert len(engrave(path).measures) == 4
    assert [measure.label for measure in score.played] == ["1", "2", "1", "2", "2", "3"]


def test_pages_and_systems_are_counted_through_the_score(written):
    bars = [measure(n, *[note(60, 1)] * 4, attributes="" if n > 1 else attributes()) for n in range(1, 151)]
    engraving = engrave(written(bars))
    assert len(engraving.pages) > 1
    places = [(measure.page, measure.system) for measure in engraving.measures]
    assert places == sorted(places)
    assert {page for page, _ in places} == set(range(1, len(engraving.pages) + 1))
    assert {after[1] - before[1] for before, after in pairwise(places)} == {0, 1}
    for measure_, (page, _) in zip(engraving.measures, places, strict=True):
        assert f'id="{measure_.id}"' in engraving.pages[page - 1]


def test_a_part_that_does_not_say_how_many_staves_it_has_gets_those_that_it_uses(written):
    upper, lower = (note(pitch, 4, f"<staff>{staff}</staff>") for pitch, staff in ((72, 1), (48, 2)))
    back = "<backup><duration>16</duration></backup>"
    lower = lower.replace("<voice>1", "<voice>2")
    engraving = engrave(written([measure(1, upper, back, lower, attributes=attributes())]))
    assert len(re.findall('class="staff"', engraving.pages[0])) == 2


def test_every_note_that_sounds_is_a_head_of_its_measure(written):
    clarinet = "<transpose><chromatic>-2</chromatic></transpose>"
    back = "<backup><duration>16</duration></backup>"
    first = (
        measure(1, note(60, 2), note(64, 0, before="<grace/>"), note(65, 0, before="<grace/>"), note(62, 2),
                attributes=attributes(transpose=clarinet)),
        measure(2, tempo(90), note(66, 4, '<tie type="start"/>'), back, note(50, 4), REPEAT),
        measure(3, note(66, 1, '<tie type="stop"/>'), note(70, 3), note(62, 3, before="<chord/>")),
    )  # fmt: skip
    second = (measure(1, note(48, 2), attributes=attributes()), measure(2, note(50, 4)), measure(3, note(52, 4)))
    path = written(first, second)
    score, engraving = read_score(path), engrave(path)
    assert matched_share(score, engraving) == 1.0
    tied = [head for head in engraving.notes if head.pitch == 64 and head.duration == 1.0]
    following = follow(score, engraving, along(match(np.array([0.0, 30.0]), np.array([0.0, 30.0]))))
    spans = {row.id: row for row in following.notes}
    assert spans[tied[0].id].start == pytest.approx(score.played[-1].start)


def test_notes_of_other_music_are_no_heads(written):
    path = written(TWICE)
    other = read_score(written((measure(1, note(61, 4), attributes=attributes()),), name="other.musicxml"))
    assert matched_share(other, engrave(path)) == 0.0
    with pytest.raises(ScoreError, match="not the score"):
        matched_share(read_score(path), engrave(other.path))


@pytest.mark.parametrize(("name", "text"), [("a.krn", KERN), ("a.mei", MEI)], ids=["kern", "MEI"])
def test_kern_and_mei_are_followed_too(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    score, engraving = read_score(path), engrave(path)
    labels = [engraving.measures[measure.written].label for measure in score.played]
    assert labels == [measure.measure for measure in score.measures]
    assert elements(engraving.pages[0], "measure") == {measure.id for measure in engraving.measures}
    assert matched_share(score, engraving) == 1.0


def test_measures_that_share_a_rest_share_its_element(written):
    rest = '<note><rest measure="yes"/><duration>16</duration><voice>1</voice></note>'
    many = "<attributes><measure-style><multiple-rest>3</multiple-rest></measure-style></attributes>"
    path = written(
        (
            measure(1, note(60, 4), attributes=attributes()),
            measure(2, rest, attributes=many),
            measure(3, rest),
            measure(4, rest),
            measure(5, note(62, 4)),
        )
    )
    engraving = engrave(path)
    drawn = elements(engraving.pages[0], "measure")
    assert {measure.id for measure in engraving.measures} == drawn
    assert len(engraving.measures) - len(engraving.undrawn) == len(drawn)
    assert [measure.label for measure in engraving.measures] == ["1", "2", "3", "4", "5"]


def test_only_what_the_recording_plays_has_rows(written):
    """The performance leaves the second pass through measure 1 out: 2 to 4 s."""
    path = written((measure(1, note(60, 4), REPEAT, attributes=attributes()), measure(2, note(62, 4))))
    score, engraving = read_score(path), engrave(path)
    alignment = along(
        match(np.array([0.0, 2.0]), np.array([1.0, 4.0])),
        Segment.alone("only_ref", 2.0, 4.0),
        match(np.array([4.0, 6.0]), np.array([4.0, 7.0])),
    )
    following = follow(score, engraving, alignment)
    assert [(row.start, row.end, row.played) for row in following.measures] == [(1.0, 4.0, 0), (4.0, 7.0, 2)]
    assert [(row.start, row.end) for row in following.notes] == [(1.0, 4.0), (4.0, 7.0)]
    held = follow(score, engraving, along(match(np.array([0.0, 5.0]), np.array([0.0, 5.0]))))
    assert held.notes[-1][:2] == (4.0, 5.0)


def test_a_section_played_twice_in_another_order_is_found_where_it_is(written):
    path = written((measure(1, note(60, 4), attributes=attributes()), measure(2, note(62, 4))))
    score, engraving = read_score(path), engrave(path)
    swapped = along(
        match(np.array([0.0, 2.0]), np.array([5.0, 7.0])), match(np.array([2.0, 4.0]), np.array([0.0, 2.0]))
    )
    following = follow(score, engraving, swapped)
    assert [row.played for row in following.measures] == [1, 0]
    assert [row.start for row in following.measures] == [0.0, 5.0]


def test_a_known_warp_is_followed_within_50_ms(written):
    path = written(long_piece())
    score, engraving = read_score(path), engrave(path)
    notes = score.notes.copy()
    notes[:, :2] = warped(notes[:, :2])
    played = score_sound(replace(score, notes=notes, duration=float(warped(score.duration))))
    alignment = synchronise(score_sound(score), played)
    assert alignment.accepted
    following = follow(score, engraving, alignment)
    assert [row.played for row in following.measures] == list(range(30))
    true = warped(np.array([measure.start for measure in score.played]))
    assert np.abs([row.start for row in following.measures] - true).max() < 0.05
    onsets = np.array([row.start for row in following.notes])
    assert len(onsets) == len(score.notes)
    assert np.abs(onsets - np.sort(notes[:, 0])).max() < 0.05
    np.testing.assert_allclose(carry_times([score.played[3].start], alignment), following.measures[3].start)
    recording = Audio(played.samples)  # what is not known to be a score
    back = inverted(synchronise(recording, score_sound(score)))
    for found in (alignment, synchronise(score_sound(score), recording), back):
        struck = np.unique(score.notes[:, 0])[1:-1]
        carried = carry_times(struck, found)
        between = carry_times((struck[:-1] + struck[1:]) / 2.0, found)
        np.testing.assert_allclose(between, (carried[:-1] + carried[1:]) / 2.0, atol=0.002)


def test_the_document_names_an_element_for_every_row(written):
    path = written(TWICE)
    score, engraving = read_score(path), engrave(path)
    whole = along(match(np.array([0.0, 8.0]), np.array([0.0, 16.0])))
    rows = recording_rows(score, engraving, follow(score, engraving, whole))
    text = json.dumps(following_document(score, engraving, ["page-001.svg"], [{"path": "a.wav", **rows}]))
    read = json.loads(text)
    assert [row[0] for row in read["played"]] == [0, 1, 0, 2]
    first, _, again, last = read["recordings"][0]["measures"]
    assert first == [0.0, 4.0, *read["measures"][0], 0]
    assert again == [8.0, 12.0, *read["measures"][0], 2]
    assert last[2:] == [*read["measures"][2], 3]
    assert {name for _, _, name in read["recordings"][0]["notes"]} == elements(engraving.pages[0], "note")


def test_what_cannot_be_engraved_is_told(tmp_path):
    file = mido.MidiFile()
    file.tracks.append(mido.MidiTrack(midi_note(60, 480)))
    file.save(tmp_path / "a.mid")
    (tmp_path / "cut.musicxml").write_text(document("".join(TWICE))[:300])
    (tmp_path / "bare.musicxml").write_text("<score-partwise/>")
    (tmp_path / "noise.mei").write_bytes(b"<mei><broken")
    causes = {
        "a.mid": "no notation",
        "cut.musicxml": "not well-formed",
        "bare.musicxml": "no measures|not MusicXML",
        "noise.mei": "not MEI",
        "absent.mxl": "no such file",
    }
    for name, cause in causes.items():
        with pytest.raises(ScoreError, match=cause) as caught:
            engrave(tmp_path / name)
        assert str(caught.value).startswith(str(tmp_path / name))
        assert "\n" not in str(caught.value)


def test_follow_writes_pages_and_a_map_and_refuses_other_music(written, music, tmp_path):
    path, mine, folder = written(long_piece()), tmp_path / "mine.wav", tmp_path / "followed"
    sound = score_sound(read_score(path))
    soundfile.write(mine, sound.samples, sound.rate)
    done = incipit("follow", path, mine, music.recorded[0].path, "-o", folder)
    assert done.returncode == 0, done.stderr
    assert [line.split("\t")[1:3] for line in done.stdout.splitlines()] == [
        ["accepted", "30 of 30 measures"],
        ["refused", "not taken for this music"],
    ]
    told = json.loads((folder / "following.json").read_text())
    assert [recording["accepted"] for recording in told["recordings"]] == [True, False]
    assert told["recordings"][1]["measures"] == []
    pages = [(folder / name).read_text() for name in told["pages"]]
    for _, _, name, page, *_ in told["recordings"][0]["measures"]:
        assert f'id="{name}"' in pages[page - 1]
    (folder / "page-cover.svg").write_text("<svg/>")
    (folder / "page-999.svg").write_text("<svg/>")
    refused = incipit("follow", path, music.recorded[0].path, "-o", folder, "--json")
    assert refused.returncode == 3
    assert (folder / "page-cover.svg").exists()
    assert not (folder / "page-999.svg").exists()
    assert documents(refused)[0]["recordings"][0]["measures"] == 0


def test_follow_wants_notation_and_somewhere_to_write(tmp_path, music):
    sound = music.recorded[0].path
    file = mido.MidiFile()
    file.tracks.append(mido.MidiTrack(midi_note(60, 480)))
    file.save(tmp_path / "a.mid")
    done = incipit("follow", tmp_path / "a.mid", sound, "-o", tmp_path / "out", "--json")
    assert done.returncode == 1
    assert "no notation" in documents(done)[0]["error"]
    assert not (tmp_path / "out").exists()
    assert incipit("follow", sound, sound, "-o", tmp_path / "out").returncode == 2
    assert incipit("follow", tmp_path / "a.mid", sound, "-o", tmp_path / "a" / "b").returncode == 2


@pytest.mark.data
@pytest.mark.parametrize("name", ["violin/bwv1002_mov7", "asap/Mozart/Piano_Sonatas/11-3/xml_score"])
def test_real_scores_are_engraved_as_they_are_played(data, name):
    path = data / f"{name}.mxl"
    score, engraving = read_score(path), engrave(path)
    assert engraving.undrawn == ()
    assert {measure.written for measure in score.played} == set(range(len(engraving.measures)))
    assert matched_share(score, engraving) > 0.998
