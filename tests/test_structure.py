"""Sections that one side lacks, repeats or moves are told from those that correspond."""

import numpy as np
import pytest
from columns import music, played

from alignment.structure import Correspondence, Gaps, bridged, corresponding_sections, sharpen, without_noise

GAPS = Gaps(each=0.6, halt=0.25, opening=10.0, exchange=20.0, start=8.0, end=8.0, least_gain=15.0)
SHORTEST = 25


def spans(found):
    return [(match.x, match.y) for match in found]


def near(found, wanted):
    """Whether as many are found as wanted, and each within four frames."""
    return len(found) == len(wanted) and bool((np.abs(np.array(found) - np.array(wanted)) <= 4).all())


@pytest.fixture(scope="module")
def parts():
    whole = music(0, 600)
    return whole[:, :200], whole[:, 200:350], whole[:, 350:]


def test_the_same_music_is_one_section(parts):
    found = corresponding_sections(played(parts, 1), played(parts, 2), GAPS, SHORTEST)
    assert near(spans(found), [((0, 600), (0, 600))])


def test_a_dropped_section_stands_alone(parts):
    a, _, c = parts
    found = corresponding_sections(played(parts, 1), played([a, c], 2), GAPS, SHORTEST)
    assert near(spans(found), [((0, 200), (0, 200)), ((350, 600), (200, 450))])


def test_a_repeat_that_only_one_plays_stands_alone(parts):
    a, b, c = parts
    found = corresponding_sections(played(parts, 1), played([a, b, b, c], 2), GAPS, SHORTEST)
    assert sum(y[1] - y[0] for _, y in spans(found)) == pytest.approx(600, abs=8)
    assert sum(x[1] - x[0] for x, _ in spans(found)) == pytest.approx(600, abs=8)


def test_what_is_put_in_stands_alone(parts):
    a, b, c = parts
    found = corresponding_sections(played(parts, 1), played([a, music(9, 120), b, c], 2), GAPS, SHORTEST)
    assert near(spans(found), [((0, 200), (0, 200)), ((200, 600), (320, 720))])


def test_other_sound_before_and_after_stands_alone(parts):
    x = played(parts, 1)
    y = played([music(5, 80), *parts, music(6, 90)], 2)
    assert near(spans(corresponding_sections(x, y, GAPS, SHORTEST)), [((0, 600), (80, 680))])


def test_swapped_sections_are_both_found(parts):
    a, b, c = parts
    found = corresponding_sections(played(parts, 1), played([a, c, b], 2), GAPS, SHORTEST)
    assert near(spans(found), [((0, 200), (0, 200)), ((200, 350), (450, 600)), ((350, 600), (200, 450))])


def test_exchanging_the_sides_exchanges_the_sections(parts):
    a, b, c = parts
    x, y = played(parts, 1), played([a, c, b], 2)
    there = corresponding_sections(x, y, GAPS, SHORTEST)
    back = corresponding_sections(y, x, GAPS, SHORTEST)
    assert near(sorted((x, y) for y, x in spans(back)), spans(there))


def test_unlike_music_has_nothing_in_common():
    found = corresponding_sections(music(1, 400), music(2, 420), GAPS, SHORTEST)
    covered = sum(x[1] - x[0] for x, _ in spans(found))
    assert covered < 0.2 * 400


@pytest.mark.parametrize(("frames", "sections"), [(30, 1), (75, 2)])
def test_a_short_passage_that_sounds_unlike_on_both_sides_is_matched(parts, frames, sections):
    a, b, c = parts
    x, y = played(parts, 1), played([a, music(9, frames), b[:, frames:], c], 2)
    found = corresponding_sections(x, y, GAPS, SHORTEST)
    assert len(found) == 2
    whole = bridged(x, y, found, GAPS)
    assert near([((whole[0].x[0], whole[-1].x[1]), (whole[0].y[0], whole[-1].y[1]))], [((0, 600), (0, 600))])
    steps = np.diff(np.concatenate([match.path for match in whole]), axis=0)
    assert int((steps.max(axis=1) > 1).sum()) + 1 == sections


def test_what_only_one_side_plays_is_never_bridged(parts):
    a, _, c = parts
    x, y = played(parts, 1), played([a, c], 2)
    found = corresponding_sections(x, y, GAPS, SHORTEST)
    assert spans(bridged(x, y, found, GAPS)) == spans(found)


def test_a_cut_is_sharpened_to_the_frame(parts):
    a, b, c = parts
    x, y = played([a, b, c], 1), played([a, c], 2)
    gaps = Gaps(each=0.6, halt=0.25, opening=5.0, exchange=0.0, start=np.inf, end=np.inf, least_gain=0.0)
    half = np.float16
    end, start = sharpen(x.astype(half), y.astype(half), (193, 193), (343, 193), 60, gaps)
    assert near([(end, start)], [((200, 200), (350, 200))])


@pytest.mark.parametrize(("frames", "backwards"), [(60, False), (60, True), (10, False)])
def test_noise_at_an_end_that_only_one_side_has_is_no_note_held_longer(frames, backwards):
    whole = music(0, 100 + frames)
    x, y = played([whole[:, :100]], 1), played([whole], 2)
    diagonal = np.repeat(np.arange(100)[:, None], 2, axis=1)
    path = np.concatenate([diagonal, np.column_stack([np.full(frames, 99), np.arange(100, 100 + frames)])])
    noise = np.zeros(100, bool), np.arange(100 + frames) >= 100
    if backwards:
        path = ((99, 99 + frames) - path)[::-1]
        noise = noise[0], noise[1][::-1]
    (kept,) = without_noise(x, y, [Correspondence(path, 1.0)], noise)
    wanted = path if frames == 10 else diagonal + np.array([0, frames if backwards else 0])
    assert np.array_equal(kept.path, wanted)
