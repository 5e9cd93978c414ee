"""A server under load: 50 listeners, 10 switchers and 10 searches a second, then a fuzz run of its whole API.

    python scripts/soak_server.py [SECONDS]

Makes its own music, indexes it, serves it, and prints how long answers took, what went wrong, and how much memory the
server took at most. What listeners get is compared with the files byte for byte. 1 when anything went wrong.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soundfile
from demo_music import write_collection
from demo_pieces import PIECES

INCIPIT = [sys.executable, "-m", "retrieval.cli"]
LISTENERS = 50
SWITCHERS = 10
SEARCHES_A_SECOND = 10
RANGE_BYTES = 2**16
PIECE_SECONDS = 15
CLIP_SECONDS = 8
FUZZ_CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance"


class Load:
    """Seconds that each kind of request took, and what went wrong."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.errors: dict[str, list[str]] = defaultdict(list)

    async def ask(self, kind: str, client: httpx.AsyncClient, *request: str, **options: Any) -> httpx.Response | None:
        """Send a request and note how it went."""
        started = time.monotonic()
        try:
            answer = await client.request(*request, **options)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            self.errors[kind].append(f"{type(error).__name__} {error}")
            return None
        self.seconds[kind].append(time.monotonic() - started)
        return answer

    def table(self) -> str:
        """A row for each kind of request."""
        lines = [f"{'':10}{'requests':>10}{'errors':>8}{'median':>9}{'95 %':>9}{'99 %':>9}{'most':>9}"]
        for kind in sorted({*self.seconds, *self.errors}):
            took = self.seconds.get(kind, [float("nan")])
            values = [*np.percentile(took, [50, 95, 99]), max(took)]
            told = "".join(f"{1000 * value:6.0f} ms" for value in values)
            lines.append(f"{kind:10}{len(self.seconds.get(kind, ())):10}{len(self.errors.get(kind, ())):8}{told}")
        return "\n".join(lines)


def main() -> int:
    """Serve, load, fuzz and stop; 1 when something went wrong."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "music").mkdir()
        write_collection(folder / "music", PIECES[:4])
        library = ["--library", str(folder / "library")]
        subprocess.run([*INCIPIT, "index", str(folder / "music"), *library, "--quiet"], check=True)
        served = subprocess.Popen(
            [*INCIPIT, "serve", "--port", "0", "--quiet", "--root", str(folder / "music"), *library],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert served.stdout is not None, "it is a pipe"
            url, token = served.stdout.readline().strip().split("/#token=")
            before = processor_seconds(served.pid)
            load = asyncio.run(loaded(url, token, seconds))
            spent = processor_seconds(served.pid) - before
            fuzzed = fuzz(url, token, seconds, folder)
            memory = peak_memory(served.pid)
        finally:
            served.send_signal(signal.SIGINT)
            stopped = served.wait(60)
    print(load.table())
    print(f"server: {spent:.0f} s of processor time; client: {time.process_time():.0f} s; {os.cpu_count()} processors")
    print(f"fuzz: {fuzzed}; peak memory: {memory}; stopped with {stopped}")
    for kind, errors in load.errors.items():
        print(f"{kind}: {errors[0]}")
    return 1 if load.errors or fuzzed != "no fault" or stopped != 130 else 0


async def loaded(url: str, token: str, seconds: float) -> Load:
    """Listen and search for so long."""
    load = Load()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=60, trust_env=False) as client:
        items = (await client.get("/v1/items")).json()["items"]
        clips = [await sent(client, item["path"], number) for number, item in enumerate(items)]
        until = time.monotonic() + seconds
        await asyncio.gather(
            *(listen(load, client, items, until, random.Random(number)) for number in range(LISTENERS)),
            *(switch(load, client, items, until, random.Random(number)) for number in range(SWITCHERS)),
            search(load, client, clips, until),
        )
    return load


async def sent(client: httpx.AsyncClient, path: str, number: int) -> str:
    """Send a clip of a recording; the upload's id."""
    sound, rate = soundfile.read(path)
    first = random.Random(number).randrange(max(len(sound) - CLIP_SECONDS * rate, 1))
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        soundfile.write(file, sound[first : first + CLIP_SECONDS * rate], rate, format="WAV")
        answer = await client.post("/v1/uploads?name=clip.wav", content=Path(file.name).read_bytes())
    return str(answer.json()["id"])


async def listen(
    load: Load, client: httpx.AsyncClient, items: list[dict[str, Any]], until: float, rng: random.Random
) -> None:
    """Read recordings range by range, about as fast as they sound."""
    while time.monotonic() < until:
        item = rng.choice(items)
        content = Path(item["path"]).read_bytes()
        for first in range(rng.randrange(len(content)), len(content), RANGE_BYTES):
            asked = {"Range": f"bytes={first}-{first + RANGE_BYTES - 1}"}
            answer = await load.ask("listening", client, "GET", f"/v1/items/{item['id']}/audio", headers=asked)
            if answer is not None and answer.content != content[first : first + RANGE_BYTES]:
                load.errors["listening"].append("the bytes differ")
            await asyncio.sleep(rng.uniform(0.5, 1.0))
            if time.monotonic() > until:
                return


async def switch(
    load: Load, client: httpx.AsyncClient, items: list[dict[str, Any]], until: float, rng: random.Random
) -> None:
    """Take recordings piece by piece, as the switcher's page does, ten times as fast as they sound."""
    while time.monotonic() < until:
        item = rng.choice(items)
        for number in range(1, math.ceil(item["duration"] / PIECE_SECONDS) + 1):
            answer = await load.ask("pieces", client, "GET", f"/v1/items/{item['id']}/pieces/{number}")
            if answer is not None and not answer.content.startswith(b"OggS"):
                load.errors["pieces"].append("it is not Ogg")
            await asyncio.sleep(PIECE_SECONDS / 10)
            if time.monotonic() > until:
                return


async def search(load: Load, client: httpx.AsyncClient, clips: list[str], until: float) -> None:
    """Ask at an even rate, whether or not the former have been answered."""
    asked: list[asyncio.Task[httpx.Response | None]] = []
    started = time.monotonic()
    while time.monotonic() < until:
        body = {"clip": {"upload": clips[len(asked) % len(clips)]}}
        asked.append(asyncio.create_task(load.ask("search", client, "POST", "/v1/query", json=body)))
        await asyncio.sleep(max(started + len(asked) / SEARCHES_A_SECOND - time.monotonic(), 0.0))
    answers = await asyncio.gather(*asked)
    if any(answer is not None and not answer.json()["hits"] for answer in answers):
        load.errors["search"].append("a clip was not found")


def fuzz(url: str, token: str, seconds: float, folder: Path) -> str:
    """Ask all sorts of things for so long, notes being left in a folder; what was wrong with the answers."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/v1/openapi.json"]
    options = ["--header", f"Authorization: Bearer {token}", "--checks", FUZZ_CHECKS, "--max-time", str(int(seconds))]
    options += ["--request-timeout", "60"]  # what the load has left is done first
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, cwd=folder)
    return "no fault" if done.returncode == 0 else f"faults\n{done.stdout[-4000:]}{done.stderr[-1000:]}"


def processor_seconds(pid: int) -> float:
    """What a process has spent; 0 where the system does not tell it."""
    status = Path(f"/proc/{pid}/stat")
    if not status.exists():
        return 0.0
    fields = status.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid: int) -> str:
    """What a process took at most, where the system tells it."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return "not known"
    return next(line.split(":")[1].strip() for line in status.read_text().splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    sys.exit(main())
