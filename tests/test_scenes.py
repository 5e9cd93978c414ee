"""Scenes: scores that are played, degraded, and seen as the synchroniser sees them."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import train_sync as script

from alignment.audio import ANALYSIS_RATE
from alignment.errors import ScoreError
from alignment.features.encoder import BANKS
from alignment.features.frames import FEATURE_RATE
from retrieval.embedding import additive, fluidsynth, microphone, scenes
from retrieval.embedding.fluidsynth import RenderError
from retrieval.embedding.notes import OFFSET, ONSET, PITCH, played, score_notes, timed_excerpt
from retrieval.embedding.scenes import Scene

mido = pytest.importorskip("mido", reason="training wants mido: scripts/test --all")
pytest.importorskip("partitura", reason="scores want partitura: scripts/test --all")

pytestmark = pytest.mark.train
INPUTS = sum(bank.bins for bank in BANKS)


@pytest.fixture(scope="module")
def lines() -> np.ndarray:
    """Two parts of quarters as `score_notes` gives them: onset, duration, pitch, part."""
    rng = np.random.default_rng(5)
    rows = [(k, 1.0, 60 + rng.integers(12), 0) for k in range(40)]
    rows += [(k, 2.0, 48 + rng.integers(12), 1) for k in range(0, 40, 2)]
    return np.array(sorted(rows), float)


@pytest.fixture(scope="module")
def score(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten measures of four quarters, all C#, as MusicXML."""
    note = "<note><pitch><step>C</step><alter>1</alter><octave>5</octave></pitch><duration>2</duration></note>"
    first = "<attributes><divisions>2</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
    measures = [f'<measure number="{k + 1}">{first if k == 0 else ""}{4 * note}</measure>' for k in range(10)]
    path = tmp_path_factory.mktemp("score") / "quarters.musicxml"
    path.write_text(
        '<score-partwise version="3.1"><part-list><score-part id="P1"><part-name>x</part-name></score-part>'
        f'</part-list><part id="P1">{"".join(measures)}</part></score-partwise>'
    )
    return path


def test_a_score_becomes_its_notes_in_quarters(score):
    notes = score_notes(score)
    assert np.array_equal(notes, [[k, 1, 73, 0] for k in range(40)])


def test_what_is_no_score_is_named(tmp_path, score):
    broken = tmp_path / "broken.musicxml"
    broken.write_text("<score-partwise><part>")
    with pytest.raises(ScoreError, match="broken.musicxml: cannot be read"):
        score_notes(broken)
    with pytest.raises(ScoreError, match="quarters.musicxml: has only . notes in the passage"):
        scenes.make_scene(score, 0, [], seconds=2.0)


@pytest.mark.parametrize("seed", range(4))
def test_a_passage_holds_the_notes_of_its_seconds_in_order(lines, seed):
    notes = timed_excerpt(lines, np.random.default_rng(seed), 8.0)
    assert notes[:, ONSET].min() >= 0.5
    assert notes[:, ONSET].max() < 8.5
    assert (np.diff(notes[:, ONSET]) >= 0).all()
    assert (notes[:, OFFSET] > notes[:, ONSET]).all()
    quarters = np.diff(np.unique(notes[:, ONSET]))
    assert (quarters > 60 / 150 * math.exp(-0.5)).all()
    assert (quarters < 60 / 55 * math.exp(0.5)).all()


@pytest.mark.parametrize("seed", range(6))
def test_players_keep_to_the_timeline(lines, seed):
    written = timed_excerpt(lines, np.random.default_rng(0), 20.0)
    notes = played(written, np.random.default_rng(seed))
    assert len(notes) > 0.85 * len(written)
    for onset, offset, pitch, part, velocity in notes:
        near = np.abs(written[:, ONSET] - onset) < 0.06
        assert np.any(near & ((written[:, PITCH] - pitch) % 12 == 0) & (written[:, 3] == part))
        assert offset >= onset + 0.0499
        assert 12 <= velocity <= 125


def test_a_midi_file_holds_what_is_played(tmp_path):
    notes = np.array([[0.5, 1.0, 60, 0, 90], [1.0, 1.01, 60, 0, 50], [0.75, 2.0, 64, 0, 70]])
    fluidsynth._write_midi(tmp_path / "x.mid", [fluidsynth._Player(41, notes, [(0.6, 127), (1.5, 0)])] * 11)
    time, struck, ended, pedal = 0.0, [], [], []
    file = mido.MidiFile(tmp_path / "x.mid")
    assert {message.channel for track in file.tracks for message in track if not message.is_meta} == {
        *range(9),
        10,
        11,
    }
    file.tracks[2:] = []
    for message in file:
        time += message.time
        if message.type == "note_on":
            (struck if message.velocity else ended).append((round(time, 2), message.note, message.velocity))
        elif message.type == "control_change":
            pedal.append((round(time, 2), message.control, message.value))
        elif message.type == "program_change":
            assert (time, message.program) == (0, 41)
    assert struck == [(0.5, 60, 90), (0.75, 64, 70), (1.0, 60, 50)]
    assert ended == [(1.0, 60, 0), (1.03, 60, 0), (2.0, 64, 0)]
    assert pedal == [(0.6, 64, 127), (1.5, 64, 0)]


def test_each_font_plays_its_share():
    fonts = [Path(name) for name in "abc"]
    drawn = [fluidsynth._font(fonts, chance).name for chance in np.linspace(0, 1, 1000, endpoint=False)]
    assert [drawn.count(name) for name in "abc"] == [650, 175, 175]
    assert fluidsynth._font(fonts[:1], 0.0).name == "a"


@pytest.mark.parametrize("seed", range(5))
def test_additive_tones_begin_with_their_note_at_its_pitch(seed):
    sound, names = additive.additive_sound(np.array([[0.5, 1.5, 69, 0, 100.0]]), np.random.default_rng(seed))
    attack = float(names[0].split()[1])
    assert 0.001 < attack < 0.15
    assert not sound[: int(0.5 * ANALYSIS_RATE)].any()
    assert np.abs(sound[int(0.5 * ANALYSIS_RATE) :][: int(2 * attack * ANALYSIS_RATE)]).max() > 1e-3
    spectrum = np.abs(np.fft.rfft(sound, 1 << 17))
    loudest = np.argmax(spectrum) * ANALYSIS_RATE / (1 << 17)
    assert loudest / 440 == pytest.approx(round(loudest / 440), rel=0.01)


@pytest.mark.parametrize("seed", range(6))
def test_degraded_sound_keeps_its_place(seed):
    sound = np.random.default_rng(9).standard_normal(ANALYSIS_RATE).astype(np.float32)
    heard = microphone.degraded(sound, np.random.default_rng(seed))
    assert heard.shape == sound.shape
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    correlation = np.fft.irfft(np.fft.rfft(heard) * np.fft.rfft(sound).conj())
    assert np.argmax(np.abs(correlation)) in {0, 1, 2, len(sound) - 2, len(sound) - 1}


@pytest.mark.parametrize("seed", range(4))
def test_rooms_fall_by_60_decibels_and_noise_stays_below_the_sound(seed):
    click = np.zeros(2 * ANALYSIS_RATE, np.float32)
    click[0] = 1
    length = int(np.random.default_rng(seed).uniform(0.2, 1.6) * ANALYSIS_RATE)
    tail = microphone._in_a_room(click, np.random.default_rng(seed))[1:length].astype(float)
    first, *_, last = (np.square(part).mean() for part in np.array_split(tail, 10))
    assert 10 * math.log10(last / first) == pytest.approx(-54, abs=2)
    tone = np.sin(np.arange(ANALYSIS_RATE)).astype(np.float32)
    noise = microphone._with_noise(tone, np.random.default_rng(seed), microphone.NOW_AND_THEN) - tone
    assert -45 < 10 * math.log10(np.square(noise).mean() / np.square(tone).mean()) < -12


def test_a_scene_follows_from_its_seed_and_survives_the_disk(score, tmp_path, monkeypatch):
    monkeypatch.setattr(scenes, "fluidsynth_sound", lambda notes, rng, fonts: additive.additive_sound(notes, rng))
    monkeypatch.setattr(scenes, "_FEWEST_NOTES", 3)
    scene, again, other = (scenes.make_scene(score, seed, [], seconds=4.0) for seed in (0, 0, 1))
    scene.save(tmp_path / "scene.npz")
    back = Scene.load(tmp_path / "scene.npz")
    for same in (again, back):
        assert np.array_equal(same.notes, scene.notes)
        assert same.instruments == scene.instruments
        assert all(np.array_equal(a, b) for a, b in zip(same.renderings, scene.renderings, strict=True))
    assert not np.array_equal(other.renderings[0], scene.renderings[0])
    assert not np.array_equal(scene.renderings[1], scene.renderings[0])
    assert [path.name for path in tmp_path.iterdir()] == ["scene.npz"]
    assert {rendering.shape for rendering in scene.renderings} == {(INPUTS, 7 * FEATURE_RATE)}
    pitch = int(scene.notes[0, PITCH])
    for rendering in scene.renderings:  # the first bank has partials of what the notes say, at most an octave off
        mean = rendering[: BANKS[0].bins].astype(float).mean(axis=1)
        loudest = BANKS[0].lowest + np.argmax(mean)
        assert (loudest - pitch) % 12 in {0, 7, 4}


def test_missing_fluidsynth_is_named(lines, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    notes = played(timed_excerpt(lines, np.random.default_rng(0), 8.0), np.random.default_rng(0))
    with pytest.raises(RenderError, match="'fluidsynth' is not on the PATH"):
        fluidsynth.fluidsynth_sound(notes, np.random.default_rng(0), [Path("x.sf2")])


def test_fluidsynth_plays_the_notes_when_they_are_written():
    fonts = [script.FONT_FOLDER / name for name in script.FONT_NAMES]
    if shutil.which("fluidsynth") is None or not all(font.exists() for font in fonts):
        pytest.skip("wants the program fluidsynth and the sound fonts for training")
    notes = np.array([[1.0, 1.5, 69, 0, 110.0], [2.5, 3.0, 69, 0, 110.0]])
    first, second = (fluidsynth.fluidsynth_sound(notes, np.random.default_rng(2), fonts) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert first[1] == second[1]
    level = np.abs(first[0])
    assert level[: int(0.99 * ANALYSIS_RATE)].max() < 0.02 * level.max()
    assert level[ANALYSIS_RATE : int(1.5 * ANALYSIS_RATE)].max() > 0.2 * level.max()
