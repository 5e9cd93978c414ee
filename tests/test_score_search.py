"""A clip is found in the score that it is played from, at its measure and beat, whoever plays it, and in no other."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from demo_music import Performance, perform, write_scores
from demo_pieces import PIECES
from program import documents, incipit

from alignment import Audio, read_audio
from alignment.score import Score, read_score
from index.library import Library
from retrieval import Collection
from retrieval.embedding.score_windows import windows
from retrieval.errors import QueryError
from retrieval.hits import Wanted
from retrieval.kept_alignment import alignment_method, from_kept
from retrieval.movement_search import LONGEST_PASSAGE_SECONDS
from retrieval.subsequences import stretched

RATE = 22050
BEATS_A_MEASURE = 4


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """A library of the scores of all pieces."""
    folder = tmp_path_factory.mktemp("scores")
    collection = Collection(folder / "lib")
    assert collection.add(*write_scores(folder)).added == len(PIECES)
    return collection


def clip_of(rendering, first_beat, seconds):
    """Sound from a beat on."""
    start = float(np.interp(first_beat, rendering.beats, rendering.seconds))
    return Audio(rendering.samples[round(start * RATE) : round((start + seconds) * RATE)].copy())


def beat_of(hit):
    """Beats from the beginning of the score."""
    return (int(hit.measure) - 1) * BEATS_A_MEASURE + hit.beat - 1


@pytest.mark.parametrize("number", [0, 3, 4, 7, 9])
def test_a_clip_is_found_at_its_measure_and_beat(scores, number):
    piece = PIECES[number]
    timbre = ("strings", "flute", "guitar")[number % 3]
    rendering = perform(piece, Performance(number, timbre, tempo_scale=0.85))
    for share in (0.2, 0.5):
        beat = round(piece.beats * share)
        hits = scores.ask(clip_of(rendering, beat, 8.0), "scores", Wanted(top=3))
        assert hits[0].accepted
        assert hits[0].accepted
        assert hits[0].title == piece.title
        # The same notes may come several times: they must be those of the place, if it is not the place itself.
        places = [place.start for place in hits[0].places]
        score = read_score(hits[0].path)
        found = [score.position(start) for start in places]
        beats = [(int(measure) - 1) * BEATS_A_MEASURE + place - 1 for measure, place in found]
        assert min(abs(one - beat) for one in beats) < 0.75


def test_a_performance_in_another_key_is_found_when_asked_for(scores):
    piece = PIECES[3]
    clip = clip_of(perform(piece, Performance(2, "guitar", transposition=3)), 8, 12.0)
    assert not any(hit.accepted and hit.title == piece.title for hit in scores.ask(clip, "scores", Wanted()))
    best = scores.ask(clip, "scores", Wanted(any_key=True))[0]
    assert (best.title, best.transposition, best.accepted) == (piece.title, 3, True)


def test_a_performance_of_half_the_tempo_is_found(scores):
    piece = PIECES[4]
    rendering = perform(piece, Performance(1, "piano", tempo_scale=0.52))
    best = scores.ask(clip_of(rendering, 16, 12.0), "scores", Wanted())[0]
    assert best.title == piece.title
    assert best.tempo_ratio == pytest.approx(0.5, rel=0.25)


def test_what_is_not_among_the_scores_is_not_accepted(tmp_path):
    collection = Collection(tmp_path / "lib")
    collection.add(*write_scores(tmp_path, PIECES[:6]))
    for piece in PIECES[6:]:
        clip = clip_of(perform(piece, Performance(3, "piano")), 8, 10.0)
        assert not any(hit.accepted for hit in collection.ask(clip, "scores", Wanted()))


def test_a_whole_recording_is_found_and_its_measures_are_kept(tmp_path, music):
    collection = Collection(tmp_path / "lib")
    recorded = max(music.recorded, key=lambda one: one.seconds[-1])
    piece = next(piece for piece in PIECES if piece.name == recorded.piece)
    assert read_audio(recorded.path).duration > LONGEST_PASSAGE_SECONDS
    collection.add(*write_scores(tmp_path, PIECES[:6]), recorded.path)
    best = collection.query(recorded.path, "scores")[0]
    assert best.accepted
    assert best.title == piece.title
    with Library(collection.folder) as library:
        (score,) = (row for row in library.scores() if row.key == best.id)
        recording = library.recordings()[0]
        kept = library.alignments.get(score, recording, alignment_method())
    path = from_kept(kept).path
    beats = np.interp(recorded.seconds, path.other, path.ref) * piece.tempo / 60
    assert np.quantile(np.abs(beats - recorded.beats), 0.9) < 0.25


def test_a_recording_plays_several_scores(tmp_path, music):
    one, other = (music.pair(PIECES[number].name)[0] for number in (3, 5))
    sounds = [read_audio(item.path).samples for item in (one, other)]
    soundfile.write(tmp_path / "recital.flac", np.concatenate([*sounds, np.zeros(3 * RATE, np.float32)]), RATE)
    collection = Collection(tmp_path / "lib")
    collection.add(*write_scores(tmp_path, PIECES[:8]))
    hits = [hit for hit in collection.query(tmp_path / "recital.flac", "scores") if hit.accepted]
    assert {hit.title for hit in hits} == {PIECES[3].title, PIECES[5].title}
    middle = len(sounds[0]) / RATE
    for hit in hits:
        assert (hit.places[0].query_start < middle - 1.0) == (hit.title == PIECES[3].title)


def test_silence_and_clips_without_enough_sound_have_no_score(scores):
    assert scores.ask(Audio(np.zeros(10 * RATE, np.float32)), "scores", Wanted()) == []
    short = clip_of(perform(PIECES[0], Performance(0, "piano")), 0, 1.5)
    assert scores.ask(short, "scores", Wanted()) == []


def test_windows_of_a_slower_performance_are_those_of_the_score():
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.normal(size=(40, 32)), 8, axis=0).astype(np.float32)
    frames /= np.linalg.norm(frames, axis=1, keepdims=True)
    slower = stretched(frames, 1.6)
    plain = windows(frames, np.array([10.0, 15.0]))
    heard = windows(slower, np.array([16.0, 24.0]), 1 / 1.6)
    alike = np.sum(plain * heard, axis=2).mean()
    other = np.sum(plain * heard[::-1], axis=2).mean()
    assert alike > 0.9
    assert abs(other) < 0.3


def test_windows_are_empty_where_there_is_no_music():
    frames = np.ones((20, 32), np.float32)
    cut = windows(frames, np.array([1.0]))[0]
    assert np.allclose(cut[16:34], 1.0)
    assert not cut[:14].any()
    assert not cut[36:].any()


def test_the_program_names_measure_and_beat(scores, tmp_path):
    import soundfile

    piece = PIECES[0]
    soundfile.write(tmp_path / "clip.wav", clip_of(perform(piece, Performance(5, "piano")), 8, 8.0).samples, RATE)
    done = incipit("query", tmp_path / "clip.wav", "--task", "scores", "--library", scores.folder, "--json")
    assert done.returncode == 0
    hit = documents(done)[0]["hits"][0]
    assert hit["title"] == piece.title
    assert isinstance(hit["measure"], str)
    assert 1 <= hit["beat"] < 5
    told = incipit("query", tmp_path / "clip.wav", "--task", "scores", "--library", scores.folder)
    assert f"m. {hit['measure']}" in told.stdout


def phrase_of(piece, first_beat, last_beat, transposition=0, tempo=1.0, lengthened=1):
    """The melody between two beats, as a score; every so many notes twice as long."""
    notes = [note for note in piece.notes if note.part == 0 and first_beat <= note.onset < last_beat]
    seconds, now = [], 0.0
    for number, note in enumerate(notes):
        seconds.append(now)
        now += note.duration * (2.0 if lengthened > 1 and number % lengthened == 0 else 1.0) * 60 / piece.tempo / tempo
    ends = [*seconds[1:], now]
    rows = [(on, off, note.pitch + transposition, 0.6) for on, off, note in zip(seconds, ends, notes, strict=True)]
    return Score("phrase", None, np.array(rows, float), (), now)


def test_a_phrase_is_found_in_its_score_by_its_notes(scores):
    piece = PIECES[3]
    hits = scores.ask(phrase_of(piece, 0, 24, tempo=1.3), "scores", Wanted())
    assert hits[0].title == piece.title
    assert hits[0].accepted
    assert any(abs(place.start) < 0.05 for place in hits[0].places)
    assert hits[0].tempo_ratio == pytest.approx(1.3, rel=0.02)


def test_a_rest_before_a_phrase_is_no_part_of_the_place(scores):
    phrase = phrase_of(PIECES[3], 0, 24, tempo=1.3)
    later = replace(phrase, notes=phrase.notes + np.array([5, 5, 0, 0]), duration=phrase.duration + 9.0)
    place, where = (scores.ask(one, "scores", Wanted())[0].places[0] for one in (later, phrase))
    assert (place.start, place.end) == (where.start, where.end)
    assert (place.query_start, place.query_end) == pytest.approx((where.query_start + 5.0, where.query_end + 5.0))
    assert where.query_end == pytest.approx(phrase.notes[:, 1].max())


def test_a_phrase_in_another_key_and_rhythm_is_found_when_asked_for(scores):
    piece = PIECES[3]
    higher = phrase_of(piece, 0, 24, transposition=4)
    assert not any(hit.title == piece.title and hit.accepted for hit in scores.ask(higher, "scores", Wanted()))
    best = scores.ask(higher, "scores", Wanted(any_key=True))[0]
    assert (best.title, best.transposition % 12) == (piece.title, 4)  # the octave below is there, too
    dotted = phrase_of(piece, 0, 24, lengthened=2)
    assert not any(hit.title == piece.title for hit in scores.ask(dotted, "scores", Wanted()))
    assert scores.ask(dotted, "scores", Wanted(any_rhythm=True))[0].title == piece.title


def test_a_score_is_sought_in_recordings_as_it_would_sound(collection, music):
    piece = next(piece for piece in PIECES if piece.name == music.recorded[0].piece)
    phrase = phrase_of(piece, 0, 1)
    whole = Score("whole", None, _notes_of(piece), (), piece.beats * 60 / piece.tempo)
    found = collection.ask(whole, "versions", Wanted())
    assert {hit.path for hit in found[:2]} == {str(item.path) for item in music.pair(piece.name)}
    with pytest.raises(QueryError, match="not from any recording"):
        collection.ask(phrase, "identify", Wanted())


def _notes_of(piece):
    rows = [(note.onset, note.onset + note.duration, note.pitch, 0.6) for note in piece.notes]
    notes = np.array(sorted(rows), float)
    notes[:, :2] *= 60 / piece.tempo
    return notes


def test_a_library_without_scores_has_none_to_find(collection, music):
    clip = Audio(read_audio(music.recorded[0].path).samples[: 8 * RATE])
    assert collection.ask(clip, "scores", Wanted()) == []


def test_scores_that_were_found_before_are_found_again(scores, monkeypatch):
    monkeypatch.setattr("retrieval.score_search._MOST_REMEMBERED", 2)
    clips = {number: clip_of(perform(PIECES[number], Performance(1, "piano")), 8, 8.0) for number in (0, 3)}
    first = {number: scores.ask(clip, "scores", Wanted(top=4)) for number, clip in clips.items()}
    for number in (0, 3, 0):
        assert scores.ask(clips[number], "scores", Wanted(top=4)) == first[number]
