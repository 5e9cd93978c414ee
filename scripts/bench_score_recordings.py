"""Ask real recordings, clip by clip, for their scores among all scores of a library.

    INCIPIT_DATA=DATA python scripts/bench_score_recordings.py --library DIR

Three movements of Bach for solo violin and a passage of Chopin by two pianists; their scores must be in the library
(DATA/violin, DATA/vienna/musicxml), among as many others as there are. Clips of 5, 10 and 20 s, at most a dozen evenly
spread; the true measure is that of the recording aligned with its score from beginning to end. Prints for how many
clips the right score comes first, is accepted, and begins within a measure of the true one.
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

import numpy as np

from alignment import synchronise
from alignment.audio import Audio, read_audio
from alignment.score import read_score
from alignment.score_sound import score_sound
from retrieval.collection import Collection
from retrieval.hits import Wanted

_LENGTHS = (5, 10, 20)
_CLIPS = 12
_CHOPIN = "Chopin_Op010-03-Measures1-8_{}.wav"


def main() -> None:
    """Ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, required=True)
    arguments = parser.parse_args()
    data = Path(os.environ["INCIPIT_DATA"])
    violin, vienna = data / "violin", data / "vienna" / "musicxml"
    pairs = [(violin / f"john-garner_bwv1002_mov{n}.mp3", violin / f"bwv1002_mov{n}.mxl") for n in (6, 7, 8)]
    pairs += [
        (data / "chopin_op10_3" / _CHOPIN.format(name), vienna / "Chopin_op10_no3.mxl")
        for name in ("Igoshina", "Varsi")
    ]
    collection = Collection(arguments.library)
    collection.add(violin, vienna, exclude=["*.mp3", "*.csv"], works=False)
    print("recording                                 clips  first  accepted  measure")
    for recording, score in pairs:
        for seconds in _LENGTHS:
            clips, *found = _asked(collection, recording, score, seconds)
            print(f"{recording.name:40s}  {clips:3d} of {seconds:2d} s", *(f"{count:6d}" for count in found))


def _asked(collection: Collection, recording: Path, score: Path, seconds: int) -> tuple[int, int, int, int]:
    """How many clips, and of how many the score is first, accepted, and its measure right."""
    audio, written = read_audio(recording), read_score(score)
    path = synchronise(score_sound(written), audio).path
    assert path is not None, f"{recording}: is not taken for its score"
    first = accepted = right = clips = 0
    step = max(seconds, (audio.duration - seconds) / _CLIPS)
    for start in np.arange(2.5, audio.duration - seconds - 1, step):
        cut = Audio(audio.samples[int(start * audio.rate) : int((start + seconds) * audio.rate)].copy())
        hits = collection.ask(cut, "scores", Wanted(top=1))
        clips += 1
        if hits and _name(hits[0].path) == _name(score):
            first, accepted = first + 1, accepted + hits[0].accepted
            true = written.position(float(np.interp(start, path.other, path.ref)))[0]
            right += abs(_number(hits[0].measure or "") - _number(true)) <= 1
    return clips, first, accepted, right


def _name(path: str | Path) -> str:
    """Without what says which repeats a file has."""
    return re.sub(r"_[01]{2}$", "", Path(path).stem)


def _number(measure: str) -> int:
    return int(re.sub(r"\D", "", measure) or 0)


if __name__ == "__main__":
    main()
