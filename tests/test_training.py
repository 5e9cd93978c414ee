"""Training's parts against plain loops and against what runs without torch."""

import shutil

import naive
import numpy as np
import pytest
import soundfile
from program import incipit_process as incipit

torch = pytest.importorskip("torch", reason="training wants torch: scripts/test --all")
onnx = pytest.importorskip("onnx", reason="training wants onnx: scripts/test --all")

from retrieval.embedding.checkpoint import load_parameters, save_network
from retrieval.embedding.course import claim
from retrieval.embedding.encoder import MODEL_PATH, Encoder
from retrieval.embedding.excerpts import DEGRADED_VIEWS, EXCERPT_FRAMES
from retrieval.embedding.losses import triplet_loss
from retrieval.embedding.mining import hard_positive_semi_hard_negatives
from retrieval.embedding.model import FingerprintNetwork
from retrieval.embedding.patches import PATCH_FRAMES, cut_patches, patch_spectrogram
from retrieval.embedding.training import Recipe, draw_batch, train_fingerprint
from retrieval.errors import TrainingError

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
RATE = 22050


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).standard_normal(12 * RATE).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("margin", [0.1, 0.5, 2.0])
def test_triplet_loss_equals_plain_loops(seed, margin):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((15, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = rng.integers(0, 5, 15)
    ours = triplet_loss(
        torch.from_numpy(vectors), torch.from_numpy(labels), hard_positive_semi_hard_negatives, margin=margin
    )
    assert ours.item() == pytest.approx(naive.triplet_loss(vectors, labels, margin), abs=1e-9)


def test_classes_that_are_apart_cost_nothing():
    vectors = torch.eye(4).repeat_interleave(2, dim=0)
    labels = torch.arange(4).repeat_interleave(2)
    assert triplet_loss(vectors, labels, hard_positive_semi_hard_negatives, margin=1.0).item() == 0


def test_shipped_model_is_the_same_in_onnx_and_torch(noise):
    patches = cut_patches(patch_spectrogram(noise, RATE), np.arange(0, 300, 20))
    network = FingerprintNetwork()
    load_parameters(network, MODEL_PATH)
    with torch.no_grad():
        ours = network(torch.from_numpy(patches)).numpy()
    assert np.allclose(ours, Encoder().encode(patches), atol=1e-4)


def test_saving_and_loading_is_the_identity(tmp_path, noise):
    torch.manual_seed(1)
    network = FingerprintNetwork().eval()
    save_network(network, tmp_path / "model.onnx")
    again = FingerprintNetwork()
    load_parameters(again, tmp_path / "model.onnx")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    patches = cut_patches(patch_spectrogram(noise, RATE), np.arange(5))
    with torch.no_grad():
        expected = network(torch.from_numpy(patches)).numpy()
    assert np.allclose(Encoder(tmp_path / "model.onnx").encode(patches), expected, atol=1e-4)
    assert (tmp_path / "model.onnx").stat().st_size < 5e6

    assert_no_computed_biases(tmp_path / "model.onnx")
    assert_no_computed_biases(MODEL_PATH)


def assert_no_computed_biases(path):
    """Biases that are computed anew each time keep onnxruntime from joining layers, at half the speed."""
    nodes = onnx.load(path).graph.node
    assert {len(node.input) for node in nodes if node.op_type == "Conv"} == {2}
    assert "CastLike" not in {node.op_type for node in nodes}


def test_patches_of_a_batch_are_the_same_place_in_all_views():
    rng = np.random.default_rng(0)
    clean = rng.random((1, 128, EXCERPT_FRAMES)).astype(np.float16)
    excerpt = np.repeat(clean, 1 + DEGRADED_VIEWS, axis=0)
    still = Recipe(together=4, shift_seconds=0.0, tempo=0.0, quarter_tones=0.0)
    patches = draw_batch([excerpt, excerpt[:, ::-1]], still, rng).reshape(3, 8, 120, PATCH_FRAMES)
    assert np.allclose(patches[0], patches[1], atol=1e-6)
    assert np.allclose(patches[0], patches[2], atol=1e-6)
    assert not np.allclose(patches[0, 0], patches[0, 1], atol=0.1)


def test_views_lie_no_further_apart_than_the_recipe_says():
    recipe = Recipe(together=4)
    frames = np.arange(EXCERPT_FRAMES, dtype=np.float16)
    ramp = np.broadcast_to(frames, (1 + DEGRADED_VIEWS, 128, EXCERPT_FRAMES)).copy()
    bins = np.broadcast_to(np.arange(128, dtype=np.float16)[:, None], ramp.shape).copy()
    rng = np.random.default_rng(1)
    times = draw_batch([ramp] * 50, recipe, rng).reshape(3, 200, 120, PATCH_FRAMES)
    apart = (times[1:, :, 0].mean(axis=-1) - times[0, :, 0].mean(axis=-1)) / 50
    assert np.abs(apart).max() < recipe.shift_seconds + 0.02
    assert np.abs(apart).max() > 0.8 * recipe.shift_seconds
    heights = draw_batch([bins] * 50, recipe, rng).reshape(3, 200, 120, PATCH_FRAMES)
    moved = heights[1:, :, 60, 0] - heights[0, :, 60, 0]
    assert 0.8 * recipe.quarter_tones < np.abs(moved).max() < recipe.quarter_tones + 0.05


class Silent:
    def progress(self, stage, done, total):
        pass

    def say(self, text):
        pass


def train(music, folder, watcher=None, seed=3):
    recipe = Recipe(seed=seed, excerpts=16, steps=12, places=16, together=2)
    tracks = [item.path for item in music.recorded[:4]]
    return train_fingerprint(tracks, [], folder, recipe, watcher or Silent(), jobs=2)


@pytest.fixture(scope="module")
def trained(music, tmp_path_factory):
    folder = tmp_path_factory.mktemp("training") / "whole"
    return train(music, folder), folder


def test_a_few_steps_of_training_learn(trained):
    step, _, _, right = trained[1].joinpath("curves.csv").read_text().splitlines()[-1].split(",")
    assert step == "12"
    assert float(right) > 2 / 16  # chance is 1 in 16


def test_an_interrupted_training_goes_on_where_it_was(trained, music, monkeypatch):
    whole, folder = trained
    again = folder.with_name("again")
    shutil.copytree(folder, again, ignore=shutil.ignore_patterns("checkpoint.pt", "curves.csv"))
    monkeypatch.setattr("retrieval.embedding.course._SAVE_EVERY", 5)

    class Stopped(Silent):
        def progress(self, stage, done, total):
            if stage == "training" and done == 7:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(music, again, Stopped())
    resumed = train(music, again)
    for name, tensor in whole.state_dict().items():
        assert torch.allclose(tensor.float(), resumed.state_dict()[name].float(), atol=2e-2), name


def test_a_folder_with_another_training_is_refused(trained, music):
    with pytest.raises(TrainingError, match="another"):
        train(music, trained[1], seed=4)


def test_recordings_that_are_too_short_are_no_training(tmp_path):
    soundfile.write(tmp_path / "short.wav", np.zeros(RATE), RATE)
    with pytest.raises(TrainingError, match="17 s"):
        train_fingerprint([tmp_path / "short.wav"], [], tmp_path / "t", Recipe(), Silent())


def test_a_folder_is_claimed_until_a_training_in_it_has_begun(tmp_path):
    music, folder = tmp_path / "music.wav", tmp_path / "training"
    music.write_bytes(b"one")
    claim(folder, [music], Recipe(seed=1), ("excerpts",))
    for kept in ("excerpts", "mine"):
        (folder / kept).mkdir()
    claim(folder, [music], Recipe(seed=1), ("excerpts",))
    assert (folder / "excerpts").exists()
    claim(folder, [music], Recipe(seed=2), ("excerpts",))
    assert not (folder / "excerpts").exists()
    assert (folder / "mine").exists()
    (folder / "checkpoint.pt").touch()
    claim(folder, [music], Recipe(seed=2), ("excerpts",))
    music.write_bytes(b"another sound")
    with pytest.raises(TrainingError, match="name another"):
        claim(folder, [music], Recipe(seed=2), ("excerpts",))


def test_the_program_trains_and_its_model_embeds(music, tmp_path):
    out = tmp_path / "mine.onnx"
    options = ["--excerpts", 64, "--steps", 2, "--jobs", 2]
    done = incipit("train", "fingerprint", music.folder, "-o", out, *options)
    assert done.returncode == 0, done.stderr
    vectors = Encoder(out).encode(np.random.default_rng(0).standard_normal((3, 1, 120, PATCH_FRAMES), np.float32))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    assert (tmp_path / "mine.training" / "curves.csv").read_text().startswith("step,")


def test_training_on_a_folder_that_is_not_there_is_one_line(tmp_path):
    done = incipit("train", "fingerprint", tmp_path / "none", "-o", tmp_path / "m.onnx")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
