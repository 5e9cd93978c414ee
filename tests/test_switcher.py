"""The interpretation switcher: the page that is written, its maps and states, and how it plays in a browser."""

import base64
import hashlib
import html
import io
import json
import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from alignments import match, only_other, only_ref, swapped, synchronisation, synchronisations
from hypothesis import given, settings
from program import documents, incipit
from pyloudnorm import Meter
from written import REPEAT, attributes, document, measure, note

from alignment.audio import audio_blocks, native_blocks
from alignment.carrying import carry_times, inverted
from alignment.engraving import engrave
from alignment.errors import AudioError
from alignment.export import synchronisation_document
from alignment.score import read_score
from alignment.switcher import Performance, Sheets, write_switcher
from alignment.switcher.page import joined_script, relative_tempi
from alignment.switcher.sound import MARGIN_FRAMES, PIECE_FRAMES, RATE, write_pieces
from index import Library
from retrieval import Collection
from retrieval.kept_alignment import alignment_method, to_kept

ROOT = Path(__file__).parent.parent
TITLE = 'Étude </script><b>"1" & {{data}}'
NATIVE = 44100
SECONDS = 34.0


def glide(low, high, level, channels):
    """Partials that glide slowly, each moment unlike the others."""
    at = np.arange(int(SECONDS * NATIVE)) / NATIVE
    phase = 2 * np.pi * (low * at + (high - low) * at**2 / (2 * SECONDS))
    tone = sum(np.sin(number * phase) / number for number in (1, 2, 3))
    loud = 0.6 + 0.4 * np.sin(2 * np.pi * at / 3.1)
    return np.stack([level * tone * loud / 2 * (1 - 0.3 * channel) for channel in range(channels)], axis=1)


ALIGNMENT = synchronisation(
    match([0.0, 12.0], [1.0, 13.0]),
    only_ref(12.0, 18.0),
    only_other(0.0, 1.0),
    match([18.0, 30.0], [13.0, 28.0]),
    only_other(28.0, 34.0),
    only_ref(30.0, 34.0),
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A page of two performances: folder, what was told of it, and the recordings at the rate of the pieces."""
    folder = tmp_path_factory.mktemp("switcher")
    sounds = [glide(220.0, 660.0, 0.5, 2), glide(500.0, 150.0, 0.1, 1)]
    for name, sound in zip(("one", "two"), sounds, strict=True):
        soundfile.write(folder / f"{name}.wav", sound, NATIVE, subtype="FLOAT")
    performances = [
        Performance(str(folder / "one.wav"), "Eins & <zwei>"),
        Performance(str(folder / "two.wav"), "two", ALIGNMENT),
    ]
    switcher = write_switcher(folder / "page", TITLE, performances)
    return switcher, [soxr.resample(sound, NATIVE, RATE) for sound in sounds]


def page_data(text):
    return json.loads(re.search(r'<script type="application/json" id="switcher-data">(.*?)</script>', text, re.S)[1])


def decoded(file):
    name, text = re.fullmatch(r'incipit\.piece\("([^"]+)","([^"]+)"\);\n', file.read_text("ascii")).groups()
    assert name == file.stem
    return soundfile.read(io.BytesIO(base64.b64decode(text)), always_2d=True)


def test_the_page_is_one_file_that_asks_nobody(written):
    switcher, _ = written
    text = switcher.page.read_text("utf-8")
    assert not re.search(r"https?:|//[a-z]+\.[a-z]|\bfetch\(|XMLHttpRequest|<link rel=.stylesheet|^import ", text, re.M)
    assert {file.name for file in switcher.page.parent.iterdir()} == {"index.html", "audio", "code"}


def test_the_policy_allows_the_script_and_style_of_the_page_and_no_other_host(written):
    text = written[0].page.read_text("utf-8")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)[1]
    for kind, source in (("script", r'<script type="module">(.*?)</script>'), ("style", r"<style>(.*?)</style>")):
        inside = re.search(source, text, re.S)[1]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert not re.search(r"unsafe|\*|http|blob:|file:|script-src[^;]*data:", policy.replace("'wasm-unsafe-eval'", ""))
    assert not re.search(r" style=| on[a-z]+=", text.split("<body>")[1].split("<script")[0])


def test_a_name_that_is_no_text_is_shown_with_a_sign_in_its_place(tmp_path):
    soundfile.write(tmp_path / "short.wav", np.zeros(2000), 22050)
    switcher = write_switcher(tmp_path / "page", "a\udcff", [Performance(str(tmp_path / "short.wav"), "a\udcff")])
    assert "<title>a?</title>" in switcher.page.read_text("utf-8")


def test_no_title_or_name_breaks_out_of_the_page(written):
    text = written[0].page.read_text("utf-8")
    data = page_data(text)
    assert data["title"] == TITLE
    assert data["tracks"][0]["name"] == "Eins & <zwei>"
    assert text.count("</script>") == 2
    assert f"<title>{html.escape(TITLE)}</title>" in text
    assert "<b>" not in text


def test_the_pieces_hold_the_sound_sample_by_sample(written):
    switcher, sounds = written
    data = page_data(switcher.page.read_text("utf-8"))
    for track, sound in zip(data["tracks"], sounds, strict=True):
        assert track["frames"] == len(sound)
        files = sorted((switcher.page.parent / "audio").glob(f"{track['file']}-*.js"))
        assert len(files) == -(-len(sound) // PIECE_FRAMES) == 3
        for number, file in enumerate(files):
            samples, rate = decoded(file)
            first = max(number * PIECE_FRAMES - MARGIN_FRAMES, 0)
            last = min((number + 1) * PIECE_FRAMES + MARGIN_FRAMES, len(sound))
            assert (rate, samples.shape) == (RATE, (last - first, sound.shape[1]))
            inner = slice(MARGIN_FRAMES, RATE * 2)
            lags = {
                lag: np.abs(samples[inner] - sound[first + lag :][inner]).max() for lag in range(-2 * (first > 0), 3)
            }
            assert min(lags, key=lags.get) == 0
            assert lags[0] < 0.1 * np.abs(sound).max()


def test_performances_are_equally_loud_and_none_clips(written):
    switcher, sounds = written
    tracks = page_data(switcher.page.read_text("utf-8"))["tracks"]
    played = [sound * 10 ** (track["gain"] / 20) for sound, track in zip(sounds, tracks, strict=True)]
    loudness = [Meter(RATE).integrated_loudness(sound) for sound in played]
    assert loudness[0] == pytest.approx(loudness[1], abs=0.1)
    assert max(np.abs(sound).max() for sound in played) < 1.0


def test_the_waveform_follows_the_sound(written):
    switcher, sounds = written
    track = page_data(switcher.page.read_text("utf-8"))["tracks"][0]
    envelope = np.frombuffer(base64.b64decode(track["envelope"]), np.uint8) / 255.0
    edges = np.linspace(0, len(sounds[0]), len(envelope) + 1).astype(int)
    truth = np.array([np.abs(sounds[0][a:b]).max() for a, b in pairwise(edges)])
    assert np.corrcoef(envelope, truth)[0, 1] > 0.99


def test_writing_again_leaves_no_pieces_of_before_and_touches_nothing_else(tmp_path):
    audio = tmp_path / "audio"
    audio.mkdir()
    for name in ("01-old-0001.js", "mine.js", "notes.txt"):
        (audio / name).write_text("x")
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(RATE), RATE)
    both = synchronisation(match([0.0, 1.0], [0.0, 1.0]))
    switcher = write_switcher(
        tmp_path,
        "Silence",
        [Performance(str(tmp_path / "a.wav"), "a"), Performance(str(tmp_path / "b.wav"), "b", both)],
    )
    assert {file.name for file in audio.iterdir()} == {"01-a-0001.js", "02-b-0001.js", "mine.js", "notes.txt"}
    assert [track["loudness"] for track in page_data(switcher.page.read_text("utf-8"))["tracks"]] == [None, None]


def test_tempi_are_told_against_the_mean_of_all():
    half = synchronisation(match([0.0, 40.0], [0.0, 80.0]), only_ref(40.0, 60.0))
    ref, other = relative_tempi([half], 60.0, 1.0)
    assert ref[:40] == pytest.approx(np.sqrt(2.0))
    assert other[:40] == pytest.approx(np.sqrt(0.5))
    assert ref[42:] == pytest.approx(1.0)
    assert np.isnan(other[42:]).all()


def test_a_recording_that_is_decoded_natively_is_what_is_analysed(tmp_path):
    soundfile.write(tmp_path / "a.flac", 0.5 * np.sin(np.arange(30 * 8000) / 9.0), 8000)
    blocks = list(native_blocks(tmp_path / "a.flac"))
    assert {rate for rate, _ in blocks} == {8000}
    whole = np.concatenate([block for _, block in blocks])[:, 0]
    assert np.array_equal(whole, np.concatenate(list(audio_blocks(tmp_path / "a.flac", 8000))))


def test_a_file_without_sound_is_refused(tmp_path):
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(AudioError, match=r"a\.wav"):
        write_pieces(tmp_path / "a.wav", tmp_path, "01")


def test_the_verb_writes_those_that_are_the_same_music(music, tmp_path):
    (first, second), (strange, _) = music.pair(music.recorded[0].piece), music.pair(music.recorded[2].piece)
    folder = tmp_path / "page"
    done = incipit("switch", first.path, second.path, strange.path, tmp_path / "none.wav", "-o", folder, "--json")
    (told,) = documents(done)
    assert done.returncode == 1
    assert [other["accepted"] for other in told["others"]] == [True, False, False]
    assert "no such file" in told["others"][2]["error"]
    data = page_data(Path(told["page"]).read_text("utf-8"))
    assert [track["name"] for track in data["tracks"]] == [first.path.stem, second.path.stem]
    assert data["title"] == first.path.stem
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert told["bytes"] == size


def test_what_the_library_keeps_of_a_pair_is_not_computed_again(tmp_path):
    for name, low in (("a", 220.0), ("b", 500.0)):
        soundfile.write(tmp_path / f"{name}.wav", glide(low, 300.0, 0.5, 1)[: 8 * NATIVE], NATIVE)
    Collection(tmp_path / "lib").add(tmp_path / "a.wav", tmp_path / "b.wav", works=False)
    kept = synchronisation(match([0.0, 8.0], [1.0, 7.0]))
    with Library(tmp_path / "lib", write=True) as library:
        one, two = (library.item_at(str(tmp_path / f"{name}.wav")) for name in "ab")
        library.alignments.put(one, two, alignment_method(), to_kept(kept))
    done = incipit("switch", two.key, one.key, "-o", tmp_path / "page", "--library", tmp_path / "lib", "--json")
    (told,) = documents(done)
    data = page_data(Path(told["page"]).read_text("utf-8"))
    assert data["tracks"][1]["segments"][0]["warping_path"] == [[1.0, 0.0], [7.0, 8.0]]


def test_no_page_is_written_of_different_works(music, tmp_path):
    (first, _), (strange, _) = music.pair(music.recorded[0].piece), music.pair(music.recorded[2].piece)
    done = incipit("switch", first.path, strange.path, "-o", tmp_path / "page")
    assert (done.returncode, done.stdout) == (3, "")
    assert not (tmp_path / "page").exists()


def test_a_score_is_no_performance(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"x")
    (tmp_path / "a.mid").write_bytes(b"x")
    done = incipit("switch", "a.wav", "a.mid", "-o", "page", cwd=tmp_path)
    assert done.returncode == 2
    assert "is a score" in done.stderr


def test_the_score_stands_beside_with_the_times_of_the_reference(tmp_path):
    pytest.importorskip("verovio", reason="wants the score extra")
    pytest.importorskip("partitura", reason="wants the score extra")
    bars = [measure(1, note(60, 4), attributes=attributes()), measure(2, note(62, 4), REPEAT), measure(3, note(64, 4))]
    (tmp_path / "score.musicxml").write_text(document("".join(bars)), "utf-8")
    soundfile.write(tmp_path / "a.wav", glide(220.0, 440.0, 0.5, 1)[: 21 * NATIVE], NATIVE)
    score, engraving = read_score(tmp_path / "score.musicxml"), engrave(tmp_path / "score.musicxml")
    slower = synchronisation(match([0.0, 10.0], [1.0, 21.0]))
    both = synchronisation(match([0.0, 21.0], [0.0, 21.0]))
    path = str(tmp_path / "a.wav")
    switcher = write_switcher(
        tmp_path / "page",
        "Scored",
        [Performance(path, "a"), Performance(path, "b", both)],
        Sheets(score, engraving, slower),
    )
    data = page_data(switcher.page.read_text("utf-8"))["score"]
    ids = [engraving.measures[number].id for number in (0, 1, 0, 1, 2)]
    assert [row[2] for row in data["measures"]] == ids
    assert [row[0] for row in data["measures"]] == pytest.approx([1.0, 5.0, 9.0, 13.0, 17.0])
    (page,) = data["pages"]
    text = (switcher.page.parent / "score" / f"{page}.js").read_text("ascii")
    assert base64.b64decode(text.split('"')[3]).decode() == engraving.pages[0]


def random_cases():
    """Alignments as the page has them, with times and where Python carries them."""
    found = []

    @settings(max_examples=60, database=None, deadline=None, derandomize=True)
    @given(synchronisations())
    def gather(made):
        found.append(_case(made, len(found)))

    gather()
    return [*found, _case(swapped(), 0)]


def _case(made, seed):
    segments = synchronisation_document("", made)["segments"]
    read = synchronisation(*(_read(segment) for segment in segments))
    ends = [max(span[1] for span in (segment[side] for segment in segments) if span) for side in ("ref", "other")]
    rng = np.random.default_rng(seed)
    times = [np.sort(rng.uniform(0.0, end, 50)) for end in ends]
    carried, back = carry_times(times[0], read), carry_times(times[1], inverted(read))
    exact = carry_times(times[0], made)
    known = ~np.isnan(exact) & ~np.isnan(carried)
    assert np.abs(exact - carried)[known].max(initial=0.0) < 0.005
    return {
        "segments": segments,
        "ref": ends[0],
        "other": ends[1],
        "ref_times": times[0].tolist(),
        "other_times": times[1].tolist(),
        "carried": [None if np.isnan(value) else value for value in carried.tolist()],
        "back": [None if np.isnan(value) else value for value in back.tolist()],
    }


def _read(segment):
    if segment["kind"] == "match":
        ref, other = np.array(segment["warping_path"]).T
        return match(ref.tolist(), other.tolist())
    return only_ref(*segment["ref"]) if segment["kind"] == "only_ref" else only_other(*segment["other"])


@pytest.mark.skipif(shutil.which("node") is None, reason="wants node")
def test_map_and_states_under_node(tmp_path):
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps(random_cases()))
    (tmp_path / "joined.mjs").write_text(joined_script())
    checked = subprocess.run(["node", "--check", tmp_path / "joined.mjs"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    done = subprocess.run(
        ["node", "--test", *sorted((ROOT / "tests" / "js").glob("*.test.mjs"))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "INCIPIT_CASES": str(cases)},
    )
    assert done.returncode == 0, done.stdout
    assert "# skipped 0" in done.stdout
