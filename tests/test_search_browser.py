"""The search page in a browser: what is dropped or heard is found, and can be heard where it was found."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from accessibility import severe_findings

sync_api = pytest.importorskip("playwright.sync_api", reason="wants playwright")
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("wants chromium", allow_module_level=True)

TOKEN = "a-token-of-the-tests"
FIRST, LAST = 3.0, 11.0
"""Seconds of a recording that are searched for."""


@pytest.fixture(scope="module")
def clip(music, tmp_path_factory):
    sound, rate = soundfile.read(music.recorded[0].path)
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    soundfile.write(path, sound[int(FIRST * rate) : int(LAST * rate)], rate)
    return path


@pytest.fixture(scope="module")
def server(collection, tmp_path_factory):
    """Address of a server of all performances."""
    program = [sys.executable, "-m", "retrieval.cli", "serve", "--library", collection.folder, "--port", "0"]
    environment = {**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("server"))}
    program += ["--token", TOKEN]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process.stdout.readline().split("/#")[0]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def browser(clip):
    """Hears the clip for its microphone."""
    heard = f"--use-file-for-fake-audio-capture={clip}"
    microphone = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", heard]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *microphone])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, server):
    """The start page, ready; faults of the pages fail the test."""
    context = browser.new_context()
    context.grant_permissions(["microphone"])
    page = context.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{server}/#token={TOKEN}")
    page.get_by_text("up to 512 MB").wait_for()
    yield page
    context.close()
    assert faults == []


def position(page):
    return float(page.get_by_label("Position").input_value())


def until(page, come_true):
    for _ in range(500):
        if come_true():
            return
        page.wait_for_timeout(20)
    pytest.fail("it did not come true")


def test_what_is_dropped_is_found_and_heard_in_turn_with_what_was_found(page, clip, music):
    dropped = page.evaluate_handle(
        """content => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([Uint8Array.from(content)], "something.wav"));
          return transfer;
        }""",
        list(clip.read_bytes()),
    )
    page.dispatch_event("body", "drop", {"dataTransfer": dropped})
    found = page.get_by_role("tabpanel", name="What is it?").get_by_role("listitem").first
    found.get_by_text(music.recorded[0].path.name).wait_for()
    assert "almost certain" in found.inner_text()
    found.get_by_role("button", name="Play").click()
    until(page, lambda: position(page) > FIRST + 0.3)
    found.get_by_role("button", name="Pause").click()
    until(page, lambda: position(page) > FIRST)  # under load it is told late
    at = position(page)
    assert at < FIRST + 3.0
    page.keyboard.press("2")
    until(page, lambda: position(page) < FIRST)
    assert position(page) == pytest.approx(at - FIRST, abs=0.15)
    assert page.get_by_role("button", name="2 something").get_attribute("aria-pressed") == "true"
    assert severe_findings(page) == []
    page.get_by_role("tab", name="Versions").click()
    page.get_by_role("tabpanel", name="Versions").get_by_role("status").filter(has_text="of the same work").wait_for()
    assert "task=versions" in page.url
    page.reload()
    assert page.get_by_role("tab", name="Versions").get_attribute("aria-selected") == "true"


def test_what_the_microphone_hears_is_found(page, server, music):
    """Within three recordings, since a machine that halts for a moment while it records leaves gaps in them."""
    panel = page.get_by_role("tabpanel", name="What is it?")
    found, none = panel.get_by_role("listitem").first, panel.get_by_text("It is none of the recordings of the library.")
    for _ in range(3):
        page.get_by_role("button", name="Record from the microphone").click()
        page.get_by_text("0:05.").wait_for()
        page.get_by_role("button", name="Stop and search").click()
        found.or_(none).wait_for(timeout=60_000)
        if found.is_visible():
            assert music.recorded[0].path.name in found.inner_text()
            return
        page.goto(f"{server}/")
    pytest.fail("none of three recordings was found")


def test_what_is_no_music_is_told(page):
    broken = {"name": "broken.wav", "mimeType": "audio/wav", "buffer": b"RIFF nonsense"}
    page.get_by_label("File").set_input_files(broken)
    page.get_by_role("alert").wait_for()
    assert "“broken.wav”: " in page.get_by_role("alert").inner_text()
    assert page.get_by_role("tab").count() == 0


COLOURS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""


def test_a_comparison_is_drawn_and_heard(page, server, music, collection):
    paths = [str(recorded.path) for recorded in music.pair(music.recorded[0].piece)]
    items = page.request.get(f"{server}/v1/items").json()["items"]
    one, other = (next(item for item in items if item["path"] == path) for path in paths)
    page.goto(f"{server}/compare?a={one['id']}&b={other['id']}")
    page.get_by_text("performances of the same work").wait_for()
    picture = page.get_by_role("img", name="Similarity")
    until(page, lambda: picture.evaluate(COLOURS) > 50)
    assert page.get_by_role("link", name="side by side").get_attribute("href").startswith("/switch?item=")
    assert severe_findings(page) == []
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    share = (box["width"] / 2 - 46) / (box["width"] - 52)
    until(page, lambda: position(page) == pytest.approx(share * one["duration"], abs=1.5))
    heard = page.get_by_role("group", name="What is heard").get_by_role("button").all_inner_texts()
    assert [Path(path).name for path in paths] == [text.split("\n")[-1] for text in heard]
