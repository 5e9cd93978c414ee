"""The library keeps what it promised through crashes, removals and older models."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from index import FileState, Library, Model, NewRecording, VectorFormat, Vectors
from index.errors import LibraryDamaged, LibraryLocked, LibraryMissing, LibraryReadOnly, ModelMissing
from index.spec import IndexSpec

MODEL = Model("test", "a" * 64, VectorFormat(8, "int8", 127.0))
NEWER = Model("test", "b" * 64, VectorFormat(8, "int8", 127.0))


def vectors(number, count=5, model=MODEL):
    values = np.random.default_rng(number).uniform(-1, 1, (count, 8)).astype(np.float32)
    return Vectors(model, values, 0.5)


def add(library, number, count=5, model=MODEL, path=None):
    recording = NewRecording(f"{number:012x}" + "0" * 52, duration=10.0 + number, title=f"Title {number}")
    file = FileState(path or f"/music/{number}.wav", 100 + number, 1000 + number)
    return library.add(recording, file, [vectors(number, count, model)])


def stored(library, model=MODEL):
    runs = library.runs(model)
    return {int(runs.items[i]): runs.vectors(i) for i in range(len(runs))}


def test_what_is_added_is_there_after_reopening(tmp_path):
    with Library(tmp_path / "lib", write=True) as library:
        for number in range(4):
            add(library, number, count=number)
    with Library(tmp_path / "lib") as library:
        assert [recording.title for recording in library.recordings()] == [f"Title {n}" for n in range(4)]
        assert [file.path for r in library.recordings() for file in r.files] == [f"/music/{n}.wav" for n in range(4)]
        for id, values in stored(library).items():
            assert np.allclose(values, vectors(id - 1, id - 1).values, atol=0.005)
        assert library.damage() == []


def test_vector_numbers_become_recordings_and_seconds(tmp_path):
    with Library(tmp_path, write=True) as library:
        ids = [add(library, number, count).id for number, count in enumerate((3, 0, 4))]
        runs = library.runs(MODEL)
        position, seconds = runs.locate(np.array([0, 2, 3, 6]))
        assert runs.items[position].tolist() == [ids[0], ids[0], ids[2], ids[2]]
        assert seconds.tolist() == [0.0, 1.0, 0.0, 1.5]


def test_bytes_of_an_uncommitted_item_are_dropped(tmp_path):
    with Library(tmp_path, write=True) as library:
        add(library, 0)
    shard = next((tmp_path / "vectors").iterdir())
    with shard.open("ab") as handle:
        handle.write(b"orphans of a crash")
    with Library(tmp_path, write=True) as library:
        add(library, 1)
        found = stored(library)
        assert np.allclose(found[2], vectors(1).values, atol=0.005)
    assert shard.stat().st_size == 2 * 5 * 8


def test_a_writer_killed_in_the_middle_leaves_item_or_nothing(tmp_path):
    script = textwrap.dedent(
        """
        import os, sys
        sys.path[:0] = [%r]
        from test_library import *
        import index.library
        def die(*_):
            os._exit(9)
        with Library(sys.argv[1], write=True) as library:
            add(library, 0)
            library._session.commit = die
            add(library, 1)
        """
    ) % str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode == 9
    with Library(tmp_path, write=True) as library:
        assert [recording.title for recording in library.recordings()] == ["Title 0"]
        add(library, 2)
        assert np.allclose(stored(library)[2], vectors(2).values, atol=0.005)
        assert library.damage() == []


def test_removed_recordings_are_gone_and_their_numbers_not_used_again(tmp_path):
    with Library(tmp_path, write=True) as library:
        add(library, 0)
        last = add(library, 1)
        library.remove(last)
        assert len(library) == 1
        add(library, 2)
        runs = library.runs(MODEL)
        assert runs.first.tolist() == [0, 10]
        assert np.allclose(runs.vectors(1), vectors(2).values, atol=0.005)


def test_one_content_at_two_paths_is_one_recording(tmp_path):
    with Library(tmp_path, write=True) as library:
        recording = add(library, 0)
        library.put_files([(recording, FileState("/elsewhere/copy.wav", 1, 2))])
        assert len(library) == 1
        assert library.recording_at("/elsewhere/copy.wav").key == recording.key
        library.drop_file("/music/0.wav")
        assert len(library) == 1
        library.drop_file("/elsewhere/copy.wav")
        assert len(library) == 0


def test_vectors_of_an_older_model_do_not_mix_and_are_counted_as_pending(tmp_path):
    with Library(tmp_path, write=True) as library:
        add(library, 0)
        add(library, 1)
        assert [recording.title for recording in library.pending([NEWER])] == ["Title 0", "Title 1"]
        with pytest.raises(ModelMissing, match="incipit index"):
            library.runs(NEWER)
        add(library, 0, model=NEWER)
        assert len(library) == 2
        assert len(library.runs(NEWER)) == 1
        assert [recording.title for recording in library.pending([NEWER])] == ["Title 1"]
        assert (library.count_pending([NEWER]), library.count_pending([])) == (1, 0)


def test_names_that_are_not_utf8_survive(tmp_path):
    path = os.fsdecode(b"/music/caf\xe9 'a' \"b\"\n.wav")
    with Library(tmp_path, write=True) as library:
        add(library, 0, path=path)
    with Library(tmp_path) as library:
        assert library.recordings()[0].files[0].path == path


def test_what_is_told_of_recordings_is_what_their_rows_say(tmp_path):
    with Library(tmp_path, write=True) as library:
        moved, odd, alone = add(library, 0), add(library, 1, path=os.fsdecode(b"/music/caf\xe9.wav")), add(library, 2)
        library.put_files([(moved, FileState("/music/there.wav", 1, 1))])
        library.set_missing(["/music/0.wav"])
        library.works.merge([moved, odd])
        told = library.told_recordings([moved.id, odd.id, alone.id, 99])
        assert set(told) == {moved.id, odd.id, alone.id}
        assert told[moved.id].path == "/music/there.wav"
        for row in (moved, odd, alone):
            work = row.work and row.work.label
            assert told[row.id] == (row.key, row.path, row.title, work, row.duration)


def test_a_second_writer_is_told_who_the_first_is(tmp_path):
    with Library(tmp_path, write=True) as library:
        add(library, 0)
        script = f"from index import Library; Library({str(tmp_path)!r}, write=True)"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert f"is being written by process {os.getpid()}" in done.stderr
        with Library(tmp_path) as reader:
            assert len(reader) == 1
    with pytest.raises(LibraryLocked), Library(tmp_path, write=True), Library(tmp_path, write=True):
        pass


def test_reading_while_another_connection_writes(tmp_path):
    with Library(tmp_path, write=True) as writer:
        add(writer, 0)
        with Library(tmp_path) as reader:
            assert len(reader) == 1
            reader._session.rollback()
            add(writer, 1)
            assert len(reader) == 2


def test_missing_damaged_and_read_only_libraries_say_so(tmp_path):
    with pytest.raises(LibraryMissing, match="there is no library here"):
        Library(tmp_path / "nothing")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "library.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(LibraryDamaged, match="library.sqlite"):
        Library(damaged)
    kept = tmp_path / "kept"
    with Library(kept, write=True) as library:
        add(library, 0)
    kept.chmod(0o555)
    try:
        with pytest.raises(LibraryReadOnly, match="read-only"):
            Library(kept, write=True)
        with Library(kept) as library:
            assert len(library) == 1
    finally:
        kept.chmod(0o755)


def test_damage_in_the_middle_of_the_database_is_said_in_one_error(tmp_path):
    with Library(tmp_path, write=True) as library:
        for number in range(60):
            add(library, number)
    database = tmp_path / "library.sqlite"
    content = database.read_bytes()
    database.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(LibraryDamaged, match="library.sqlite"), Library(tmp_path) as library:
        library.recordings()


def test_what_a_writer_killed_in_mid_commit_left_is_rolled_back_by_the_next_reader(tmp_path):
    with Library(tmp_path, write=True) as library:
        add(library, 0)
    script = (
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('PRAGMA cache_size = 1')\n"
        "db.execute('BEGIN'); db.execute('UPDATE item SET title = hex(zeroblob(90000))')\n"
        "db.execute('CREATE TABLE spilled AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9999)"
        " SELECT i, hex(zeroblob(200)) FROM n'); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "library.sqlite")], check=False)
    assert done.returncode == 9
    assert (tmp_path / "library.sqlite-journal").exists()
    with Library(tmp_path) as library:
        assert [recording.title for recording in library.recordings()] == ["Title 0"]


def test_an_empty_database_is_no_library(tmp_path):
    (tmp_path / "library.sqlite").touch()
    with pytest.raises(LibraryMissing, match="is empty"):
        Library(tmp_path)


def test_ids_of_removed_recordings_are_not_used_again(tmp_path):
    with Library(tmp_path, write=True) as library:
        gone = add(library, 0)
        library.remove(gone)
        assert add(library, 1).id > gone.id


def test_a_thousand_recordings_are_searched_with_few_open_files(tmp_path):
    resource = pytest.importorskip("resource", reason="wants POSIX limits")
    with Library(tmp_path, write=True) as library:
        for number in range(150):
            add(library, number, count=2)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, before[1]))
        try:
            runs = library.runs(MODEL)
            assert len(library.store(MODEL, runs)) == 300
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_lost_vectors_are_noticed(tmp_path):
    with Library(tmp_path, write=True) as library:
        add(library, 0)
        shard = next((tmp_path / "vectors").iterdir())
        shard.write_bytes(shard.read_bytes()[:-1])
        assert "bytes where 40 are wanted" in library.damage()[0]
        with pytest.raises(LibraryDamaged, match="lacks vectors"):
            library.runs(MODEL).vectors(0)


def test_neighbouring_runs_are_put_together_but_not_over_gaps_and_shards(tmp_path, monkeypatch):
    monkeypatch.setattr("index.library._SHARD_BYTES", 200)
    with Library(tmp_path, write=True) as library:
        added = [add(library, number) for number in range(9)]
        library.remove(added[2])
        runs = library.runs(MODEL)
        apart = [runs.rows(position) for position in range(len(runs))]
        together = runs.stretches()
        assert 1 < len(together) < len(apart)
        assert np.array_equal(*[np.concatenate([run.stored for run in rows]) for rows in (apart, together)])
        numbers = [
            [n for run in rows for n in range(run.first, run.first + len(run.stored))] for rows in (apart, together)
        ]
        assert numbers[0] == numbers[1]


def test_removed_recordings_are_found_by_no_kind_of_index(tmp_path):
    pytest.importorskip("faiss")
    with Library(tmp_path, write=True) as library:
        added = [add(library, number, count=30) for number in range(12)]
        queries = library.runs(MODEL).vectors(5)
        for spec in (
            IndexSpec("exact"),
            IndexSpec("flat", tail=0),
            IndexSpec("ivf", lists=8, probes=8, tail=0),
            IndexSpec("ivfpq", lists=8, probes=8, code_bytes=2, candidates=50, tail=0),
        ):
            assert library.store(MODEL, library.runs(MODEL), spec).search(queries, 1).similarities.min() > 0.9
        library.remove(added[5])
        found = library.store(MODEL, library.runs(MODEL), spec).search(queries, 20)
        assert not ((found.numbers >= 150) & (found.numbers < 180)).any()


def test_large_libraries_start_new_shards(tmp_path, monkeypatch):
    monkeypatch.setattr("index.library._SHARD_BYTES", 100)
    with Library(tmp_path, write=True) as library:
        for number in range(6):
            add(library, number)
        assert len(list((tmp_path / "vectors").iterdir())) == 3
        for id, values in stored(library).items():
            assert np.allclose(values, vectors(id - 1).values, atol=0.005)
