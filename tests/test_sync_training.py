"""The synchroniser's encoder: its script, its losses against plain loops, and its two forms against each other."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

torch = pytest.importorskip("torch", reason="training wants torch: scripts/test --all")
pytest.importorskip("mido", reason="training wants mido: scripts/test --all")
pytest.importorskip("partitura", reason="training wants partitura: scripts/test --all")

import train_sync as script
from demo_music import contrasting, perform
from demo_pieces import PIECES

from alignment.audio import ANALYSIS_RATE
from alignment.features.encoder import BANKS, compress, encode
from alignment.features.filterbank import semitone_magnitudes
from alignment.features.frames import FEATURE_RATE
from alignment.features.sync import sync_features
from retrieval.embedding.scenes import LOG_SCALE, Scene
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
