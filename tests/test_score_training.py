"""Performances of scores follow their scores, and the embedding learns from them."""

import numpy as np
import pytest
from demo_music import write_scores
from demo_pieces import PIECES
from program import incipit_process as incipit

from retrieval.embedding.score_performances import ScorePerformance, perform_score
from retrieval.embedding.score_windows import WINDOW_FRAMES

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def performance(tmp_path_factory):
    path = write_scores(tmp_path_factory.mktemp("score"), PIECES[3:4])[0]
    return perform_score(path, np.random.default_rng(3), ())


def test_each_moment_of_a_performance_sounds_like_its_place_in_the_score(performance):
    there = np.flatnonzero(np.isfinite(performance.moments))
    heard = performance.performance[there].astype(np.float32)
    frames = np.minimum((performance.moments[there] * 10).round().astype(int), len(performance.score) - 1)
    written = performance.score.astype(np.float32)

    def alike(late):
        moved = np.clip(frames + late, 0, len(written) - 1)
        return float(np.sum(heard * written[moved], axis=1).mean())

    assert max(range(-30, 31), key=alike) in (-1, 0, 1, 2)
    assert alike(0) > 0.5


def test_a_performance_survives_being_saved(performance, tmp_path):
    performance.save(tmp_path / "one.npz")
    again = ScorePerformance.load(tmp_path / "one.npz")
    assert np.array_equal(again.score, performance.score)
    assert np.array_equal(again.moments, performance.moments, equal_nan=True)


def test_windows_that_are_drawn_are_of_one_place(performance):
    pytest.importorskip("torch")
    from retrieval.embedding.score_training import ScoreRecipe, draw_windows

    batch = draw_windows([performance] * 40, ScoreRecipe(), np.random.default_rng(0))
    assert batch.performances.shape == batch.scores.shape == (40, WINDOW_FRAMES, 32)
    alike = np.einsum("nfd,mfd->nm", batch.performances, batch.scores)
    assert np.diag(alike).mean() > 1.15 * alike.mean()


def test_the_program_trains_an_embedding_that_can_be_used(tmp_path):
    pytest.importorskip("torch")
    from retrieval.embedding.score_encoder import ScoreEncoder

    write_scores(tmp_path / "scores", PIECES[2:4])
    done = incipit("train", "scores", tmp_path / "scores", "-o", tmp_path / "my.onnx", "--jobs", "1", "--steps", "5")
    assert done.returncode == 0, done.stderr
    curves = np.genfromtxt(tmp_path / "my.training" / "curves.csv", delimiter=",", names=True)
    assert int(curves["step"]) == 5
    vectors = ScoreEncoder(tmp_path / "my.onnx").encode(np.random.default_rng(0).normal(size=(3, 50, 32)).astype("f4"))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-4)


def test_training_wants_two_scores(tmp_path):
    pytest.importorskip("torch")
    write_scores(tmp_path / "scores", PIECES[:1])
    done = incipit("train", "scores", tmp_path / "scores", "-o", tmp_path / "my.onnx", "--jobs", "1")
    assert done.returncode == 1
    assert "Two scores or more" in done.stderr
