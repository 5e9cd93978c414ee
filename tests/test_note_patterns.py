"""Note patterns are found where they are: moved, stretched, with notes between and notes wrong, and not elsewhere."""

import itertools

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignment.score import Beat, Score, read_score
from retrieval.errors import QueryError
from retrieval.even_time import even_time
from retrieval.note_patterns import Pattern, SearchedNotes, chance_places, pattern_places

THEME = ((0.0, 67), (0.5, 64), (1.0, 60), (1.25, 62), (1.5, 65), (2.0, 59), (2.75, 60), (3.0, 69), (3.5, 66), (4.0, 67))


def score(points, beats=(), length=0.2):
    notes = np.array([(onset, onset + length, pitch, 0.5) for onset, pitch in sorted(points)])
    return Score("made.mid", None, notes, tuple(beats), float(notes[:, 1].max()))


def moved(points, start=0.0, semitones=0, stretch=1.0):
    return [(start + stretch * onset, pitch + semitones) for onset, pitch in points]


def accompaniment(seconds, seed=0):
    """Chords of three notes, two a second."""
    rng = np.random.default_rng(seed)
    return [(k / 2, int(p)) for k in range(2 * seconds) for p in rng.choice(np.arange(36, 56), 3, replace=False)]


def places(query, notes, **wanted):
    return pattern_places(Pattern(score(query)), SearchedNotes(score(notes)), **wanted)


def test_a_pattern_is_found_at_its_place_and_at_its_repeats():
    notes = [*accompaniment(40), *moved(THEME, 7.0), *moved(THEME, 21.0), *moved(THEME, 30.25)]
    found = places(THEME, notes)
    assert sorted(place.start for place in found) == pytest.approx([7.0, 21.0, 30.25])
    assert all(place.share == 1.0 and place.transposition == 0 for place in found)
    assert all(place.tempo_ratio == pytest.approx(1.0) for place in found)
    assert sorted(place.end for place in found) == pytest.approx([11.2, 25.2, 34.45])


@pytest.mark.parametrize("any_rhythm", [False, True])
def test_other_keys_are_found_only_when_wanted(any_rhythm):
    notes = [*accompaniment(30), *moved(THEME, 4.0, semitones=5), *moved(THEME, 15.0, semitones=12)]
    assert not places(THEME, notes, any_rhythm=any_rhythm, min_share=1.0)
    found = places(THEME, notes, any_key=True, any_rhythm=any_rhythm, min_share=1.0)
    assert [(place.start, place.transposition) for place in sorted(found, key=lambda place: place.start)] == [
        (pytest.approx(4.0), -5),
        (pytest.approx(15.0), -12),
    ]


@pytest.mark.parametrize("stretch", [0.3, 0.5, 4 / 3, 2.0, 3.9])
def test_other_tempi_are_found(stretch):
    notes = [*accompaniment(40), *moved(THEME, 6.0, stretch=stretch)]
    best = places(THEME, notes)[0]
    assert best.start == pytest.approx(6.0)
    assert best.tempo_ratio == pytest.approx(stretch)


def test_wrong_notes_lower_the_share():
    wrong = [(onset, pitch + (3 if k == 4 else 0)) for k, (onset, pitch) in enumerate(THEME)]
    notes = [*accompaniment(20), *moved(THEME, 6.0)]
    best = places(wrong, notes)[0]
    assert (best.start, best.share) == (pytest.approx(6.0), 0.9)
    assert best.surprise < places(THEME, notes)[0].surprise
    assert not places(wrong, notes, min_share=0.95)


def test_onsets_may_be_off_as_by_hand():
    rng = np.random.default_rng(4)
    query = [(1.1 * onset + rng.uniform(-0.03, 0.03), pitch) for onset, pitch in THEME]
    best = places(query, [*accompaniment(20), *moved(THEME, 6.0)])[0]
    assert best.share == 1.0
    assert best.tempo_ratio == pytest.approx(1 / 1.1, rel=0.03)


def test_chords_are_patterns_too():
    notes = accompaniment(60, seed=3)
    query = moved([point for point in notes if 20.0 <= point[0] < 24.0], -20.0)
    best = places(moved(query, semitones=-2), notes, any_key=True)[0]
    assert (best.start, best.transposition, best.share) == (pytest.approx(20.0), -2, 1.0)


def test_dotted_rhythm_is_found_in_any_rhythm_only():
    dotted = np.cumsum([0.0, 0.75, 0.25, 0.75, 0.25, 0.75, 0.25, 0.75, 0.25, 0.75])
    even = [(0.5 * k, pitch) for k, (_, pitch) in enumerate(THEME)]
    notes = [*accompaniment(20), *((6.0 + onset, pitch) for onset, (_, pitch) in zip(dotted, THEME, strict=True))]
    assert not places(even, notes, min_share=1.0)
    best = places(even, notes, any_rhythm=True)[0]
    assert (best.start, best.share) == (pytest.approx(6.0), 1.0)
    assert best.end == pytest.approx(6.0 + dotted[-1] + 0.2)


def test_few_onsets_may_lie_between_in_any_rhythm():
    slow = moved(THEME, 6.0, stretch=2.0)
    few = [*((k / 2, 40) for k in range(80)), *slow]
    many = [*((k / 8, 40) for k in range(320)), *slow]
    query = [(0.3 * k, pitch) for k, (_, pitch) in enumerate(THEME)]
    assert places(query, few, any_rhythm=True, min_share=1.0)
    assert not places(query, many, any_rhythm=True, min_share=1.0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_no_exact_occurrence_is_missed(seed, any_key):
    rng = np.random.default_rng(seed)
    pattern = sorted({(int(x), int(p)) for x, p in zip(rng.integers(0, 9, 6), rng.integers(60, 64, 6), strict=True)})
    notes = sorted({(int(x), int(p)) for x, p in zip(rng.integers(0, 24, 24), rng.integers(58, 66, 24), strict=True)})
    if len(pattern) < 3 or pattern[0][0] == pattern[-1][0]:
        return
    most = naive.pattern_occurrences(pattern, notes, range(-6, 7) if any_key else [0], 4)
    found = places(pattern, notes, any_key=any_key, min_share=0.8)
    apart = len({onset for onset, _ in pattern}) >= 5
    if most == len(pattern) or (apart and most >= 0.8 * len(pattern)):
        assert found
        assert found[0].share >= most / len(pattern) - 1e-9


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_in_any_rhythm_it_is_the_order_that_counts(seed, any_key):
    rng = np.random.default_rng(seed)
    melody = rng.integers(60, 64, 5).tolist()
    chords = [set(rng.integers(58, 66, rng.integers(1, 4)).tolist()) for _ in range(25)]
    notes = [(float(j), pitch) for j, chord in enumerate(chords) for pitch in chord]
    shifts = range(-6, 7) if any_key else [0]
    found = places(list(enumerate(melody)), notes, any_key=any_key, any_rhythm=True, min_share=1.0)
    assert bool(found) == naive.ordered_occurrences(melody, chords, shifts, 3)


def test_longer_patterns_surprise_more():
    rng = np.random.default_rng(2)
    line = [(0.5 * k, int(p)) for k, p in enumerate(rng.integers(60, 80, 200))]
    surprises = [places(line[50 : 50 + length], line)[0].surprise for length in (5, 10, 20, 40)]
    assert all(one < two for one, two in itertools.pairwise(surprises))
    chances = [chance_places(surprise, 10**6, any_key=True) for surprise in surprises]
    assert chances[0] > 1.0
    assert chances[-1] < 1e-6


@pytest.mark.parametrize("any_rhythm", [False, True])
def test_nothing_is_accepted_in_notes_at_random(any_rhythm):
    rng = np.random.default_rng(7)
    library = [
        SearchedNotes(score([(k / 4, int(p)) for k in range(400) for p in rng.integers(40, 80, 3)])) for _ in range(5)
    ]
    onsets = sum(notes.onsets for notes in library)
    for length in (6, 12, 24):
        pattern = Pattern(score([(k / 4, int(p)) for k, p in enumerate(rng.integers(50, 75, length))]))
        for notes in library:
            for place in pattern_places(pattern, notes, any_key=True, any_rhythm=any_rhythm, min_share=0.6):
                assert chance_places(place.surprise, onsets, any_key=True) > 0.01


def test_tempo_marks_break_no_pattern():
    slow = [Beat(0.5 * k, str(k // 4 + 1), 1.0 + k % 4) for k in range(16)]
    fast = [Beat(8.0 + 0.3 * k, str(k // 4 + 5), 1.0 + k % 4) for k in range(16)]
    written = accompaniment(16, seed=5)

    def played(onset):
        return onset if onset < 8.0 else 8.0 + 0.6 * (onset - 8.0)

    notes = SearchedNotes(score([(played(onset), pitch) for onset, pitch in written], [*slow, *fast], length=0.1))
    query = Pattern(score([(onset - 6.0, pitch) for onset, pitch in written if 6.0 <= onset < 10.0]))
    best = pattern_places(query, notes)[0]
    assert (best.start, best.share) == (pytest.approx(6.0), 1.0)
    assert best.tempo_ratio == pytest.approx((played(9.5) - 6.0) / 3.5)


def test_even_time_rises_and_knows_other_metres():
    quarters = [Beat(0.5 * k, str(k // 4 + 1), 1.0 + k % 4) for k in range(8)]
    eighths = [Beat(4.0 + 0.25 * k, str(k // 6 + 3), 1.0 + k % 6) for k in range(12)]
    moments = np.linspace(-1.0, 12.0, 200)
    even = even_time(moments, [*quarters, *eighths])
    assert np.allclose(np.diff(even), even[1] - even[0])
    rng = np.random.default_rng(0)
    uneven = [Beat(when, "1", 1.0) for when in np.cumsum(rng.uniform(0.2, 1.0, 20)).tolist()]
    assert (np.diff(even_time(moments, uneven)) > 0).all()
    assert np.array_equal(even_time(moments, ()), moments)


@pytest.mark.parametrize("query", [[(0.0, 60), (1.0, 62)], [(0.0, 60), (0.0, 64), (0.0, 67), (0.0, 72)]])
def test_too_little_is_no_pattern(query):
    with pytest.raises(QueryError, match="wants 3 notes"):
        Pattern(score(query))


@pytest.mark.data
def test_a_subject_is_found_in_its_fugue(data):
    pytest.importorskip("partitura", reason="wants the score extra")
    fugue = read_score(data / "asap" / "Bach" / "Fugue" / "bwv_848" / "midi_score.mid")
    other = read_score(data / "asap" / "Bach" / "Prelude" / "bwv_848" / "midi_score.mid")
    subject = Pattern(Score("subject", None, fugue.notes[:14], fugue.beats, fugue.duration))
    notes, others = SearchedNotes(fugue), SearchedNotes(other)
    here = pattern_places(subject, notes)
    entries = pattern_places(subject, notes, any_key=True)
    assert here[0].start == pytest.approx(fugue.notes[0, 0])
    assert here[0].share == 1.0
    assert len(entries) > len(here)
    assert {place.transposition % 12 for place in entries} >= {0, 5}
    onsets = notes.onsets + others.onsets
    assert chance_places(here[0].surprise, onsets) < 0.01
    assert all(chance_places(place.surprise, onsets) > 0.01 for place in pattern_places(subject, others))
