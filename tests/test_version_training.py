"""Families of versions, and what the version network makes of them."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program import incipit_process as incipit

from retrieval.embedding.songs import Chord, Song, pop_song, score_song
from retrieval.embedding.version_families import Family, Version, _Form
from retrieval.embedding.version_patches import SEMITONES, compressed, halved, version_spectrogram

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
RATE = 22050


def tones(pitches, seconds=1.0):
    """Notes one after the other, each with four partials."""
    time = np.arange(int(seconds * RATE)) / RATE
    parts = [
        sum(np.sin(2 * np.pi * k * 440 * 2 ** ((pitch - 69) / 12) * time) / k for k in range(1, 5)) for pitch in pitches
    ]
    return np.concatenate(parts).astype(np.float32) / 4


def test_a_tone_is_loudest_in_its_semitone_at_its_time():
    spectrogram = version_spectrogram(tones([60, 67]), RATE, 0.0)
    assert spectrogram.shape == (SEMITONES, 10)
    assert spectrogram[:, 2].argmax() == 60 - 24
    assert spectrogram[:, 7].argmax() == 67 - 24


def test_the_level_of_a_recording_does_not_count():
    magnitudes = np.random.default_rng(0).random((SEMITONES, 400)).astype(np.float32)
    assert np.allclose(compressed(magnitudes), compressed(0.01 * magnitudes), atol=1e-2)


def test_halved_keeps_the_power():
    magnitudes = np.random.default_rng(0).random((SEMITONES, 8)).astype(np.float32)
    assert np.mean(np.square(halved(magnitudes))) == pytest.approx(np.mean(np.square(magnitudes)), rel=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(4)), st.integers(2, 4))
def test_notes_of_a_form_come_at_the_beats_that_it_tells(order, kept):
    form = _Form(tuple((8.0 * block, 8.0) for block in order[:kept]))
    notes = np.column_stack([np.arange(32.0), np.arange(32.0) + 0.5, np.full(32, 60.0), np.arange(32.0)])
    arranged = form.arranged(notes)
    assert len(arranged) == 8 * kept
    assert np.allclose(form.song_beats(arranged[:, 0] + 1e-9), arranged[:, 3])  # velocity tells the beat as written


def test_a_family_survives_being_saved(tmp_path):
    version = Version(np.ones((SEMITONES, 5), np.float16), np.arange(5, dtype=np.float32))
    Family((version, version)).save(tmp_path / "family.npz")
    again = Family.load(tmp_path / "family.npz")
    assert len(again.versions) == 2
    assert np.array_equal(again.versions[1].beats, version.beats)


def test_the_chords_of_a_score_are_guessed_from_its_notes(tmp_path):
    import mido

    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    file.tracks.append(track)
    for pitches in ((60, 64, 67), (57, 60, 64), (65, 69, 72), (67, 71, 74)) * 4:
        track += [mido.Message("note_on", note=pitch, velocity=80, time=0) for pitch in pitches]
        track += [mido.Message("note_off", note=pitch, time=960 * (pitch == pitches[0])) for pitch in pitches]
    file.save(tmp_path / "chords.mid")
    song = score_song(tmp_path / "chords.mid")
    assert isinstance(song, Song)
    assert [(chord.root, chord.intervals) for chord in song.chords[:4]] == [
        (0, (0, 4, 7)),
        (9, (0, 3, 7)),
        (5, (0, 4, 7)),
        (7, (0, 4, 7)),
    ]
    assert song.chords[1] == Chord(2.0, 4.0, 9, (0, 3, 7))
    assert np.array_equal(song.melody[:2, 2], [67, 64])


def test_a_pop_song_has_its_melody_and_chords_in_beats(data):
    folders = sorted(path for path in (data / "pop909").glob("*") if path.is_dir())
    if not folders:
        pytest.skip("POP909 is not there")
    song = pop_song(folders[0])
    assert 40 < song.tempo < 220
    assert song.melody[:, 1].max() <= song.beats + 8
    middles = [(chord.start + chord.end) / 2 for chord in song.chords]
    assert middles == sorted(middles)
    lengths = [chord.end - chord.start for chord in song.chords]
    assert np.mean(np.abs(np.array(lengths) - np.rint(lengths)) < 0.05) > 0.9


class TestNetwork:
    """What wants torch."""

    torch = None

    @pytest.fixture(autouse=True)
    def _torch(self):
        TestNetwork.torch = pytest.importorskip("torch", reason="training wants torch: scripts/test --all")

    def test_music_a_semitone_higher_rolls_the_vectors(self):
        from retrieval.embedding.version_model import VersionNetwork

        self.torch.manual_seed(0)
        network = VersionNetwork().eval()
        music = np.zeros((1, SEMITONES, 80), np.float32)
        music[:, 30:50] = np.random.default_rng(0).random((1, 20, 80))
        with self.torch.no_grad():
            here, _ = network(self.torch.from_numpy(music))
            higher, _ = network(self.torch.from_numpy(np.roll(music, 1, axis=1)))
        same = (self.torch.roll(here, 1, 2) * higher).sum(dim=(1, 2))
        other = (here * higher).sum(dim=(1, 2))
        assert same.mean() > 0.99
        assert same.mean() > other.mean()

    def test_distance_in_the_nearest_key_equals_plain_loops(self):
        from retrieval.embedding.version_training import squared_euclidean_in_nearest_key

        rng = np.random.default_rng(1)
        vectors = rng.standard_normal((6, 3, 12))
        vectors /= np.linalg.norm(vectors, axis=(1, 2), keepdims=True)
        expected = [
            [min(np.sum((a - np.roll(b, key, axis=1)) ** 2) for key in range(12)) for b in vectors] for a in vectors
        ]
        found = squared_euclidean_in_nearest_key(self.torch.from_numpy(vectors)).numpy()
        assert np.allclose(found, expected, atol=1e-9)

    def test_negatives_are_those_nearer_than_the_positive_and_the_margin(self):
        from retrieval.embedding.mining import any_positive_violating_negatives

        rng = np.random.default_rng(2)
        distances, labels = rng.random((9, 9)), np.array([0, 0, 0, 1, 1, 2, 2, 2, 3])
        to_positive, negatives = any_positive_violating_negatives(
            self.torch.from_numpy(distances), self.torch.from_numpy(labels), 0.2
        )
        for anchor in range(8):
            positives = [
                distances[anchor, other] for other in range(9) if other != anchor and labels[other] == labels[anchor]
            ]
            assert min(abs(to_positive[anchor].item() - positive) for positive in positives) < 1e-9
            for other in range(9):
                wanted = labels[other] != labels[anchor] and distances[anchor, other] < to_positive[anchor] + 0.2
                assert bool(negatives[anchor, other]) == bool(wanted)
        assert not negatives[8].any()

    def test_moments_of_a_batch_lie_at_the_same_beat(self):
        from retrieval.embedding.version_training import SEGMENT_FRAMES, draw_batch

        ramp = np.broadcast_to(np.linspace(0, 2, 400, dtype=np.float16), (SEMITONES, 400))
        family = Family(tuple(Version(ramp, (np.arange(400) * tempo).astype(np.float32)) for tempo in (0.4, 0.5)))
        batch = draw_batch([family] * 6, 2, np.random.default_rng(0))
        assert batch.spectrograms.shape == (12, SEMITONES, SEGMENT_FRAMES)
        assert (batch.moments[:, 0] >= 0).mean() > 0.8
        assert batch.families.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]

    def test_what_is_kept_of_the_weights_begun_with_draws_those_learnt_back(self, tmp_path):
        from retrieval.cli.console import StageBars
        from retrieval.embedding.checkpoint import load_parameters
        from retrieval.embedding.version_encoder import VERSION_MODEL_PATH
        from retrieval.embedding.version_model import VersionNetwork
        from retrieval.embedding.version_training import VersionRecipe, train_versions

        rng = np.random.default_rng(0)
        works = []
        for number in range(3):
            music = rng.random((SEMITONES, 150)).astype(np.float16)
            Family((Version(music, np.arange(150, dtype=np.float32)),) * 2).save(tmp_path / f"{number}.npz")
            works.append([tmp_path / f"{number}.npz"])
        learnt = []
        for kept in (0.0, 0.75):
            (folder := tmp_path / f"{kept}").mkdir()
            with StageBars(quiet=True) as bars:
                network = train_versions(
                    works, folder, VersionRecipe(steps=2), bars, start=VERSION_MODEL_PATH, kept=kept
                )
            learnt.append(network.state_dict())
        begun = VersionNetwork()
        load_parameters(begun, VERSION_MODEL_PATH)
        name = "salience.0.weight"
        wholly, partly = (weights[name] - begun.state_dict()[name] for weights in learnt)
        assert wholly.abs().max() > 1e-5
        assert self.torch.allclose(partly, 0.25 * wholly, atol=1e-6)

    def test_the_program_trains_on_folders_of_works(self, music, tmp_path):
        from retrieval.embedding.version_encoder import VersionEncoder

        for item in music.recorded[:4]:
            (tmp_path / "works" / item.piece).mkdir(parents=True, exist_ok=True)
            shutil.copy(item.path, tmp_path / "works" / item.piece)
        (tmp_path / "works" / "alone").mkdir()
        shutil.copy(music.recorded[5].path, tmp_path / "works" / "alone")
        out = tmp_path / "mine.onnx"
        done = incipit("train", "versions", tmp_path / "works", "-o", out, "--steps", 2, "--jobs", 2)
        assert done.returncode == 0, done.stderr
        families = sorted((tmp_path / "mine.training" / "families").glob("*.npz"))
        assert len(families) == 2
        for path in families:
            first, second = Family.load(path).versions
            assert np.allclose(np.diff(first.beats), 0.2, atol=1e-4)
            assert np.isfinite(second.beats).mean() > 0.8
        vectors = VersionEncoder(out).encode(np.ones((SEMITONES, 200), np.float32))
        assert np.allclose(np.linalg.norm(vectors.local, axis=1), 1, atol=1e-4)
        assert len(vectors.segments) == 4

    def test_a_single_work_is_no_training(self, music, tmp_path):
        (tmp_path / "one").mkdir()
        for item in music.recorded[:2]:
            shutil.copy(item.path, tmp_path / "one")
        done = incipit("train", "versions", tmp_path, "-o", tmp_path / "mine.onnx")
        assert done.returncode == 1
        assert "Two works or more" in done.stderr

    def test_the_shipped_model_is_the_same_in_onnx_and_torch(self):
        from retrieval.embedding.checkpoint import load_parameters
        from retrieval.embedding.version_encoder import VERSION_MODEL_PATH, VersionEncoder
        from retrieval.embedding.version_model import VersionNetwork

        network = VersionNetwork()
        load_parameters(network, VERSION_MODEL_PATH)
        spectrogram = np.random.default_rng(0).random((SEMITONES, 400)).astype(np.float32)
        with self.torch.no_grad():
            local, _ = network(self.torch.from_numpy(spectrogram[None]))
        ours = local[0].reshape(-1, 100).T.numpy()
        assert np.allclose(VersionEncoder().encode(spectrogram)[0], ours, atol=1e-4)
