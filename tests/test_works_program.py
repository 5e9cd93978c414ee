"""`incipit index` puts versions to works and aligns them; by `incipit works` users say what belongs together."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from cover_sets import Noting
from program import documents, incipit

from alignment import Segment, Synchronisation, WarpingPath, read_audio, synchronise
from index import FileState, Library
from retrieval import Collection
from retrieval.cli.app import app
from retrieval.kept_alignment import alignment_method, from_kept, to_kept
from retrieval.sides import kept_alignment
from retrieval.work_upkeep import align_works


@pytest.fixture
def talking(monkeypatch):
    """What decoders print is not hushed: it would take stderr from pytest."""
    for verb in ("indexing", "works"):
        monkeypatch.setattr(f"retrieval.cli.{verb}.hush_decoders", lambda: None)


@pytest.fixture(scope="module")
def performances(music, tmp_path_factory):
    """Library of two performances of a piece and one of another, as `incipit index --no-works` leaves it."""
    paths = [str(item.path) for item in music.recorded[:3]]
    folder = tmp_path_factory.mktemp("works") / "lib"
    collection = Collection(folder)
    for path in paths:
        collection.add(path, works=False)
    return folder, paths


@pytest.fixture
def fresh(performances, tmp_path):
    """A copy of that library, and its recordings' paths."""
    shutil.copytree(performances[0], tmp_path / "lib")
    return tmp_path / "lib", performances[1]


def run(*arguments):
    """The exit code of the program, run in this process."""
    try:
        return app([str(argument) for argument in arguments], standalone_mode=False) or 0
    except Exception as error:
        if not hasattr(error, "exit_code"):
            raise
        return error.exit_code


def shown(capsys, *arguments):
    capsys.readouterr()
    assert run("works", *arguments, "--json") == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_indexing_groups_what_is_new_and_aligns_it(fresh, talking, music, capsys):
    folder, (first, second, third) = fresh
    assert run("works", "--library", folder) == 3
    assert run("index", first, second, third, "--library", folder, "--no-works") == 0
    assert run("works", "--library", folder) == 3
    assert run("index", first, second, third, "--library", folder) == 0
    assert "2 recordings sorted into works" in capsys.readouterr().err
    (work,) = shown(capsys, "--library", folder)
    assert list(work) == ["id", "name", "confirmed", "recordings", "scores"]
    assert (work["name"], work["confirmed"]) == (None, False)
    assert [recording["path"] for recording in work["recordings"]] == [first, second]
    assert list(work["recordings"][0]) == ["id", "path", "title", "artist", "duration", "confirmed"]
    with Library(folder) as library:
        ref, other, _ = library.recordings()
        kept = from_kept(library.alignments.get(ref, other, alignment_method()))
    direct = synchronise(read_audio(first), read_audio(second))
    assert kept.accepted
    assert [part.kind for part in kept.segments] == [part.kind for part in direct.segments]
    times = np.linspace(direct.path.ref[0], direct.path.ref[-1], 500)
    assert np.abs(kept.path.map(times) - direct.path.map(times)).max() < 0.002
    assert len(kept.path) < len(direct.path)
    assert run("index", first, "--library", folder) == 0
    assert "sorted" not in capsys.readouterr().err


def test_what_was_aligned_is_not_computed_again(fresh, talking, monkeypatch):
    folder, (first, second, third) = fresh
    Collection(folder).group()
    computed = documents(incipit("align", first, second, "--library", "nowhere", "--json"))[0]
    kept = documents(incipit("align", first, second, "--library", folder, "--json"))[0]
    (one,), (two,) = kept["others"], computed["others"]
    assert (one["accepted"], one["path"]) == (True, second)
    assert [part["kind"] for part in one["segments"]] == [part["kind"] for part in two["segments"]]
    paths = [np.array(document["segments"][0]["warping_path"]) for document in (one, two)]
    times = np.linspace(*paths[0][[0, -1], 0], 200)
    assert np.abs(np.subtract(*[np.interp(times, *path.T) for path in paths])).max() < 0.003
    with Library(folder, write=True) as library:
        items = library.recording_at(first), library.recording_at(second)
        told_apart = replace(library.alignments.get(*items, alignment_method()), tuning_cents=12.0)
        library.alignments.put(*items, alignment_method(), told_apart)
    (shown_as_kept,) = documents(incipit("align", first, second, "--library", folder, "--json"))
    assert shown_as_kept["others"][0]["tuning_cents"] == 12.0 != two["tuning_cents"]
    monkeypatch.setattr("retrieval.kept_alignment._VERSION", 0)
    alignment_method.cache_clear()
    with Library(folder) as library:
        assert library.alignments.pairs(alignment_method()) == set()
    monkeypatch.undo()
    alignment_method.cache_clear()
    assert kept_alignment(first, second, folder)
    assert kept_alignment(second, first, folder) is None
    assert kept_alignment(first, third, folder) is None
    with Library(folder, write=True) as library:
        library.put_files([(library.recording_at(second), FileState(second, 1, 1))])
    assert kept_alignment(first, second, folder) is None
    (folder / "library.sqlite").write_bytes(b"junk")
    assert kept_alignment(first, second, folder) is None


def test_hits_and_lists_tell_the_work(fresh, talking, capsys):
    folder, (first, _, third) = fresh
    collection = Collection(folder)
    collection.group()
    with Library(folder, write=True) as library:
        work = library.works.all()[0]
        assert collection.query(first)[0].work == work.key
        library.works.name(work, "Moonlight")
    assert collection.query(first)[0].work == "Moonlight"
    assert collection.query(third)[0].work is None
    capsys.readouterr()
    assert run("list", "--json", "--library", folder) == 0
    listed = {item["path"]: item["work"] for item in map(json.loads, capsys.readouterr().out.splitlines())}
    assert (listed[first], listed[third]) == ("Moonlight", None)


def test_users_name_confirm_split_and_merge(fresh, talking, capsys):
    folder, (first, second, third) = fresh
    assert run("works", "group", "--library", folder) == 0
    (work,) = shown(capsys, "--library", folder)
    (named,) = shown(capsys, "name", work["id"], "Moonlight", "--library", folder)
    assert (named["name"], named["confirmed"]) == ("Moonlight", True)
    left, gone = shown(capsys, "split", "moonlight", second, "--library", folder)
    assert [[item["path"] for item in part["recordings"]] for part in (left, gone)] == [[first], [second]]
    assert run("works", "group", "--library", folder) == 0
    assert shown(capsys, "--library", folder) == [left, gone]
    (merged,) = shown(capsys, "merge", gone["id"], third, "Moonlight", "--library", folder)
    assert (merged["id"], merged["name"]) == (gone["id"], "Moonlight")
    assert [item["path"] for item in merged["recordings"]] == [first, second, third]
    assert shown(capsys, "confirm", "Moonlight", "--library", folder) == [merged]


@pytest.mark.parametrize("verb", ["group", "name", "confirm", "merge", "split"])
def test_help_of_every_part_of_works_has_an_example(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        app(["works", verb, "--help"])
    assert ended.value.code == 0
    assert f"Example: incipit works {verb}" in capsys.readouterr().out


def test_misuse_of_works_and_failures_are_told_apart(fresh, capsys):
    folder, (first, *_) = fresh
    for arguments in (["merge", "one"], ["name", "one"], ["split", "one"], ["nonsense"]):
        assert run("works", *arguments, "--library", folder) == 2
    assert run("works", "--json", "name", "one", "two", "--library", folder) == 2
    done = incipit("works", "confirm", "one", "--library", folder)
    assert (done.returncode, done.stderr) == (1, "incipit: one: is no work of the library\n")
    done = incipit("works", "merge", first, "absent", "--library", folder)
    assert (done.returncode, done.stderr) == (1, "incipit: absent: is no work of the library\n")
    assert incipit("works", "name", "one", "two", "--library", "nowhere", cwd=folder).returncode == 2
    assert incipit("works", "--library", "nowhere", cwd=folder).returncode == 2


def test_indexing_goes_on_where_works_fail(fresh, monkeypatch, talking, capsys):
    def failing(*_):
        raise ValueError("no model")

    monkeypatch.setattr("retrieval.collection.VersionSearch", failing)
    assert run("index", fresh[1][0], "--library", fresh[0]) == 1
    assert "works are not up to date (ValueError: no model)" in capsys.readouterr().err


def test_files_that_are_gone_or_changed_are_not_aligned(fresh, tmp_path):
    folder, (_, second, _) = fresh
    shutil.copy(second, tmp_path / "changing-b.flac")
    with Library(folder, write=True) as library:
        one, two, other = library.recordings()
        library.put_files([(two, FileState(str(tmp_path / "changing-b.flac"), 1, 1))])
        library.drop_file(second)
        library.works.merge([one, two, other])
        progress = Noting()
        align_works(library, progress)
        assert progress.said == []
        assert library.alignments.pairs(alignment_method()) == {(one.id, other.id)}
        assert not library.alignments.get(one, other, alignment_method()).accepted
        assert library.alignments.get(one, other, "another method") is None
        library.remove(other)
        assert library.alignments.pairs(alignment_method()) == set()


def test_an_alignment_is_kept_with_all_its_segments(fresh):
    path = WarpingPath(np.arange(50) / 10, np.arange(50) / 10 + np.sin(np.arange(50)) / 100)
    rising = np.linspace(0.0, 1.0, 50)
    match = Segment("match", (0.0, 4.9), (float(path.other[0]), float(path.other[-1])), path, rising, rising / 10)
    whole = Synchronisation((match, Segment.alone("only_ref", 4.9, 9.0)), True, 0.9, -2, 12.5)
    with Library(fresh[0], write=True) as library:
        one, other, _ = library.recordings()
        library.alignments.put(one, other, "first", to_kept(whole))
        library.alignments.put(one, other, "second", to_kept(whole))
        assert library.alignments.get(one, other, "first") is None
        kept = from_kept(library.alignments.get(one, other, "second"))
    assert (kept.accepted, kept.confidence, kept.transposition, kept.tuning_cents) == (True, 0.9, -2, 12.5)
    assert [(part.kind, part.ref) for part in kept.segments] == [("match", (0.0, 4.9)), ("only_ref", (4.9, 9.0))]
    thin = path.thin()
    assert np.allclose(kept.segments[0].confidence, rising[thin])
    assert np.allclose(kept.segments[0].interval, rising[thin] / 10)
    assert np.allclose(kept.path.other, path.other[thin], atol=1e-6)


def test_a_file_with_other_tags_and_another_name_stays_where_the_user_put_it(music, tmp_path):
    sounds = [soundfile.read(item.path) for item in music.recorded[:3]]
    folder = tmp_path / "music"
    folder.mkdir()
    for number, (samples, rate) in enumerate(sounds):
        soundfile.write(folder / f"{number}.flac", samples, rate)
    collection = Collection(tmp_path / "lib")
    collection.add(folder, works=False)
    with Library(tmp_path / "lib", write=True) as library:
        kept = library.works.merge([library.recording_at(str(folder / f"{number}.flac")) for number in (0, 2)])
        library.works.name(kept, "Recital")
    (folder / "2.flac").unlink()
    with soundfile.SoundFile(folder / "renamed.flac", "w", sounds[2][1], 1) as file:
        file.title = "With a title"
        file.write(sounds[2][0])
    report = collection.add(folder, prune=True, works=False)
    assert (report.added, report.missing) == (1, 1)
    with Library(tmp_path / "lib") as library:
        (work,) = library.works.all()
        assert work.label == "Recital"
        assert {(item.path, item.work_confirmed) for item in work.items} == {
            (str(folder / name), True) for name in ("0.flac", "renamed.flac")
        }
