"""Scores are items of the library beside recordings, and get in the way of none."""

import json

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from alignment.score import read_score
from alignment.score_sound import score_sound
from index import FileState, KeptScore, Library, Model, NewRecording, NewScore, VectorFormat, Vectors
from index.alignments import KeptAlignment
from index.schema import ScoreRow, SheetRow
from index.sheets import KeptMovement, KeptPart, pack, unpack
from retrieval import Collection
from retrieval.cli.app import app
from retrieval.embedding.score_encoder import ScoreEncoder
from retrieval.kept_score import beat_position, from_kept
from retrieval.score_analysis import analyse_score

FORMAT = VectorFormat(8, "int8", 127.0)
SOUND = Model("test", "a" * 64, FORMAT)
SHEET = Model("test-score", "a" * 64, FORMAT, kind="score")
NOTES = np.array([[0.0, 1.5, 60.0, 80 / 127], [0.0, 0.5, 67.0, 1.0], [0.5, 1.0, 72.0, 1 / 127]])
PARTS = (KeptPart("Clarinet in B♭", "Clarinet", -2, 2), KeptPart("", "", 0, 1))
MOVEMENTS = (KeptMovement("1", "Prelude", 0.0), KeptMovement("2", "Air", 0.25))
KEPT = KeptScore("Air", 2.0, NOTES, ((0.0, "0", 3.5), (0.25, "1", 1.0)), "Suite", "Op. 1", PARTS, MOVEMENTS)


@pytest.fixture
def library(tmp_path):
    with Library(tmp_path / "lib", write=True) as opened:
        yield opened


def content(number):
    return f"{number:012x}" + "0" * 52


def values(model):
    return [Vectors(model, np.full((4, 8), 0.5, np.float32), 0.5)]


def recording(library, number):
    file = FileState(f"/music/{number}.wav", 1, 1)
    return library.add(NewRecording(content(number), 10.0, f"Title {number}"), file, values(SOUND))


def score(library, number, sheet=KEPT, vectors=True):
    file = FileState(f"/music/{number}.mxl", 1, 1)
    return library.add(NewScore(content(number), sheet, "Anon"), file, values(SHEET) if vectors else [])


def test_a_score_is_an_item_and_no_recording(library):
    sounding, written = recording(library, 1), score(library, 2)
    assert (sounding.kind, written.kind) == ("recording", "score")
    assert (sounding.key[0], written.key[0]) == ("r", "s")
    assert library.items() == [sounding, written]
    assert (library.recordings(), library.scores(), len(library)) == ([sounding], [written], 1)
    assert (written.title, written.artist, written.duration) == ("Air", "Anon", 2.0)
    assert library.recording_at("/music/2.mxl") is library.recording_of(content(2)) is None
    assert library.recordings_by_id([sounding.id, written.id]) == {sounding.id: sounding}
    assert library.item(written.key) is library.item_at("/music/2.mxl") is library.item_of(content(2)) is written
    assert library.versions.unsought() == [sounding]
    assert library.score_sheet(sounding.id) is None


def test_models_are_wanted_of_their_own_kind_only(library):
    recording(library, 1)
    assert library.pending([SOUND, SHEET]) == []
    assert len(library.runs(SHEET)) == 0
    lacking = score(library, 2, vectors=False)
    assert library.pending([SOUND, SHEET]) == [lacking]
    score(library, 2)
    assert library.pending([SOUND, SHEET]) == []
    assert library.runs(SHEET).items.tolist() == [lacking.id]


def test_the_beats_alone_tell_the_same_place(library):
    whole, bare = score(library, 1), score(library, 2, KeptScore("Bare", 2.0, NOTES, ()))
    library.put_files([(whole, FileState("/music/there.mxl", 1, 1))])
    library.set_missing(["/music/1.mxl"])
    library.works.merge([whole, recording(library, 3)])
    found = library.told_scores([whole.id, bare.id, 99])
    assert list(found) == [whole.id, bare.id]
    for id, told in found.items():
        row, sheet = library.item(told.key), library.score_sheet(id)
        assert (row.id, told.path, told.work) == (id, row.path, row.work and row.work.label)
        assert (told.title, told.duration, told.movements) == (sheet.title, sheet.duration, sheet.movements)
        assert (told.work_title, told.work_number) == (sheet.work_title, sheet.work_number)
        for seconds in (-1.0, 0.0, 0.1, 0.25, 1.9, 2.5):
            assert beat_position(told, seconds) == from_kept(sheet, row.path).position(seconds)


def test_a_score_read_anew_gets_another_sheet(library):
    written = score(library, 1)
    assert library.score_sheet(written.id).parts == PARTS
    assert library.score_sheet(written.id).movements == MOVEMENTS
    score(library, 1, KeptScore("Other", 3.0, NOTES[:1], KEPT.beats, parts=PARTS[::-1]))
    kept = library.score_sheet(written.id)
    assert (kept.parts, kept.movements, kept.work_title) == (PARTS[::-1], (), "")
    assert (kept.title, kept.duration, len(kept.notes)) == ("Other", 3.0, 1)
    library.remove(written)
    assert library.items() == []
    assert library.score_sheet(written.id) is None


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 43_200), st.floats(0, 43_200), st.integers(0, 127), st.integers(0, 127)),
        min_size=1,
        max_size=20,
    ),
    st.lists(st.tuples(st.floats(0, 43_200), st.text(max_size=5), st.floats(1, 9)), max_size=20),
)
def test_sheets_keep_times_to_ten_microseconds_through_twelve_hours(rows, beats):
    notes = np.array(sorted((start, start + length, pitch, velocity / 127) for start, length, pitch, velocity in rows))
    score = KeptScore("", 43_200.0, notes, tuple(sorted(beats)))
    row = ScoreRow(title="", duration=43_200.0, work_title="", work_number="")
    kept = unpack(row, SheetRow(item_id=1, **dict(zip(("notes", "beats"), pack(score), strict=True))))
    assert np.abs(kept.notes[:, :2] - notes[:, :2]).max() < 0.51e-5
    np.testing.assert_array_equal(kept.notes[:, 2:], notes[:, 2:])
    assert [beat[1:] for beat in kept.beats] == [beat[1:] for beat in score.beats]
    np.testing.assert_allclose([beat[0] for beat in kept.beats], [beat[0] for beat in score.beats], atol=1e-5)


def test_a_score_is_in_a_work_and_stays_when_recordings_are_grouped_anew(library):
    one, two, written = recording(library, 1), recording(library, 2), score(library, 3)
    work = library.works.merge([one, written])
    assert (work.items, work.recordings, work.scores) == ([one, written], [one], [written])
    assert library.works.membership() == {one.id: (work.id, True)}
    library.works.arrange([])
    assert written.work is work
    other = library.works.split(work, [written])
    library.works.merge([written, two])
    library.remove(two)
    assert written.work is other
    library.remove(written)
    assert library.works.all() == [work]


def test_an_alignment_joins_a_score_and_a_recording(library):
    sounding, written = recording(library, 1), score(library, 2)
    library.alignments.put(written, sounding, "method", KeptAlignment(True, 0.9, 0, 0.0, ()))
    assert library.alignments.get(written, sounding, "method").accepted
    library.remove(written)
    assert library.alignments.pairs("method") == set()


# From files

pytest.importorskip("mido", reason="wants the score extra")


def midi(path, pitches, ticks=480):
    import mido

    track = mido.MidiTrack()
    for pitch in pitches:
        track.append(mido.Message("note_on", note=pitch, velocity=80))
        track.append(mido.Message("note_off", note=pitch, time=ticks))
    file = mido.MidiFile(ticks_per_beat=480)
    file.tracks.append(track)
    file.save(path)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A library of a score, of its sound, and of what of the same folder could be taken in."""
    folder = tmp_path_factory.mktemp("mixed")
    midi(folder / "song.mid", np.random.default_rng(0).integers(55, 80, 60).tolist())
    sound = score_sound(read_score(folder / "song.mid"))
    soundfile.write(folder / "song.flac", sound.samples, sound.rate)
    (folder / "copy.midi").write_bytes((folder / "song.mid").read_bytes())
    (folder / "silent.musicxml").write_text("<score-partwise><part-list/></score-partwise>")
    (folder / "cut.xml").write_text("<score-partwise><part")
    (folder / "notes.txt").write_text("not tried")
    midi(folder / "other.mid", range(60, 72))
    (folder / "other.mid").rename(folder / "named.dat")
    collection = Collection(tmp_path_factory.mktemp("library") / "lib")
    return folder, collection, collection.add(folder, folder / "named.dat", works=False)


def test_scores_and_recordings_are_taken_in_together(mixed):
    folder, collection, report = mixed
    assert (report.added, report.unchanged, report.skipped) == (3, 1, 2)
    assert report.audio_seconds == pytest.approx(30.1, abs=0.1)
    assert dict(report.failed) == {
        str(folder / "silent.musicxml"): "has no notes with a pitch",
        str(folder / "cut.xml"): next(
            cause for _, cause in report.failed if cause.startswith("is not well-formed XML")
        ),
    }
    with Library(collection.folder) as library:
        assert len(library) == 1
        written = library.item_at(str(folder / "song.mid"))
        assert sorted(file.path for file in written.files) == [str(folder / "copy.midi"), str(folder / "song.mid")]
        kept = from_kept(library.score_sheet(written.id), str(folder / "song.mid"))
        read = read_score(folder / "song.mid")
        np.testing.assert_allclose(kept.notes, read.notes, atol=1e-5)
        assert [beat[1:] for beat in kept.beats] == [beat[1:] for beat in read.beats]
        assert library.item_at(str(folder / "named.dat")).kind == "score"


def test_scores_are_no_answer_where_recordings_are_asked_for(mixed):
    folder, collection, _ = mixed
    for task in ("identify", "match", "versions"):
        assert {hit.path for hit in collection.query(folder / "song.flac", task)} <= {str(folder / "song.flac")}


def run(capsys, *arguments):
    """Exit code and documents of the program, run in this process."""
    capsys.readouterr()
    code = app([str(argument) for argument in arguments], standalone_mode=False) or 0
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_scores_are_listed_shown_and_aligned_by_their_ids(mixed, capsys, monkeypatch):
    monkeypatch.setattr("retrieval.cli.aligning.hush_decoders", lambda: None)
    folder, collection, _ = mixed
    library = ("--library", collection.folder, "--json")
    _, listed = run(capsys, "list", *library)
    ids = {item["path"]: item["id"] for item in listed}
    assert sorted(item["kind"] for item in listed) == ["recording", "score", "score"]
    written, sounding = ids[str(folder / "copy.midi")], ids[str(folder / "song.flac")]
    _, (shown,) = run(capsys, "show", written, *library)
    assert (shown["notes"], shown["measures"]) == (60, ["1", "15"])
    code, (aligned,) = run(capsys, "align", written, sounding, *library)
    assert code == 0
    assert aligned["ref"] == str(folder / "copy.midi")
    assert aligned["others"][0]["accepted"]


def test_a_long_score_is_analysed_in_stretches(tmp_path, monkeypatch):
    midi(tmp_path / "a.mid", np.random.default_rng(1).integers(50, 80, 60).tolist())
    encoder = ScoreEncoder()
    whole, _ = analyse_score(str(tmp_path / "a.mid"), "0" * 64, encoder).vectors
    monkeypatch.setattr("retrieval.score_analysis._STRETCH", 70)
    pieces, _ = analyse_score(str(tmp_path / "a.mid"), "0" * 64, encoder).vectors
    assert pieces.values.shape == whole.values.shape
    assert np.einsum("ij,ij->i", pieces.values, whole.values)[:300].min() > 0.98
