"""The switcher in the server: its page in a browser, and the pieces of sound that it is given."""

import io
import shutil
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
import uvicorn
from accessibility import severe_findings
from alignments import match, only_ref, synchronisation
from waiting import until
from written import attributes, document, measure, note

from alignment.carrying import carry_times
from alignment.switcher.sound import MARGIN_FRAMES, PIECE_FRAMES, RATE
from index import Library
from retrieval import Collection
from retrieval.kept_alignment import alignment_method, to_kept
from retrieval.web.access import listening
from retrieval.web.application import application
from retrieval.web.pieces import Pieces
from retrieval.web.service import Service
from retrieval.web.sound import Copies

TOKEN = "a token of the tests"
SECONDS = 18.0
ALIGNMENT = synchronisation(
    match([0.0, 6.0, 10.0], [0.5, 6.1, 11.3]), only_ref(10.0, 13.0), match([13.0, 18.0], [11.3, 18.0])
)
SCORE = synchronisation(match([0.0, 6.0], [0.0, 18.0]))


def glide(low, high, rate, channels=1):
    """A tone that glides, each moment unlike the others."""
    at = np.arange(int(SECONDS * rate)) / rate
    tone = 0.4 * np.sin(2 * np.pi * (low * at + (high - low) * at**2 / (2 * SECONDS)))
    return np.stack([tone, 0.5 * tone][:channels], axis=1)


# The pieces


@pytest.mark.parametrize(("suffix", "rate", "channels"), [(".flac", 44100, 2), (".mp3", 22050, 1)])
def test_a_piece_is_the_sound_at_its_place_whatever_the_file(tmp_path, suffix, rate, channels):
    path = tmp_path / f"glide{suffix}"
    soundfile.write(path, glide(200.0, 900.0, rate, channels), rate)
    copies = Copies()
    try:
        pieces = Pieces(copies)
        sound = pieces.sound("key", str(path))
        assert abs(sound.frames - SECONDS * RATE) < 0.1 * RATE  # a codec may add some
        assert (copies.known("key") is None) == (suffix == ".flac")
        truth = glide(200.0, 900.0, RATE, channels)
        for number in (0, 1):
            samples, _ = soundfile.read(io.BytesIO(pieces.piece("key", str(path), number)), always_2d=True)
            first = max(number * PIECE_FRAMES - MARGIN_FRAMES, 0)
            last = min((number + 1) * PIECE_FRAMES + MARGIN_FRAMES, sound.frames)
            assert samples.shape == (last - first, channels)
            inner = slice(MARGIN_FRAMES, 2 * RATE)
            assert np.abs(samples[inner] - truth[first:][inner]).max() < 0.05
    finally:
        copies.close()


# The page


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Two recordings and a score, and how they correspond: the folders of the library and of the files, and the ids."""
    pytest.importorskip("verovio", reason="wants the score extra")
    pytest.importorskip("partitura", reason="wants the score extra")
    folder = tmp_path_factory.mktemp("served")
    music = folder / "music"
    music.mkdir()
    soundfile.write(music / "one.wav", glide(200.0, 900.0, RATE), RATE)
    soundfile.write(music / "two.wav", glide(700.0, 300.0, RATE), RATE)
    bars = [
        measure(number, note(59 + number, 4), attributes=attributes() if number == 1 else "") for number in (1, 2, 3)
    ]
    (music / "score.musicxml").write_text(document("".join(bars)), "utf-8")
    Collection(folder / "library").add(music, works=False)
    with Library(folder / "library", write=True) as opened:
        one, two, score = (opened.item_at(str(music / name)) for name in ("one.wav", "two.wav", "score.musicxml"))
        opened.alignments.put(one, two, alignment_method(), to_kept(ALIGNMENT))
        opened.alignments.put(score, one, alignment_method(), to_kept(SCORE))
        return folder / "library", music, (one.key, two.key, score.key)


@contextmanager
def serving(library):
    opened, access = listening("127.0.0.1", 0, TOKEN)
    service = Service(library, [], 2**22)
    config = uvicorn.Config(
        application(service, access), lifespan="off", log_level="error", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=[[opened]])
    thread.start()
    try:
        yield f"http://127.0.0.1:{access.port}"
    finally:
        server.should_exit = True
        thread.join()
        service.close()
        opened.close()


@pytest.fixture(scope="module")
def page(library):
    """Opens an address of the server in a new page; errors fail the test."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="wants playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("wants chromium")
    faults = []
    with serving(library[0]) as url, sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])

        def open_page(path):
            page = browser.new_context().new_page()  # with a cache of its own
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.goto(f"{url}{path}")
            return page

        yield open_page
        browser.close()
    assert faults == []


READY = "globalThis.incipit?.player && incipit.player.pieces.ready(0, 0) && incipit.player.pieces.ready(1, 0)"


def test_two_items_switch_where_the_map_says_at_any_speed(page, library):
    one, two, _ = library[2]
    opened = page(f"/switch?item={one}&item={two}#token={TOKEN}")
    until(opened, READY)
    assert opened.title() == "one"
    assert TOKEN not in opened.url
    for key in ("0", "-"):
        opened.keyboard.press("1")
        opened.keyboard.press("Home")
        opened.keyboard.press(key)
        until(opened, "value === '0' || incipit.state().speed === 0.9", key)
        opened.evaluate("incipit.dispatch({type: 'play'})")
        until(opened, "incipit.player.place()?.own > 0.5 && incipit.state().track === 0")
        opened.keyboard.press("2")
        until(opened, "incipit.player.started.track === 1")
        left, begun = opened.evaluate(
            "[incipit.player.left.ownAt(incipit.player.started.start), incipit.player.started.own]"
        )
        assert begun / RATE == pytest.approx(float(carry_times(left / RATE, ALIGNMENT)), abs=0.005)


def test_the_score_is_shown_to_the_first_recording_and_a_click_goes_there(page, library):
    one, two, score = library[2]
    opened = page(f"/switch?score={score}&item={one}&item={two}&item=r000000000000#t=3&track=1&token={TOKEN}")
    sounding = "[...document.querySelector('#sheet').shadowRoot.querySelectorAll('.sounding')].map(one => one.id)"
    until(opened, f"{READY} && {sounding}.length > 1")
    first = opened.evaluate(sounding)
    opened.locator("#sheet g.measure").nth(2).click()
    assert opened.evaluate("incipit.state().own") == pytest.approx(12.0, abs=0.001)
    until(opened, f"{sounding}.length > 1 && !{sounding}.includes(value)", first[0])
    # A link to a place shows it without a sound being played, also where the score turns or nothing sounds.
    linked = page(f"/switch?score={score}&item={one}#t=9&token={TOKEN}")
    until(linked, f"globalThis.incipit?.player && {sounding}.length > 1")
    second = linked.locator("#sheet g.measure").nth(1)
    assert second.get_attribute("id") in linked.evaluate(sounding)
    assert linked.locator("#page-number").inner_text() == "1"
    assert not linked.evaluate("incipit.state().playing")
    assert "r000000000000: there is no such recording" in opened.locator("#left-out").inner_text()
    assert severe_findings(opened) == []


def test_what_cannot_be_played_is_told(page, library):
    one, two, score = library[2]
    opened = page(f"/switch?item={one}")
    until(opened, "document.querySelector('#summary').textContent.includes('incipit serve')")  # without the token
    opened = page(f"/switch?item={score}#token={TOKEN}")
    until(opened, "document.querySelector('#summary').textContent.startsWith('This cannot be played')")
    assert "there is no recording to play" in opened.locator("#summary").inner_text()
    opened = page(f"/switch?item={one}&item={two}#token={TOKEN}")
    until(opened, READY)
    (library[1] / "two.wav").unlink()
    opened.evaluate("incipit.dispatch({type: 'seek', ref: 17.5})")
    opened.keyboard.press("2")
    opened.keyboard.press("Space")
    until(opened, "!incipit.state().playing && document.querySelector('#note').textContent.includes('file is gone')")
