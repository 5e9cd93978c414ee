"""The switcher in a browser, opened from a file: places are exact, and no switch or seam clicks."""

import base64
import shutil

import numpy as np
import pytest
import soundfile
from alignments import match, only_other, only_ref, synchronisation
from waiting import until
from written import attributes, document, measure, note

from alignment.carrying import carry_times
from alignment.engraving import engrave
from alignment.score import read_score
from alignment.switcher import Performance, Sheets, write_switcher
from alignment.switcher.sound import RATE

sync_api = pytest.importorskip("playwright.sync_api", reason="wants playwright")
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("wants chromium", allow_module_level=True)

SECONDS = 18.0
ALIGNMENT = synchronisation(
    match([0.0, 6.0, 10.0], [0.5, 6.1, 11.3]),
    only_ref(10.0, 13.0),
    match([13.0, 17.0], [11.3, 16.3]),
    only_other(16.3, 18.0),
    only_ref(17.0, 18.0),
)


def tones(frequency, level):
    at = np.arange(int(SECONDS * RATE)) / RATE
    return level * np.sin(2 * np.pi * frequency * at)[:, None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("switcher")
    for name, sound in (("one", tones(330.0, 0.4)), ("two", tones(523.0, 0.2))):
        soundfile.write(folder / f"{name}.wav", sound, RATE, subtype="FLOAT")
    performances = [
        Performance(str(folder / "one.wav"), "one"),
        Performance(str(folder / "two.wav"), "two", ALIGNMENT),
    ]
    write_switcher(folder / "page", "Two", performances)
    return folder / "page"


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, folder):
    """The page, loaded, with the pieces around its start decoded; errors fail the test."""
    page = browser.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: message.type == "error" and faults.append(message.text))
    page.goto((folder / "index.html").as_uri())
    until(page, "incipit.player.pieces.ready(0, 0) && incipit.player.pieces.ready(1, 0)")
    yield page
    page.close()
    assert faults == []


def state(page):
    return page.evaluate("incipit.state()")


def test_a_switch_lands_where_the_map_says(page):
    page.keyboard.press("Space")
    until(page, "incipit.player.place()?.own > 0.5")
    page.keyboard.press("2")
    until(page, "incipit.player.started.track === 1")
    # From the same frame of the context on, the one goes on and the other begins.
    left, begun = page.evaluate("[incipit.player.left.ownAt(incipit.player.started.start), incipit.player.started.own]")
    assert begun / RATE == pytest.approx(float(carry_times(left / RATE, ALIGNMENT)), abs=0.005)
    assert page.evaluate("incipit.player.voice.ownAt(incipit.player.started.start)") == begun
    assert page.get_by_role("button", name="two").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Pause").click()
    until(page, "!incipit.state().playing && incipit.player.voice === null")


def test_a_recording_that_cannot_be_had_does_not_stop_the_one_that_sounds(browser, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "page")
    for piece in (tmp_path / "page" / "audio").glob("02-*"):
        piece.unlink()
    page = browser.new_page()
    page.goto((tmp_path / "page" / "index.html").as_uri())
    until(page, "globalThis.incipit?.player?.pieces.ready(0, 0)")
    page.keyboard.press("Space")
    until(page, "incipit.player.place()?.own > 1")
    assert state(page)["playing"]
    page.keyboard.press("2")
    until(page, "!incipit.state().playing")
    assert "cannot be played" in page.get_by_role("status").inner_text()
    page.close()


def test_a_click_goes_to_the_musical_place_and_what_is_left_out_is_skipped(page):
    page.keyboard.press("2")
    strip = page.locator(".strip").first
    box = strip.bounding_box()
    strip.click(position={"x": box["width"] * 5.0 / SECONDS, "y": 20})
    assert state(page)["own"] == pytest.approx(float(carry_times(5.0, ALIGNMENT)), abs=0.03)
    strip.click(position={"x": box["width"] * 11.5 / SECONDS, "y": 20})
    assert state(page)["own"] == pytest.approx(11.3, abs=0.001)
    assert "two leaves out" in page.get_by_role("status").inner_text()
    assert "track=2" in page.url


def test_a_loop_goes_round(page):
    page.evaluate("incipit.dispatch({type: 'loopA', ref: 2}); incipit.dispatch({type: 'loopB', ref: 3.2})")
    page.keyboard.press("Space")
    until(page, "incipit.player.voice")
    first = page.evaluate("incipit.player.voice.start")
    until(page, "incipit.player.voice.start > value", first)
    assert page.evaluate("incipit.player.voice.own") == 2 * RATE
    # The round was as long as the loop, to the sample.
    assert page.evaluate("incipit.player.voice.start") - first == round(1.2 * RATE)
    page.keyboard.press("l")
    until(page, "incipit.player.place().own > 3.3")


def test_markers_and_the_place_outlast_the_page(page, folder):
    page.evaluate("incipit.dispatch({type: 'seek', ref: 4})")
    page.keyboard.press("m")
    page.get_by_label("Note at 0:04.0").fill("here <b>")
    page.goto("about:blank")
    page.goto((folder / "index.html").as_uri() + "#t=7.5&track=2")
    assert page.get_by_label("Note at 0:04.0").input_value() == "here <b>"
    assert state(page)["track"] == 1
    assert state(page)["own"] == pytest.approx(float(carry_times(7.5, ALIGNMENT)), abs=0.001)


def test_at_another_speed_place_switch_and_loop_are_as_exact(page):
    page.keyboard.press("-")
    until(page, "incipit.state().speed === 0.9")
    page.evaluate("incipit.dispatch({type: 'speed', speed: 0.5})")
    page.evaluate("incipit.dispatch({type: 'loopA', ref: 2}); incipit.dispatch({type: 'loopB', ref: 2.6})")
    page.keyboard.press("Space")
    until(page, "incipit.player.voice")
    first = page.evaluate("incipit.player.voice.start")
    until(page, "incipit.player.voice.start > value", first)
    # Half as fast, a round takes twice as long.
    assert page.evaluate("incipit.player.voice.start") - first == pytest.approx(round(1.2 * RATE), abs=1)
    page.evaluate("incipit.dispatch({type: 'loopClear'})")
    page.keyboard.press("2")
    until(page, "incipit.player.started.track === 1")
    left, begun = page.evaluate("[incipit.player.left.ownAt(incipit.player.started.start), incipit.player.started.own]")
    assert begun / RATE == pytest.approx(float(carry_times(left / RATE, ALIGNMENT)), abs=0.005)
    page.keyboard.press("0")
    until(page, "incipit.player.voice instanceof incipit.Voice && !incipit.player.voice.stretch")
    assert page.evaluate("incipit.state().speed") == 1


RENDER = """async ([seconds, voices]) => {
  const context = new OfflineAudioContext(1, seconds * 48000, 48000);
  const pieces = new incipit.Pieces(context, incipit.model, incipit.player.pieces.source);
  for (const track of [0, 1]) for (const number of [0, 1]) await pieces.get(track, number);
  let last = null;
  for (const [track, own, start] of voices) {
    const voice = new incipit.Voice(context, context.destination, pieces, track, own, start, 1);
    voice.fill(0, seconds * 48000);
    last?.leave(start);
    last = voice;
  }
  const samples = (await context.startRendering()).getChannelData(0);
  let text = "";
  for (const byte of new Uint8Array(samples.buffer)) text += String.fromCharCode(byte);
  return btoa(text);
}"""


STRETCHED = """async ([seconds, track, own, start, speed]) => {
  const context = new OfflineAudioContext(1, seconds * 48000, 48000);
  const pieces = new incipit.Pieces(context, incipit.model, incipit.player.pieces.source);
  for (const number of [0, 1]) await pieces.get(track, number);
  const stretches = new incipit.Stretches(context, incipit.player.pieces.source);
  await stretches.load();
  const parts = [context, context.destination, pieces, track, own, start, 1];
  const voice = new incipit.StretchedVoice(...parts, speed, stretches);
  voice.fill(0, seconds * 48000);
  await voice.stretch.ask("latency");
  const samples = (await context.startRendering()).getChannelData(0);
  let text = "";
  for (const byte of new Uint8Array(samples.buffer)) text += String.fromCharCode(byte);
  return btoa(text);
}"""


@pytest.mark.parametrize("speed", [0.75, 1.5])
def test_another_speed_keeps_pitch_and_place(page, folder, speed):
    start, own = RATE // 2, 14 * RATE  # over the seam of pieces, to the end of the recording
    text = page.evaluate(STRETCHED, [7, 0, own, start, speed])
    sound = np.frombuffer(base64.b64decode(text), np.float32)
    level = np.sqrt(np.convolve(sound**2, np.ones(480) / 480, "same"))
    heard = np.flatnonzero(level > 0.1)
    lasting = (SECONDS - 14.0) / speed
    assert heard[0] / RATE == pytest.approx(0.5, abs=0.03)
    assert heard[-1] / RATE == pytest.approx(0.5 + lasting, abs=0.03)
    steady = slice(start + RATE // 4, start + int((lasting - 0.25) * RATE))
    assert level[steady].min() > 0.8 * level[steady].max()
    spectrum = np.abs(np.fft.rfft(sound[steady] * np.hanning(sound[steady].size), 2**20))
    assert spectrum.argmax() * RATE / 2**20 == pytest.approx(330.0, abs=1.0)


def rendered(page, seconds, voices):
    return np.frombuffer(base64.b64decode(page.evaluate(RENDER, [seconds, voices])), np.float32)


def test_neither_the_seam_of_pieces_nor_a_switch_clicks_or_gaps(page):
    one, two = tones(330.0, 0.4)[:, 0], tones(523.0, 0.2)[:, 0]
    start, fade = 2 * RATE, RATE // 50
    sound = rendered(page, 4, [[0, 14 * RATE, 0], [1, 5 * RATE + 7, start]])
    seam = slice(fade, start)  # of the pieces at 15 s, in the middle of this
    assert np.abs(sound[seam] - one[14 * RATE :][seam]).max() < 0.02
    after = slice(start + fade, 4 * RATE)
    assert np.abs(sound[after] - two[5 * RATE + 7 - start :][after]).max() < 0.01
    part = np.arange(fade) / fade * np.pi / 2
    expected = np.cos(part) * one[16 * RATE :][:fade] + np.sin(part) * two[5 * RATE + 7 :][:fade]
    assert np.abs(sound[start : start + fade] - expected).max() < 0.03
    # A click is a bend of the wave that no tone makes.
    bend = np.abs(np.diff(sound[fade:], 2)).max()
    assert bend < 1.5 * (0.4 * (2 * np.pi * 330.0 / RATE) ** 2 + 0.2 * (2 * np.pi * 523.0 / RATE) ** 2)


def test_the_score_follows_and_a_click_on_a_measure_goes_there(browser, folder, tmp_path):
    pytest.importorskip("verovio", reason="wants the score extra")
    pytest.importorskip("partitura", reason="wants the score extra")
    bars = [
        measure(number, note(59 + number, 4), attributes=attributes() if number == 1 else "") for number in (1, 2, 3)
    ]
    (tmp_path / "score.musicxml").write_text(document("".join(bars)), "utf-8")
    score, engraving = read_score(tmp_path / "score.musicxml"), engrave(tmp_path / "score.musicxml")
    performances = [
        Performance(str(folder.parent / "one.wav"), "one"),
        Performance(str(folder.parent / "two.wav"), "two", ALIGNMENT),
    ]
    sheets = Sheets(score, engraving, synchronisation(match([0.0, 6.0], [0.0, 18.0])))
    switcher = write_switcher(tmp_path / "page", "Scored", performances, sheets)
    page = browser.new_page()
    faults = []
    page.on("console", lambda message: message.type == "error" and faults.append(message.text))
    page.goto(switcher.page.as_uri() + "#t=3")
    sounding = "[...document.querySelector('#sheet').shadowRoot.querySelectorAll('.sounding')].map(one => one.id)"
    until(page, f"{sounding}.includes(value)", engraving.measures[0].id)
    page.locator(f"#sheet #{engraving.measures[1].id}").click()
    assert state(page)["own"] == pytest.approx(6.0, abs=0.001)
    until(page, f"{sounding}.includes(value)", engraving.measures[1].id)
    assert page.evaluate(sounding) == [engraving.measures[1].id, engraving.notes[1].id]
    page.close()
    assert faults == []


def test_a_page_whose_sound_is_gone_says_so(browser, folder, tmp_path):
    page = browser.new_page()
    shutil.copy(folder / "index.html", tmp_path)
    page.goto((tmp_path / "index.html").as_uri())
    page.keyboard.press("Space")
    until(page, "incipit.state().jump === 2 && !incipit.state().playing")  # begun, and given up
    assert "cannot be read" in page.get_by_role("status").inner_text()
    page.close()
