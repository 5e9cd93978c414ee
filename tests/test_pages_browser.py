"""The library's pages in a browser: browse, take in, see what failed, say what belongs together."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import soundfile
from accessibility import severe_findings

from index import FileState, Library, NewRecording
from retrieval.documents import item_document, work_document

sync_api = pytest.importorskip("playwright.sync_api", reason="wants playwright")
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("wants chromium", allow_module_level=True)

TOKEN = "a-token-of-the-tests"
MARKUP = '<b>new & "old".wav'
MANY = 53
PATIENCE = 30_000  # milliseconds


class Served:
    """A server of a copy of the library of all performances, which may read one folder."""

    def __init__(self, url, library, folder):
        self.url, self.library, self.folder = url, library, folder
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self.api = httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60.0)

    @contextmanager
    def away(self):
        """Its library is not there for a while."""
        aside = self.library.rename(self.library.with_name("aside"))
        try:
            yield
        finally:
            shutil.rmtree(self.library, ignore_errors=True)
            aside.rename(self.library)

    def items(self):
        with Library(self.library) as library:
            return [item_document(item) for item in library.items()]

    def works(self):
        with Library(self.library) as library:
            return [work_document(work) for work in library.works.all()]


@pytest.fixture(scope="module")
def served(collection, tmp_path_factory):
    library, folder = tmp_path_factory.mktemp("served") / "lib", tmp_path_factory.mktemp("root")
    shutil.copytree(collection.folder, library)
    program = [sys.executable, "-m", "retrieval.cli", "serve", "--library", library, "--root", folder, "--port", "0"]
    process = subprocess.Popen(
        [*program, "--token", TOKEN],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("server"))},
    )
    try:
        made = Served(process.stdout.readline().split("/#")[0], library, folder)
        with made.api:
            yield made
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()


@pytest.fixture(scope="module")
def telephone(served):
    """A browser as large as a telephone's, that has opened the start page."""
    sync_api.expect.set_options(timeout=PATIENCE)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 390, "height": 844})
        page = context.new_page()
        page.goto(f"{served.url}/#token={TOKEN}")
        page.close()
        yield context
        browser.close()


@pytest.fixture
def page(telephone):
    """A page whose faults fail the test; what the server refuses is none."""
    page = telephone.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: message.type == "error" and faults.append(message.text))
    yield page
    page.close()
    assert [fault for fault in faults if not fault.startswith("Failed to load resource")] == []


def expect(locator):
    return sync_api.expect(locator)


def assert_accessible(page):
    assert severe_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_the_library_is_browsed_and_filtered(page, served):
    items = served.items()
    page.goto(f"{served.url}/library")
    rows = page.get_by_role("list", name="Recordings and scores").get_by_role("listitem")
    expect(rows).to_have_count(len(items))
    expect(page.get_by_text(f"{len(items)} recordings · {len(served.works())} works")).to_be_visible()
    name = Path(items[0]["path"]).stem
    page.get_by_role("searchbox").fill(name.upper())
    expect(rows).to_have_count(1)
    assert f"q={name.upper()}" in page.url
    page.reload()
    expect(rows).to_have_count(1)
    row = rows.first
    expect(row).to_contain_text(items[0]["title"] or name)
    row.get_by_role("button", name=re.compile("^Play ")).click()
    expect(row.get_by_role("button", name=re.compile("^Pause "))).to_be_visible()
    row.get_by_role("checkbox").check()
    expect(page.get_by_role("region", name="Chosen")).to_contain_text(items[0]["title"] or name)
    assert_accessible(page)
    page.get_by_role("button", name=re.compile("^Put back ")).press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_label("Kind").select_option("score")
    expect(page.get_by_text("Nothing in the library is like that.")).to_be_visible()


def test_pages_follow_one_another_and_the_browser_goes_back(page, served):
    with served.away():
        with Library(served.library, write=True) as library:
            for number in range(MANY):
                recording = NewRecording(
                    f"{number:012x}" + "0" * 52, duration=60.0, title=f"Title {(7 * number) % MANY:03}"
                )
                library.add(recording, FileState(f"/music/{number}.wav", 100, 1000), [])
        page.goto(f"{served.url}/library?sort=title")
        names = page.locator("#items .name")
        expect(names).to_have_text([f"Title {number:03}" for number in range(50)])
        page.get_by_role("button", name="Next").click()
        expect(names).to_have_text([f"Title {number:03}" for number in range(50, MANY)])
        expect(page.get_by_text(f"51 to {MANY} of {MANY}")).to_be_visible()
        expect(page.get_by_role("button", name="Next")).to_be_disabled()
        assert_accessible(page)
        page.go_back()
        expect(names.first).to_have_text("Title 000")
        page.get_by_label("Page", exact=True).fill("999")
        page.keyboard.press("Enter")
        expect(names).to_have_count(MANY - 50)


def test_a_folder_is_taken_in_and_what_fails_is_told_until_it_is_mended(page, served, music):
    sound, rate = soundfile.read(music.recorded[0].path, frames=44100 * 6)
    soundfile.write(served.folder / MARKUP, sound, rate)
    broken = served.folder / "broken.wav"
    broken.write_bytes(b"RIFF nonsense")
    page.goto(f"{served.url}/library")
    page.get_by_role("button", name="Add a folder").click()
    path = page.get_by_label("Folder or file on the server's machine")
    expect(path).to_be_focused()
    expect(path).to_have_value(str(served.folder))
    path.fill("/etc")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="not below a folder")).to_be_visible()
    path.fill(str(served.folder))
    page.keyboard.press("Enter")
    card = page.get_by_role("region", name=f"Taking in {served.folder.name}")
    expect(card.get_by_role("listitem").filter(has_text="broken.wav")).to_contain_text("damaged from the start")
    expect(card.get_by_text("1 added, 1 failed")).to_be_visible()
    expect(page.get_by_role("link", name=MARKUP.removesuffix(".wav"), exact=True)).to_be_visible()
    assert page.locator("main b").count() == 0
    assert_accessible(page)
    page.get_by_role("link", name="1 failed").click()
    failed = page.get_by_role("list", name="Files that failed").get_by_role("listitem")
    expect(failed).to_contain_text("damaged from the start")
    assert_accessible(page)
    soundfile.write(broken, sound[rate:], rate)
    page.get_by_role("button", name="Try broken.wav again").click()
    expect(page.get_by_text("Every file that was tried could be taken in.")).to_be_visible()


def test_what_goes_on_is_found_again_and_can_be_stopped(page, served):
    with Library(served.library, write=True):  # so that the first waits, and the others behind it
        jobs = [served.api.post("/v1/jobs", json={"kind": "group"}).json()["id"] for _ in range(4)]
        try:
            page.goto(f"{served.url}/library")
            last = page.get_by_role("region", name="Grouping into works").last
            last.get_by_role("button", name="Stop").dispatch_event("click")
            expect(last).to_contain_text("Stopped.")
            assert served.api.get(f"/v1/jobs/{jobs[-1]}").json()["state"] == "cancelled"
        finally:
            for id in jobs:
                served.api.delete(f"/v1/jobs/{id}")


def test_works_are_confirmed_named_split_and_merged(page, served):
    first, second = served.works()[:2]
    page.goto(f"{served.url}/works?id={first['id']}")
    page.get_by_role("button", name=re.compile("^Confirm")).click()
    expect(page.get_by_text("✓ confirmed")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Rename")).click()
    page.get_by_role("textbox", name=re.compile("^Name of")).fill("Étude <1>")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Étude <1>")).to_be_focused()
    named = served.api.get(f"/v1/works/{first['id']}").json()
    assert (named["name"], named["confirmed"]) == ("Étude <1>", True)
    page.get_by_role("link", name="All works").click()
    works = page.locator(".work")
    expect(works).to_have_count(len(served.works()))
    assert_accessible(page)
    one = works.filter(has=page.get_by_role("heading", name="Étude <1>"))
    one.get_by_role("listitem").last.get_by_role("checkbox").check()
    one.get_by_role("button", name="Split off the chosen").click()
    expect(one.get_by_role("listitem")).to_have_count(len(first["recordings"]) - 1)
    assert first["recordings"][-1]["id"] in [work["recordings"][0]["id"] for work in served.works()[2:]]
    one.get_by_role("checkbox", name="Mark the work").check()
    page.locator(f"[data-id='{second['id']}']").get_by_role("checkbox", name="Mark the work").check()
    page.get_by_role("button", name="Make one work of 2").click()
    expect(one.get_by_role("heading")).to_be_focused()
    expect(one.get_by_role("listitem")).to_have_count(len(first["recordings"]) - 1 + len(second["recordings"]))


def test_an_item_leads_to_the_others_of_its_work(page, served):
    work = served.works()[-1] if len(served.works()[-1]["recordings"]) > 1 else served.works()[-2]
    one, other = (member["id"] for member in work["recordings"][:2])
    page.goto(f"{served.url}/item?id={one}")
    beside = page.get_by_role("list", name="Others of the work").get_by_role("link", name="Side by side")
    assert beside.first.get_attribute("href") == f"/switch?item={one}&item={other}"
    assert page.get_by_role("link", name="Search with this").get_attribute("href") == f"/?item={one}"
    assert_accessible(page)


def test_an_empty_library_says_what_to_do(page, served):
    with served.away():
        page.goto(f"{served.url}/library")
        expect(page.get_by_role("region", name="The library is empty")).to_contain_text("Name a folder")
        expect(page.get_by_label("Folder or file on the server's machine")).to_have_value(str(served.folder))
        assert_accessible(page)
        page.goto(f"{served.url}/works")
        expect(page.get_by_text("No works yet.")).to_be_visible()
