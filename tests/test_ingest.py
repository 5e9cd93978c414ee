"""Indexing is incremental, resumable, and survives bad files."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile

from index import Library
from index.errors import LibraryDamaged
from retrieval import Collection
from retrieval.discovery import discover
from retrieval.encoders import Encoders
from retrieval.ingest import ingest

RATE = 22050


@pytest.fixture
def folder(tmp_path, music):
    made = tmp_path / "music"
    made.mkdir()
    for item in music.recorded[:3]:
        samples, rate = soundfile.read(item.path, stop=6 * RATE)
        soundfile.write(made / item.path.name, samples, rate)
    return made


def counts(report):
    return report.added, report.updated, report.unchanged, report.moved, report.missing, len(report.failed)


def test_a_second_run_decodes_nothing(tmp_path, folder):
    collection = Collection(tmp_path / "lib")
    assert counts(collection.add(folder)) == (3, 0, 0, 0, 0, 0)
    again = collection.add(folder)
    assert counts(again) == (0, 0, 3, 0, 0, 0)
    assert again.audio_seconds == 0


def test_touched_moved_changed_copied_and_gone_files(tmp_path, folder):
    collection = Collection(tmp_path / "lib")
    collection.add(folder)
    first, second, third = sorted(folder.iterdir())
    os.utime(first, (1, 1))
    second.rename(folder / "renamed.flac")
    shutil.copy(first, folder / "copy.flac")
    soundfile.write(third, 0.1 * np.random.default_rng(0).standard_normal(3 * RATE), RATE)
    report = collection.add(folder)
    assert counts(report) == (0, 1, 2, 1, 0, 0)
    with Library(collection.folder) as library:
        assert len(library) == 3
        assert len(library.recording_at(str(first)).files) == 2
    first.unlink()
    (folder / "copy.flac").unlink()
    assert collection.add(folder).missing == 2
    with Library(collection.folder) as library:
        assert len(library) == 3
    collection.add(folder, prune=True)
    with Library(collection.folder) as library:
        assert len(library) == 2


@pytest.mark.parametrize("order", [(1, 2, 3), (1, 0, 2), (2, 0, 1)], ids=["numbered anew", "swapped", "in turn"])
def test_files_that_change_places_keep_their_works(tmp_path, folder, order):
    collection = Collection(tmp_path / "lib")
    files = sorted(folder.iterdir())
    collection.add(folder)
    with Library(collection.folder, write=True) as library:
        names = {library.recording_at(str(file)).key: file.name for file in files}
        for recording in library.recordings():
            library.works.name(library.works.merge([recording]), names[recording.key])
    for number, file in enumerate(files):
        file.rename(folder / f"{number}.part")
    places = [*files, folder / "last.wav"]
    for number, place in enumerate(order):
        (folder / f"{number}.part").rename(places[place])
    if not files[0].exists():
        soundfile.write(files[0], np.sin(np.arange(5 * RATE) / 50), RATE)
    report = collection.add(folder)
    assert report.failed == []
    with Library(collection.folder) as library:
        for number, place in enumerate(order):
            recording = library.recording_at(str(places[place]))
            assert names[recording.key] == files[number].name
            assert recording.work.name == files[number].name
            assert len(recording.files) == 1


def test_bad_files_fail_by_name_and_the_rest_is_taken(tmp_path, folder):
    (folder / "text.mp3").write_text("not music")
    (folder / "empty.wav").write_bytes(b"")
    soundfile.write(folder / "short.wav", np.full(RATE // 3, 0.1), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(5 * RATE), RATE)
    (folder / "notes.txt").write_text("not tried")
    (folder / ".hidden.wav").write_bytes(b"x")
    report = Collection(tmp_path / "lib").add(folder, folder / "absent.wav")
    assert report.added == 5
    assert report.skipped == 2
    failed = {Path(path).name: cause for path, cause in report.failed}
    assert failed["text.mp3"].startswith("is not audio in a known format")
    assert failed["empty.wav"] == "the file is empty"
    assert failed["absent.wav"] == "no such file or folder"
    with Library(tmp_path / "lib") as library:
        flags = {Path(r.files[0].path).name: r.flags for r in library.recordings()}
    assert flags["short.wav"] == ["short"]
    assert flags["silent.wav"] == ["silent"]


def failures(collection):
    with Library(collection.folder) as library:
        return {Path(failure.path).name: failure.error for failure in library.failures()}


def test_what_failed_is_known_until_it_is_taken_in_or_gone(tmp_path, folder):
    collection = Collection(tmp_path / "lib")
    good, second, _ = sorted(folder.iterdir())
    strange = os.fsdecode(b"\xff.wav")
    for name in ("text.mp3", "mended.wav", "removed.wav", "passed-over.wav", strange):
        (folder / name).write_bytes(b"not music: " + os.fsencode(name))
    (elsewhere := tmp_path / "elsewhere.wav").write_bytes(b"")
    before = datetime.now(UTC)
    report = collection.add(folder, elsewhere, folder / "absent.wav")
    there = {Path(path).name: cause for path, cause in report.failed if os.path.lexists(path)}
    assert len(there) == 6
    assert failures(collection) == there
    with Library(collection.folder) as library:
        assert all(before <= failure.time <= datetime.now(UTC) for failure in library.failures())
    shutil.copy(good, folder / "mended.wav")
    (folder / "removed.wav").unlink()
    state, content = second.stat(), second.read_bytes()
    second.write_bytes(b"")
    collection.add(folder, exclude=["passed-over*"])
    assert set(failures(collection)) == {"text.mp3", strange, second.name, "elsewhere.wav"}
    second.write_bytes(content)
    os.utime(second, ns=(state.st_atime_ns, state.st_mtime_ns))
    elsewhere.unlink()
    assert collection.add(second).unchanged == 1
    assert set(failures(collection)) == {"text.mp3", strange}


def test_what_lies_where_nobody_may_look_is_neither_missing_nor_forgotten(tmp_path, folder, monkeypatch):
    collection = Collection(tmp_path / "lib")
    collection.add(folder)
    hidden = str(sorted(folder.iterdir())[0])
    looked = os.lstat

    def refusing(path, *more, **options):
        if os.fspath(path) in (hidden, "/secret/x.wav"):
            raise PermissionError(13, "Permission denied", path)
        return looked(path, *more, **options)

    monkeypatch.setattr(os, "lstat", refusing)
    monkeypatch.setattr("retrieval.discovery._walk", lambda *_: iter(map(str, sorted(folder.iterdir())[1:])))
    report = collection.add(folder, "/secret/x.wav", prune=True)
    assert report.missing == 0
    assert report.failed == [("/secret/x.wav", "Permission denied")]
    with Library(collection.folder) as library:
        assert hidden in library.files()


class Interrupting:
    """Presses Ctrl-C after the first file."""

    def planned(self, files):
        self.files = files

    def finished(self, path, error, warnings):
        raise KeyboardInterrupt


def test_an_interrupted_run_keeps_what_it_had_and_goes_on(tmp_path, folder):
    collection = Collection(tmp_path / "lib")
    with pytest.raises(KeyboardInterrupt):
        collection.add(folder, watcher=Interrupting(), jobs=1)
    with Library(collection.folder) as library:
        assert len(library) == 1
    assert counts(collection.add(folder)) == (2, 0, 1, 0, 0, 0)


def test_a_newer_model_refills_what_an_older_one_left(tmp_path, folder, collection):
    made = Collection(tmp_path / "lib")
    with Library(made.folder, write=True) as library:
        ingest(library, other_model(collection.encoders), [str(folder)], Checking())
    report = made.add(folder)
    assert counts(report) == (0, 3, 0, 0, 0, 0)
    clip, _ = soundfile.read(sorted(folder.iterdir())[0], dtype="float32", start=RATE, frames=4 * RATE)
    soundfile.write(tmp_path / "clip.wav", clip, RATE)
    assert made.query(tmp_path / "clip.wav")[0].path == str(sorted(folder.iterdir())[0])


def other_model(encoders):
    """The same encoders, whose fingerprints are of a model by another hash."""

    class Other:
        encode = encoders.fingerprint.encode
        model = type(encoders.fingerprint.model)("fingerprint", "0" * 64, encoders.fingerprint.model.format)

    return Encoders(Other(), encoders.versions)


class Checking:
    """Sees every file go well."""

    def planned(self, files):
        assert files == 3

    def finished(self, path, error, warnings):
        assert error is None


def test_link_loops_end_and_excluded_files_are_passed_over(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "loop").symlink_to(tmp_path / "a")
    for name in ("one.wav", "two.MP3", "live podcast.flac"):
        (tmp_path / "a" / "b" / name).write_bytes(b"x")
    (tmp_path / "a" / "excluded").mkdir()
    (tmp_path / "a" / "excluded" / "three.wav").write_bytes(b"x")
    (tmp_path / "outside.wav").write_bytes(b"x")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    found = discover([str(tmp_path / "a"), str(tmp_path / "a" / "b" / "one.wav")], ["*podcast*", "*/a/excluded"])
    assert [Path(path).name for path in found.files] == ["one.wav", "two.MP3"]
    assert found.skipped == 1


def retagged(path, number, place):
    """Another file with the sound of one, as where a tag was written; at a place."""
    samples, rate = soundfile.read(path)
    if place != path:
        path.unlink()
    with soundfile.SoundFile(place, "w", rate, 1, "PCM_16") as file:
        file.title = f"title {number}"
        file.write(samples)


def confirmed(collection):
    """The name of the work that the user put each file to."""
    with Library(collection.folder) as library:
        return {
            Path(file.path).name: recording.work.name
            for recording in library.recordings()
            for file in recording.files
            if recording.work_confirmed and not file.missing
        }


@pytest.fixture
def named(tmp_path, folder):
    """A library whose first file the user put to a work."""
    collection = Collection(tmp_path / "lib")
    collection.add(folder)
    with Library(collection.folder, write=True) as library:
        first = library.recording_at(str(sorted(folder.iterdir())[0]))
        library.works.name(library.works.merge([first]), "Named")
    return collection


def test_other_sound_of_the_same_length_does_not_take_the_work_of_what_it_replaces(named, folder):
    first, second, _ = sorted(folder.iterdir())
    retagged(first, 1, first)
    named.add(folder)
    assert confirmed(named) == {first.name: "Named"}
    first.rename(folder / "kept.part")
    second.rename(first)
    (folder / "kept.part").rename(second)
    named.add(folder)
    assert confirmed(named) == {second.name: "Named"}
    second.unlink()
    shutil.copy(folder / sorted(folder.iterdir())[-1].name, second)
    soundfile.write(second, np.random.default_rng(0).normal(0, 0.1, 6 * RATE), RATE)
    named.add(folder)
    assert confirmed(named) == {}


def test_what_was_renamed_and_retagged_keeps_its_work_over_an_interruption(named, folder, monkeypatch):
    first = sorted(folder.iterdir())[0]
    retagged(first, 2, folder / "renamed.flac")
    with monkeypatch.context() as patch:
        patch.setattr("retrieval.ingest._pass_on_works", interrupted)
        with pytest.raises(KeyboardInterrupt):
            named.add(folder)
    assert "renamed.flac" not in confirmed(named)
    named.add(folder)
    assert confirmed(named) == {"renamed.flac": "Named"}


def interrupted(*_):
    raise KeyboardInterrupt


def test_files_that_change_places_while_the_model_changes_keep_their_works(named, folder, collection):
    first, second, _ = sorted(folder.iterdir())
    first.rename(folder / "kept.part")
    second.rename(first)
    (folder / "kept.part").rename(second)
    with Library(named.folder, write=True) as library:
        assert ingest(library, other_model(collection.encoders), [str(folder)], Checking()).updated == 3
        assert library.count_pending([other_model(collection.encoders).fingerprint.model]) == 0
    assert confirmed(named) == {second.name: "Named"}


def test_vectors_that_were_lost_are_made_again(named, folder, collection):
    files = sorted((named.folder / "vectors").iterdir())
    for number, file in enumerate(files):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]) if number % 2 else file.unlink()
    with Library(named.folder) as library:
        assert len(library.damage()) == len(files)
    report = named.add(folder)
    assert report.updated > 0
    with Library(named.folder) as library:
        assert library.damage() == []
        assert library.count_pending(collection.encoders.models) == 0
    for path in sorted(folder.iterdir()):
        hits = named.query(path)
        assert hits[0].path == str(path)
        assert hits[0].accepted
    assert list(confirmed(named).values()) == ["Named"]


def test_a_library_whose_database_is_gone_is_not_written_over(named, folder):
    (named.folder / "library.sqlite").write_bytes(b"")
    before = {file: file.read_bytes() for file in (named.folder / "vectors").iterdir()}
    with pytest.raises(LibraryDamaged, match="put it back, or remove"):
        named.add(folder)
    assert {file: file.read_bytes() for file in (named.folder / "vectors").iterdir()} == before
