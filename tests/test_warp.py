"""A performance warped onto another's timeline is where the other is, at its own pitch."""

import numpy as np
import pytest
import soundfile
from alignments import match, only_other, only_ref, synchronisation
from scipy.signal import firwin, oaconvolve

from alignment import Audio, AudioError, Segment, Synchronisation, WarpingPath, synchronise
from alignment.errors import AlignmentError
from alignment.features import onset_strength
from alignment.warp import warp_file, warp_onto

RATE = 22050
SECONDS = 16.0


def course(times):
    """Where the other is at times of the reference: between .6 and 1.4 times as fast."""
    return 1.0 + times + 0.6 * np.sin(times / 1.5)


def along_course(jitter=0.0):
    ref = np.arange(0.0, SECONDS + 0.01, 0.02)
    other = course(ref) + np.random.default_rng(1).uniform(-jitter, jitter, len(ref))
    path = WarpingPath(ref, np.maximum.accumulate(other)).monotone()
    segment = Segment("match", (0.0, SECONDS), (path.other[0], path.other[-1]), path, np.ones(len(path)))
    return Synchronisation((segment,), True, 1.0, 0, 0.0)


def plucked(times, seconds, rate=RATE):
    """Decaying tones of changing pitch that begin at the given times."""
    samples = np.zeros(round(seconds * rate))
    for number, time in enumerate(times):
        first = round(time * rate)
        length = min(round(0.4 * rate), len(samples) - first)
        if length > 0:
            at = np.arange(length) / rate
            samples[first : first + length] += np.exp(-10 * at) * np.sin(2 * np.pi * (220 + 37 * (number % 7)) * at)
    return np.asarray(0.5 * samples, np.float32)


def chord(seconds, rate=RATE, frequencies=(220.0, 277.2, 659.3)):
    at = np.arange(round(seconds * rate)) / rate
    return np.asarray(sum(np.sin(2 * np.pi * frequency * at) for frequency in frequencies) / 6, np.float32)


def demodulated(samples, frequency, rate=RATE):
    """The partial near a frequency as a slow complex signal, without the ends."""
    at = np.arange(len(samples)) / rate
    low = firwin(2 * (rate // 12) + 1, 20.0, fs=rate)
    return oaconvolve(samples * np.exp(-2j * np.pi * frequency * at), low, mode="same")[rate // 2 : -rate // 2]


def level_of(samples, frequency, rate=RATE):
    """Amplitude of the partial near a frequency, over time."""
    return 2 * np.abs(demodulated(samples, frequency, rate))


def cents_off(samples, frequency, rate=RATE):
    """How far the partial is from the frequency, over time."""
    deviation = np.diff(np.unwrap(np.angle(demodulated(samples, frequency, rate)))) * rate / (2 * np.pi)
    return 1200 * np.log2(1 + deviation / frequency)


def duration_of(seconds):
    return Audio(np.zeros(round(seconds * RATE), np.float32))


def peak_times(samples, near, reach=0.08):
    """Seconds of the highest onset strength around each of the given times."""
    strength = onset_strength(samples, RATE, hop=110)
    found = []
    for time in near:
        first, last = (max(round((time + off) * RATE / 110), 0) for off in (-reach, reach))
        found.append((first + np.argmax(strength[first:last])) * 110 / RATE)
    return np.array(found)


@pytest.mark.parametrize("jitter", [0.0, 0.02])
def test_onsets_fall_where_the_references_do(jitter):
    grid = np.linspace(0, SECONDS, 20001)
    onsets = np.arange(1.5, 16.5, 0.37)
    wanted = np.interp(onsets, course(grid), grid)
    inside = (wanted > 0.3) & (wanted < SECONDS - 0.5)
    ref = Audio(plucked(wanted, SECONDS))
    warped = warp_onto(ref, Audio(plucked(onsets, 19.0)), along_course(jitter))
    assert warped.shape == ref.samples.shape
    off = peak_times(warped, wanted[inside]) - peak_times(ref.samples, wanted[inside])
    assert np.abs(off).max() < 0.03
    assert np.median(np.abs(off)) < 0.01


def test_pitch_and_level_stay_through_changing_speed():
    warped = warp_onto(duration_of(SECONDS), Audio(chord(19.0)), along_course(0.02))
    for frequency in (220.0, 277.2, 659.3):
        cents = cents_off(warped, frequency)
        assert np.percentile(np.abs(cents), 95) < 10
        assert abs(np.median(cents)) < 2
        assert np.allclose(level_of(warped, frequency), 1 / 6, rtol=0.1)


def test_the_identity_gives_the_sound_itself():
    sound = plucked(np.arange(0.2, 9, 0.31), 10.0) + 0.1 * chord(10.0)
    warped = warp_onto(Audio(sound), Audio(sound), synchronisation(match([0.0, 10.0], [0.0, 10.0])))
    error = (warped - sound)[200:-200]
    assert np.abs(error).max() < 1e-4


def test_a_plain_shift_moves_the_sound():
    sound = plucked(np.arange(0.2, 9, 0.31), 10.0)
    warped = warp_onto(duration_of(8.0), Audio(sound), synchronisation(match([0.0, 8.0], [1.5, 9.5])))
    wanted = sound[round(1.5 * RATE) : round(9.5 * RATE)]
    assert np.corrcoef(warped[200:-200], wanted[200:-200])[0, 1] > 0.99


def test_what_stands_alone_is_silent_or_left_out():
    sound = Audio(chord(12.0))
    alignment = synchronisation(
        match([0.0, 3.0], [0.0, 3.0]), only_ref(3.0, 5.0), match([5.0, 8.0], [3.0, 6.0]), only_other(6.0, 12.0)
    )
    warped = warp_onto(duration_of(10.0), sound, alignment)
    assert len(warped) == 10 * RATE
    assert not warped[3 * RATE : 5 * RATE].any()
    assert not warped[8 * RATE :].any()
    for start in (0, 5):
        piece = warped[start * RATE + 200 : (start + 3) * RATE - 200]
        assert np.sqrt(np.mean(np.square(piece))) == pytest.approx(np.sqrt(3 / 72), rel=0.05)


def test_nothing_of_what_is_left_out_is_heard():
    quiet, loud = np.zeros(4 * RATE, np.float32), np.full(2 * RATE, 0.5, np.float32)
    alignment = synchronisation(match([0.0, 4.0], [0.0, 4.0]), match([4.0, 8.0], [6.0, 10.0]))
    warped = warp_onto(duration_of(8.0), Audio(np.concatenate([quiet, loud, quiet])), alignment)
    assert np.abs(warped[: round(3.94 * RATE)]).max() < 1e-4
    assert np.abs(warped[round(4.06 * RATE) :]).max() < 1e-4


def test_sections_in_another_order_are_put_in_the_references():
    low, high = chord(4.0, frequencies=(220.0,)), chord(4.0, frequencies=(880.0,))
    alignment = synchronisation(match([0.0, 4.0], [4.0, 8.0]), match([4.0, 8.0], [0.0, 4.0]))
    warped = warp_onto(duration_of(8.0), Audio(np.concatenate([low, high])), alignment)
    for start, frequency in ((0, 880.0), (4, 220.0)):
        level = level_of(warped[start * RATE : (start + 4) * RATE], frequency)
        assert np.allclose(level, 1 / 6, rtol=0.05)


def test_slivers_between_matches_are_filled():
    alignment = synchronisation(match([0.05, 3.0], [0.05, 3.0]), match([3.06, 5.95], [3.06, 5.95]))
    warped = warp_onto(duration_of(6.0), Audio(chord(6.0)), alignment)
    level = np.abs(oaconvolve(np.square(warped), np.ones(RATE // 50) * 50 / RATE, mode="same"))
    assert level[RATE // 50 : -RATE // 50].min() > 0.3 / 24


def test_no_match_is_silence_and_an_empty_reference_nothing():
    unrelated = synchronisation(only_ref(0.0, 2.0), only_other(0.0, 3.0), accepted=False)
    assert not warp_onto(duration_of(2.0), Audio(chord(3.0)), unrelated).any()
    assert warp_onto(duration_of(0.0), Audio(chord(3.0)), unrelated).shape == (0,)


def test_performances_sound_together(music):
    first, second = music.pair("petzold-minuet")
    ref, other = (Audio(soundfile.read(item.path, dtype="float32")[0]) for item in (first, second))
    alignment = synchronise(ref, other)
    warped = Audio(warp_onto(ref, other, alignment))
    again = synchronise(ref, warped).path
    assert np.median(np.abs(again.map(first.seconds) - first.seconds)) < 0.02


@pytest.mark.parametrize(("rate", "suffix"), [(44100, ".wav"), (48000, ".flac"), (8000, ".ogg")])
def test_a_file_keeps_its_rate_and_channels(tmp_path, rate, suffix):
    given, out = tmp_path / "given.wav", tmp_path / f"out{suffix}"
    left, right = chord(19.0, rate, (220.0,)), chord(19.0, rate, (220.0, 880.0))
    soundfile.write(given, np.column_stack([left, right]), rate)
    warp_file(given, SECONDS, along_course(), out)
    warped, out_rate = soundfile.read(out)
    assert out_rate == rate
    assert warped.shape == (round(SECONDS * rate), 2)
    for channel, wanted in ((0, 0.0), (1, 1 / 6)):
        level = level_of(warped[:, channel], 880.0, rate)
        assert np.median(level) == pytest.approx(wanted, abs=0.01)
    assert np.corrcoef(*(oaconvolve(side, firwin(801, 440, fs=rate)) for side in warped.T))[0, 1] > 0.99
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["given.wav", out.name])


def test_a_file_sounds_like_the_same_sound_in_memory(tmp_path):
    sound = plucked(np.arange(0.3, 18, 0.4), 19.0)
    soundfile.write(tmp_path / "given.wav", sound, RATE, subtype="FLOAT")
    warp_file(tmp_path / "given.wav", SECONDS, along_course(), tmp_path / "out.wav")
    kept, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert np.abs(kept - warp_onto(duration_of(SECONDS), Audio(sound), along_course())).max() < 1e-4


def test_a_file_may_be_warped_onto_itself(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, chord(19.0), RATE)
    warp_file(path, SECONDS, along_course(), path)
    assert soundfile.info(path).frames == round(SECONDS * RATE)


def test_sound_that_no_file_holds_is_written_too(tmp_path):
    sound = Audio(chord(19.0))
    warp_file(sound, SECONDS, along_course(), tmp_path / "out.wav")
    written, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert rate == sound.rate
    assert np.abs(written - warp_onto(duration_of(SECONDS), sound, along_course())).max() < 1e-4


def test_what_cannot_be_read_or_written_is_an_error_and_leaves_nothing(tmp_path):
    given = tmp_path / "given.wav"
    soundfile.write(given, chord(2.0), RATE)
    alignment = synchronisation(match([0.0, 2.0], [0.0, 2.0]))
    with pytest.raises(AlignmentError, match="wav, flac, ogg or mp3"):
        warp_file(given, 2.0, alignment, tmp_path / "out.xyz")
    with pytest.raises(AudioError, match="no such file"):
        warp_file(tmp_path / "absent.wav", 2.0, alignment, tmp_path / "out.wav")
    with pytest.raises(FileNotFoundError):
        warp_file(given, 2.0, alignment, tmp_path / "absent" / "out.wav")
    (tmp_path / "text.wav").write_text("no sound at all")
    with pytest.raises(AudioError, match="known format"):
        warp_file(tmp_path / "text.wav", 2.0, alignment, tmp_path / "out.wav")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given.wav", "text.wav"]
