"""A library keeps the works that recordings were put to, and what users said of them."""

import pytest
from cover_sets import Noting, Told, add, contents, grouped, members, titles

from index import FileState, Library, Model, VectorFormat
from index.errors import WorkError
from retrieval.work_upkeep import update_works

NEWER = Model("test", "b" * 64, VectorFormat(8, "int8", 127.0))


@pytest.fixture
def library(tmp_path):
    with Library(tmp_path / "lib", write=True) as opened:
        for number in range(6):
            add(opened, number)
        yield opened


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
    assert members(library) == [["3", "4"]]
    assert library.recordings()[0].work is None
    grouped(library)
    assert members(library) == [["3", "4"]]
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
    with pytest.raises(KeyboardInterrupt):
        update_works(library, Interrupted(library, titles(3, 4)), Noting(), anew=True)
    assert grouped(library, titles(3, 4)).asked == ["Title 3", "Title 4", "Title 5"]
    assert members(library) == [["3", "4"]]


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
    library.put_files([(library.recordings()[0], FileState("/moved/0.wav", 100, 1000))])
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
    library.works.name(one, "O\u0308sterreich")
    assert library.works.find("\u00d6sterreich") is one
    library.works.name(one, "Sonata")
    library.works.name(other, "Sonata")
    with pytest.raises(WorkError, match=f"{one.key}, {other.key}; say which"):
        library.works.find("Sonata")
    for name in ("", "na\udcffme"):
        assert library.item(name) is None
        with pytest.raises(WorkError, match="is no work"):
            library.works.find(name)


def test_a_file_with_other_tags_keeps_its_work_and_another_sound_does_not(library):
    grouped(library, titles(0, 1))
    library.works.name(library.works.all()[0], "Moonlight")
    add(
        library,
        20,
        path="/music/0.wav",
        retagged=lambda item, former: (item.title, former.title) == ("Title 20", "Title 0"),
    )
    assert contents(library) == [("Moonlight", ["1", "20"])]
    assert library.works.find("Moonlight").confirmed
    add(library, 21, path="/music/1.wav", retagged=lambda item, former: False)
    assert contents(library) == [("Moonlight", ["20"])]


def test_of_two_copies_the_one_with_other_tags_stays_where_the_user_put_it(library):
    grouped(library, titles(0, 1), titles(3, 4))
    library.put_files([(library.recording_at("/music/0.wav"), FileState("/backup/0.wav", 1, 1))])
    library.works.name(library.works.all()[1], "Banner")
    library.works.merge([library.recording_at(f"/music/{title}.wav") for title in ("3", "0")])
    add(library, 20, path="/music/0.wav", retagged=lambda item, former: True)
    assert ["0", "20", "3", "4"] in [sorted(titles) for _, titles in contents(library)]
    assert library.recording_at("/music/0.wav").work_confirmed


def test_what_is_left_of_two_is_in_no_work_unless_the_user_said_so(library):
    grouped(library, titles(0, 1), titles(3, 4))
    library.works.confirm(library.works.all()[1])
    for title in ("0", "3"):
        library.remove(library.recording_at(f"/music/{title}.wav"))
    assert members(library) == [["4"]]
    assert library.recording_at("/music/1.wav").work is None


# Libraries of the first schema
