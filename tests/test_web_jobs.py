"""What takes long is a job of the server: it tells how far it is, and can be cancelled."""

import shutil
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import soundfile
from serving import events_of, problem, sent, serving

from index import Library


def test_a_folder_is_taken_in_with_progress_and_what_fails_is_told(tmp_path, music):
    folder = tmp_path / "music"
    folder.mkdir()
    for recorded in music.recorded[:2]:
        shutil.copy(recorded.path, folder)
    (folder / "broken.wav").write_bytes(b"RIFF nonsense")
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.copy(music.recorded[3].path, outside / "secret.flac")
    (folder / "link.flac").symlink_to(outside / "secret.flac")
    (folder / "linked").symlink_to(outside)
    with serving(tmp_path / "lib", [folder]) as client:
        started = client.post("/v1/jobs", {"kind": "index", "path": str(folder)})
        assert started.status_code == 202
        assert started.headers["location"] == f"/v1/jobs/{started.json()['id']}"
        events = events_of(client.get(started.headers["location"] + "/events").text)
        assert [name for name, _ in events[:-1]] == ["progress"] * (len(events) - 1)
        assert events[-1][0] == "end"
        assert events[-1][1]["state"] == "done"
        assert events[-1][1]["failed"][0]["path"] == str(folder / "broken.wav")
        result = client.get(events[-1][1]["result"]).json()
        assert (result["added"], len(result["failed"]), result["skipped"]) == (2, 1, 1)
        assert not any("secret" in item["path"] for item in client.get("/v1/items").json()["items"])
        assert [
            {"path": failure["path"], "error": failure["error"]}
            for failure in client.get("/v1/failures").json()["failed"]
        ] == result["failed"]
    with serving(tmp_path / "lib", [folder]) as client:
        (failure,) = client.get("/v1/failures").json()["failed"]
        assert failure["path"] == str(folder / "broken.wav")
        assert abs(datetime.now(UTC) - datetime.fromisoformat(failure["time"])) < timedelta(minutes=5)
        shutil.copy(music.recorded[1].path, folder / "broken.wav")
        client.finished(client.post("/v1/jobs", {"kind": "index", "path": str(folder), "works": False}).json()["id"])
        assert client.get("/v1/failures").json()["failed"] == []


def test_a_cancelled_run_leaves_a_sound_library_and_the_next_completes_it(tmp_path, music):
    folder = tmp_path / "music"
    folder.mkdir()
    for number in range(6):
        sound, rate = soundfile.read(music.recorded[number].path, frames=44100 * 5)
        soundfile.write(folder / f"{number}.wav", sound, rate)
    with serving(tmp_path / "lib", [folder]) as client:
        asked = {"kind": "index", "path": str(folder), "works": False}
        first, second = (client.post("/v1/jobs", asked).json()["id"] for _ in range(2))
        assert client("DELETE", f"/v1/jobs/{second}").json()["state"] == "cancelled"
        while client.get(f"/v1/jobs/{first}").json()["done"] < 1:
            time.sleep(0.01)
        client("DELETE", f"/v1/jobs/{first}")
        job = client.finished(first)
        assert job["state"] == "cancelled"
        assert job["done"] < 6
        problem(client.get(f"/v1/jobs/{first}/result"), 409, "no-result")
        with Library(tmp_path / "lib") as library:
            assert library.damage() == []
            assert len(library) >= 1
        last = client.finished(client.post("/v1/jobs", asked).json()["id"])
        assert last["state"] == "done"
        assert client.get("/v1/items").json()["total"] == 6


def test_questions_can_be_jobs(client, snippet, music):
    upload = {"upload": sent(client, snippet[0])["id"]}
    job = client.post("/v1/jobs", {"kind": "query", "clip": upload}).json()
    done = client.finished(job["id"])
    assert client.get(done["result"]).json()["hits"][0]["path"] == str(snippet[1])
    pair = client.post(
        "/v1/jobs", {"kind": "align", "ref": upload, "others": [upload, {"path": str(music.folder)}]}
    ).json()
    assert (client.finished(pair["id"])["done"], client.finished(pair["id"])["total"]) == (2, 2)
    aligned, broken = client.get(f"/v1/jobs/{pair['id']}/result").json()["others"]
    path = np.array(next(part["warping_path"] for part in aligned["segments"] if part["kind"] == "match"))
    np.testing.assert_allclose(path[:, 0], path[:, 1], atol=0.02)
    assert (aligned["path"], broken["error"]) == ("clip", "is a folder, not an audio file")
    wrong = client.post("/v1/jobs", {"kind": "align", "ref": upload, "others": [{"item": "r000000000000"}]}).json()
    assert client.finished(wrong["id"])["problem"]["status"] == 404
    problem(client.get(f"/v1/jobs/{wrong['id']}/result"), 404, "no-such-item")
    assert [told["id"] for told in client.get("/v1/jobs").json()["jobs"]][:3] == [wrong["id"], pair["id"], job["id"]]
