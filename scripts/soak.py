"""Load, fuzz and crash runs: the library must survive what no test has time for.

    python scripts/soak.py [SECONDS]

Each round damages audio files at random places, indexes them with two processes at once, kills one of them
at a random moment, and then checks that the library is sound, that nothing committed was lost, and that the
next run completes it. The seed of a round that fails is printed.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from demo_music import write_collection
from demo_pieces import PIECES

INCIPIT = [sys.executable, "-m", "retrieval.cli"]


def main() -> int:
    """Run rounds until the time is over; 1 when one failed."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3600.0
    started, seed, failed = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "source"
        source.mkdir()
        write_collection(source, PIECES[:4])
        while time.monotonic() - started < seconds:
            problem = run_round(Path(temporary) / f"round-{seed}", source, seed)
            if problem:
                failed += 1
                print(f"seed {seed}: {problem}", flush=True)
            seed += 1
    print(f"{seed} rounds, {failed} failed")
    return 1 if failed else 0


def run_round(folder: Path, source: Path, seed: int) -> str:
    """One round; what went wrong, or nothing."""
    rng = random.Random(seed)
    music = folder / "music"
    music.mkdir(parents=True)
    for path in source.iterdir():
        (music / path.name).write_bytes(damaged(path.read_bytes(), rng))
    library = ["--library", str(folder / "library"), "--json"]
    running = [
        subprocess.Popen([*INCIPIT, "index", str(music), *library], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    time.sleep(rng.uniform(0.5, 8.0))
    running[0].send_signal(rng.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM]))
    for process in running:
        _, error = process.communicate(timeout=300)
        if b"Traceback" in error:
            return error.decode(errors="replace")
    before = listed(library)
    done = subprocess.run([*INCIPIT, "index", str(music), *library], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        return f"the last run ended with {done.returncode}: {done.stderr}"
    after = listed(library)
    report = json.loads(done.stdout)
    if not before <= after:
        return "a committed recording was lost"
    if len(after) + len(report["failed"]) < len(list(music.iterdir())):
        return "a file was neither taken in nor reported"
    doctor = subprocess.run([*INCIPIT, "doctor", *library], capture_output=True, text=True, check=False)
    return "" if doctor.returncode == 0 else f"doctor: {doctor.stdout}"


def damaged(content: bytes, rng: random.Random) -> bytes:
    """A file left alone, cut off, or with bytes overwritten."""
    kind = rng.random()
    if kind < 0.4:
        return content
    if kind < 0.6:
        return content[: rng.randrange(len(content))]
    broken = bytearray(content)
    for _ in range(rng.randrange(1, 50)):
        broken[rng.randrange(len(broken))] = rng.randrange(256)
    return bytes(broken)


def listed(library: list[str]) -> set[str]:
    """Ids of what is in the library; nothing where there is none yet."""
    done = subprocess.run([*INCIPIT, "list", *library], capture_output=True, text=True, check=False)
    return {json.loads(line)["id"] for line in done.stdout.splitlines()}


if __name__ == "__main__":
    sys.exit(main())
