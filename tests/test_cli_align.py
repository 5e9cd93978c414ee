"""`incipit align` keeps its contract: formats, exit codes, anchors, annotations, scores."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import soundfile
from demo_pieces import PIECES
from program import documents, incipit

import retrieval
from alignment import read_audio

RATE = 22050
PIECE = "beethoven-ode"
NEAR = 0.05


@pytest.fixture(scope="module")
def pair(music):
    return music.pair(PIECE)


@pytest.fixture(scope="module")
def silent(tmp_path_factory):
    path = tmp_path_factory.mktemp("silent") / "silent.wav"
    soundfile.write(path, np.zeros(3 * RATE), RATE)
    return path


@pytest.fixture(scope="module")
def score(tmp_path_factory):
    """The piece as a MIDI file in 4/4 at its tempo."""
    mido = pytest.importorskip("mido")
    piece = next(piece for piece in PIECES if piece.name == PIECE)
    events = [(note.onset, "note_on", note.pitch) for note in piece.notes]
    events += [(note.onset + note.duration, "note_off", note.pitch) for note in piece.notes]
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(piece.tempo))])
    now = 0
    for beat, kind, pitch in sorted(events, key=lambda event: (event[0], event[1] == "note_on")):
        ticks = round(beat * 480)
        track.append(mido.Message(kind, note=pitch, velocity=64, time=ticks - now))
        now = ticks
    file = mido.MidiFile(ticks_per_beat=480)
    file.tracks.append(track)
    path = tmp_path_factory.mktemp("score") / "ode.mid"
    file.save(path)
    return path


def median_error(found, true):
    return float(np.median(np.abs(np.array(found, float) - true)))


def test_align_prints_csv_and_writes_what_the_ending_says(pair, tmp_path):
    first, second = pair
    done = incipit("align", first.path, second.path)
    assert done.returncode == 0
    rows = [line.split(",") for line in done.stdout.splitlines()]
    assert rows[0] == ["ref", "other", "segment"]
    path = np.array(rows[1:], float)
    assert (np.diff(path[:, :2], axis=0) >= 0).all()
    assert median_error(np.interp(first.seconds, path[:, 0], path[:, 1]), second.seconds) < NEAR
    written = tmp_path / "path.json"
    assert incipit("align", first.path, second.path, "-o", written).stdout == ""
    document = json.loads(written.read_text())
    assert list(document) == ["ref", "others", "seconds"]
    assert document["ref"] == str(first.path)
    assert document["others"][0]["accepted"] is True


def test_align_takes_ids_of_the_library(collection, music):
    items = documents(incipit("list", "--library", collection.folder, "--json"))
    key = next(item["id"] for item in items if item["path"] == str(music.recorded[1].path))
    done = incipit("align", music.recorded[0].path, key, "--library", collection.folder, "--json")
    assert documents(done)[0]["others"][0]["path"] == str(music.recorded[1].path)


def test_two_works_are_exit_code_3_and_give_neither_annotations_nor_sound(music, tmp_path):
    labels, written, warped = (tmp_path / name for name in ("labels.csv", "out.csv", "out.wav"))
    labels.write_text("1.0,a\n")
    pair = (music.recorded[0].path, music.recorded[3].path)
    done = incipit("align", *pair, "--json", "--carry", labels, "-o", written, "--warp", warped)
    assert done.returncode == 3
    assert documents(done)[0]["others"][0]["accepted"] is False
    assert not written.exists()
    assert not warped.exists()


def test_align_prints_its_document_and_every_column_though_some_fail(music, tmp_path):
    first, second = (item.path for item in music.recorded[:2])
    done = incipit("align", first, second, "absent.wav", cwd=tmp_path)
    assert done.returncode == 1
    assert "incipit: absent.wav: no such file" in done.stderr
    rows = [line.split(",") for line in done.stdout.splitlines()]
    assert rows[0] == ["ref", str(second), str(tmp_path / "absent.wav")]
    assert all(row[2] == "" for row in rows[1:])
    done = incipit("align", first, "absent.wav", "--json", cwd=tmp_path)
    assert documents(done)[0]["others"][0]["error"] == "no such file"
    done = incipit("align", first, "absent.wav", "--format", "audacity", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")


def test_a_recording_beside_itself_is_the_identity(pair):
    first, _ = pair
    done = incipit("align", first.path, first.path, "-q")
    assert (done.returncode, done.stderr) == (0, "")
    path = np.array([line.split(",")[:2] for line in done.stdout.splitlines()[1:]], float)
    assert np.abs(path[:, 0] - path[:, 1]).max() < 0.03


def test_the_same_other_twice_has_two_columns(pair):
    first, second = pair
    rows = list(csv.reader(io.StringIO(incipit("align", first.path, second.path, second.path).stdout)))
    assert rows[0] == ["ref", str(second.path), str(second.path)]
    assert all(row[1] == row[2] for row in rows)


def test_the_summary_tells_what_stands_alone(pair, tmp_path):
    first, second = pair
    samples = read_audio(second.path).samples
    applause = np.random.default_rng(1).normal(0.0, 0.05, 8 * RATE).astype(np.float32)
    longer = tmp_path / "longer.wav"
    soundfile.write(longer, np.concatenate([np.zeros(5 * RATE, np.float32), samples, applause]), RATE)
    done = incipit("align", first.path, longer)
    assert done.returncode == 0
    assert "tuned" in done.stderr
    assert f"only in {longer}: 0:0" in done.stderr


def test_transposition_is_told(pair, tmp_path):
    first, second = pair
    soundfile.write(tmp_path / "faster.wav", read_audio(second.path).samples, round(RATE * 2 ** (2 / 12)))
    done = incipit("align", first.path, tmp_path / "faster.wav")
    assert "2 semitones higher" in done.stderr


def test_audacity_labels_by_the_ending(pair, tmp_path):
    first, second = pair
    written = tmp_path / "labels.txt"
    assert incipit("align", first.path, second.path, "-o", written).returncode == 0
    rows = [line.split("\t") for line in written.read_text().splitlines()]
    assert any(row[2].startswith("reference ") for row in rows)
    assert all(0.0 <= float(row[0]) <= float(row[1]) <= read_audio(second.path).duration + 1e-6 for row in rows)


def test_a_layer_counts_frames_of_the_others_file(pair, tmp_path):
    first, second = pair
    resampled = tmp_path / "second.wav"
    samples = read_audio(second.path, 48000).samples
    soundfile.write(resampled, samples, 48000)
    written = tmp_path / "path.svl"
    assert incipit("align", first.path, resampled, "-o", written).returncode == 0
    root = ET.fromstring(written.read_text())
    assert root.find("data/model").get("sampleRate") == "48000"
    points = [(int(point.get("frame")) / 48000, float(point.get("value"))) for point in root.iter("point")]
    other, ref = np.array(points).T
    assert median_error(np.interp(second.seconds, other, ref), first.seconds) < NEAR


def test_trackswitch_has_a_column_for_each(pair):
    first, second = pair
    done = incipit("align", first.path, second.path, "--format", "trackswitch")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == [first.path.stem, second.path.stem]
    ref, other = (np.array([float(row[name]) for row in rows]) for name in rows[0])
    assert median_error(np.interp(first.seconds, ref, other), second.seconds) < NEAR


@pytest.mark.parametrize("score_first", [True, False])
def test_measures_of_a_score_on_either_side(score, pair, score_first):
    first, second = pair
    sides = (score, first.path, second.path) if score_first else (first.path, score, second.path)
    done = incipit("align", *sides, "--format", "measures")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == ["measure", "beat", "ref", *map(str, sides[1:])]
    assert [row["measure"] for row in rows[:5]] == ["1", "1", "1", "1", "2"]
    beats = np.arange(len(rows), dtype=float)
    for performance, name in ((first, "ref" if not score_first else str(first.path)), (second, str(second.path))):
        known = {beat: float(rows[int(beat)][name]) for beat in beats if rows[int(beat)][name]}
        both = [beat for beat in performance.beats if beat in known]
        assert len(both) > 20
        true = np.interp(both, performance.beats, performance.seconds)
        assert median_error([known[beat] for beat in both], true) < 2 * NEAR


def test_labels_of_a_score_lie_on_the_recording_whichever_side_it_is(score, pair):
    first, _ = pair
    for sides in ((score, first.path), (first.path, score)):
        done = incipit("align", *sides, "--format", "audacity")
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        second_measure = next(float(row[0]) for row in rows if row[2] == "measure 2")
        assert second_measure == pytest.approx(np.interp(4.0, first.beats, first.seconds), abs=0.15)


def test_annotations_are_carried_to_where_they_sound(pair, tmp_path):
    first, second = pair
    inside = slice(2, -2)
    labels, written = tmp_path / "beats.csv", tmp_path / "carried.csv"
    labels.write_text("time,beat\n" + "".join(f"{time:.4f},{number}\n" for number, time in enumerate(first.seconds)))
    done = incipit("align", first.path, second.path, "--carry", labels, "-o", written)
    assert done.returncode == 0
    assert "annotations" in done.stderr
    carried = {int(row["beat"]): float(row["time"]) for row in csv.DictReader(io.StringIO(written.read_text()))}
    kept = np.arange(len(first.seconds))[inside]
    assert median_error([carried[number] for number in kept], second.seconds[inside]) < NEAR
    printed = incipit("align", first.path, second.path, "--carry", labels)
    assert printed.stdout == written.read_text()


def test_anchors_draw_the_path_through_themselves(pair):
    first, second = pair
    ref, other = float(first.seconds[20]), float(second.seconds[20])
    done = incipit("align", first.path, second.path, "--anchor", f"0:{ref:05.2f}={other + 0.4:.2f}")
    assert done.returncode == 0, done.stderr
    path = np.array([line.split(",")[:2] for line in done.stdout.splitlines()[1:]], float)
    assert np.interp(ref, path[:, 0], path[:, 1]) == pytest.approx(other + 0.4, abs=0.05)


def test_an_anchor_where_nothing_corresponds_is_told(pair, tmp_path):
    first, second = pair
    sound, rate = soundfile.read(second.path)
    later = tmp_path / "later.wav"
    soundfile.write(later, np.concatenate([np.zeros(5 * rate), sound]), rate)
    met = f"{first.seconds[20]}={second.seconds[20] + 5.0}"
    done = incipit("align", first.path, later, "--anchor", "0=1", "--anchor", met)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("misses the anchor") == 1
    assert "misses the anchor 0:00.0=0:01.0" in done.stderr


def test_a_band_holds_the_path(pair):
    first, second = pair
    done = incipit("align", first.path, second.path, "--band", "20")
    assert done.returncode == 0, done.stderr
    path = np.array([line.split(",")[:2] for line in done.stdout.splitlines()[1:]], float)
    assert median_error(np.interp(first.seconds, path[:, 0], path[:, 1]), second.seconds) < NEAR


def test_warping_gives_the_other_the_timing_of_the_reference(pair, tmp_path):
    first, second = pair
    warped = tmp_path / "warped.wav"
    assert incipit("align", first.path, second.path, "--warp", warped).returncode == 0
    assert soundfile.info(warped).duration == pytest.approx(read_audio(first.path).duration, abs=0.01)
    again = incipit("align", first.path, warped)
    path = np.array([line.split(",")[:2] for line in again.stdout.splitlines()[1:]], float)
    assert median_error(np.interp(first.seconds, path[:, 0], path[:, 1]), first.seconds) < NEAR


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--anchor", "1:02"], "'1:02' is not REF=OTHER"),
        (["--anchor", "soon=1"], "'soon' is not a time"),
        (["--anchor", "2=3", "--anchor", "4=3"], "must rise on both sides"),
        (["--anchor", "1=99:00"], "is not within"),
        (["--band", "0"], "--band"),
        (["--format", "measures"], "wants a score"),
        (["--format", "nonsense"], "nonsense"),
        (["-o", "nowhere/x.csv"], "there is no folder nowhere"),
        (["--warp", "nowhere/x.wav"], "there is no folder nowhere"),
        (["--warp", "x.doc"], "written as wav"),
        (["--carry", "labels.csv", "--format", "csv"], "own format"),
        (["--carry", "labels.csv", "--json"], "own format"),
        (["--carry", "labels.csv", "-o", "labels.csv"], "would be overwritten"),
        (["-o", "one.wav", "--warp", "./one.wav"], "is that of -o, too"),
        (["-o", "-"], "'-' is no file"),
    ],
)
def test_misuse_is_exit_code_2_and_told_in_words(options, says, pair, tmp_path):
    first, second = pair
    (tmp_path / "labels.csv").write_text("1.0,a\n")
    done = incipit("align", first.path, second.path, *options, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    told = " ".join(line.strip("│╭╰─╮╯ ") for line in done.stderr.splitlines())
    assert says in told
    assert (tmp_path / "labels.csv").read_text() == "1.0,a\n"


def test_files_are_written_though_nobody_reads_what_is_printed(pair, tmp_path):
    first, second = (f"'{item.path}'" for item in pair)
    command = f"{sys.executable} -m retrieval.cli align {first} {second} --json -q -o path.csv --warp warped.wav | true"
    root = str(Path(retrieval.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert (tmp_path / "path.csv").read_text().startswith("ref,other")
    assert (tmp_path / "warped.wav").exists()


@pytest.mark.parametrize(
    "options", [["--warp", "x.wav"], ["--carry", "labels.csv"], ["--anchor", "1=1"], ["--format", "audacity"]]
)
def test_what_is_for_one_other_is_misuse_with_two(options, pair, tmp_path):
    (tmp_path / "labels.csv").write_text("1.0,a\n")
    done = incipit("align", *(item.path for item in pair), pair[0].path, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert "is for one OTHER" in done.stderr


def test_the_reference_is_not_written_over(pair, tmp_path):
    copy = tmp_path / "ref.wav"
    soundfile.write(copy, read_audio(pair[0].path).samples, RATE)
    before = copy.read_bytes()
    assert incipit("align", copy, pair[1].path, "--warp", copy).returncode == 2
    assert copy.read_bytes() == before


@pytest.mark.parametrize(("name", "text"), [("absent.csv", None), ("empty.csv", ""), ("bad.srt", "1\n0 --> x\na\n")])
def test_annotations_that_cannot_be_read_are_a_failure(name, text, pair, tmp_path):
    if text is not None:
        (tmp_path / name).write_text(text)
    done = incipit("align", *(item.path for item in pair), "--carry", tmp_path / name)
    assert done.returncode == 1
    assert name in done.stderr
    assert done.stdout == ""


def test_silence_is_not_taken_for_music(pair, silent):
    done = incipit("align", pair[0].path, silent, "--format", "audacity")
    assert done.returncode == 3


def test_a_score_that_is_none_is_a_failure_of_that_other(pair, tmp_path):
    (tmp_path / "bad.mid").write_text("no score")
    done = incipit("align", pair[0].path, tmp_path / "bad.mid", pair[1].path, "--json")
    assert done.returncode == 1
    others = documents(done)[0]["others"]
    assert "error" in others[0]
    assert others[1]["accepted"] is True
