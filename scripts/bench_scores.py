"""Measure the search for scores on a bed of rendered performances: the peer and Incipit in one run.

    INCIPIT_DATA=DATA python scripts/bench_scores.py BED --library DIR [--split dev] [--songs FOLDER] [--number 60]
        [--jobs 2] [--no-peer] [--encoded FOLDER]

BED holds collection.json, `{id: {midi, xml, split, seconds, beats, downbeat}}` with paths relative to DATA/asap, and
queries.json, a list of `{id, split, work, path, condition, own, end_beat, truth}`: own is the place in beats at which
the query begins, end_beat that at which its first 5, 10, 20 and 30 seconds end, truth lists own and the places that
hold the same notes. Every second score of the collection goes into the library as MusicXML, where there is such, the
others as MIDI, and beside them all lieder that are neither trained nor calibrated on. With SONGS so many of these, for
voice and piano, are performed into that folder by sound fonts of another family than those of training, and asked for
too. The peer is subsequence dynamic time warping of CENS, five a second, over all scores.

Prints how often the first score, and one of the first ten, is the right one (scores of the same music under several
names count as one), with the interval that holds 95 % of bootstrap samples of works; how many of the right ones are
placed within a beat; what is accepted, also when a third of the works is left out; and the CPU time of a query. Wants
the `dev` extra, and with SONGS the `train` extra and FluidSynth.

With --encoded it asks instead how much the format counts in which a score is kept. Each score asked for of which there
is MusicXML is taken in as MusicXML, MIDI, MEI and kern, the last two written into that folder by verovio. In four turns
each of them is searched in one format, and its neighbours in others, so that each query is asked once in each format.
Kern that is not as long as the MEI is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from bench_matching import processor
from calibrate_scores import for_calibration
from encoded_scores import encode
from numpy.typing import NDArray
from peer_cens import CensScores
from performed_lieder import perform
from rich.progress import track
from train_sync import FONT_FOLDER, held_out_lieder

from alignment import synchronise
from alignment.audio import Audio, read_audio
from alignment.errors import ScoreError
from alignment.score import read_score
from alignment.score_sound import score_sound
from index.library import Library
from retrieval.collection import Collection
from retrieval.embedding.score_encoder import ScoreEncoder
from retrieval.hits import Hit, Wanted
from retrieval.kept_score import from_kept
from retrieval.plausibility import Plausibility
from retrieval.score_search import SCORE_PLAUSIBILITY_PATH, ScoreSearch

_LENGTHS = (5, 10, 20, 30)
_OTHER_FONTS = ("FluidR3_GM.sf2",)
_SAMPLES = 2000
_PARTS = 3
_TOP = 10
_FORMATS = ("MusicXML", "MIDI", "MEI", "kern")


@dataclass(frozen=True)
class Query:
    """A clip, and where it is from.

    Attributes:
        audio: of the longest length that is asked.
        work: the score's name in the library, of which every name in `same` is right.
        middles: beats that are right for the middle of its first so many seconds.
    """

    audio: Audio
    work: str
    same: frozenset[str]
    middles: dict[int, list[float]]


@dataclass
class Answer:
    """What came of one query: rank of the right score, beats by which its place is off, and what was accepted."""

    work: str
    rank: float
    error: float | None
    accepted: list[bool] = field(default_factory=list)
    seconds: float = 0.0


class Places:
    """Names of scores, and beats of the bed for their seconds.

    Args:
        bed: the folder.
        asap: where the scores lie.
        lieder: distractors, and what songs are asked for.
    """

    def __init__(self, bed: Path, asap: Path, lieder: Sequence[Path]) -> None:
        self.collection: dict[str, Any] = json.loads((bed / "collection.json").read_text())
        self.names: dict[str, str] = {}
        self._beats: dict[str, NDArray[np.float64]] = {}
        kept = bed / "xml-beats.json"
        known = json.loads(kept.read_text()) if kept.exists() else {}
        for number, (work, score) in enumerate(track(sorted(self.collection.items()), "beats of MusicXML")):
            beats = np.array(score["beats"])
            if number % 2 and score["xml"]:
                if work not in known:
                    known[work] = _carried(asap / score["midi"], asap / score["xml"], beats)
                    kept.write_text(json.dumps(known))
                beats = np.array(known[work])
            self.names[str((asap / score["xml" if number % 2 and score["xml"] else "midi"]).absolute())] = work
            self._beats[work] = beats
        self.names |= {str(path.absolute()): path.stem for path in lieder}

    def beat(self, work: str, seconds: float) -> float | None:
        """Place in beats; None in a score without."""
        beats = self._beats.get(work)
        return None if beats is None else float(np.interp(seconds, beats, np.arange(len(beats))))


def _carried(midi: Path, xml: Path, beats: NDArray[np.float64]) -> list[float]:
    """Seconds of the beats in the MusicXML, by aligning both."""
    found = synchronise(*(score_sound(read_score(path)) for path in (midi, xml)))
    paths = [part.path for part in found.segments if part.path is not None]
    ref, other = np.concatenate([path.ref for path in paths]), np.concatenate([path.other for path in paths])
    order = np.argsort(ref)
    return np.round(np.interp(beats, ref[order], other[order]), 4).tolist()


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bed", type=Path)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--songs", type=Path)
    parser.add_argument("--number", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--encoded", type=Path)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that perform
    data = Path(os.environ["INCIPIT_DATA"])
    lieder = [path for path in held_out_lieder() if not for_calibration(path)]
    places = Places(arguments.bed, data / "asap", lieder)
    forms: dict[str, dict[str, str]] = {}
    if arguments.encoded:
        forms = _forms(arguments.bed, places, arguments.split, data / "asap", arguments.encoded.absolute())
        places.names |= {path: work for work, paths in forms.items() for path in paths.values()}
    collection = Collection(arguments.library)
    report = collection.add(*places.names, jobs=arguments.jobs, works=False)
    print(f"{processor()}, Python {platform.python_version()}", end="")
    print("".join(f", {name} {version(name)}" for name in ("numpy", "numba", "faiss-cpu", "librosa")))
    for path, cause in report.failed:
        print(f"left out: {path}: {cause}")
    queries = {f"performances, {arguments.split}": _bed_queries(arguments.bed, places, arguments.split)}
    if arguments.songs:
        queries["songs"] = _song_queries(arguments.songs, lieder, arguments.number, arguments.jobs)
    with Library(arguments.library) as library:
        hours = sum(row.duration for row in library.scores()) / 3600
        print(f"{library.count('score')} scores, {hours:.1f} h; times are CPU of one thread, features included")
        if forms:
            _print_formats(library, places, forms, *queries.values())
            return
        searched = {row.id: places.names.get(row.path) for row in library.scores()}
        peer = None if arguments.no_peer else _peer(library)
        for name, asked in queries.items():
            if peer is not None:
                print(f"{name}: CENS subsequence DTW")
                _print([_peer_answers(peer, places, asked, seconds) for seconds in _LENGTHS], hours)
            print(f"{name}: Incipit")
            _print([_answers(library, places, asked, seconds, frozenset()) for seconds in _LENGTHS], hours)
            _print_outsiders(library, places, searched, asked)


def _bed_queries(bed: Path, places: Places, split: str) -> list[Query]:
    queries = []
    for query in json.loads((bed / "queries.json").read_text()):
        if query["split"] == split:
            same = frozenset(work for work in places.collection if _group(work) == _group(query["work"]))
            middles = {
                seconds: [place + (query["end_beat"][str(seconds)] - query["own"]) / 2 for place in query["truth"]]
                for seconds in _LENGTHS
            }
            queries.append(Query(read_audio(bed / query["path"]), query["work"], same, middles))
    return queries


def _forms(bed: Path, places: Places, split: str, asap: Path, folder: Path) -> dict[str, dict[str, str]]:
    """Paths of each work asked for, by format, where there is MusicXML of it."""
    asked = {query["work"] for query in json.loads((bed / "queries.json").read_text()) if query["split"] == split}
    found: dict[str, dict[str, str]] = {}
    for work in track(sorted(asked), "MEI and kern"):
        score = places.collection[work]
        if score["xml"]:
            name = work.replace("/", "_")
            written = asap / score["xml"], asap / score["midi"], folder / f"{name}.mei", folder / f"{name}.krn"
            encode(written[0], *written[2:])
            found[work] = {form: str(path) for form, path in zip(_FORMATS, written, strict=True) if path.exists()}
            if not _as_long(*(found[work].get(form) for form in ("MEI", "kern"))):
                found[work].pop("kern", None)
    return found


def _as_long(one: str | None, other: str | None) -> bool:
    """Whether two scores have as many quarters, to a tenth: the converter to kern loses its way in some."""
    if one is None or other is None:
        return False
    try:
        lengths = [read_score(path).played[-1].quarters for path in (one, other)]
    except ScoreError:
        return False
    return max(lengths) <= 1.1 * min(lengths)


def _group(work: str) -> str:
    """The same music with and without repeats."""
    return re.sub(r"_(no_(\w+_)?)?(repeat|trio)s?$", "", work)


def _song_queries(folder: Path, lieder: Sequence[Path], number: int, jobs: int) -> list[Query]:
    fonts = [FONT_FOLDER / name for name in _OTHER_FONTS]
    queries = []
    for song in perform(folder, number, jobs, lieder, fonts, sung=True):
        audio, rng = read_audio(song.paths[0]), np.random.default_rng(len(queries))
        first = round(float(rng.uniform(0, max(audio.duration - _LENGTHS[-1] - 1.0, 0.0))) * audio.rate)
        clip = Audio(audio.samples[first : first + _LENGTHS[-1] * audio.rate].copy())
        queries.append(Query(clip, song.score, frozenset([song.score]), {}))
    return queries


def _peer(library: Library) -> CensScores:
    rows = {row.path: library.score_sheet(row.id) for row in library.scores()}
    return CensScores({path: from_kept(sheet, path) for path, sheet in rows.items() if sheet is not None})


def _peer_answers(peer: CensScores, places: Places, queries: Sequence[Query], seconds: int) -> list[Answer]:
    answers = []
    for query in queries:
        clip = _first(query.audio, seconds)
        started = time.process_time()
        found = peer.match(clip)
        spent = time.process_time() - started
        answers.append(
            _judged(query, [(places.names[path], start, end) for path, start, end in found], places, seconds)
        )
        answers[-1].seconds = spent
    return answers


def _answers(
    library: Library, places: Places, queries: Sequence[Query], seconds: int, without: frozenset[int]
) -> list[Answer]:
    search = ScoreSearch(library, ScoreEncoder(), Plausibility.load(SCORE_PLAUSIBILITY_PATH), without)
    search.search(_first(queries[0].audio, seconds), Wanted())  # compiles, maps files
    answers = []
    for query in queries:
        clip = _first(query.audio, seconds)
        started = time.process_time()
        hits = search.search(clip, Wanted(top=_TOP))
        spent = time.process_time() - started
        answers.append(_judged(query, [_found(places, hit) for hit in hits], places, seconds))
        answers[-1].accepted, answers[-1].seconds = [hit.accepted for hit in hits], spent
    return answers


def _first(audio: Audio, seconds: int) -> Audio:
    return Audio(audio.samples[: seconds * audio.rate])


def _found(places: Places, hit: Hit) -> tuple[str, float, float]:
    return places.names[hit.path], hit.places[0].start, hit.places[0].end


def _judged(query: Query, found: Sequence[tuple[str, float, float]], places: Places, seconds: int) -> Answer:
    groups = list(dict.fromkeys(_group(work) for work, _, _ in found))
    right = _group(query.work)
    rank = groups.index(right) + 1.0 if right in groups else np.inf
    error = None
    if found and found[0][0] == query.work and query.middles:
        ends = [places.beat(query.work, time) for time in found[0][1:]]
        if ends[0] is not None and ends[1] is not None:
            middle = (ends[0] + ends[1]) / 2
            error = min(abs(middle - true) for true in query.middles[seconds])
    return Answer(query.work, rank, error)


def _print(table: Sequence[Sequence[Answer]], hours: float) -> None:
    print("        R@1 [95 %]              R@10   beat    CPU s  s/h of scores  right accepted  first wrong, accepted")
    for seconds, answers in zip(_LENGTHS, table, strict=True):
        low, high = _interval(answers, lambda chosen: float(np.mean([answer.rank == 1 for answer in chosen])))
        first = np.mean([answer.rank == 1 for answer in answers])
        ten = np.mean([answer.rank <= _TOP for answer in answers])
        errors = [answer.error for answer in answers if answer.error is not None]
        near = f"{np.mean(np.array(errors) <= 1):.3f}" if errors else "  -  "
        spent = float(np.mean([answer.seconds for answer in answers]))
        line = f"  {seconds:3d} s  {first:.3f} [{low:.3f}, {high:.3f}]   {ten:.3f}  {near}  {spent:6.3f}"
        line += f"  {spent / hours:.5f}"
        if any(answer.accepted for answer in answers):
            right = [answer.accepted[0] for answer in answers if answer.rank == 1]
            wrong = [answer.rank != 1 and bool(answer.accepted) and answer.accepted[0] for answer in answers]
            line += f"  {100 * np.mean(right):9.1f} %  {100 * np.mean(wrong):9.1f} %"
        print(line)


def _interval(answers: Sequence[Answer], statistic: Callable[[Sequence[Answer]], float]) -> tuple[float, float]:
    """Where 95 % of the bootstrap samples of whole works lie."""
    by_work: dict[str, list[Answer]] = {}
    for answer in answers:
        by_work.setdefault(_group(answer.work), []).append(answer)
    works, rng = list(by_work.values()), np.random.default_rng(0)
    drawn = rng.integers(0, len(works), (_SAMPLES, len(works)))
    values = [statistic([answer for number in row for answer in works[number]]) for row in drawn]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _print_formats(
    library: Library, places: Places, forms: dict[str, dict[str, str]], queries: Sequence[Query]
) -> None:
    """How often the first score is the right one, by the format in which that is kept."""
    ids = {row.path: row.id for row in library.scores()}
    held = {
        work: {form: ids[path] for form, path in paths.items() if path in ids} for work, paths in sorted(forms.items())
    }
    print("".join(f", {sum(form in kept for kept in held.values())} as {form}" for form in _FORMATS)[2:])
    answers: dict[tuple[str, int], list[Answer]] = {}
    for turn in range(len(_FORMATS)):
        chosen = {work: _FORMATS[(number + turn) % len(_FORMATS)] for number, work in enumerate(held)}
        without = {id for work, kept in held.items() for form, id in kept.items() if form != chosen[work]}
        asked = [replace(query, middles={}) for query in queries if chosen.get(query.work) in held.get(query.work, {})]
        for seconds in _LENGTHS:
            for query, answer in zip(asked, _answers(library, places, asked, seconds, frozenset(without)), strict=True):
                answers.setdefault((chosen[query.work], seconds), []).append(answer)
    for form in _FORMATS:
        print(form)
        _print([answers[form, seconds] for seconds in _LENGTHS], sum(row.duration for row in library.scores()) / 3600)


def _print_outsiders(
    library: Library, places: Places, searched: dict[int, str | None], queries: Sequence[Query]
) -> None:
    """What is accepted of queries whose works are left out, a third of them at a time."""
    works = sorted({_group(query.work) for query in queries})
    for seconds in _LENGTHS:
        accepted = 0
        for part in range(_PARTS):
            out = set(works[part::_PARTS])
            without = frozenset(number for number, name in searched.items() if name and _group(name) in out)
            asked = [query for query in queries if _group(query.work) in out]
            answers = _answers(library, places, asked, seconds, without)
            accepted += sum(any(answer.accepted) for answer in answers)
        print(f"  {seconds:3d} s  a third of the works left out: {100 * accepted / len(queries):.1f} % accepted")


if __name__ == "__main__":
    main()
