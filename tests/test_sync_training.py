"""The synchroniser's encoder: its scenes, its losses against plain loops, and its two forms against each other."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

torch = pytest.importorskip("torch", reason="training wants torch: scripts/test --all")
mido = pytest.importorskip("mido", reason="training wants mido: scripts/test --all")
pytest.importorskip("partitura", reason="training wants partitura: scripts/test --all")

import train_sync as script
from demo_music import contrasting, perform
from demo_pieces import PIECES

from alignment.audio import ANALYSIS_RATE
from alignment.errors import ScoreError
from alignment.features.encoder import BANKS, compress, encode
from alignment.features.filterbank import semitone_magnitudes
from alignment.features.frames import FEATURE_RATE
from alignment.features.sync import sync_features
from retrieval.embedding import renders
from retrieval.embedding.renders import LOG_SCALE, OFFSET, ONSET, PITCH, RenderError, Scene
from retrieval.embedding.sync_training import (
    Example,
    SyncNetwork,
    SyncRecipe,
    draw_batch,
    harmony_and_onsets,
    load_sync,
    louder,
    matching_loss,
    salience_loss,
    salience_targets,
    save_sync,
    similarity,
    train_sync,
)
from retrieval.errors import ModelError

pytestmark = pytest.mark.train
WIDTH = 0.8
SMALL = SyncRecipe(seed=3, steps=30, passages=3, frames=60, hidden=16, warm_up=5, report_every=10)
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


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    """Scenes of random chords that three renderings show through random filters and noise."""
    rng = np.random.default_rng(1)
    made = []
    for _ in range(4):
        onsets = np.arange(0, 3, 0.2)
        notes = np.column_stack([onsets, onsets + 0.2, rng.integers(40, 90, len(onsets))])
        magnitudes = np.zeros((INPUTS, 150))
        for onset, offset, pitch in notes:
            magnitudes[int(pitch) - 30 :: 40, round(onset * FEATURE_RATE) : round(offset * FEATURE_RATE)] = 1
        shown = [magnitudes * rng.uniform(0.3, 1, (INPUTS, 1)) + 0.02 * rng.random((INPUTS, 150)) for _ in range(3)]
        made.append(Scene(notes, tuple(np.log1p(1000 * each).astype(np.float16) for each in shown), "chords"))
    return made


def unit_vectors(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.from_numpy(rng.standard_normal(shape)).float(), dim=1)


# Scenes


def test_a_score_becomes_its_notes_in_quarters(score):
    notes = renders.score_notes(score)
    assert np.array_equal(notes, [[k, 1, 73, 0] for k in range(40)])


def test_what_is_no_score_is_named(tmp_path, score):
    broken = tmp_path / "broken.musicxml"
    broken.write_text("<score-partwise><part>")
    with pytest.raises(ScoreError, match="broken.musicxml: cannot be read"):
        renders.score_notes(broken)
    with pytest.raises(ScoreError, match="quarters.musicxml: has only . notes in the passage"):
        renders.make_scene(score, 0, [], seconds=2.0)


@pytest.mark.parametrize("seed", range(4))
def test_a_passage_holds_the_notes_of_its_seconds_in_order(lines, seed):
    notes = renders.timed_excerpt(lines, np.random.default_rng(seed), 8.0)
    assert notes[:, ONSET].min() >= 0.5
    assert notes[:, ONSET].max() < 8.5
    assert (np.diff(notes[:, ONSET]) >= 0).all()
    assert (notes[:, OFFSET] > notes[:, ONSET]).all()
    quarters = np.diff(np.unique(notes[:, ONSET]))
    assert (quarters > 60 / 150 * math.exp(-0.5)).all()
    assert (quarters < 60 / 55 * math.exp(0.5)).all()


@pytest.mark.parametrize("seed", range(6))
def test_players_keep_to_the_timeline(lines, seed):
    written = renders.timed_excerpt(lines, np.random.default_rng(0), 20.0)
    notes = renders.played(written, np.random.default_rng(seed))
    assert len(notes) > 0.85 * len(written)
    for onset, offset, pitch, part, velocity in notes:
        near = np.abs(written[:, ONSET] - onset) < 0.06
        assert np.any(near & ((written[:, PITCH] - pitch) % 12 == 0) & (written[:, 3] == part))
        assert offset >= onset + 0.0499
        assert 12 <= velocity <= 125


def test_a_midi_file_holds_what_is_played(tmp_path):
    notes = np.array([[0.5, 1.0, 60, 0, 90], [1.0, 1.01, 60, 0, 50], [0.75, 2.0, 64, 0, 70]])
    renders._write_midi(tmp_path / "x.mid", [renders._Player(41, notes, [(0.6, 127), (1.5, 0)])] * 11)
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
    drawn = [renders._font(fonts, chance).name for chance in np.linspace(0, 1, 1000, endpoint=False)]
    assert [drawn.count(name) for name in "abc"] == [650, 175, 175]
    assert renders._font(fonts[:1], 0.0).name == "a"


@pytest.mark.parametrize("seed", range(5))
def test_additive_tones_begin_with_their_note_at_its_pitch(seed):
    sound, names = renders.additive_sound(np.array([[0.5, 1.5, 69, 0, 100.0]]), np.random.default_rng(seed))
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
    heard = renders.degraded(sound, np.random.default_rng(seed))
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
    tail = renders._in_a_room(click, np.random.default_rng(seed))[1:length].astype(float)
    first, *_, last = (np.square(part).mean() for part in np.array_split(tail, 10))
    assert 10 * math.log10(last / first) == pytest.approx(-54, abs=2)
    tone = np.sin(np.arange(ANALYSIS_RATE)).astype(np.float32)
    noise = renders._with_noise(tone, np.random.default_rng(seed)) - tone
    assert -45 < 10 * math.log10(np.square(noise).mean() / np.square(tone).mean()) < -12


def test_a_scene_follows_from_its_seed_and_survives_the_disk(score, tmp_path, monkeypatch):
    monkeypatch.setattr(renders, "fluidsynth_sound", lambda notes, rng, fonts: renders.additive_sound(notes, rng))
    monkeypatch.setattr(renders, "_FEWEST_NOTES", 3)
    scene, again, other = (renders.make_scene(score, seed, [], seconds=4.0) for seed in (0, 0, 1))
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
    notes = renders.played(renders.timed_excerpt(lines, np.random.default_rng(0), 8.0), np.random.default_rng(0))
    with pytest.raises(RenderError, match="'fluidsynth' is not on the PATH"):
        renders.fluidsynth_sound(notes, np.random.default_rng(0), [Path("x.sf2")])


def test_fluidsynth_plays_the_notes_when_they_are_written():
    fonts = [script.FONT_FOLDER / name for name in script.FONT_NAMES]
    if shutil.which("fluidsynth") is None or not all(font.exists() for font in fonts):
        pytest.skip("wants the program fluidsynth and the sound fonts for training")
    notes = np.array([[1.0, 1.5, 69, 0, 110.0], [2.5, 3.0, 69, 0, 110.0]])
    first, second = (renders.fluidsynth_sound(notes, np.random.default_rng(2), fonts) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert first[1] == second[1]
    level = np.abs(first[0])
    assert level[: int(0.99 * ANALYSIS_RATE)].max() < 0.02 * level.max()
    assert level[ANALYSIS_RATE : int(1.5 * ANALYSIS_RATE)].max() > 0.2 * level.max()


# The script


def test_the_half_of_the_lieder_depends_on_their_names_alone():
    scores = [Path(f"a/lc{number}.mxl") for number in range(400)]
    chosen = script.trained_on(scores)
    assert 150 < len(chosen) < 250
    assert chosen == sorted(chosen)
    moved = script.trained_on(Path("b") / path.name for path in reversed(scores))
    assert [path.name for path in moved] == [path.name for path in chosen]
    assert script.trained_on([Path("lc6969398.mxl")])


def test_all_scores_come_before_one_comes_again():
    scores = [Path(f"{number}.mxl") for number in range(7)]
    plan = script.planned(scores, 17)
    assert len(plan) == 17
    assert set(plan[:7]) == set(plan[7:14]) == set(scores)
    assert script.planned(scores, 9) == plan[:9]


def test_scenes_that_are_there_are_not_rendered_again(tmp_path, scenes):
    scenes[0].save(tmp_path / "00000.npz")
    gone = tmp_path / "gone.mxl"
    assert script.render([gone], [], tmp_path, 1) == [tmp_path / "00000.npz"]
    assert "gone.mxl: cannot be read" in (script._render(gone, 1, [], tmp_path / "00001.npz") or "")
    assert not (tmp_path / "00001.npz").exists()


def test_a_cache_of_other_fonts_is_refused(tmp_path):
    scores = [Path("a.mxl")]
    for _ in range(2):
        script.claim(tmp_path / "cache", scores, [Path("x.sf2")])
    with pytest.raises(SystemExit, match="other scores or sound fonts"):
        script.claim(tmp_path / "cache", scores, [Path("y.sf2")])


# Network and losses


def test_shipped_weights_compute_the_same_in_numpy_and_torch():
    rng = np.random.default_rng(0)
    seen = np.maximum(rng.standard_normal((INPUTS, 4200)), 0).astype(np.float32)
    with torch.no_grad():
        vectors, _ = load_sync(script.MODEL_PATH)(torch.from_numpy(seen)[None])
    assert np.abs(vectors[0].numpy() - encode(seen)).max() < 2e-3


def test_saved_weights_are_those_of_the_network(tmp_path):
    torch.manual_seed(4)
    network = SyncNetwork(hidden=24, outputs=8)
    save_sync(network, tmp_path / "w.safetensors")
    again = load_sync(tmp_path / "w.safetensors")
    seen = torch.rand(2, INPUTS, 40)
    with torch.no_grad():
        assert torch.allclose(again(seen)[0], network(seen)[0], atol=2e-3)
    assert (tmp_path / "w.safetensors").stat().st_size < 2 * (INPUTS * 3 + 3 * 24 * 5 + 8 + 10) * 24 + 2000


def test_weights_of_something_else_are_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"inp.bias": np.zeros(3, np.float16)}, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match="w.safetensors: holds no weights"):
        load_sync(tmp_path / "w.safetensors")


def test_gain_is_that_of_the_magnitudes():
    seen = compress(np.random.default_rng(0).random((INPUTS, 9)).astype(np.float32))
    scene = torch.from_numpy(LOG_SCALE * seen)[None]
    assert np.allclose(louder(scene, torch.zeros(1, 1, 1))[0], seen, atol=1e-5)
    doubled = np.log1p(2 * np.expm1(LOG_SCALE * seen)) / LOG_SCALE
    assert np.allclose(louder(scene, torch.full((1, 1, 1), math.log(2)))[0], doubled, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_matching_loss_equals_plain_loops(seed):
    rng = np.random.default_rng(seed)
    n, frames, edge, sharpness = 2, 14, 2, 3.0
    first, second = unit_vectors(rng, n, 4, frames), unit_vectors(rng, n, 4, frames)
    ours = matching_loss(sharpness * similarity(first, second), edge)
    losses = []
    for a, b in zip(first.double().numpy(), second.double().numpy(), strict=True):
        for i in range(edge, frames - edge):
            there = [math.exp(sharpness * float(a[:, i] @ b[:, j])) for j in range(frames)]
            back = [math.exp(sharpness * float(a[:, j] @ b[:, i])) for j in range(frames)]
            for j in range(frames):
                wanted = math.exp(-(((i - j) / WIDTH) ** 2) / 2)
                share = wanted / sum(math.exp(-(((i - k) / WIDTH) ** 2) / 2) for k in range(frames))
                losses.append(-share * math.log(there[j] / sum(there) * back[j] / sum(back)))
    assert ours.item() == pytest.approx(sum(losses) / (2 * n * (frames - 2 * edge)), rel=1e-5)


def test_matching_loss_is_least_on_the_same_moment_and_does_not_care_which_is_first():
    rng = np.random.default_rng(0)
    same = unit_vectors(rng, 1, 64, 40)
    moved = torch.roll(same, 3, dims=2)

    def loss(first, second):
        return matching_loss(8.0 * similarity(first, second), 5).item()

    assert 1.19 < loss(same, same) < loss(same, moved) - 1
    assert loss(same, moved) == pytest.approx(loss(moved, same), abs=1e-3)


def test_hand_made_features_are_those_of_the_synchroniser():
    audio = perform(PIECES[0], contrasting(0)[0], ANALYSIS_RATE).samples[: 12 * ANALYSIS_RATE]
    magnitudes = semitone_magnitudes(audio, ANALYSIS_RATE, BANKS)
    fine = sync_features(magnitudes.copy()).fine.astype(np.float32)
    seen = compress(magnitudes)
    chroma, onsets = (part[0].numpy() for part in harmony_and_onsets(torch.from_numpy(seen)[None]))
    changing = chroma - 0.85 * uniform_filter1d(chroma, 17, axis=1)  # the third of a second around is taken out in use
    inside = slice(60, -60)
    for ours, theirs in ((changing / np.linalg.norm(changing, axis=0), fine[64:76]), (onsets, fine[76:])):
        unit = theirs / np.linalg.norm(theirs, axis=0)
        assert np.abs(ours - unit)[:, inside].max() < 0.01


def test_salience_loss_equals_plain_loops():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((2, 176, 3))
    targets = rng.random((2, 2, 88, 3))
    expected = []
    for kind, weight in ((0, 5.0), (1, 1.0)):
        costs = []
        for index, wanted in np.ndenumerate(targets[kind]):
            n, pitch, frame = index
            chance = 1 / (1 + math.exp(-logits[n, 88 * kind + pitch, frame]))
            costs.append(-weight * wanted * math.log(chance) - (1 - wanted) * math.log(1 - chance))
        expected.append(sum(costs) / len(costs))
    ours = salience_loss(*(torch.from_numpy(part.astype(np.float32)) for part in (logits, *targets)))
    assert ours.item() == pytest.approx(sum(expected), rel=1e-5)


def test_salience_targets_are_where_the_notes_are():
    notes = np.array([[0.2, 0.6, 21], [0.215, 0.4, 108], [0.3, 0.5, 109], [0.0, 9.0, 60]])
    onsets, sounding = salience_targets(notes, 40)
    assert onsets.shape == sounding.shape == (88, 40)
    assert np.flatnonzero(sounding[0]).tolist() == list(range(10, 30))
    assert np.allclose(onsets[0, 8:13], [math.exp(-((k / WIDTH) ** 2) / 2) for k in range(-2, 3)])
    assert np.flatnonzero(onsets[0]).tolist() == list(range(8, 13))
    assert onsets[87, 11] > onsets[87, 10] > onsets[87, 12]  # it begins between 10 and 11, nearer to 11
    assert sounding[39].all()
    assert onsets[39, 0] == 1
    assert not sounding[[k for k in range(88) if k not in {0, 39, 87}]].any()


def test_a_batch_holds_two_renderings_of_the_same_passages(scenes):
    example = Example.of(scenes[0])
    batch = draw_batch([example], np.random.default_rng(0), SMALL)
    n, frames = SMALL.passages, SMALL.frames
    assert batch.renderings.shape == (2 * n, INPUTS, frames)
    for row in range(n):
        places = [
            {
                (number, start)
                for number, whole in enumerate(example.renderings)
                for start in range(whole.shape[1] - frames)
                if np.array_equal(whole[:, start : start + frames], batch.renderings[half].numpy())
            }
            for half in (row, n + row)
        ]
        ((one, start), (other, same_start)) = (place.pop() for place in places)
        assert one != other
        assert start == same_start
        for targets, whole in ((batch.onsets, example.onsets), (batch.sounding, example.sounding)):
            assert np.array_equal(targets[row].numpy(), whole[:, start : start + frames])
            assert torch.equal(targets[row], targets[n + row])
    assert ((batch.log_gains >= SMALL.log_gain[0]) & (batch.log_gains <= SMALL.log_gain[1])).all()


# Training


class Stopped(Exception):
    pass


def stop_at(step: int):
    def report(line: str) -> None:
        if line.startswith(f"step {step} "):
            raise Stopped

    return report


def test_training_learns_and_goes_on_from_where_it_was_stopped(scenes, tmp_path):
    whole = train_sync(scenes, SMALL, curves=tmp_path / "whole.csv", report=lambda _: None)
    files = {"curves": tmp_path / "parts.csv", "checkpoint": tmp_path / "state.pt"}
    with pytest.raises(Stopped):
        train_sync(scenes, SMALL, **files, report=stop_at(20))
    parts = train_sync(scenes, SMALL, **files, report=lambda _: None)
    for name, tensor in whole.state_dict().items():
        assert torch.allclose(tensor, parts.state_dict()[name], atol=1e-5), name
    rows = [
        [[float(value) for value in row.split(",")] for row in (tmp_path / name).read_text().splitlines()[1:]]
        for name in ("whole.csv", "parts.csv")
    ]
    assert [row[0] for row in rows[0]] == [row[0] for row in rows[1]] == [10, 20, 30]
    assert np.allclose(np.array(rows[0])[:, 2:], np.array(rows[1])[:, 2:], atol=1e-3)
    assert rows[0][2][2] < rows[0][0][2] - 0.1
    assert rows[0][2][3] < rows[0][0][3] - 0.1


def test_a_checkpoint_of_another_recipe_or_other_scenes_is_refused(scenes, tmp_path):
    state = tmp_path / "state.pt"
    recipe = SyncRecipe(steps=1, passages=1, frames=110, hidden=8)
    train_sync(scenes, recipe, checkpoint=state, report=lambda _: None)
    with pytest.raises(ModelError, match="of another training"):
        train_sync(scenes, SMALL, checkpoint=state, report=lambda _: None)
    with pytest.raises(ModelError, match="of another training"):
        train_sync(scenes[:2], recipe, checkpoint=state, report=lambda _: None)
