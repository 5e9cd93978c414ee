"""What the server refuses, and in which words."""

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from serving import HERE, OPEN, TOKEN, problem, serving
from written import midi_note, write_midi

from retrieval.web.problems import Problem
from retrieval.web.uploads import Uploads


def test_uploads_that_are_too_large_or_no_music_are_refused_and_not_kept(client, tmp_path):
    async def endless():
        for _ in range(100):
            yield bytes(2**16)

    before = set(client.service.uploads._folder.iterdir())
    problem(client.post("/v1/uploads", content=endless()), 413, "too-large")
    problem(client.post("/v1/uploads", content=bytes(2**22 + 1)), 413, "too-large")
    problem(client.post("/v1/uploads", content=b""), 422, "unusable-file")
    for name in ("text.wav", "text.musicxml", "text.mid", "../../etc/cron.d/x", "%00", "a%0Ab"):
        detail = problem(client.post(f"/v1/uploads?name={name}", content=b"not music" * 99), 422, "unusable-file")
        assert str(client.service.uploads._folder) not in detail
    four_hours = 2 * 4 * 3600 * 480
    hours = write_midi(tmp_path / "hours.mid", [*midi_note(60, 480), *midi_note(62, 480, wait=four_hours)]).read_bytes()
    problem(client.post("/v1/uploads?name=hours.mid", content=hours), 413, "too-long")
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0), 22050)
    problem(client.post("/v1/uploads", content=(tmp_path / "nothing.wav").read_bytes()), 422)
    client.service._waiting = 10**6
    problem(client.post("/v1/uploads", content=(tmp_path / "nothing.wav").read_bytes()), 503, "busy")
    client.service._waiting = 0
    assert set(client.service.uploads._folder.iterdir()) == before
    problem(client("PUT", "/v1/works/x/name", content=b" " * 2**21), 413)


def test_only_what_lies_below_the_roots_is_read(client, music, tmp_path):
    inside = music.folder
    (tmp_path / "real.flac").write_bytes(Path(music.recorded[0].path).read_bytes())
    link = inside / "out.flac"
    link.symlink_to(tmp_path / "real.flac")
    try:
        for path in (
            "/etc/passwd",
            "/no/such/file",
            str(tmp_path / "real.flac"),
            str(link),
            f"{inside}/../{inside.name}x/y",
            f"{inside}/../../../../etc/passwd",
            "relative.flac",
            f"{inside}/\0",
            "/" + "x" * 4000,
        ):
            problem(client.post("/v1/query", {"clip": {"path": path}}), 403, "path-not-allowed")
            problem(client.post("/v1/jobs", {"kind": "index", "path": path}), 403, "path-not-allowed")
    finally:
        link.unlink()
    for name in ("none.flac", "x" * 300):
        problem(client.post("/v1/query", {"clip": {"path": f"{inside}/{name}"}}), 404, "no-such-file")
    problem(client.post("/v1/query", {"clip": {"path": str(inside)}}), 422)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example:8000"}, 421),
        ({"Host": "127.0.0.1:9000"}, 421),
        ({"Host": "127.0.0.1.evil.example:8000"}, 421),
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": HERE}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_pages_of_others_and_names_of_others_are_refused(client, headers, status):
    answer = client.get("/v1/items", headers=headers)
    assert answer.status_code == status
    if status != 200:
        problem(answer, status)


def test_what_writes_wants_the_token_and_elsewhere_what_reads_too(client, collection):
    work = client.get("/v1/works").json()["works"][0]["id"]
    for token in (None, "", TOKEN + "x", TOKEN[:-1], "ä"):
        headers = {"Authorization": f"Bearer {token}".encode()} if token else {}
        for method, path in [("POST", f"/v1/works/{work}/confirm"), ("POST", "/v1/jobs"), ("DELETE", "/v1/uploads/x")]:
            answer = client(method, path, token=None, headers=headers)
            problem(answer, 401, "token-wanted")
            assert answer.headers["www-authenticate"] == "Bearer"
    assert client.get("/v1/items", token=None).status_code == 200
    with serving(collection.folder, access=OPEN) as other:
        problem(other.get("/v1/items", token=None), 401)
        assert other.get("/", token=None).status_code == other.get("/v1/openapi.json", token=None).status_code == 200
        assert other.get("/v1/items").status_code == 200
        session = other.post("/v1/session")
        cookie = session.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
        assert TOKEN not in cookie
        kept = {"Cookie": cookie.split(";")[0]}
        assert other.get("/v1/items", token=None, headers=kept).status_code == 200
        problem(other.post("/v1/jobs", {"kind": "group"}, token=None, headers=kept), 401)


def test_every_answer_carries_the_headers(client):
    for path, host in (("/", None), ("/switch", None), ("/v1/items", None), ("/nothing", None), ("/", "x")):
        answer = client.get(path, headers={"Host": host} if host else {})
        policy = answer.headers["content-security-policy"]
        assert {"default-src 'none'", "frame-ancestors 'none'"} <= set(policy.split("; "))
        assert "http" not in policy
        assert ("unsafe" in policy) == (path == "/switch")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "http" not in client.get("/").text


def test_errors_are_problems_whatever_they_are(client, monkeypatch):
    problem(client.get("/v1/nothing"), 404)
    answer = client.post("/v1/items", {})
    problem(answer, 405)
    assert answer.headers["allow"] == "GET"
    problem(client.post("/v1/query", content=b"{"), 422)
    as_json = {"Content-Type": "application/json"}
    problem(client.post("/v1/query", content=b'{"a":' * 100_000, headers=as_json), 400)
    assert "clip" in problem(client.post("/v1/query", {}), 422, "invalid-request")
    problem(client.post("/v1/query", content=rb'{"clip": {"path": "\ud800"}}', headers=as_json), 422)
    problem(client.get("/v1/items?limit=0"), 422)
    problem(client.get("/v1/items?offset=" + "9" * 30), 422)
    problem(client.get("/docs"), 404)
    problem(client.get("/v1/items/"), 404)

    def broken(*_):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(client.service, "opened", broken)
    assert "secret" not in problem(client.get("/v1/items"), 500, "internal-error")


def test_a_question_that_a_stopping_server_gives_up_is_told_so(client, snippet):
    stop = threading.Event()

    async def given_up():
        busy = [asyncio.create_task(client.service.compute(stop.wait)) for _ in range(8)]
        question = {"json": {"clip": {"path": str(snippet[0])}}, "headers": {"Authorization": f"Bearer {TOKEN}"}}
        asked = asyncio.create_task(client._ask("POST", "/v1/query", **question))
        await asyncio.sleep(0.1)
        asked.cancel()  # as the server does with what it does not wait for any longer
        try:
            return await asked
        finally:
            stop.set()
            await asyncio.gather(*busy)

    problem(client._loop.run_until_complete(given_up()), 503, "stopping")


def test_uploads_go_an_hour_after_their_last_use_unless_they_are_read(music):
    sent = music.recorded[0].path.read_bytes()
    dropped = []
    uploads = Uploads(len(sent), dropped.append)

    async def body():
        yield sent

    try:
        upload = uploads.checked(asyncio.run(uploads.receive("clip.wav", body())))
        uploads.sweep()
        with uploads.reading(upload.id):
            upload.used -= 3601.0
            uploads.sweep()
            assert not dropped
        upload.used -= 3601.0
        uploads.sweep()
        assert dropped == [upload]
        assert not upload.path.exists()
        with pytest.raises(Problem, match="not any more"), uploads.reading(upload.id):
            pass
    finally:
        uploads.close()
