"""Training's parts against plain loops and against what runs without torch."""

import naive
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training wants torch: scripts/test --all")
pytest.importorskip("onnx", reason="training wants onnx: scripts/test --all")

from alignment.features import HOP
from retrieval.embedding.augment import Degrader, coloured_noise, room_responses
from retrieval.embedding.checkpoint import load_network, save_network
from retrieval.embedding.encoder import MODEL_PATH, Encoder
from retrieval.embedding.losses import triplet_loss
from retrieval.embedding.mining import hard_positive_semi_hard_negatives
from retrieval.embedding.model import FingerprintNetwork
from retrieval.embedding.patches import PATCH_FRAMES, cut_patches, patch_spectrogram
from retrieval.embedding.training import Recipe, TorchPatches, train_fingerprint

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


def test_torch_patches_equal_those_of_the_library(noise):
    start = 100
    ours = TorchPatches(torch.device("cpu"))(torch.from_numpy(noise[start * HOP - 1024 :][: 3 * RATE])[None]).numpy()
    theirs = cut_patches(patch_spectrogram(noise, RATE), np.array([start]))
    assert ours.shape == (1, 1, 120, PATCH_FRAMES)
    assert np.allclose(ours, theirs, atol=1e-3)


def test_shipped_model_is_the_same_in_onnx_and_torch(noise):
    patches = cut_patches(patch_spectrogram(noise, RATE), np.arange(0, 300, 20))
    network = load_network(MODEL_PATH)
    with torch.no_grad():
        ours = network(torch.from_numpy(patches)).numpy()
    assert np.allclose(ours, Encoder().encode(patches), atol=1e-4)


def test_saving_and_loading_is_the_identity(tmp_path, noise):
    torch.manual_seed(1)
    network = FingerprintNetwork().eval()
    save_network(network, tmp_path / "model.onnx")
    again = load_network(tmp_path / "model.onnx")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    patches = cut_patches(patch_spectrogram(noise, RATE), np.arange(5))
    with torch.no_grad():
        expected = network(torch.from_numpy(patches)).numpy()
    assert np.allclose(Encoder(tmp_path / "model.onnx").encode(patches), expected, atol=1e-4)
    assert (tmp_path / "model.onnx").stat().st_size < 5e6


def test_room_responses_decay_as_their_reverberation_time_says():
    generator = torch.Generator().manual_seed(0)
    responses = room_responses(torch.tensor([0.4]), torch.tensor([0.5]), RATE, RATE, generator)[0].numpy()
    assert responses[0] == pytest.approx(0.5)
    energy = np.cumsum(responses[:0:-1] ** 2)[::-1]
    decibels = 10 * np.log10(energy / energy[0] + 1e-12)
    assert np.argmax(decibels < -30) / RATE == pytest.approx(0.2, abs=0.03)


def test_coloured_noise_falls_as_its_slope_says():
    for slope in (0.0, 0.5, 1.0):
        samples = coloured_noise(1 << 17, slope, torch.Generator().manual_seed(0)).numpy()
        spectrum = np.abs(np.fft.rfft(samples)) ** 2
        bands = [spectrum[1 << k : 2 << k].mean() for k in range(10, 16)]
        fall = np.polyfit(np.arange(len(bands)), np.log2(bands), 1)[0]
        assert fall == pytest.approx(-2 * slope, abs=0.15)


def test_degraded_excerpts_keep_their_place_and_are_finite(noise):
    excerpts = torch.from_numpy(noise[: 8 * 16384].reshape(8, -1).copy())
    heard = Degrader(RATE, torch.Generator().manual_seed(0))(excerpts, torch.zeros_like(excerpts) + 1e-3)
    assert heard.shape == excerpts.shape
    assert torch.isfinite(heard).all()
    correlation = torch.fft.irfft(torch.fft.rfft(heard) * torch.fft.rfft(excerpts).conj())
    assert (correlation.argmax(dim=1) < 100).float().mean() > 0.8


def test_a_few_steps_of_training_learn_and_repeat_with_their_seed(noise, music, tmp_path):
    from alignment import read_audio

    tracks = [read_audio(item.path).samples for item in music.recorded[:6]]
    losses = []
    for run in range(2):
        curves = tmp_path / f"curves-{run}.csv"
        train_fingerprint(tracks, [noise], Recipe(seed=3, steps=12, places=12), curves=curves, report=lambda _: None)
        step, _, loss, right = curves.read_text().splitlines()[-1].split(",")
        losses.append((step, float(loss), float(right)))
    assert losses[0][0] == "12"
    assert losses[0][1:] == pytest.approx(losses[1][1:], abs=0.02)
    assert losses[0][2] > 2 / 12  # chance is 1 in 12
