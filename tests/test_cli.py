"""The command line keeps its contract: documents, exit codes, and errors of one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from program import documents
from program import incipit_process as incipit

from alignment import read_audio
from index import Library, LibraryError
from retrieval.cli.app import app

RATE = 22050


@pytest.fixture(scope="module")
def clip(music, tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.wav"
    samples = read_audio(music.recorded[0].path).samples[10 * RATE : 16 * RATE]
    soundfile.write(path, samples, RATE)
    return path


def test_query_document_is_the_contracts(collection, music, clip):
    done = incipit("query", clip, "--library", collection.folder, "--json")
    assert done.returncode == 0
    (document,) = documents(done)
    assert document["query"] == str(clip)
    assert document["task"] == "identify"
    assert document["duration"] == pytest.approx(6.0, abs=0.01)
    hit = document["hits"][0]
    assert list(hit) == [
        *("rank", "id", "path", "title", "work", "score", "accepted", "start", "end", "query_start", "query_end"),
        *("places", "transposition", "tempo_ratio", "measure", "beat"),
    ]
    assert hit["path"] == str(music.recorded[0].path)
    assert hit["places"][0] == [hit["start"], hit["end"], hit["query_start"], hit["query_end"]]
    assert hit["measure"] is None


def test_verbose_says_on_stderr_what_is_done_and_changes_no_result(collection, clip):
    plain, verbose = (incipit("query", clip, *more, "--library", collection.folder) for more in ((), ("-v",)))
    assert verbose.stdout == plain.stdout
    said = [line.strip().split(" s  ", 1) for line in verbose.stderr.splitlines()]
    assert any(what == f"{clip}: 6.0 s of sound" for _, what in said)
    assert any("windows ask" in what for _, what in said)
    times = [float(seconds) for seconds, _ in said]
    assert times == sorted(times)
    assert "windows ask" not in plain.stderr


def test_several_clips_give_a_line_each_in_order_and_the_failed_one_its_error(collection, clip, tmp_path):
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(3 * RATE), RATE)
    done = incipit("query", silent, "absent.wav", clip, "--library", collection.folder, "--json", cwd=tmp_path)
    assert done.returncode == 1
    first, second, third = documents(done)
    assert first["hits"] == []
    assert second == {"query": str(tmp_path / "absent.wav"), "task": "identify", "error": "no such file", "hits": []}
    assert third["hits"]
    assert done.stderr.strip() == "incipit: absent.wav: no such file"


def test_nothing_accepted_is_exit_code_3(collection, tmp_path):
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(3 * RATE), RATE)
    done = incipit("query", silent, "--library", collection.folder)
    assert done.returncode == 3
    assert done.stdout == ""
    assert "no match" in done.stderr


def test_index_document_is_the_contracts(tmp_path, music):
    folder = tmp_path / "music"
    folder.mkdir()
    (folder / "bad.mp3").write_text("text")
    for item in music.recorded[:2]:
        (folder / item.path.name).write_bytes(item.path.read_bytes())
    done = incipit("index", folder, "--library", tmp_path / "lib", "--json")
    assert done.returncode == 1
    (document,) = documents(done)
    assert list(document) == [
        *("library", "added", "updated", "unchanged", "moved", "missing", "skipped", "failed"),
        *("audio_seconds", "seconds"),
    ]
    assert document["library"] == str(tmp_path / "lib")
    assert document["added"] == 2
    assert document["failed"][0]["path"] == str(folder / "bad.mp3")
    (failure,) = documents(incipit("list", "--failed", "--library", tmp_path / "lib", "--json"))
    assert list(failure) == ["path", "error", "time"]
    assert {key: failure[key] for key in ("path", "error")} == document["failed"][0]
    assert failure["time"].endswith("+00:00")
    shown = incipit("list", "--failed", "--library", tmp_path / "lib").stdout
    assert shown == f"{failure['time']}\t{failure['path']}\t{failure['error']}\n"
    again = incipit("index", folder, "--library", tmp_path / "lib")
    assert again.returncode == 1
    assert "incipit list --failed" in again.stderr


def test_list_show_and_remove(tmp_path, music):
    library = ("--library", tmp_path / "lib")
    incipit("index", music.recorded[0].path, music.recorded[1].path, *library)
    first, second = documents(incipit("list", *library, "--json"))
    assert list(first) == ["id", "kind", "path", "title", "artist", "work", "work_id", "duration", "flags"]
    assert first["kind"] == "recording"
    (shown,) = documents(incipit("show", first["id"], *library, "--json"))
    assert shown["paths"] == [{"path": str(music.recorded[0].path), "missing": False}]
    assert incipit("remove", second["path"], *library).returncode == 0
    assert [item["id"] for item in documents(incipit("list", *library, "--json"))] == [first["id"]]
    assert incipit("remove", "nonsense", *library).returncode == 1
    assert music.recorded[1].path.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["query", "x.wav", "--library", "nowhere"], 2, "there is no library here"),
        (["list", "--library", "nowhere"], 2, "there is no library here"),
        (["remove", "x", "--library", "nowhere"], 2, "there is no library here"),
        (["index"], 2, "Missing argument"),
        (["query", "x.wav", "--task", "nonsense"], 2, "nonsense"),
        (["query", "x.wav", "--top", "0"], 2, "--top"),
        (["nonsense"], 2, "nonsense"),
        (["align", "absent.wav", "also-absent.wav"], 1, "absent.wav: no such file"),
    ],
)
def test_misuse_and_failure_are_told_apart(arguments, code, says, tmp_path):
    done = incipit(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert says in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_an_absent_path_and_an_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    done = incipit("index", "empty", "--library", "lib", cwd=tmp_path)
    assert done.returncode == 0
    assert "no recordings or scores found in empty" in done.stderr
    done = incipit("index", "absent", "--library", "lib", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert documents(done)[0]["failed"] == [{"path": str(tmp_path / "absent"), "error": "no such file or folder"}]
    assert "absent: no such file or folder" in done.stderr


def test_strange_names_come_back_as_they_are(tmp_path, music):
    name = os.fsdecode(b"caf\xe9 'single' \"double\"\nnext line \xf0\x9f\x8e\xb5.flac")
    path = Path(tmp_path / name)
    path.write_bytes(music.recorded[0].path.read_bytes())
    assert incipit("index", path, "--library", tmp_path / "lib").returncode == 0
    done = incipit("list", "--library", tmp_path / "lib", "--json")
    assert done.stdout.isascii()
    assert documents(done)[0]["path"] == str(path)
    assert len(incipit("list", "--library", tmp_path / "lib").stdout.splitlines()) == 1
    assert documents(incipit("query", path, "--library", tmp_path / "lib", "--json"))[0]["hits"][0]["path"] == str(path)


def test_bad_and_odd_files_are_taken_as_they_can_be(tmp_path, music, collection):
    made = tmp_path / "odd"
    made.mkdir()
    samples = read_audio(music.recorded[0].path).samples[: 10 * RATE]
    soundfile.write(
        made / "nan.wav", np.where(np.arange(len(samples)) % 999 == 0, np.nan, samples), RATE, subtype="FLOAT"
    )
    soundfile.write(made / "short.wav", samples[: RATE // 3], RATE)
    wide = np.repeat(np.stack([samples, samples], axis=1), 8, axis=0)[: 192000 * 8]
    soundfile.write(made / "wide.wav", wide, 192000)
    soundfile.write(made / "whole.flac", samples, RATE)
    content = (made / "whole.flac").read_bytes()
    (made / "cut.flac").write_bytes(content[: len(content) // 2])
    done = incipit("index", made, "--library", tmp_path / "lib", "--json")
    assert done.returncode == 0, done.stderr
    assert documents(done)[0]["added"] == 5
    assert "cut.flac: warning: breaks off" in done.stderr
    for name in ("nan.wav", "cut.flac", "short.wav", "wide.wav"):
        asked = incipit("query", made / name, "--library", collection.folder, "--json")
        assert asked.returncode in (0, 3)
        assert "error" not in documents(asked)[0]


def test_a_read_only_library_can_be_read_and_not_written(tmp_path, music):
    library = tmp_path / "lib"
    incipit("index", music.recorded[0].path, "--library", library)
    library.chmod(0o555)
    try:
        done = incipit("index", music.recorded[1].path, "--library", library)
        assert done.returncode == 1
        assert "read-only" in done.stderr
        assert incipit("query", music.recorded[0].path, "--library", library).returncode == 0
    finally:
        library.chmod(0o755)


def committed(folder):
    """How many recordings a library holds that may not be there yet."""
    try:
        with Library(folder) as library:
            return len(library)
    except LibraryError:
        return 0


def test_ctrl_c_ends_with_130_and_the_same_command_goes_on(tmp_path, music):
    arguments = ["index", str(music.folder), "--library", str(tmp_path / "lib"), "--jobs", "1", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "retrieval.cli", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not committed(tmp_path / "lib"):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("it was done before it could be interrupted")
    assert process.returncode == 130
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    (document,) = documents(incipit(*arguments))
    assert document["unchanged"] >= 1
    assert document["added"] + document["unchanged"] == len(music.recorded)


def test_what_is_no_regular_file_does_not_hang(tmp_path, collection):
    os.mkfifo(tmp_path / "pipe.wav")
    done = incipit("index", tmp_path, "--library", tmp_path / "lib", "--json", timeout=60)
    assert done.returncode == 1
    assert documents(done)[0]["failed"][0]["error"] == "is not a regular file"
    for clip in (tmp_path / "pipe.wav", "/dev/null", tmp_path):
        asked = incipit("query", clip, "--library", collection.folder, "--json", timeout=60)
        assert asked.returncode == 1
        assert "error" in documents(asked)[0]


def test_doctor_names_a_damaged_library_among_the_problems(tmp_path):
    (tmp_path / "library.sqlite").write_bytes(b"junk" * 1000)
    done = incipit("doctor", "--library", tmp_path, "--json")
    assert done.returncode == 1
    assert "cannot be read as a library" in documents(done)[0]["problems"][0]
    assert incipit("list", "--library", tmp_path).returncode == 1


def test_a_closed_pipe_is_no_error(collection):
    command = f"{sys.executable} -m retrieval.cli list --library '{collection.folder}' | head -1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("verb", ["list --json", "show --json ID", "doctor", "--help"])
def test_nor_is_a_pipe_that_nobody_reads(collection, verb):
    with Library(collection.folder) as library:
        words = verb.replace("ID", library.recordings()[0].key).split()
    where = [] if verb == "--help" else ["--library", collection.folder]
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "retrieval.cli", *words, *where]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "verb",
    [
        *(command.name for command in app.registered_commands),
        *(
            f"{group.name} {verb.name}"
            for group in app.registered_groups
            for verb in group.typer_instance.registered_commands
        ),
    ],
)
def test_help_of_every_verb_has_an_example_and_loads_nothing_heavy(verb):
    script = (
        "import sys; from retrieval.cli import app\n"
        "try: app.app()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'numba', 'scipy', 'torch', 'faiss', 'sqlalchemy', 'onnxruntime', 'soundfile', 'fastapi'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *verb.split(), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Example: incipit" in done.stdout


def test_training_looks_at_its_target_and_its_folder_first(tmp_path):
    for target in (tmp_path, tmp_path / "nowhere" / "model.onnx"):
        assert incipit("train", "fingerprint", tmp_path, "-o", target).returncode == 2
    assert list(tmp_path.iterdir()) == []
    for what, sought in (("fingerprint", "recordings"), ("versions", "recordings"), ("scores", "scores")):
        done = incipit("train", what, tmp_path, "-o", tmp_path / "model.onnx")
        assert done.returncode == 1
        assert f"{tmp_path}: holds no {sought}" in done.stderr or "is not installed" in done.stderr


def test_alignment_imports_nothing_slow_that_it_does_without():
    slow = {"torch", "faiss", "sqlalchemy", "onnxruntime", "scipy.signal"}
    script = f"import sys, alignment; assert not {slow} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_doctor_finds_a_sound_library_sound(collection):
    done = incipit("doctor", "--library", collection.folder, "--json")
    assert done.returncode == 0
    (document,) = documents(done)
    assert document["problems"] == []
    assert document["pending"] == 0
    assert document["recordings"] == 12
