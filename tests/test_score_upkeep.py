"""What recordings play is found out when they or the scores come into the library."""

import shutil

import numpy as np
import pytest
from demo_music import write_scores
from demo_pieces import PIECES
from program import documents, incipit

from index.library import Library
from retrieval import Collection
from retrieval.kept_alignment import alignment_method, from_kept


@pytest.fixture(scope="module")
def followed(tmp_path_factory, music):
    """A library of two recordings of one piece and another recording, to which scores came later."""
    folder = tmp_path_factory.mktemp("followed")
    collection = Collection(folder / "lib")
    first, second = music.pair(PIECES[3].name)
    other, _ = music.pair(PIECES[5].name)
    collection.add(first.path, second.path, other.path)
    collection.add(*write_scores(folder, [PIECES[3], *PIECES[6:10]]))
    return collection, (first, second), other


def test_recordings_are_aligned_with_the_score_that_they_play(followed):
    collection, played, other = followed
    with Library(collection.folder) as library:
        (score,) = (row for row in library.scores() if row.title == PIECES[3].title)
        assert library.alignments.scores_of(library.item(str(other.path)), alignment_method()) == []
        for item in played:
            recording = library.item(str(item.path))
            if item.performance.transposition:
                continue
            assert [row.key for row in library.alignments.scores_of(recording, alignment_method())] == [score.key]
            path = from_kept(library.alignments.get(score, recording, alignment_method())).path
            beats = np.interp(item.seconds, path.other, path.ref) * PIECES[3].tempo / 60
            assert np.quantile(np.abs(beats - item.beats), 0.9) < 0.25


def test_scores_are_sought_again_only_when_new_ones_come(followed, tmp_path):
    collection, _, _ = followed
    with Library(collection.folder) as library:
        assert not library.alignments.unsought()
    collection.add(*write_scores(tmp_path, PIECES[10:11]), works=False)
    with Library(collection.folder) as library:
        assert len(library.alignments.unsought()) == 3


def test_show_tells_the_score_of_a_recording_and_the_recordings_of_a_score(followed):
    collection, played, _ = followed
    plain = next(item for item in played if not item.performance.transposition)
    document = documents(incipit("show", plain.path, "--library", collection.folder, "--json"))[0]
    with Library(collection.folder) as library:
        assert [library.item(key).title for key in document["scores"]] == [PIECES[3].title]
    score = documents(incipit("show", document["scores"][0], "--library", collection.folder, "--json"))[0]
    assert document["id"] in score["recordings"]


def test_what_cannot_be_read_now_is_sought_again_later(tmp_path, music):
    first, _ = music.pair(PIECES[3].name)
    moved = tmp_path / "music"
    moved.mkdir()
    shutil.copy(first.path, moved / "one.flac")
    collection = Collection(tmp_path / "lib")
    collection.add(moved)
    (moved / "one.flac").rename(tmp_path / "away.flac")
    collection.add(*write_scores(tmp_path, [PIECES[3], *PIECES[6:8]]))
    with Library(collection.folder) as library:
        assert len(library.alignments.unsought()) == 1
    (tmp_path / "away.flac").rename(moved / "one.flac")
    collection.group()
    with Library(collection.folder) as library:
        assert not library.alignments.unsought()
        assert len(library.alignments.scores_of(library.recordings()[0], alignment_method())) == 1
