"""Make a bed of alignment pairs: for every work of ASAP, two of its performances, as different pianos play them.

    python scripts/asap_pairs.py ASAP OUT --fonts FONT FONT... [--pace 1] [--every 1] [--jobs 2]

ASAP is a folder of the ASAP data (MIDI files and `*_annotations.txt`). OUT gets for each work a folder as
`bench_alignment.py` and `bench_structure.py` take it, and `pairs.csv` as `check_annotations.py` takes it. Of a work
with one performance the other side is the score's MIDI. Which performances, which two of the sound fonts and who is in
a room are drawn by the work's name. --pace 2.5 makes the second performance 2.5 times as long, --every 4 takes every
fourth work. The works by which the synchroniser's features were chosen are left out. Wants the program `fluidsynth` and
the extra `score`.

A beat is a point where it is annotated in both. Where ASAP crams the beats that a performer leaves out into a moment,
they are dropped; struck are those at which a note begins within 30 ms on both sides.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import combinations
from pathlib import Path
from zlib import crc32

import mido
import numpy as np
import soundfile
from check_annotations import notes_of
from numpy.typing import NDArray

CHOSEN_ON = (
    "Bach/Fugue/bwv_857",
    "Beethoven/Piano_Sonatas/17-1",
    "Beethoven/Piano_Sonatas/17-1_no_repeat",
    "Beethoven/Piano_Sonatas/26-3",
    "Beethoven/Piano_Sonatas/31-1",
    "Chopin/Ballades/1",
    "Chopin/Etudes_op_10/12",
    "Haydn/Keyboard_Sonatas/46-1",
    "Liszt/Transcendental_Etudes/10",
    "Schumann/Kreisleriana/1",
    "Schumann/Kreisleriana/1_no_first_repeat",
    "Schumann/Kreisleriana/3",
)
"""Works that are left out, with their variants."""

_RATE = 22050
_SCORE = "midi_score"
_FEWEST_STRUCK = 30
_STRUCK_SECONDS = 0.03
_CRAMMED_SECONDS, _CRAMMED_BEATS = 0.06, 8
_ROOM = ("-R", "1", "-o", "synth.reverb.room-size=0.8", "-o", "synth.reverb.level=0.9")
_DRY = ("-R", "0")
_MOST_TEMPO = 2**24 - 1


def main() -> None:
    """Render the pairs that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("asap", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--fonts", type=Path, nargs="+", required=True, metavar="FONT")
    parser.add_argument("--pace", type=float, default=1.0)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    asap, out = arguments.asap.absolute(), arguments.out.absolute()
    works = sorted({str(path.parent.relative_to(asap)) for path in asap.rglob("*_annotations.txt")} - {*CHOSEN_ON})
    kept = works[:: arguments.every]
    make = partial(made, asap, out, arguments.fonts, arguments.pace)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        rows = [row for row in pool.map(make, kept) if row]
    with (out / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    print(f"{len(rows)} pairs of {len(kept)} works in {out}")


def made(asap: Path, out: Path, fonts: Sequence[Path], pace: float, work: str) -> list[Path] | None:
    """The folder of a work's pair and, if it has their pace, the MIDI files of its sides.

    None where no two performances have the same beats.
    """
    rng = np.random.default_rng(crc32(work.encode()))
    stems = sorted(path.name.removesuffix("_annotations.txt") for path in (asap / work).glob("*_annotations.txt"))
    performers = [stem for stem in stems if stem != _SCORE and (asap / work / f"{stem}.mid").exists()]
    performers = [str(name) for name in rng.permutation(performers)]
    both_fonts = rng.permutation([str(font) for font in fonts])[:2]
    rooms = [_ROOM if wet else _DRY for wet in rng.random(2) < 0.5]
    for names in [*combinations(performers, 2), *((_SCORE, name) for name in performers)]:
        annotated = [_beats(asap / work / f"{name}_annotations.txt") for name in names]
        sides = [asap / work / f"{name}.mid" for name in names]
        if len(annotated[0]) != len(annotated[1]):
            continue
        truth = points(np.column_stack(annotated), [notes_of(side)[:, 0] for side in sides])
        if truth[:, 2].sum() < _FEWEST_STRUCK:
            continue
        folder = out / "_".join([*work.split("/"), *names])
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "truth.csv").exists():
            for name, midi, times, font, room in zip("ab", sides, (1.0, pace), both_fonts, rooms, strict=True):
                sound = _played(midi, times, font, room)
                soundfile.write(folder / f"{name}.wav", 0.7 * sound / np.abs(sound).max(), _RATE)
            truth[:, 1] *= pace
            header = "time_a,time_b,struck"
            np.savetxt(folder / "truth.csv", truth, ["%.6f", "%.6f", "%d"], ",", header=header, comments="")
        return [folder, *(sides if pace == 1.0 else [])]
    return None


def points(beats: NDArray[np.float64], onsets: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """What is known of a pair.

    Args:
        beats: seconds in either side, shape `(beats, 2)`.
        onsets: seconds at which notes begin, of either side.

    Returns:
        Rows of `truth.csv`: seconds in either side, rising on both, and whether notes begin there.
    """
    rising = [beats[0]]
    for beat in beats[1:]:
        if (beat > rising[-1]).all():
            rising.append(beat)
    kept = np.array(rising)
    crammed = (np.diff(kept, axis=0) < _CRAMMED_SECONDS).any(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], crammed, [0]])))
    for first, last in edges.reshape(-1, 2)[::-1]:
        if last - first >= _CRAMMED_BEATS:
            kept = np.delete(kept, np.s_[first + 1 : last], axis=0)
    away = [np.abs(begins - side[:, None]).min(axis=1) for begins, side in zip(onsets, kept.T, strict=True)]
    return np.column_stack([kept, np.maximum(*away) < _STRUCK_SECONDS])


def _beats(path: Path) -> NDArray[np.float64]:
    return np.array([float(line.split("\t")[0]) for line in path.read_text("utf-8").splitlines() if line.strip()])


def _played(midi: Path, times: float, font: str, room: Sequence[str]) -> NDArray[np.float32]:
    """Mono sound of a MIDI file, so many times as long."""
    with tempfile.TemporaryDirectory() as folder:
        slowed = mido.MidiFile(midi)
        for number, track in enumerate(slowed.tracks):
            for message in track:
                if message.type == "set_tempo":
                    message.tempo = min(round(times * message.tempo), _MOST_TEMPO)
            if number == 0:
                track.insert(0, mido.MetaMessage("set_tempo", tempo=round(times * 500_000)))
        slowed.save(f"{folder}/played.mid")
        command = ["fluidsynth", "-ni", "-q", "-C", "0", *room, "-g", "0.5", "-r", str(_RATE)]
        files = ["-F", f"{folder}/played.wav", font, f"{folder}/played.mid"]
        subprocess.run([*command, *files], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        sound: NDArray[np.float32] = soundfile.read(f"{folder}/played.wav", dtype="float32", always_2d=True)[0]
        return sound.mean(axis=1)


if __name__ == "__main__":
    main()
