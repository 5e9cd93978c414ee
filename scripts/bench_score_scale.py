"""Measure how the time of a query for scores grows with the library: the peer and Incipit in one run.

    python scripts/bench_score_scale.py CLIPS LIBRARY...

CLIPS is a folder of 41 recordings or more, half a minute or longer each, of whose beginnings 5, 10, 20 and 30 s are
asked for; each LIBRARY holds scores. The peer is exhaustive subsequence dynamic time warping of CENS. Prints the mean
CPU seconds of a query, one thread, features included, and their ratio; first the time of a process that has just
begun, then that of one that has answered as many other clips, whose files are mapped. Wants the `dev` extra.
"""

from __future__ import annotations

import argparse
import gc
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench_matching import processor
from peer_cens import CensScores

from alignment.audio import Audio, read_audio
from index.library import Library
from retrieval.embedding.score_encoder import ScoreEncoder
from retrieval.hits import Wanted
from retrieval.kept_score import from_kept
from retrieval.plausibility import Plausibility
from retrieval.score_search import SCORE_PLAUSIBILITY_PATH, ScoreSearch

_LENGTHS = (5, 10, 20, 30)
_CLIPS = 40
_PEER_CLIPS = 6


def main() -> None:
    """Ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("libraries", type=Path, nargs="+")
    arguments = parser.parse_args()
    paths = sorted(arguments.clips.iterdir())[: 2 * _CLIPS]
    clips, others = [read_audio(path) for path in paths[:_CLIPS]], [read_audio(path) for path in paths[_CLIPS:]]
    print(f"{processor()}, Python {platform.python_version()}, {len(clips)} clips, {_PEER_CLIPS} for the peer")
    for folder in arguments.libraries:
        with Library(folder) as library:
            search = ScoreSearch(library, ScoreEncoder(), Plausibility.load(SCORE_PLAUSIBILITY_PATH))
            sheets = library.score_sheets(row.id for row in library.scores())
            peer = CensScores({str(number): from_kept(sheet, "") for number, sheet in sheets.items()})
            print(f"{library.count('score')} scores, {search.hours:.1f} h")
            begun = [Audio(clip.samples[: _LENGTHS[0] * clip.rate]) for clip in others]
            first = _mean_seconds(lambda clip, search=search: search.search(clip, Wanted()), begun)
            print(
                f"  {_LENGTHS[0]:3d} s  Incipit {first:.4f}  of {len(begun)} other clips, the first that are asked for"
            )
            for seconds in _LENGTHS:
                cut = [Audio(clip.samples[: seconds * clip.rate]) for clip in clips]
                ours = _mean_seconds(lambda clip, search=search: search.search(clip, Wanted()), cut)
                theirs = _mean_seconds(peer.match, cut[:_PEER_CLIPS])
                print(f"  {seconds:3d} s  Incipit {ours:.4f}  CENS {theirs:.4f}  ratio {theirs / ours:.1f}")


def _mean_seconds(ask: Callable[[Audio], object], clips: Sequence[Audio]) -> float:
    ask(clips[0])  # compiles, maps files
    gc.collect()  # what was left over before is not counted
    started = time.process_time()
    for clip in clips:
        ask(clip)
    return (time.process_time() - started) / len(clips)


if __name__ == "__main__":
    main()
