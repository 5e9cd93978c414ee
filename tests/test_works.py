"""Recordings are grouped into works by accepted pairs, and what users say of works stays said."""

import json
import random
import shutil
import sqlite3
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from program import documents, incipit

from alignment import Segment, Synchronisation, WarpingPath, read_audio, synchronise
from index import FileState, Library, Model, NewRecording, VectorFormat, Vectors
from index.errors import LibraryDamaged, WorkError
from index.sheets import KeptScore, pack
from index.works import Grouping
from retrieval import Collection
from retrieval.cli.app import app
from retrieval.kept_alignment import alignment_method, from_kept, to_kept
from retrieval.sides import kept_alignment
from retrieval.work_upkeep import align_works, update_works
from retrieval.works import group_works

MODEL = Model("test", "a" * 64, VectorFormat(8, "int8", 127.0))
NEWER = Model("test", "b" * 64, VectorFormat(8, "int8", 127.0))


# Grouping


def groups(pairs, membership=None):
    return sorted(sorted(grouping.recordings) for grouping in group_works(pairs, membership or {}))


def complete(*recordings):
    return [(one, other, 0.9) for one in recordings for other in recordings if one < other]


def test_what_was_accepted_is_together():
    assert groups([*complete(1, 2, 3), *complete(7, 9)]) == [[1, 2, 3], [7, 9]]


def test_one_false_pair_does_not_chain_two_works():
    assert groups([*complete(1, 2, 3), *complete(4, 5), (3, 4, 0.99)]) == [[1, 2, 3], [4, 5]]


def test_one_overlooked_pair_does_not_tear_a_work_apart():
    assert groups([pair for pair in complete(1, 2, 3, 4) if pair[:2] != (1, 4)]) == [[1, 2, 3, 4]]


def test_a_recording_joins_where_at_least_half_accept_it():
    trio = complete(1, 2, 3)
    assert groups([*trio, (4, 1, 0.5), (2, 4, 0.5)]) == [[1, 2, 3, 4]]
    assert groups([*trio, (4, 1, 0.5)]) == [[1, 2, 3]]


def test_confirmed_works_are_never_joined_and_keep_what_is_theirs():
    pairs = complete(1, 2, 3, 4)
    found = group_works(pairs, {1: (10, True), 2: (10, True), 3: (20, True)})
    assert {grouping.work: set(grouping.recordings) - {4} for grouping in found} == {10: {1, 2}, 20: {3}}
    assert group_works([], {5: (30, True)}) == [Grouping(30, frozenset({5}))]


def test_a_group_keeps_the_work_that_most_of_it_was_in():
    membership = {1: (10, False), 2: (10, False), 3: (10, False), 4: (20, False)}
    assert group_works(complete(1, 2, 3, 4, 5), membership) == [Grouping(10, frozenset({1, 2, 3, 4, 5}))]
    parted = group_works([*complete(1, 2), *complete(3, 4, 5)], membership)
    assert {(grouping.work, min(grouping.recordings)) for grouping in parted} == {(10, 1), (20, 3)}


PAIRS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.floats(0.1, 1.0)).filter(lambda pair: pair[0] != pair[1])
)
MEMBERSHIP = st.dictionaries(st.integers(0, 9), st.tuples(st.integers(100, 103), st.booleans()))


@given(PAIRS, MEMBERSHIP, st.randoms())
def test_order_and_direction_do_not_matter(pairs, membership, source: random.Random):
    turned = [(other, one, p) if source.random() < 0.5 else (one, other, p) for one, other, p in pairs]
    source.shuffle(turned)
    assert group_works(pairs, membership) == group_works(turned, membership)


@given(PAIRS, MEMBERSHIP)
def test_groups_are_apart_and_what_is_confirmed_stays(pairs, membership):
    found = group_works(pairs, membership)
    recordings = [recording for grouping in found for recording in grouping.recordings]
    assert len(recordings) == len(set(recordings))
    works = [grouping.work for grouping in found if grouping.work is not None]
    assert len(works) == len(set(works))
    for recording, (work, confirmed) in membership.items():
        if confirmed:
            assert [grouping.work for grouping in found if recording in grouping.recordings] == [work]
    linked = {frozenset(pair[:2]) for pair in pairs}
    for grouping in found:
        told = {recording for recording in grouping.recordings if membership.get(recording, (None, False))[1]}
        for recording in grouping.recordings - told:
            assert any(frozenset({recording, other}) in linked for other in grouping.recordings)


@given(PAIRS)
def test_grouping_again_changes_nothing(pairs):
    first = group_works(pairs, {})
    membership = {recording: (number, False) for number, found in enumerate(first) for recording in found.recordings}
    again = group_works(pairs, membership)
    assert [grouping.work for grouping in again] == list(range(len(first)))
    assert [grouping.recordings for grouping in again] == [grouping.recordings for grouping in first]


# The library


def add(library, number, model=MODEL, duration=None, path=None):
    values = np.zeros((2, 8), np.float32)
    recording = NewRecording(f"{number:012x}" + "0" * 52, duration or 10.0 + number, title=f"Title {number}")
    file = FileState(path or f"/music/{number}.wav", 100 + number, 1000 + number)
    return library.add(recording, file, [Vectors(model, values, 0.5)])


class Told:
    """A finder that was told the cover sets, and remembers what it was asked."""

    def __init__(self, library, *sets):
        self.library, self.sets, self.asked = library, sets, []

    def versions_of(self, recording, max_false_accepts):
        self.asked.append(recording.title)
        return [
            (other, 0.9)
            for other in self.library.recordings()
            if other is not recording and any({other.title, recording.title} <= titles for titles in self.sets)
        ]


class Noting:
    """Notes what is said."""

    def __init__(self):
        self.said = []

    def progress(self, stage, done, total):
        assert done <= total

    def say(self, text):
        self.said.append(text)


def titles(*numbers):
    return {f"Title {number}" for number in numbers}


def contents(library):
    return [(work.label, [recording.title[6:] for recording in work.recordings]) for work in library.works.all()]


def members(library):
    return [numbers for _, numbers in contents(library)]


@pytest.fixture
def library(tmp_path):
    with Library(tmp_path / "lib", write=True) as opened:
        for number in range(6):
            add(opened, number)
        yield opened


def grouped(library, *sets, anew=False):
    finder = Told(library, *sets)
    update_works(library, finder, Noting(), anew=anew)
    return finder


def test_new_recordings_come_to_the_work_of_their_versions(library):
    first = grouped(library, titles(0, 1), titles(3, 4))
    assert len(first.asked) == 6
    assert members(library) == [["0", "1"], ["3", "4"]]
    keys = [work.key for work in library.works.all()]
    add(library, 6)
    assert grouped(library, titles(0, 1, 6), titles(3, 4)).asked == ["Title 6"]
    assert members(library) == [["0", "1", "6"], ["3", "4"]]
    assert [work.key for work in library.works.all()] == keys
    assert grouped(library).asked == []


def test_recordings_that_are_alone_are_in_no_work_and_empty_works_vanish(library):
    grouped(library, titles(0, 1), titles(3, 4))
    library.remove(library.recordings()[1])
    assert members(library) == [["0"], ["3", "4"]]
    grouped(library)
    assert members(library) == [["3", "4"]]
    assert library.recordings()[0].work is None
    library.drop_file("/music/3.wav")
    library.drop_file("/music/4.wav")
    assert library.works.all() == []


def test_a_recording_whose_versions_cannot_be_sought_is_told_and_asked_again(library):
    class Failing(Told):
        def versions_of(self, recording, max_false_accepts):
            if recording.title == "Title 2":
                raise ValueError("broken")
            return super().versions_of(recording, max_false_accepts)

    progress = Noting()
    update_works(library, Failing(library, titles(0, 1)), progress)
    assert progress.said == ["/music/2.wav: its versions cannot be sought (ValueError: broken)"]
    assert members(library) == [["0", "1"]]
    assert grouped(library).asked == ["Title 2"]


def test_an_interrupted_search_goes_on_where_it_was(library):
    class Interrupted(Told):
        def versions_of(self, recording, max_false_accepts):
            if len(self.asked) == 3:
                raise KeyboardInterrupt
            return super().versions_of(recording, max_false_accepts)

    with pytest.raises(KeyboardInterrupt):
        update_works(library, Interrupted(library, titles(0, 1, 5)), Noting())
    assert grouped(library, titles(0, 1, 5)).asked == ["Title 3", "Title 4", "Title 5"]
    assert members(library) == [["0", "1", "5"]]


def test_vectors_of_a_newer_model_are_a_reason_to_seek_again(library):
    grouped(library, titles(0, 1))
    add(library, 2, NEWER)
    add(library, 3)
    assert grouped(library, titles(0, 1)).asked == ["Title 2"]


def said_and_kept(library, said):
    """That what was said holds after indexing again, with another model, and with other files and a moved one."""
    assert contents(library) == said
    everything = titles(*range(9))
    grouped(library, everything, anew=True)
    for number in range(6):
        add(library, number, NEWER)
    library.put_file(library.recordings()[0], FileState("/moved/0.wav", 100, 1000))
    library.drop_file("/music/0.wav")
    add(library, 7, path="/music/5.wav")
    grouped(library, everything)
    found = dict(contents(library))
    for label, numbers in said:
        assert set(numbers) <= set(found[label])
    grouped(library, anew=True)
    assert contents(library) == said


def test_a_name_is_kept_with_what_bears_it(library):
    grouped(library, titles(0, 1), titles(3, 4))
    library.works.name(library.works.all()[0], " Moonlight ")
    assert library.works.find("moonlight").confirmed
    library.works.confirm(library.works.all()[1])
    said_and_kept(library, contents(library))
    library.works.name(library.works.find("Moonlight"), "")
    assert contents(library)[0][0].startswith("w")


def test_confirmed_works_stay(library):
    grouped(library, titles(0, 1), titles(3, 4))
    for work in library.works.all():
        library.works.confirm(work)
    said_and_kept(library, contents(library))


def test_merged_works_stay_together(library):
    grouped(library, titles(0, 1), titles(3, 4))
    one, other = library.works.all()
    library.works.name(other, "Moonlight")
    merged = library.works.merge([*one.recordings, *other.recordings, library.recordings()[2]])
    assert (merged.key, merged.name) == (one.key, "Moonlight")
    said_and_kept(library, [("Moonlight", ["0", "1", "2", "3", "4"])])


def test_split_works_stay_apart(library):
    grouped(library, titles(0, 1, 2, 3, 4))
    (work,) = library.works.all()
    new = library.works.split(work, work.recordings[1:3])
    assert new.key != work.key
    said_and_kept(library, [(work.key, ["0", "3", "4"]), (new.key, ["1", "2"])])


def test_a_single_recording_that_was_split_off_stays_alone(library):
    grouped(library, titles(0, 1))
    (work,) = library.works.all()
    library.works.split(work, work.recordings[1:])
    grouped(library, titles(0, 1), anew=True)
    assert members(library) == [["0"], ["1"]]


def test_splits_that_make_no_sense_are_refused(library):
    grouped(library, titles(0, 1), titles(3, 4))
    one, other = library.works.all()
    with pytest.raises(WorkError, match="is not in w"):
        library.works.split(one, other.recordings[:1])
    with pytest.raises(WorkError, match="nothing left"):
        library.works.split(one, one.recordings)
    assert not one.confirmed


def test_works_are_found_by_key_or_a_name_that_only_one_has(library):
    grouped(library, titles(0, 1), titles(3, 4))
    one, other = library.works.all()
    assert library.works.find(one.key) is one
    library.works.name(one, "Sonata")
    assert library.works.find("SONATA") is one
    library.works.name(other, "Sonata")
    with pytest.raises(WorkError, match=f"{one.key}, {other.key}; say which"):
        library.works.find("Sonata")
    with pytest.raises(WorkError, match="is no work"):
        library.works.find("")


def test_a_file_with_other_tags_keeps_its_work_and_another_sound_does_not(library):
    grouped(library, titles(0, 1))
    library.works.name(library.works.all()[0], "Moonlight")
    add(library, 20, duration=10.0, path="/music/0.wav")
    assert contents(library) == [("Moonlight", ["1", "20"])]
    assert library.works.find("Moonlight").confirmed
    add(library, 21, duration=99.0, path="/music/1.wav")
    assert contents(library) == [("Moonlight", ["20"])]


# Libraries of the first schema

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


# Alignments, and the command line


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
    assert kept["seconds"] < computed["seconds"]
    (one,), (two,) = kept["others"], computed["others"]
    assert (one["accepted"], one["path"]) == (True, second)
    assert [part["kind"] for part in one["segments"]] == [part["kind"] for part in two["segments"]]
    paths = [np.array(document["segments"][0]["warping_path"]) for document in (one, two)]
    times = np.linspace(*paths[0][[0, -1], 0], 200)
    assert np.abs(np.subtract(*[np.interp(times, *path.T) for path in paths])).max() < 0.003
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
        library.put_file(library.recording_at(second), FileState(second, 1, 1))
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
    assert run("index", fresh[1][0], "--library", fresh[0]) == 0
    assert "works are not up to date (ValueError: no model)" in capsys.readouterr().err


def test_files_that_are_gone_or_changed_are_not_aligned(fresh, tmp_path):
    folder, (_, second, _) = fresh
    shutil.copy(second, tmp_path / "changing-b.flac")
    with Library(folder, write=True) as library:
        one, two, other = library.recordings()
        library.put_file(two, FileState(str(tmp_path / "changing-b.flac"), 1, 1))
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
