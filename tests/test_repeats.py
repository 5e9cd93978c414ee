"""A repeat that is not played is left out from bar line to bar line, wherever the tempo would have it."""

import numpy as np
import pytest
from written import REPEAT, attributes, document, measure, note

from alignment import synchronise
from alignment.score import read_score
from alignment.score_sound import score_sound

MEASURES, REPEATED = 16, 9


def written(path, repeat, bpm=(120,)):
    """Sixteen measures of a melody, nine of them repeated or not, at tempi that change from measure to measure."""
    pitches = np.random.default_rng(1).integers(55, 80, (MEASURES, 8)).tolist()
    path.write_text(
        document(
            "".join(
                measure(
                    number + 1,
                    f'<direction><sound tempo="{bpm[number % len(bpm)]}"/></direction>',
                    *(note(pitch, 0.5) for pitch in pitches[number]),
                    repeat if number == REPEATED - 1 else "",
                    attributes=attributes() if number == 0 else "",
                )
                for number in range(MEASURES)
            )
        )
    )
    return score_sound(read_score(path))


@pytest.mark.parametrize("bpm", [(104,), (90, 96, 110, 126, 112), (130, 108, 120)])
@pytest.mark.parametrize("exchanged", [False, True])
def test_the_second_playing_is_left_out(tmp_path, bpm, exchanged):
    score = written(tmp_path / "repeated.musicxml", REPEAT)
    once = written(tmp_path / "once.musicxml", "", bpm)
    result = synchronise(once, score) if exchanged else synchronise(score, once)
    (side, kind) = ("other", "only_other") if exchanged else ("ref", "only_ref")
    assert [segment.kind for segment in result.segments] == ["match", kind, "match"]
    seconds = REPEATED * 4 * 0.5
    assert getattr(result.segments[1], side) == pytest.approx((seconds, 2 * seconds), abs=0.05)
    before, after = result.segments[0], result.segments[2]
    other = "ref" if exchanged else "other"
    assert getattr(after, other)[0] - getattr(before, other)[1] == pytest.approx(0.0, abs=0.05)
