"""The demo: index music, find a noisy snippet of it and the score that is played, align two performances.

    python scripts/demo.py [FOLDER]

Without FOLDER it makes its own music: a dozen works, two performances each, whose true offsets and tempo
curves are known, so that it can say how far the answers are from the truth. Runs the installed `incipit`
as a user would.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from demo_music import Recorded, Rendering, snippet, write_collection, write_scores
from rich.console import Console

from alignment.audio import read_audio

_SNIPPET_SECONDS = 5.0
_PASSAGE_SECONDS = 8.0
_SNR_DECIBELS = 10.0
_SEED = 20

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Run the demo; 0 when every answer is what it should be."""
    with tempfile.TemporaryDirectory(prefix="incipit-demo-") as temporary:
        work = Path(temporary)
        if len(sys.argv) > 1:
            return _on_your_music(Path(sys.argv[1]).absolute(), work)
        folder = work / "music"
        folder.mkdir()
        console.print("[bold]Making music[/]: works of the public domain, two performances each ...")
        recorded = write_collection(folder)
        write_scores(folder)
        works = len({item.piece for item in recorded})
        console.print(
            f"{works} works, their scores, {len(recorded)} recordings, each with its own tempo, timbre,", end=" "
        )
        console.print("tuning and room\n")
        _index(folder, work)
        found = _find_known(recorded, work)
        found = _find_scores(recorded, work) and found
        aligned = _align_known(recorded, work)
        return 0 if found and aligned else 1


def _index(folder: Path, work: Path) -> None:
    _incipit("index", str(folder), "--library", str(work / "library"))
    console.print()


def _find_known(recorded: list[Recorded], work: Path) -> bool:
    """Query snippets of a few recordings under noise; say where they should be."""
    right = wrong = 0
    rng = np.random.default_rng(_SEED)
    chosen = [recorded[i] for i in rng.choice(len(recorded), 3, replace=False)]
    for item in chosen:
        audio = read_audio(item.path)
        start = round(float(rng.uniform(3, audio.duration - _SNIPPET_SECONDS - 3)), 2)
        hit = _query_snippet(item.path, start, work)
        known = hit is not None and hit["path"] == str(item.path)
        right += known
        if known and hit is not None:
            error = min(abs(place[0] - start) for place in hit["places"])
            console.print(f"[green]right[/], {error:.2f} s from the truth, score {hit['score']:.3f}\n")
        elif hit is not None:
            wrong += 1
            console.print(f"[red]wrong[/]: {hit['path']}\n")
        else:
            console.print("[yellow]not found[/], which happens to slow, soft music under noise\n")
    return not wrong and right > len(chosen) / 2


def _find_scores(recorded: list[Recorded], work: Path) -> bool:
    """Ask for the scores of some seconds of performances; say which measure and beat are the true ones."""
    right = 0
    chosen = recorded[2 :: len(recorded) // 3]
    for item in chosen:
        audio = read_audio(item.path)
        start = audio.duration / 3
        clip, first = work / "passage.wav", round(start * audio.rate)
        soundfile.write(clip, audio.samples[first : first + round(_PASSAGE_SECONDS * audio.rate)], audio.rate)
        console.print(f"[bold]Which score[/] is played in {_PASSAGE_SECONDS:.0f} s of {item.path.name}?")
        options = ("--any-key",) if item.performance.transposition else ()
        arguments = ("query", str(clip), "--task", "scores", *options, "--library", str(work / "library"))
        hits = _incipit_json(*arguments)["hits"]
        known = bool(hits) and Path(hits[0]["path"]).stem == item.piece
        right += known
        if known:
            beat = float(np.interp(start, item.seconds, item.beats))
            found = f"measure {hits[0]['measure']} beat {hits[0]['beat']:.1f}"
            truth = f"measure {int(beat // 4) + 1} beat {beat % 4 + 1:.1f}"
            console.print(f"[green]right[/], {found}; cut from {truth} (or where the same comes again)\n")
        else:
            console.print(f"[red]wrong[/]: {hits[0]['path'] if hits else 'no match'}\n")
    return right == len(chosen)


def _query_snippet(path: Path, start: float, work: Path) -> dict[str, Any] | None:
    audio = read_audio(path)
    nowhere = np.zeros(0)
    noisy = snippet(
        Rendering(audio.samples, audio.rate, nowhere, nowhere), start, _SNIPPET_SECONDS, _SNR_DECIBELS, _SEED
    )
    clip = work / "snippet.wav"
    soundfile.write(clip, 0.7 * noisy / np.abs(noisy).max(), audio.rate)
    console.print(
        f"[bold]Finding[/] {_SNIPPET_SECONDS:.0f} s of {path.name} from {start:.2f} s, under pink noise at ", end=""
    )
    console.print(f"{_SNR_DECIBELS:.0f} dB")
    document = _incipit_json("query", str(clip), "--library", str(work / "library"))
    return document["hits"][0] if document["hits"] else None


def _align_known(recorded: list[Recorded], work: Path) -> bool:
    """Align the two performances of each of three works and compare with the true times."""
    good = True
    for first, second in list(zip(recorded[::2], recorded[1::2], strict=True))[::4]:
        path = _align(first.path, second.path, work)
        if path is None:
            good = False
            continue
        inside = (first.seconds >= path[0, 0]) & (first.seconds <= path[-1, 0])
        error = np.abs(np.interp(first.seconds[inside], path[:, 0], path[:, 1]) - second.seconds[inside])
        median, within = 1000 * float(np.median(error)), 100 * float(np.mean(error < 0.1))
        console.print(f"{median:.0f} ms from the truth in the median, {within:.0f} % of the notes within 100 ms\n")
        good = good and median < 100
    return good


def _on_your_music(folder: Path, work: Path) -> int:
    """The same on a folder of the user's: what can be checked is that snippets are found where they were cut."""
    _index(folder, work)
    listing = _incipit_lines("list", "--json", "--library", str(work / "library"))
    recordings = [item for item in listing if item["kind"] == "recording"]
    long_enough = [item for item in recordings if item["duration"] > 15 and "silent" not in item["flags"]]
    if not long_enough:
        console.print("there is no recording of 15 s or more")
        return 1
    item = long_enough[len(long_enough) // 2]
    start = round(item["duration"] / 2, 2)
    hit = _query_snippet(Path(item["path"]), start, work)
    right = hit is not None and any(abs(place[0] - start) < 0.5 for place in hit["places"])
    console.print("[green]right[/]" if right else "[red]not found where it was cut[/]")
    others = [other["path"] for other in long_enough if other["id"] != item["id"]]
    if others:
        console.print("\nAligning it with the next one (an answer only if they are the same music)")
        _align(Path(item["path"]), Path(others[0]), work)
    return 0


def _align(first: Path, second: Path, work: Path) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    console.print(f"[bold]Aligning[/] {first.name} with {second.name}")
    output = work / "path.csv"
    output.unlink(missing_ok=True)
    if _incipit("align", str(first), str(second), "-o", str(output)) != 0:
        return None
    with output.open() as handle:
        return np.array([[float(row["ref"]), float(row["other"])] for row in csv.DictReader(handle)])


def _incipit(*arguments: str) -> int:
    console.print(f"[dim]$ incipit {' '.join(arguments)}[/]")
    return subprocess.run([sys.executable, "-m", "retrieval.cli", *arguments], check=False).returncode


def _incipit_lines(*arguments: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "retrieval.cli", *arguments]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _incipit_json(*arguments: str) -> dict[str, Any]:
    console.print(f"[dim]$ incipit {' '.join(arguments)} --json[/]")
    return _incipit_lines(*arguments, "--json")[0]


if __name__ == "__main__":
    sys.exit(main())
