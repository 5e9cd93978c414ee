"""The server answers as the program does, of the same library."""

import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from serving import Client, problem, sent, serving

from index import Library
from retrieval import Collection
from retrieval.comparison import VersionLikeness
from retrieval.documents import item_document, work_document
from retrieval.embedding.version_encoder import LOCAL_HOP_SECONDS
from retrieval.hits import FIELDS
from retrieval.sides import kept_either_way
from retrieval.web.matrix import matrix_document


def items_of(collection):
    with Library(collection.folder) as library:
        return [item_document(item) for item in sorted(library.items(), key=lambda item: item.path)]


def item_path(collection, key):
    with Library(collection.folder) as library:
        return library.item(key).path


# What the library holds


def test_items_are_those_of_the_program_filtered_sorted_and_by_pages(client, collection):
    all_items = items_of(collection)
    assert client.get("/v1/items").json() == {"total": len(all_items), "offset": 0, "items": all_items}
    page = client.get("/v1/items?offset=3&limit=2").json()
    assert (page["total"], page["items"]) == (len(all_items), all_items[3:5])
    longest = client.get("/v1/items?sort=duration&order=descending").json()["items"]
    assert [item["duration"] for item in longest] == sorted((i["duration"] for i in all_items), reverse=True)
    some = Path(all_items[0]["path"]).stem[1:-1].upper()
    found = client.get("/v1/items", params={"q": some}).json()["items"]
    assert found == [item for item in all_items if some.lower() in item["path"].lower()]
    assert client.get("/v1/items?kind=score").json()["total"] == 0
    assert client.get("/v1/items?q=%25").json()["total"] == 0
    assert client.get("/v1/items?missing=true").json()["total"] == 0


def test_an_item_is_told_whole_and_only_by_its_id(client, collection):
    item = items_of(collection)[0]
    told = client.get(f"/v1/items/{item['id']}").json()
    assert {name: told[name] for name in item} == item
    assert told["paths"] == [{"path": item["path"], "missing": False}]
    problem(client.get("/v1/items/r000000000000"), 404, "no-such-item")
    problem(client.get("/v1/items/" + item["path"].replace("/", "%2F")), 404)


def test_sound_comes_in_ranges_byte_for_byte(client, collection):
    item = items_of(collection)[0]
    url, content = f"/v1/items/{item['id']}/audio", Path(item["path"]).read_bytes()
    whole = client.get(url)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, content, "audio/flac")
    size = len(content)
    for asked, (first, end) in {
        "0-0": (0, 1),
        "10-99": (10, 100),
        f"{size - 7}-": (size - 7, size),
        "-9": (size - 9, size),
        f"300000-{10 * size}": (300000, size),
        f"-{2 * size}": (0, size),
    }.items():
        part = client.get(url, headers={"Range": f"bytes={asked}"})
        assert (part.status_code, part.content) == (206, content[first:end]), asked
        assert part.headers["content-range"] == f"bytes {first}-{end - 1}/{size}"
        assert part.headers["content-length"] == str(end - first)
    for ignored in ("bytes=5-2", "bytes=a-b", "bytes=-", "lines=0-1", "bytes=0-1,4-5", "bytes=" + "9" * 5000 + "-"):
        assert client.get(url, headers={"Range": ignored}).content == content
    for outside in (f"bytes={size}-", "bytes=-0"):
        answer = client.get(url, headers={"Range": outside})
        problem(answer, 416)
        assert answer.headers["content-range"] == f"bytes */{size}"
    etag = whole.headers["etag"]
    assert client.get(url, headers={"Range": "bytes=0-1", "If-Range": etag}).status_code == 206
    assert client.get(url, headers={"Range": "bytes=0-1", "If-Range": '"other"'}).status_code == 200
    assert client.get(url, headers={"If-None-Match": etag}).status_code == 304
    head = client("HEAD", url)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(size))


def test_what_browsers_cannot_play_comes_as_flac_with_the_same_samples(tmp_path):
    sound = np.random.default_rng(3).integers(-9000, 9000, (30000, 2)).astype(np.int16)
    soundfile.write(tmp_path / "noise.aiff", sound, 22050)
    soundfile.write(tmp_path / "other.flac", sound[::-1], 22050)
    Collection(tmp_path / "lib").add(tmp_path / "noise.aiff", tmp_path / "other.flac", works=False)
    with serving(tmp_path / "lib") as client:
        aiff, flac = (item["id"] for item in client.get("/v1/items").json()["items"])
        answer = client.get(f"/v1/items/{aiff}/audio")
        assert answer.headers["content-type"] == "audio/flac"
        (tmp_path / "got.flac").write_bytes(answer.content)
        np.testing.assert_array_equal(soundfile.read(tmp_path / "got.flac", dtype="int16")[0], sound)
        part = client.get(f"/v1/items/{aiff}/audio", headers={"Range": "bytes=4-7"})
        assert part.content == answer.content[4:8]
        (tmp_path / "other.flac").unlink()
        (tmp_path / "other.flac").symlink_to("/etc/passwd")
        problem(client.get(f"/v1/items/{flac}/audio"), 410)


def test_the_file_of_a_score_comes_as_it_is(tmp_path, client, collection):
    mido = pytest.importorskip("mido", reason="wants the score extra")
    from written import midi_note

    path = tmp_path / "scale.mid"
    scale = mido.MidiTrack([message for pitch in (60, 64, 67) for message in midi_note(pitch, 480)])
    mido.MidiFile(tracks=[scale]).save(path)
    Collection(tmp_path / "lib").add(path, works=False)
    with serving(tmp_path / "lib") as scores:
        item = scores.get("/v1/items?kind=score").json()["items"][0]
        answer = scores.get(f"/v1/items/{item['id']}/score", headers={"Range": "bytes=0-3"})
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (206, b"MThd", "audio/midi")
        details = scores.get(f"/v1/items/{item['id']}").json()
        assert (details["notes"], [part["notes"] for part in details["parts"]], details["movements"]) == (3, [3], [])
        problem(scores.get(f"/v1/items/{item['id']}/audio"), 404, "no-sound")
        upload = sent(scores, path, "scale.mid")
        assert upload["kind"] == "score"
    problem(client.get(f"/v1/items/{items_of(collection)[0]['id']}/score"), 404, "no-score")


def test_a_library_that_is_not_there_is_empty(tmp_path, music):
    with serving(tmp_path / "none", [music.folder]) as client:
        assert client.get("/v1/items").json()["total"] == client.get("/v1/works").json()["total"] == 0
        assert client.get("/v1/failures").json() == {"failed": [], "damage": []}
        assert client.get("/v1/status").json()["recordings"] == 0
        found = client.post("/v1/query", {"clip": {"path": str(music.recorded[0].path)}})
        assert found.json()["hits"] == []
        problem(client.post("/v1/works/x/confirm"), 404, "empty-library")
        assert not (tmp_path / "none").exists()


# Questions


def test_a_clip_is_found_as_the_program_finds_it(client, collection, snippet):
    path, source = snippet
    upload = sent(client, path, "a/../snippet.wav")
    assert (upload["name"], upload["kind"], upload["duration"]) == ("snippet.wav", "recording", pytest.approx(8.0))
    answer = client.post("/v1/query", {"clip": {"upload": upload["id"]}}).json()
    assert answer["hits"] == [hit.document() for hit in collection.query(path)]
    assert list(answer["hits"][0]) == list(FIELDS)
    assert (answer["query"], answer["hits"][0]["path"]) == ("snippet.wav", str(source))
    stored = list(client.service.uploads._folder.iterdir())
    assert [file.suffix for file in stored] == [".wav"]
    assert client("DELETE", f"/v1/uploads/{upload['id']}").status_code == 204
    assert not list(client.service.uploads._folder.iterdir())
    problem(client.post("/v1/query", {"clip": {"upload": upload["id"]}}), 404, "no-such-upload")


def test_what_was_sent_can_be_heard_until_it_is_removed(client, tmp_path):
    sound = np.random.default_rng(4).integers(-9000, 9000, (30000, 2)).astype(np.int16)
    soundfile.write(tmp_path / "noise.aiff", sound, 22050)
    upload = sent(client, tmp_path / "noise.aiff", "noise.aiff")
    url = f"/v1/uploads/{upload['id']}"
    assert client.get(url).json() == upload
    answer = client.get(f"{url}/audio")
    assert answer.headers["content-type"] == "audio/flac"
    (tmp_path / "got.flac").write_bytes(answer.content)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "got.flac", dtype="int16")[0], sound)
    assert client.get(f"{url}/audio", headers={"Range": "bytes=4-7"}).content == answer.content[4:8]
    soundfile.write(tmp_path / "noise.mp3", sound, 22050)
    other = f"/v1/uploads/{sent(client, tmp_path / 'noise.mp3', 'noise.mp3')['id']}"
    assert client.get(f"{other}/pieces/1").content[:4] == b"OggS"
    assert len(list(client.service.copies._folder.iterdir())) == 2
    for each in (url, other):
        assert client("DELETE", each).status_code == 204
        problem(client.get(f"{each}/audio"), 404, "no-such-upload")
    assert not list(client.service.copies._folder.iterdir())


def test_files_can_be_heard_below_the_roots_alone(client, music, tmp_path):
    path = str(music.recorded[0].path)
    assert client.get("/v1/files", params={"path": path}).json() == {"path": path, "kind": "recording"}
    answer = client.get("/v1/files/audio", params={"path": path}, headers={"Range": "bytes=0-99"})
    assert (answer.status_code, answer.content) == (206, Path(path).read_bytes()[:100])
    shutil.copy(path, tmp_path / "outside.flac")
    for outside in (tmp_path / "outside.flac", tmp_path / "nothing.flac", f"{music.folder}/../x", "relative.flac"):
        for url in ("/v1/files", "/v1/files/audio"):
            problem(client.get(url, params={"path": str(outside)}), 403, "path-not-allowed")
    problem(client.get("/v1/files/audio", params={"path": str(music.folder)}), 404, "no-such-file")


def test_several_ask_at_once_while_the_library_is_written(collection, snippet, tmp_path):
    library = tmp_path / "lib"
    shutil.copytree(collection.folder, library)
    asked = {"clip": {"path": str(snippet[0])}, "task": "versions", "top": 3}
    with serving(library, [snippet[0].parent]) as own:
        expected = own.post("/v1/query", asked).json()["hits"]
        work = own.get("/v1/works").json()["works"][0]["id"]
        answers = []

        def ask(other):
            answers.append(other.post("/v1/query", asked).json()["hits"])
            other.close()

        threads = [threading.Thread(target=ask, args=[Client(own.service)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(5):
            assert own("PUT", f"/v1/works/{work}/name", json={"name": f"Name {number}"}).status_code == 200
        for thread in threads:
            thread.join()
        unnamed = [[{**hit, "work": None} for hit in hits] for hits in (expected, *answers)]
        assert all(hits == unnamed[0] for hits in unnamed)


def test_two_performances_are_aligned_and_compared(client, collection, music, snippet):
    one, other = (str(recorded.path) for recorded in music.pair(music.recorded[0].piece))
    ids = {item["path"]: item["id"] for item in items_of(collection)}
    answer = client.post("/v1/align", {"ref": {"item": ids[one]}, "others": [{"path": other}]}).json()
    assert (answer["ref"], answer["others"][0]["path"]) == (one, other)
    assert answer["others"][0]["accepted"]
    matches = [part for part in answer["others"][0]["segments"] if part["kind"] == "match"]
    assert all(len(part["warping_path"]) == len(part["confidence"]) > 1 for part in matches)
    clip = {"upload": sent(client, snippet[0])["id"]}
    wanted = {"a": clip, "b": {"item": ids[str(snippet[1])]}}
    compared = client.post("/v1/compare", {**wanted, "matrix": True}).json()
    assert compared["verdict"] == "same recording"
    levels = levels_of(compared["matrix"])
    for span, duration in zip(compared["matrix"]["spans"], compared["durations"], strict=True):
        assert span == [pytest.approx(0.0, abs=0.5), pytest.approx(duration, abs=1.0)]
    first = np.array([span[0] for span in compared["matrix"]["spans"]])
    points = np.concatenate(compared["matrix"]["paths"])
    on_path = levels[tuple(((points - first) / LOCAL_HOP_SECONDS).astype(int).T)]
    assert np.median(on_path) > 200 > 2 * np.median(levels)


def levels_of(matrix):
    return np.frombuffer(base64.b64decode(matrix["values"]), np.uint8).reshape(matrix["rows"], matrix["columns"])


def test_a_matrix_that_is_made_smaller_keeps_its_paths_whole():
    long, path = np.random.default_rng(5).uniform(0.0, 0.5, (1500, 900)).astype(np.float32), np.arange(900)
    long[path, path] = 1.0
    levels = levels_of(matrix_document(VersionLikeness(1.0, True, (), 0, long, (0.8, 0.8), (0.0, 0.0), ())))
    assert levels.shape == (375, 300)
    assert np.all(levels[path // 4, path // 3] == 255)
    assert np.mean(levels == 255) < 0.02


def test_the_switcher_is_told_how_performances_correspond_and_the_library_keeps_it(collection, music, tmp_path):
    shutil.copytree(collection.folder, tmp_path / "lib")
    sound, rate = soundfile.read(music.recorded[0].path)
    soundfile.write(tmp_path / "part.wav", sound[3 * rate : 18 * rate], rate)
    ids = {item["path"]: item["id"] for item in items_of(collection)}
    one, other = (ids[str(recorded.path)] for recorded in music.pair(music.recorded[0].piece))
    strange = ids[str(music.pair(music.recorded[2].piece)[0].path)]
    with serving(tmp_path / "lib") as client:
        clip = {"upload": sent(client, tmp_path / "part.wav", "some.wav")["id"]}
        others = [{"item": one}, {"item": strange}, clip]
        job = client.post("/v1/jobs", {"kind": "switch", "ref": {"item": other}, "others": others}).json()
        made = client.get(client.finished(job["id"])["result"]).json()
        files = [f"items/{other}", f"items/{one}", f"uploads/{clip['upload']}"]
        assert [track["file"] for track in made["tracks"]] == files
        assert [out["name"] for out in made["left_out"]] == [Path(item_path(collection, strange)).stem]
        assert made["tracks"][1]["segments"]
        answer = client.get(f"/v1/items/{one}/pieces/1")
        assert (answer.content[:4], answer.headers["content-type"]) == (b"OggS", "audio/ogg")
        assert client.get(f"/v1/uploads/{clip['upload']}/pieces/1").content[:4] == b"OggS"
        problem(client.get(f"/v1/items/{one}/pieces/99"), 404, "no-such-piece")
        problem(client.get(f"/v1/items/{one}/pieces/0"), 404, "no-such-piece")
        problem(client.get(f"/v1/items/{one}/pages/1"), 404, "no-score")
        deadline = time.monotonic() + 120.0
        while kept_either_way(item_path(collection, other), item_path(collection, one), tmp_path / "lib") is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)


# Works


def test_works_are_named_merged_split_and_confirmed_as_by_the_program(collection, tmp_path):
    shutil.copytree(collection.folder, tmp_path / "lib")
    with serving(tmp_path / "lib") as client:
        with Library(tmp_path / "lib") as library:
            first, second, *_ = [work_document(work) for work in library.works.all()]
        assert client.get("/v1/works?limit=2").json()["works"] == [first, second]
        named = client("PUT", f"/v1/works/{first['id']}/name", json={"name": "Moonlight"}).json()
        assert (named["name"], named["confirmed"]) == ("Moonlight", True)
        assert client.get("/v1/works?q=moonl").json()["works"] == [named]
        assert client.get("/v1/works/Moonlight").json() == named
        renamed = client("PUT", "/v1/works/Moonlight/name", json={"name": "Quasi una fantasia"}).json()
        assert (renamed["id"], renamed["name"]) == (named["id"], "Quasi una fantasia")
        merged = client.post("/v1/works/merge", {"members": [first["id"], second["recordings"][0]["id"]]}).json()
        assert len(merged["recordings"]) == len(first["recordings"]) + len(second["recordings"])
        leaving = [member["id"] for member in second["recordings"]]
        kept, new = client.post(f"/v1/works/{first['id']}/split", {"items": leaving}).json()
        assert [member["id"] for member in new["recordings"]] == leaving
        assert all(work["confirmed"] for work in (kept, new))
        problem(client.post(f"/v1/works/{first['id']}/split", {"items": leaving}), 409)
        assert client.post(f"/v1/works/{new['id']}/confirm").json() == new
        problem(client.post("/v1/works/nothing/confirm"), 404, "no-such-work")


def test_the_program_serves_until_it_is_interrupted(tmp_path, collection):
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    program = [sys.executable, "-m", "retrieval.cli", "serve", "--library", str(collection.folder), "--port"]
    busy = subprocess.Popen([*program, str(taken.getsockname()[1])], stderr=subprocess.PIPE, text=True)
    served = subprocess.Popen(
        [*program, "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        url, token = served.stdout.readline().strip().split("/#token=")
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
            items = client.get("/v1/items").json()["items"]
            assert client.get(f"/v1/items/{items[0]['id']}/audio", headers={"Range": "bytes=0-3"}).content == b"fLaC"
            assert client.post("/v1/query", json={"clip": {"item": items[0]["id"]}}).json()["hits"]
            assert "server" not in client.get("/").headers
        served.send_signal(signal.SIGINT)
        _, error = served.communicate(timeout=60)
        assert served.returncode == 130
        assert "Traceback" not in error
        assert not list(tmp_path.glob("incipit-*"))
        error = busy.communicate(timeout=60)[1]
        assert busy.returncode == 1
        assert re.fullmatch("incipit: .* cannot be listened on .*\n", error)
    finally:
        for process in (busy, served):
            process.kill()
            process.wait()
        taken.close()
