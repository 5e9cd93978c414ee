"""Decoding: what was written is what is read, in every format, at every rate."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from alignment.audio import ANALYSIS_RATE, audio_blocks, read_audio
from alignment.errors import AudioError

SECONDS = 3.0


def tone(rate: int, hertz: float = 440.0, seconds: float = SECONDS) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("wav", {}),
        ("flac", {}),
        ("aiff", {}),
        ("mp3", {}),
        ("ogg", {}),
        ("opus", {"format": "OGG", "subtype": "OPUS"}),
    ],
)
def test_formats_keep_pitch_level_and_length(tmp_path, suffix, options):
    rate = 48000 if suffix == "opus" else 44100
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone(rate), rate, **options)
    audio = read_audio(path)
    assert audio.samples.dtype == np.float32
    assert audio.duration == pytest.approx(SECONDS, abs=0.06)
    middle = audio.samples[ANALYSIS_RATE : 2 * ANALYSIS_RATE]
    assert np.argmax(np.abs(np.fft.rfft(middle))) == 440
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.03)
    assert audio.warnings == ()


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 96000, 192000])
def test_rates_and_channels_come_down_to_one(tmp_path, rate):
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([tone(rate), np.zeros(int(SECONDS * rate), np.float32)], axis=1), rate)
    audio = read_audio(path)
    assert audio.samples.ndim == 1
    assert audio.duration == pytest.approx(SECONDS, abs=0.001)
    assert np.max(np.abs(audio.samples[1000:-1000])) == pytest.approx(0.25, rel=0.02)


def test_tags_are_read(tmp_path):
    path = tmp_path / "tagged.flac"
    with soundfile.SoundFile(path, "w", 44100, 1) as file:
        file.title, file.artist = "Für Elise", "Somebody"
        file.write(tone(44100))
    assert read_audio(path).tags.title == "Für Elise"
    assert read_audio(path).tags.artist == "Somebody"


def test_samples_that_are_not_finite_are_silenced_and_told(tmp_path):
    path = tmp_path / "nan.wav"
    samples = tone(22050)
    samples[100:110] = np.nan
    samples[200] = np.inf
    soundfile.write(path, samples, 22050, subtype="FLOAT")
    audio = read_audio(path)
    assert np.isfinite(audio.samples).all()
    assert not audio.samples[100:110].any()
    assert audio.warnings == ("11 samples are not finite and were silenced",)


def test_truncated_flac_gives_what_it_has_with_a_warning(tmp_path):
    path = tmp_path / "cut.flac"
    rng = np.random.default_rng(0)
    soundfile.write(path, 0.1 * rng.standard_normal(22050 * 20), 22050)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    audio = read_audio(path)
    assert 5 < audio.duration < 11
    assert len(audio.warnings) == 1
    assert "breaks off" in audio.warnings[0]


def test_names_need_not_be_utf8(tmp_path):
    path = bytes(tmp_path) + b'/caf\xe9 "quoted"\nline.wav'
    name = os.fsdecode(path)
    with Path(name).open("wb") as handle:
        soundfile.write(handle, tone(22050), 22050, format="WAV")
    assert read_audio(name).duration == pytest.approx(SECONDS)


@pytest.mark.parametrize("name", ["song.mp3", "song.flac", "song.ogg", "song.wav", "song.m4a"])
@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "the file is empty"),
        (b"not audio", "is not audio in a known format"),
        (b"this is text, not sound" * 100, "is not audio in a known format"),
    ],
)
def test_what_is_not_audio_is_named_with_its_cause(tmp_path, name, content, cause):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AudioError, match=f"{name}: {cause}"):
        read_audio(path)


def test_absent_files_and_folders_are_named(tmp_path):
    with pytest.raises(AudioError, match="nothing.wav: no such file"):
        read_audio(tmp_path / "nothing.wav")
    with pytest.raises(AudioError, match="is a folder"):
        read_audio(tmp_path)


def test_awkward_files_decode_whole(data):
    pytest.importorskip("av", reason="wants the codecs extra")
    seconds = {
        "bevy__windless-slopes-8791.opus": 105.5,
        "castle-alac.m4a": 40.0,
        "castle-m4a.m4a": 40.0,
        "castle-wma.wma": 40.0,
        "fofix__guitar-042a.opus": 120.0,
        "m-a-r-s__08-second-birth-6545.opus": 120.0,
        "tsc__land-3-9ec2.opus": 76.8,
    }
    for name, expected in seconds.items():
        audio = read_audio(data / "awkward" / name)
        assert audio.duration == pytest.approx(expected, abs=0.1), name
        assert audio.warnings == (), name
    cut = read_audio(data / "awkward" / "cut-off.mp3")
    assert 10 < cut.duration < 30
    assert "breaks off" in cut.warnings[0]


def test_channels_that_cancel_each_other_are_heard(tmp_path):
    sound = tone(ANALYSIS_RATE)
    soundfile.write(tmp_path / "inverse.wav", np.column_stack([sound, -sound]), ANALYSIS_RATE)
    assert np.std(read_audio(tmp_path / "inverse.wav").samples) == pytest.approx(np.std(sound), rel=0.01)


def test_blocks_put_together_are_the_whole_file(tmp_path):
    noise = 0.1 * np.random.default_rng(0).standard_normal((40 * 44100, 2))
    soundfile.write(tmp_path / "long.wav", noise, 44100)
    whole = read_audio(tmp_path / "long.wav").samples
    blocks = list(audio_blocks(tmp_path / "long.wav"))
    assert len(blocks) > 3
    assert np.array_equal(np.concatenate(blocks), whole)
