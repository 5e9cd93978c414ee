"""Measure matching on real recordings, of which many are alike: passages of anthems among anthems and other music.

    INCIPIT_DATA=DATA python scripts/bench_passages.py [--seconds 5 10 20] [--passages 6] [--any-key] [--library DIR]

The library holds the two recordings of each anthem in DATA/anthems, and DATA/recordings. Of each recording of an
anthem so many passages are asked for, from its beginning to its end, itself left out. Prints, by length, for how many
the first hit is in the other recording, for how many one there is accepted, and for how many another anthem or another
piece is accepted when both recordings are left out; of the last passages, where chords are held, also on their own.
Intervals of 95 % are by bootstrap over works.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench_alignment import machine
from bench_matching import fill
from bench_version_performances import anthems, others, share
from rich.progress import track

from alignment.audio import Audio, read_audio
from index.library import Library
from retrieval.hits import Wanted
from retrieval.matching import Matcher
from retrieval.plausibility import Plausibility


class Answer(NamedTuple):
    """What came of a passage: of which length and work, whether the last one of its recording, and what was found."""

    seconds: float
    work: str
    last: bool
    first: bool
    accepted: bool
    mistaken: bool


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="*", default=[5.0, 10.0, 20.0], help="of passages")
    parser.add_argument("--passages", type=int, default=6, help="of each recording")
    parser.add_argument("--any-key", action="store_true", help="sought in any key")
    parser.add_argument("--library", type=Path, help="keep the library there, and use it if it is there")
    arguments = parser.parse_args()
    data = Path(os.environ["INCIPIT_DATA"])
    works = {str(side.path.absolute()): side.work for side in anthems(data)}
    print(machine("numpy", "numba"))
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.library or Path(folder)
        fill(place, [side.path for side in (*anthems(data), *others(data))])
        with Library(place) as library:
            answers = list(_answers(library, works, arguments))
    print(f"{'length':16s}{'passages':>10s}{'first %':>24s}{'accepted %':>24s}{'left out, accepted %':>24s}")
    for seconds in arguments.seconds:
        chosen = [answer for answer in answers if answer.seconds == seconds]
        _print(f"{seconds:g} s", chosen)
        _print(f"{seconds:g} s, the last", [answer for answer in chosen if answer.last])


def _answers(library: Library, works: dict[str, str], arguments: argparse.Namespace) -> Iterable[Answer]:
    ids = {path: recording.id for path in works if (recording := library.recording_at(path)) is not None}
    wanted = Wanted(any_key=arguments.any_key)
    for path, work in track(list(works.items()), "passages"):
        audio = read_audio(Path(path))
        same = frozenset(number for other, number in ids.items() if works[other] == work)
        with_other = Matcher(library, Plausibility.load(), without={ids[path]})
        without = Matcher(library, Plausibility.load(), without=same)
        for seconds in arguments.seconds:
            starts = np.linspace(0.0, audio.duration - seconds, arguments.passages)
            for number, start in enumerate(starts):
                first = round(start * audio.rate)
                clip = Audio(audio.samples[first : first + round(seconds * audio.rate)].copy(), audio.rate)
                hits, strangers = with_other.search(clip, wanted), without.search(clip, wanted)
                yield Answer(
                    seconds,
                    work,
                    number == len(starts) - 1,
                    bool(hits) and works.get(hits[0].path) == work,
                    any(hit.accepted and works.get(hit.path) == work for hit in hits),
                    any(hit.accepted for hit in strangers),
                )


def _print(what: str, answers: list[Answer]) -> None:
    works = [answer.work for answer in answers]
    first = share(works, [answer.first for answer in answers])
    accepted = share(works, [answer.accepted for answer in answers])
    mistaken = share(works, [answer.mistaken for answer in answers])
    print(f"{what:16s}{len(answers):10d}{first:>24s}{accepted:>24s}{mistaken:>24s}")


if __name__ == "__main__":
    main()
