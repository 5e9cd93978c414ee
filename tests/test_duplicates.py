"""Other encodings, cuts and masterings of a recording are listed, other recordings are not."""

import shutil

import numpy as np
import pytest
import soundfile
from program import documents, incipit

from alignment import read_audio
from retrieval import Collection
from retrieval.duplicates import duplicate_groups, duplicate_pairs

RATE = 22050


@pytest.fixture(scope="module")
def library(music, tmp_path_factory):
    """Four recordings; of the first an MP3 and a cut that is compressed and louder, and of the last a plain copy.

    Links to what is there are no copies, whatever their names.
    """
    folder = tmp_path_factory.mktemp("twice")
    for number in (0, 1, 4, 6):
        shutil.copy(music.recorded[number].path, folder / f"{number}{music.recorded[number].path.suffix}")
    samples = read_audio(music.recorded[0].path).samples
    soundfile.write(folder / "0.mp3", samples, RATE)
    louder = np.tanh(4 * samples[round(7.3 * RATE) : round(22.8 * RATE)])
    soundfile.write(folder / "0-cut.flac", louder, RATE)
    shutil.copy(music.recorded[6].path, folder / f"6-copy{music.recorded[6].path.suffix}")
    (folder / "1-link.flac").symlink_to(folder / f"1{music.recorded[1].path.suffix}")
    (folder / "5-link.flac").symlink_to(folder / "0-cut.flac")
    collection = Collection(tmp_path_factory.mktemp("duplicates") / "lib")
    collection.add(folder)
    return collection


def names(documents_):
    return sorted(
        sorted(path.rsplit("/", 1)[-1].split(".")[0] for item in d["recordings"] for path in item["paths"])
        for d in documents_
    )


def test_encodings_cuts_and_copies_are_grouped_and_the_rest_left_alone(library):
    done = incipit("duplicates", "--library", library.folder, "--json")
    assert done.returncode == 0
    assert names(documents(done)) == [["0", "0", "0-cut"], ["6", "6-copy"]]


def test_a_cut_lies_where_it_was_taken_from(library):
    identifier = library.identifier()
    pairs = duplicate_pairs(identifier, 1e-4, lambda done, total: None)
    cuts = [pair for pair in pairs if any("cut" in identifier.recording(n).path for n in (pair.one, pair.other))]
    assert len(cuts) == 2
    for pair in cuts:
        offset, ratio = pair.line.offset, pair.line.tempo_ratio
        shift = offset if "cut" in identifier.recording(pair.one).path else -offset / ratio
        assert shift == pytest.approx(7.3, abs=0.25)
        assert ratio == pytest.approx(1.0, abs=0.01)
        assert pair.share > 0.85


def test_groups_join_what_pairs_join(library):
    pairs = [pair for pair in duplicate_pairs(library.identifier(), 1e-4, lambda done, total: None) if pair.share > 0.8]
    (group,) = duplicate_groups(pairs, 0.8)
    assert len(group) == 3


def test_what_a_compilation_has_side_by_side_is_not_the_same(music, tmp_path):
    sides = [read_audio(music.recorded[number].path).samples for number in (0, 4)]
    for name, sound in (
        ("one", sides[0]),
        ("again", 0.5 * sides[0]),
        ("two", sides[1]),
        ("side", np.concatenate(sides)),
    ):
        soundfile.write(tmp_path / f"{name}.wav", sound, RATE)
    Collection(tmp_path / "lib").add(tmp_path)
    done = incipit("duplicates", "--library", tmp_path / "lib", "--json")
    assert names(documents(done)) == [["again", "one", "side"], ["side", "two"]]


def test_files_that_are_gone_are_no_duplicates(music, tmp_path):
    for name in ("one.wav", "again.flac"):
        soundfile.write(tmp_path / name, read_audio(music.recorded[0].path).samples, RATE)
    collection = Collection(tmp_path / "lib")
    collection.add(tmp_path)
    assert incipit("duplicates", "--library", tmp_path / "lib").returncode == 0
    (tmp_path / "again.flac").unlink()
    collection.add(tmp_path)
    assert incipit("duplicates", "--library", tmp_path / "lib").returncode == 3


def test_a_library_without_duplicates_says_so(collection):
    done = incipit("duplicates", "--library", collection.folder)
    assert (done.returncode, done.stdout) == (3, "")
    assert "no duplicates" in done.stderr
