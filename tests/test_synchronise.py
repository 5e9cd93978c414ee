"""Two performances of a piece are aligned to their ground truth, and unlike pieces are refused."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from demo_music import Performance, perform
from demo_pieces import PIECES

from alignment import Audio, FeatureError, read_audio, synchronise
from alignment.carrying import inverted
from alignment.export import path_csv, synchronisation_document
from alignment.pair import band_around
from alignment.score import read_score
from alignment.score_sound import score_sound

RATE = 22050
MINUET = next(piece for piece in PIECES if piece.name == "petzold-minuet")


def errors(result, first, second):
    path = result.path
    return np.abs(path.map(first.seconds) - second.seconds)


@pytest.fixture(scope="module")
def aligned(music):
    first, second = music.pair("petzold-minuet")
    return first, second, synchronise(read_audio(first.path), read_audio(second.path))


def test_performances_meet_at_the_notes(music, aligned):
    first, second, result = aligned
    assert result.accepted
    found = errors(result, first, second)
    assert np.median(found) < 0.03
    assert np.mean(found < 0.1) > 0.9


def test_tuning_difference_is_reported(aligned):
    first, second, result = aligned
    assert result.tuning_cents == pytest.approx(second.performance.tuning_cents - first.performance.tuning_cents, abs=8)
    assert result.transposition == 0


def test_path_is_strictly_monotone_and_inside_both(aligned):
    _, _, result = aligned
    assert result.path.is_strictly_monotone
    match = next(segment for segment in result.segments if segment.kind == "match")
    assert len(match.confidence) == len(match.path)
    assert ((match.confidence >= 0) & (match.confidence <= 1)).all()


@pytest.mark.parametrize("transposition", [0, 3, -4, 6])
def test_exchanging_the_sides_exchanges_the_path(music, transposition):
    first, _ = music.pair("petzold-minuet")
    ref = read_audio(first.path)
    played, length = perform(MINUET, Performance(5, "guitar", transposition=transposition)).samples, len(ref.samples)
    other = Audio(np.pad(played, (0, length))[:length])  # as long, so that length tells not which side is lowered
    there, back = synchronise(ref, other), synchronise(other, ref)
    expected = (6, 6) if transposition == 6 else (-transposition, transposition)
    assert (there.transposition, back.transposition) == expected
    assert inverted(there).transposition == back.transposition
    times = np.linspace(there.path.ref[0], there.path.ref[-1], 500)
    assert np.abs(back.path.map(there.path.map(times)) - times).max() < 1e-3


def test_a_file_aligned_with_itself_is_the_identity(music):
    audio = read_audio(music.recorded[0].path)
    result = synchronise(audio, audio)
    assert result.confidence > 0.99
    assert np.abs(result.path.ref - result.path.other).max() < 0.021


@pytest.mark.parametrize("name", ["newZealand-a", "germany-a"])
def test_a_recording_with_noise_around_the_music_is_the_identity_too(data, name):
    audio = read_audio(data / "anthems" / f"{name}.mp3")
    result = synchronise(audio, audio)
    assert [segment.kind for segment in result.segments] == ["match"]
    assert np.abs(result.path.ref - result.path.other).max() < 0.021


def test_silence_at_the_ends_stands_alone(music):
    audio = read_audio(music.recorded[0].path)
    padded = Audio(np.concatenate([np.zeros(3 * RATE, np.float32), audio.samples, np.zeros(2 * RATE, np.float32)]))
    result = synchronise(audio, padded)
    match = next(segment for segment in result.segments if segment.kind == "match")
    alone = [segment.other for segment in result.segments if segment.kind == "only_other"]
    assert alone[0][0] == 0.0
    assert match.other[0] - match.ref[0] == pytest.approx(3.0, abs=0.03)
    assert alone[-1][1] == pytest.approx(padded.duration)


def test_hiss_before_the_first_note_and_after_the_last_moves_neither():
    random = np.random.default_rng(5)
    pitches = random.choice([0, 2, 4, 5, 7, 9, 11], 24)

    def played(times):
        out = np.zeros(round((times[-1] + 3) * RATE))
        for start, pitch in zip(times, pitches, strict=True):
            t = np.arange(3 * RATE) / RATE
            tone = sum(np.sin(2 * np.pi * 262 * 2 ** (pitch / 12) * k * t) / k for k in range(1, 6)) * np.exp(-2 * t)
            out[round(start * RATE) : round(start * RATE) + len(t)] += tone[: len(out) - round(start * RATE)]
        return 0.2 * out

    gaps = np.concatenate([[2.5], random.choice([0.3, 0.6], 21), [2.5]])
    first = 0.5 + np.concatenate([[0], np.cumsum(gaps)])
    second = 2.0 + np.concatenate([[0], np.cumsum(1.1 * gaps)])
    sound = np.concatenate([played(second), np.zeros(4 * RATE)])
    hiss = random.standard_normal(len(sound)) * np.sqrt(np.square(sound).mean()) / 10.0
    path = synchronise(Audio(played(first).astype(np.float32)), Audio((sound + hiss).astype(np.float32))).path
    assert np.abs(path.map(first) - second)[[0, 1, -2, -1]].max() < 0.05


def test_what_dies_away_and_a_breath_belong_to_the_music_and_applause_does_not(music):
    first, second = music.pair("petzold-minuet")
    random = np.random.default_rng(3)

    def played(item, seconds):
        sound = read_audio(item.path).samples
        dying = np.tile(sound[-RATE // 2 :], 2 * seconds) * np.exp(-2.0 * np.arange(RATE // 2 * 2 * seconds) / RATE)
        breath = 2.4 - item.seconds[0]  # with that of the recording itself as long in both
        return [0.0005 * random.standard_normal(round(breath * RATE)), sound, dying]

    def clapping(seconds):
        claps = random.random(seconds * RATE) < 0.02
        return 0.1 * random.standard_normal(seconds * RATE) * np.where(claps, 3.0, 0.3)

    ref = Audio(np.concatenate(played(first, 3)).astype(np.float32))
    other = Audio(np.concatenate([clapping(8), *played(second, 4), clapping(12)]).astype(np.float32))
    result = synchronise(ref, other)
    alone = [segment.other for segment in result.segments if segment.kind == "only_other"]
    assert np.array(alone) == pytest.approx(np.array([(0.0, 8.0), (other.duration - 12.0, other.duration)]), abs=0.3)


def test_another_key_is_found(music):
    audio = read_audio(music.recorded[0].path)
    import soxr

    higher = Audio(soxr.resample(audio.samples, RATE * 2 ** (2 / 12), RATE).astype(np.float32))
    result = synchronise(audio, higher)
    assert result.transposition == -2
    assert result.accepted
    wanted = result.path.ref / 2 ** (2 / 12)
    assert np.median(np.abs(result.path.other - wanted)) < 0.02


@pytest.mark.parametrize(("tempo_scale", "transposition"), [(0.35, 0), (0.4, 3), (2.6, 0)])
def test_a_performance_several_times_as_slow_or_as_fast_meets_at_the_notes(music, tempo_scale, transposition):
    first, _ = music.pair("petzold-minuet")
    second = perform(MINUET, Performance(5, "guitar", tempo_scale, transposition=transposition))
    result = synchronise(read_audio(first.path), Audio(second.samples))
    assert result.accepted
    assert result.transposition == -transposition
    slower = (second.seconds[-1] - second.seconds[0]) / (first.seconds[-1] - first.seconds[0])
    found = errors(result, first, second) / max(1.0, slower)
    assert np.median(found) < 0.03
    assert np.mean(found < 0.1) > 0.9


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_an_excerpt_is_found_in_the_key_in_which_all_of_it_is_there(data, share):
    """Parts of these passages are much alike to others of the movement as they are."""
    pytest.importorskip("partitura", reason="wants the score extra")
    folder = data / "asap" / "Beethoven" / "Piano_Sonatas" / "18-2_no_repeat"
    score, performance = read_score(folder / "midi_score.mid"), read_score(folder / "Schmitt01.mid")
    higher = score_sound(replace(score, notes=score.notes + np.array([0, 0, 5, 0])))
    start = round(share * score.duration)
    excerpt = Audio(higher.samples[start * RATE : (start + 20) * RATE])
    result = synchronise(score_sound(performance), excerpt)
    assert result.transposition == -5
    (match,) = (segment for segment in result.segments if segment.kind == "match")
    assert match.other == pytest.approx((0.0, 20.0), abs=1.0)


def test_a_key_misheard_in_an_excerpt_does_not_hold():
    """Of these arpeggios those a fourth higher warp more cheaply."""
    prelude = next(piece for piece in PIECES if piece.name == "bach-prelude")
    whole = Audio(perform(prelude, Performance(1, "piano")).samples)
    slow = perform(prelude, Performance(5, "guitar", 0.5))
    start = 0.3 * len(slow.samples) / RATE
    result = synchronise(whole, Audio(slow.samples[round(start * RATE) : round((start + 20.0) * RATE)]))
    assert result.accepted
    assert result.transposition == 0


def test_a_passage_at_a_pace_of_its_own_belongs_to_the_match(music):
    """As where a score goes on as before and the performer plays small print several times as fast."""
    first, _ = music.pair("petzold-minuet")
    slow, even = (perform(MINUET, Performance(5, "guitar", scale, rubato=0.0, lead=0.0)) for scale in (0.3, 1.0))
    cuts = np.searchsorted(even.beats, [MINUET.beats / 3, 2 * MINUET.beats / 3])
    parts = [round(times.seconds[cut] * RATE) for times in (even, slow) for cut in cuts]
    second = np.concatenate([even.samples[: parts[0]], slow.samples[parts[2] : parts[3]], even.samples[parts[1] :]])
    result = synchronise(read_audio(first.path), Audio(second))
    alone = sum(np.ptp(segment.ref) for segment in result.segments if segment.kind == "only_ref")
    assert result.accepted
    assert alone < 0.05 * first.seconds[-1]


def test_different_works_are_not_accepted_and_no_path_is_made_up(music):
    names = sorted({item.piece for item in music.recorded})
    for one, two in pairwise(names):
        result = synchronise(read_audio(music.pair(one)[0].path), read_audio(music.pair(two)[1].path))
        assert not result.accepted, (one, two)
        assert result.path is None
        assert {segment.kind for segment in result.segments} == {"only_ref", "only_other"}


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(10), np.zeros(5 * RATE)])
def test_silence_is_not_accepted(music, samples):
    silence = Audio(samples.astype(np.float32))
    result = synchronise(read_audio(music.recorded[0].path), silence)
    assert not result.accepted
    assert result.path is None


def test_other_rates_are_refused(music):
    audio = read_audio(music.recorded[0].path, 44100)
    with pytest.raises(FeatureError, match="Got 44100"):
        synchronise(audio, audio)


def test_document_and_csv_say_the_same(aligned):
    first, second, result = aligned
    document = synchronisation_document(str(second.path), result)
    match = next(segment for segment in document["segments"] if segment["kind"] == "match")
    points = np.array(match["warping_path"])
    assert (np.diff(points, axis=0) > 0).all()
    assert len(match["confidence"]) == len(points)
    rows = [row.split(",") for row in path_csv([("other", result)]).splitlines()]
    assert rows[0] == ["ref", "other", "segment"]
    assert np.array_equal(np.array(rows[1:], float)[:, :2], points)
    thinned = np.interp(first.seconds, points[:, 0], points[:, 1])
    assert np.abs(thinned - result.path.map(first.seconds)).max() < 0.003


def test_csv_of_several_has_a_column_each(music, aligned):
    first, _, result = aligned
    itself = synchronise(read_audio(first.path), read_audio(first.path))
    rows = [row.split(",") for row in path_csv([("/b", result), ("/a", itself)]).splitlines()]
    assert rows[0] == ["ref", "/b", "/a"]
    filled = np.array([[float(cell) for cell in row] for row in rows[1:] if all(row)])
    assert np.allclose(filled[:, 0], filled[:, 2], atol=0.021)
    assert (np.diff(filled, axis=0) >= 0).all()


def edited(audio, *pieces):
    """The sound in another order: pieces are (start, end) in seconds, or samples to put in."""
    parts = [
        piece if isinstance(piece, np.ndarray) else audio.samples[round(piece[0] * RATE) : round(piece[1] * RATE)]
        for piece in pieces
    ]
    return Audio(np.concatenate(parts).astype(np.float32))


def alone(result, kind):
    spans = [segment.ref or segment.other for segment in result.segments if segment.kind == kind]
    return [span for span in spans if span[1] - span[0] > 1.0]


def covers(result, side, duration):
    spans = sorted(getattr(segment, side) for segment in result.segments if getattr(segment, side) is not None)
    ends = [0.0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), duration]
    return all(abs(start - end) <= 0.5 for start, end in zip(starts, ends, strict=True))


def test_a_cut_is_told_and_the_rest_meets_at_the_notes(aligned):
    first, second, _ = aligned
    ref, other = read_audio(first.path), read_audio(second.path)
    start, end = 0.4 * other.duration, 0.6 * other.duration
    result = synchronise(ref, edited(other, (0, start), (end, other.duration)))
    ((low, high),) = alone(result, "only_ref")
    assert alone(result, "only_other") == []
    wanted = np.interp([start, end], second.seconds, first.seconds)
    assert high - low == pytest.approx(wanted[1] - wanted[0], abs=1.0)
    assert covers(result, "ref", ref.duration)
    moved = np.where(second.seconds < start, second.seconds, second.seconds - (end - start))
    for segment in (segment for segment in result.segments if segment.path is not None):
        inside = (first.seconds > segment.ref[0] + 1) & (first.seconds < segment.ref[1] - 1)
        played = inside & ((second.seconds < start - 1) | (second.seconds > end + 1))
        errors = np.abs(segment.path.map(first.seconds[played]) - moved[played])
        assert np.mean(errors < 0.1) > 0.9


@pytest.mark.parametrize("share", [0.35, 0.6])
def test_a_cut_of_three_seconds_is_told(aligned, share):
    first, second, _ = aligned
    ref, other = read_audio(first.path), read_audio(second.path)
    start = second.seconds[round(share * len(second.seconds))]
    cut = edited(other, (0, start), (start + 3.0, other.duration))
    result = synchronise(ref, cut)
    ((low, high),) = alone(result, "only_ref")
    assert alone(synchronise(cut, ref), "only_other") == [pytest.approx((low, high), abs=1e-6)]
    wanted = np.interp([start, start + 3.0], second.seconds, first.seconds)
    assert (low, high) == pytest.approx(tuple(wanted), abs=1.0)
    assert high - low == pytest.approx(wanted[1] - wanted[0], abs=0.5)


def test_a_chord_held_for_five_seconds_is_no_cut():
    piece = PIECES[0]
    played = perform(piece, Performance(seed=2, timbre="piano"))
    at = round(played.seconds[len(played.seconds) // 2] * RATE) - RATE // 50
    held = np.tile(played.samples[at - RATE // 4 : at], 20)
    held = held * np.exp(-0.8 * np.arange(len(held)) / RATE)
    longer = np.concatenate([played.samples[:at], held, played.samples[at:]]).astype(np.float32)
    other = perform(piece, Performance(seed=3, timbre="piano"))
    result = synchronise(Audio(other.samples.astype(np.float32)), Audio(longer))
    assert alone(result, "only_other") == alone(result, "only_ref") == []


@pytest.mark.parametrize("trailing", [False, True])
def test_applause_on_both_sides_is_not_matched(aligned, trailing):
    first, second, _ = aligned

    def clapping(seconds, seed):
        random = np.random.default_rng(seed)
        hands = np.convolve(random.random(seconds * RATE) < 0.003, np.exp(-np.arange(200) / 40.0), "same")
        return (0.05 + hands) * 0.1 * random.standard_normal(seconds * RATE)

    def applauded(item, seconds, seed):
        sound = read_audio(item.path).samples
        parts = [sound, clapping(seconds, seed)]
        return Audio(np.concatenate(parts if trailing else parts[::-1]).astype(np.float32))

    ref, other = applauded(first, 9, 1), applauded(second, 14, 2)
    result = synchronise(ref, other)
    spans = [(ref.duration - 9.0, ref.duration), (other.duration - 14.0, other.duration)]
    wanted = spans if trailing else [(0.0, 9.0), (0.0, 14.0)]
    found = [*alone(result, "only_ref"), *alone(result, "only_other")]
    assert np.array(found) == pytest.approx(np.array(wanted), abs=1.0)


def test_noise_put_in_and_swapped_sections_are_told(aligned):
    first, second, _ = aligned
    ref, other = read_audio(first.path), read_audio(second.path)
    noise = 0.1 * np.random.default_rng(0).standard_normal(10 * RATE)
    half, whole = 0.5 * other.duration, other.duration
    result = synchronise(ref, edited(other, (0, half), noise, (half, whole)))
    ((low, high),) = alone(result, "only_other")
    assert (low, high) == pytest.approx((half, half + 10), abs=1.0)
    swapped = synchronise(ref, edited(other, (half, whole), (0, half)))
    matches = [segment for segment in swapped.segments if segment.kind == "match" and np.ptp(segment.ref) > 5]
    assert len(matches) == 2
    assert matches[0].other[0] > matches[1].other[0]


def test_an_excerpt_finds_its_place(aligned):
    first, second, result = aligned
    ref, other = read_audio(first.path), read_audio(second.path)
    start = 0.3 * other.duration
    found = synchronise(ref, edited(other, (start, start + 20)))
    assert found.accepted
    match = max((segment for segment in found.segments if segment.path is not None), key=lambda s: np.ptp(s.ref))
    wanted = result.path.invert().map([start + 2, start + 18])
    assert match.path.invert().map([2, 18]) == pytest.approx(wanted, abs=0.15)
    assert covers(found, "ref", ref.duration)


@pytest.mark.parametrize("line", [[(0, 0), (300, 450)], [(0, 0), (200, 60), (260, 400)]])
def test_a_band_is_kept_on_both_sides(line):
    rows, columns = np.array(line).T
    band = band_around(line, (20.0, 20.0))
    for row, (low, high) in enumerate(zip(band.low, band.high, strict=True)):
        assert low <= np.interp(row, rows, columns) < high
        for column in {low, high - 1} - {0, columns[-1] - 1}:
            assert abs(column - np.interp(row, rows, columns)) <= 22
            assert abs(row - np.interp(column, columns, rows)) <= 22 or len(line) > 2  # around corners it is wider


def test_a_band_is_kept_and_an_anchor_is_gone_through(aligned):
    first, second, result = aligned
    ref, other = read_audio(first.path), read_audio(second.path)
    anchor = (20.0, float(result.path.map(20.0)) + 0.2)
    held = synchronise(ref, other, anchors=[anchor], band=0.5)
    (match,) = [segment for segment in held.segments if segment.path is not None]
    assert float(match.path.map(20.0)) == pytest.approx(anchor[1], abs=1e-6)
    line = np.interp(match.path.ref, [0, 20.0, ref.duration], [0, anchor[1], other.duration])
    assert np.abs(match.path.other - line).max() < 1.0  # the line runs from sound to sound


def test_anchors_beside_a_repeat_say_where_the_other_goes_back(aligned):
    first, second, result = aligned
    ref, other = read_audio(first.path), read_audio(second.path)
    start, end = 0.3 * other.duration, 0.6 * other.duration
    twice = edited(other, (0, end), (start, other.duration))
    turn = start + 0.4 * (end - start)
    anchors = [(float(result.path.invert().map(turn - 0.5)), turn - 0.5)]
    anchors.append((float(result.path.invert().map(turn + 0.5)), turn + 0.5 + end - start))
    matches = [segment for segment in synchronise(ref, twice, anchors=anchors).segments if segment.path is not None]
    for at, wanted in anchors:
        found = [float(match.path.map(at)) for match in matches if match.ref[0] <= at <= match.ref[1]]
        assert found == pytest.approx([wanted], abs=0.02)


def test_confidence_tells_where_the_path_is_right(aligned):
    first, second, result = aligned
    match = next(segment for segment in result.segments if segment.path is not None)
    at = np.clip(np.searchsorted(match.path.ref, first.seconds), 0, len(match.path) - 1)
    found = errors(result, first, second)
    assert match.confidence[at][found < 0.1].mean() > 0.8
    held = found - np.median(found) < match.interval[at]
    assert held.mean() > 0.7


@pytest.mark.parametrize("seed", range(14))
def test_odd_anchors_bands_and_excerpts_neither_fail_nor_break_the_paths(aligned, seed):
    first, second, _ = aligned
    rng = np.random.default_rng(seed)
    ref, other = read_audio(first.path), read_audio(second.path)
    lengths = [float(np.exp(rng.uniform(np.log(0.3), np.log(40)))) for _ in range(2)]
    ref, other = (edited(sound, (5, 5 + length)) for sound, length in zip((ref, other), lengths, strict=True))
    count = int(rng.integers(0, 4))
    sides = [np.sort(rng.uniform(0, sound.duration, count)) for sound in (ref, other)]
    if seed % 3 == 0 and count:  # close together
        sides = [side[0] + 0.01 * np.arange(count) for side in sides]
    band = [None, 0.05, 0.5, 100.0][int(rng.integers(4))]
    result = synchronise(ref, other, band=band, anchors=list(zip(*map(np.ndarray.tolist, sides), strict=True)))
    for segment in (segment for segment in result.segments if segment.path is not None):
        assert segment.path.is_strictly_monotone
        assert segment.path.ref[0] >= 0
        assert segment.path.ref[-1] <= ref.duration + 1e-6
        assert segment.path.other[-1] <= other.duration + 1e-6
        assert len(segment.confidence) == len(segment.interval) == len(segment.path)
    assert result.accepted == any(segment.kind == "match" for segment in result.segments)


def test_anchors_that_fall_and_bands_of_nothing_are_refused(music):
    audio = read_audio(music.recorded[0].path)
    with pytest.raises(FeatureError, match="must rise"):
        synchronise(audio, audio, anchors=[(20, 20), (10, 10)])
    with pytest.raises(FeatureError, match="must be positive"):
        synchronise(audio, audio, band=0.0)


@pytest.mark.parametrize("seconds", [15, 30])
def test_noise_is_no_performance_of_other_noise(seconds):
    rng = np.random.default_rng(3)
    one, other = (Audio((0.1 * rng.standard_normal(seconds * RATE)).astype(np.float32)) for _ in range(2))
    assert not synchronise(one, other).accepted


@pytest.mark.parametrize(("one", "other"), [("austria", "england"), ("england", "italy"), ("germany", "china")])
def test_different_anthems_are_not_accepted(data, one, other):
    paths = [data / "anthems" / name for name in (f"{one}-a.mp3", f"{other}-b.mp3")]
    if not all(path.exists() for path in paths):
        pytest.skip("the anthems are not there")
    assert not synchronise(*map(read_audio, paths)).accepted


def test_noise_is_no_performance(music):
    audio = read_audio(music.recorded[0].path)
    noise = Audio((0.1 * np.random.default_rng(0).standard_normal(20 * RATE)).astype(np.float32))
    assert not synchronise(audio, noise).accepted


@pytest.mark.parametrize(("name", "first", "seconds"), [("china-b", 31.621, 8), ("england-b", 37.1, 5)])
def test_whether_it_is_the_same_music_does_not_depend_on_which_side_is_the_reference(data, name, first, seconds):
    whole, other = (read_audio(data / "anthems" / f"{name[:-1]}{letter}.mp3") for letter in "ab")
    excerpt = Audio(other.samples[round(first * RATE) : round((first + seconds) * RATE)].copy())
    one, two = synchronise(whole, excerpt), synchronise(excerpt, whole)
    assert one.confidence == pytest.approx(two.confidence, abs=1e-6)
    assert one.accepted == two.accepted


def test_an_excerpt_ends_where_it_was_cut_though_both_end_in_silence(data):
    whole = read_audio(data / "anthems" / "england-a.mp3")
    excerpt = Audio(whole.samples[round(30.41 * RATE) : round(38.41 * RATE)].copy())
    (match,) = [segment for segment in synchronise(whole, excerpt).segments if segment.path is not None]
    assert match.ref == pytest.approx((30.41, 38.41), abs=0.1)
