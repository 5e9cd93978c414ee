"""Two performances of a piece are aligned to their ground truth, and unlike pieces are refused."""

from itertools import pairwise

import numpy as np
import pytest

from alignment import Audio, FeatureError, read_audio, synchronise
from alignment.export import path_csv, synchronisation_document

RATE = 22050


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


def test_exchanging_the_sides_exchanges_the_path(aligned):
    first, second, result = aligned
    back = synchronise(read_audio(second.path), read_audio(first.path))
    times = np.linspace(result.path.ref[50], result.path.ref[-50], 200)
    assert np.median(np.abs(back.path.map(result.path.map(times)) - times)) < 0.02


def test_a_file_aligned_with_itself_is_the_identity(music):
    audio = read_audio(music.recorded[0].path)
    result = synchronise(audio, audio)
    assert result.confidence > 0.99
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


def test_another_key_is_found(music):
    audio = read_audio(music.recorded[0].path)
    import soxr

    higher = Audio(soxr.resample(audio.samples, RATE * 2 ** (2 / 12), RATE).astype(np.float32))
    result = synchronise(audio, higher)
    assert result.transposition == -2
    assert result.accepted
    wanted = result.path.ref / 2 ** (2 / 12)
    assert np.median(np.abs(result.path.other - wanted)) < 0.02


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
