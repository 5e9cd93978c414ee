"""Libraries of earlier schemas are read as they are, and brought up to date without loss."""

import json
import sqlite3
import zlib

import numpy as np
import pytest
from cover_sets import add, grouped, members, titles

from index import Library, Model, VectorFormat
from index.errors import LibraryDamaged
from index.sheets import KeptScore, pack

FIRST_SCHEMA = """
CREATE TABLE recording (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "key" VARCHAR(32) NOT NULL,
    content_hash VARCHAR(64) NOT NULL, title VARCHAR NOT NULL, artist VARCHAR NOT NULL, duration DOUBLE NOT NULL,
    flags JSON NOT NULL, UNIQUE ("key"), UNIQUE (content_hash));
CREATE TABLE model (id INTEGER NOT NULL, name VARCHAR(64) NOT NULL, hash VARCHAR(64) NOT NULL,
    dimensions INTEGER NOT NULL, dtype VARCHAR(16) NOT NULL, scale DOUBLE NOT NULL, metric VARCHAR(16) NOT NULL,
    parameters JSON NOT NULL, PRIMARY KEY (id), UNIQUE (name, hash));
CREATE TABLE recording_file (id INTEGER NOT NULL, recording_id INTEGER NOT NULL, path BLOB NOT NULL,
    size BIGINT NOT NULL, mtime_ns BIGINT NOT NULL, missing BOOLEAN NOT NULL, PRIMARY KEY (id),
    FOREIGN KEY(recording_id) REFERENCES recording (id) ON DELETE CASCADE, UNIQUE (path));
CREATE INDEX ix_recording_file_recording_id ON recording_file (recording_id);
CREATE TABLE shard (id INTEGER NOT NULL, model_id INTEGER NOT NULL, base BIGINT NOT NULL, rows BIGINT NOT NULL,
    file VARCHAR(128) NOT NULL, PRIMARY KEY (id), FOREIGN KEY(model_id) REFERENCES model (id), UNIQUE (file));
CREATE TABLE vector_run (recording_id INTEGER NOT NULL, model_id INTEGER NOT NULL, first BIGINT NOT NULL,
    count INTEGER NOT NULL, hop DOUBLE NOT NULL, PRIMARY KEY (recording_id, model_id),
    FOREIGN KEY(recording_id) REFERENCES recording (id) ON DELETE CASCADE, FOREIGN KEY(model_id) REFERENCES model (id));
CREATE INDEX vector_run_by_number ON vector_run (model_id, first);
INSERT INTO recording VALUES (3, 'r000000000000', '0', 'Title 0', 'Artist', 12.5, '["short"]');
INSERT INTO recording VALUES (4, 'r000000000001', '1', 'Title 1', '', 3.0, '[]');
INSERT INTO recording_file VALUES (1, 3, x'2f6d757369632f30', 7, 8, 0), (2, 4, x'2f6d757369632f31', 9, 10, 1);
INSERT INTO model VALUES (1, 'test', 'aaaa', 8, 'int8', 127.0, 'inner', '{}');
INSERT INTO shard VALUES (1, 1, 0, 2, 'test.vectors');
INSERT INTO vector_run VALUES (3, 1, 0, 2, 0.5);
PRAGMA user_version = 1;
"""


SECOND_SCHEMA = (
    FIRST_SCHEMA
    + """
CREATE TABLE work (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "key" VARCHAR(32) NOT NULL, name VARCHAR NOT NULL,
    UNIQUE ("key"));
ALTER TABLE recording ADD COLUMN work_id INTEGER REFERENCES work (id) ON DELETE SET NULL;
ALTER TABLE recording ADD COLUMN work_confirmed BOOLEAN DEFAULT 0 NOT NULL;
ALTER TABLE recording ADD COLUMN versions_sought BOOLEAN DEFAULT 0 NOT NULL;
CREATE INDEX ix_recording_work_id ON recording (work_id);
CREATE TABLE version (recording_id INTEGER NOT NULL, other_id INTEGER NOT NULL, probability DOUBLE NOT NULL,
    PRIMARY KEY (recording_id, other_id), FOREIGN KEY(recording_id) REFERENCES recording (id) ON DELETE CASCADE,
    FOREIGN KEY(other_id) REFERENCES recording (id) ON DELETE CASCADE);
CREATE INDEX ix_version_other_id ON version (other_id);
CREATE TABLE alignment (ref_id INTEGER NOT NULL, other_id INTEGER NOT NULL, method VARCHAR(64) NOT NULL,
    accepted BOOLEAN NOT NULL, confidence DOUBLE NOT NULL, transposition INTEGER NOT NULL, tuning_cents DOUBLE NOT NULL,
    segments JSON NOT NULL, points BLOB NOT NULL, PRIMARY KEY (ref_id, other_id, method),
    FOREIGN KEY(ref_id) REFERENCES recording (id) ON DELETE CASCADE,
    FOREIGN KEY(other_id) REFERENCES recording (id) ON DELETE CASCADE);
CREATE INDEX ix_alignment_other_id ON alignment (other_id);
INSERT INTO work VALUES (7, 'w0', 'Moonlight');
UPDATE recording SET work_id = 7, work_confirmed = 1, versions_sought = id = 3;
INSERT INTO version VALUES (3, 4, 0.75);
INSERT INTO alignment VALUES (3, 4, 'method', 1, 0.5, 2, 1.5, '[]', x'');
PRAGMA user_version = 2;
"""
)


LIED = KeptScore(
    "Lied", 0.5, np.array([[0.0, 0.25, 60.0, 1.0], [0.25, 0.5, 62.0, 1.0]]), ((0.0, "1", 1.0), (0.25, "1", 2.0))
)
LIED_NOTES, _ = pack(LIED)
LIED_TICKS = np.rint(np.array([beat[0] for beat in LIED.beats]) * 100_000).astype(int)
LIED_BEATS = zlib.compress(
    json.dumps(
        [np.diff(LIED_TICKS, prepend=0).tolist(), [beat[1] for beat in LIED.beats], [beat[2] for beat in LIED.beats]]
    ).encode()
)

THIRD_SCHEMA = (
    SECOND_SCHEMA
    + f"""
ALTER TABLE recording RENAME TO item;
ALTER TABLE item ADD COLUMN kind VARCHAR(16) DEFAULT 'recording' NOT NULL;
ALTER TABLE item ADD COLUMN scores_sought BOOLEAN DEFAULT 0 NOT NULL;
DROP INDEX ix_recording_work_id;
CREATE INDEX ix_item_work_id ON item (work_id);
ALTER TABLE recording_file RENAME TO item_file;
ALTER TABLE item_file RENAME COLUMN recording_id TO item_id;
DROP INDEX ix_recording_file_recording_id;
CREATE INDEX ix_item_file_item_id ON item_file (item_id);
ALTER TABLE vector_run RENAME COLUMN recording_id TO item_id;
CREATE TABLE score_sheet (item_id INTEGER NOT NULL, notes BLOB NOT NULL, beats BLOB NOT NULL, PRIMARY KEY (item_id),
    FOREIGN KEY(item_id) REFERENCES item (id) ON DELETE CASCADE);
INSERT INTO item (id, kind, "key", content_hash, title, artist, duration, flags)
    VALUES (5, 'score', 's000000000002', '2', 'Lied', 'Composer', 0.5, '[]');
INSERT INTO item_file VALUES (3, 5, x'2f6d757369632f32', 11, 12, 0);
INSERT INTO score_sheet VALUES (5, x'{LIED_NOTES.hex()}', x'{LIED_BEATS.hex()}');
PRAGMA user_version = 3;
"""
)


def library_of(schema, folder):
    (folder / "vectors").mkdir(parents=True)
    (folder / "vectors" / "test.vectors").write_bytes(bytes(range(16)))
    connection = sqlite3.connect(folder / "library.sqlite")
    connection.executescript(schema)
    connection.close()
    return folder


@pytest.fixture
def old(tmp_path):
    return library_of(FIRST_SCHEMA, tmp_path / "old")


@pytest.fixture
def second(tmp_path):
    return library_of(SECOND_SCHEMA, tmp_path / "second")


def version(folder):
    connection = sqlite3.connect(folder / "library.sqlite")
    try:
        return connection.execute("PRAGMA user_version").fetchone()[0]
    finally:
        connection.close()


def told(library):
    recordings = [
        (r.id, r.key, r.title, r.artist, r.duration, r.flags, [(f.path, f.size, f.missing) for f in r.files])
        for r in library.recordings()
    ]
    runs = library.runs(Model("test", "aaaa", VectorFormat(8, "int8", 127.0)))
    return recordings, runs.vectors(0).tolist(), library.damage(), library.works.all()


def test_a_reader_reads_a_library_of_the_first_schema_and_leaves_it(old):
    content = (old / "library.sqlite").read_bytes()
    with Library(old) as library:
        recordings, vectors, damage, works = told(library)
    assert [recording[:6] for recording in recordings] == [
        (3, "r000000000000", "Title 0", "Artist", 12.5, ["short"]),
        (4, "r000000000001", "Title 1", "", 3.0, []),
    ]
    assert np.shape(vectors) == (2, 8)
    assert (damage, works) == ([], [])
    assert (old / "library.sqlite").read_bytes() == content


def test_a_writer_brings_a_library_of_the_first_schema_up_to_date_and_loses_nothing(old):
    with Library(old) as library:
        before = told(library)
    with Library(old, write=True) as library:
        assert told(library) == before
        assert len(library.versions.unsought()) == 2
        add(library, 5)
        grouped(library, titles(0, 5))
    assert version(old) == 5
    with Library(old) as library:
        assert members(library) == [["0", "5"]]
        assert library.recordings()[-1].id == 5


def tables(folder):
    connection = sqlite3.connect(folder / "library.sqlite")
    try:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: sorted((row[1], row[3]) for row in connection.execute(f"PRAGMA table_info({name})")) for name in names
        }
    finally:
        connection.close()


@pytest.mark.parametrize("schema", [FIRST_SCHEMA, SECOND_SCHEMA, THIRD_SCHEMA], ids=["first", "second", "third"])
def test_a_library_brought_up_to_date_is_like_a_new_one(schema, tmp_path):
    old = library_of(schema, tmp_path / "old")
    Library(old, write=True).close()
    Library(tmp_path / "new", write=True).close()
    assert tables(old) == tables(tmp_path / "new")


def told_of_works(library):
    one, other = library.recordings()
    kept = library.alignments.get(one, other, "method")
    return (
        [(work.key, work.name, [item.id for item in work.recordings], work.confirmed) for work in library.works.all()],
        [recording.id for recording in library.versions.unsought()],
        library.versions.pairs(),
        (kept.accepted, kept.confidence, kept.transposition, kept.tuning_cents),
    )


def test_a_library_of_the_second_schema_keeps_its_works_versions_and_alignments(second):
    content = (second / "library.sqlite").read_bytes()
    with Library(second) as library:
        before = told(library)[:3], told_of_works(library)
    assert (second / "library.sqlite").read_bytes() == content
    assert before[1] == ([("w0", "Moonlight", [3, 4], True)], [4], [(3, 4, 0.75)], (True, 0.5, 2, 1.5))
    with Library(second, write=True) as library:
        assert (told(library)[:3], told_of_works(library)) == before
        assert [item.kind for item in library.items()] == ["recording", "recording"]
        add(library, 5)
        library.remove(library.recordings()[0])
        assert library.versions.pairs() == []
        assert library.alignments.pairs("method") == set()
    assert version(second) == 5


def test_a_library_of_the_third_schema_keeps_its_scores_and_has_no_failures_yet(tmp_path):
    third = library_of(THIRD_SCHEMA, tmp_path / "third")
    content = (third / "library.sqlite").read_bytes()

    def told_of_scores(library):
        (score,) = library.scores()
        sheet = library.score_sheet(score.id)
        facts = (score.key, score.title, score.artist, score.path, score.work_title, score.work_number)
        return facts, score.parts, score.movements, sheet.notes.tolist(), sheet.beats, library.failures()

    expected = (
        ("s000000000002", "Lied", "Composer", "/music/2", "", ""),
        *([], [], LIED.notes.tolist(), LIED.beats, []),
    )
    with Library(third) as library:
        assert told_of_scores(library) == expected
    assert (third / "library.sqlite").read_bytes() == content
    with Library(third, write=True) as library:
        assert told_of_scores(library) == expected
        library.put_failures({"/music/broken.krn": "is not kern, or is damaged"})
    assert version(third) == 5
    with Library(third) as library:
        assert told_of_scores(library)[:-1] == expected[:-1]
        assert [(row.path, row.error) for row in library.failures()] == [
            ("/music/broken.krn", "is not kern, or is damaged")
        ]


def test_a_migration_that_fails_leaves_the_library_as_it_was(old, monkeypatch):
    monkeypatch.setattr("index.database._MIGRATIONS", {1: ("ALTER TABLE recording ADD COLUMN x", "nonsense")})
    with pytest.raises(LibraryDamaged):
        Library(old, write=True)
    monkeypatch.undo()
    assert version(old) == 1
    Library(old, write=True).close()
    assert version(old) == 5


def test_a_library_of_a_later_schema_is_refused(tmp_path):
    Library(tmp_path, write=True).close()
    connection = sqlite3.connect(tmp_path / "library.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for write in (False, True):
        with pytest.raises(LibraryDamaged, match="schema 99"):
            Library(tmp_path, write=write)
