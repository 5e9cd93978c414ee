"""What the program prints and the server answers, in the words of the JSON contract."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from index.library import Library
    from index.schema import FailureRow, Item, Work
    from index.sheets import KeptScore
    from retrieval.comparison import Comparison
    from retrieval.hits import Hit
    from retrieval.ingest import IngestReport
    from retrieval.sides import Other, Side

__all__ = [
    "alignment_document",
    "comparison_document",
    "failure_document",
    "index_document",
    "item_details",
    "item_document",
    "query_document",
    "work_document",
]


def item_document(item: Item) -> dict[str, Any]:
    """A recording or a score, as in a list."""
    missing = all(file.missing for file in item.files)
    return {
        "id": item.key,
        "kind": item.kind,
        "path": item.path,
        "title": item.title or None,
        "artist": item.artist or None,
        "work": item.work.label if item.work else None,
        "work_id": item.work.key if item.work else None,
        "duration": round(item.duration, 3),
        "flags": [*item.flags, *(["missing"] if missing else [])],
    }


def failure_document(failure: FailureRow) -> dict[str, Any]:
    """A file that could not be taken in."""
    return {"path": failure.path, "error": failure.error, "time": failure.time.isoformat("T", "seconds")}


def item_details(library: Library, item: Item) -> dict[str, Any]:
    """All that the library knows of a recording or a score."""
    from retrieval.kept_alignment import alignment_method

    document = item_document(item)
    document["paths"] = [{"path": file.path, "missing": file.missing} for file in item.files]
    document["content_hash"] = item.content_hash
    document["vectors"] = sum(run.count for run in item.runs)
    sheet = library.score_sheet(item.id)
    if sheet is not None:
        document["notes"] = len(sheet.notes)
        document["measures"] = [sheet.beats[0][1], sheet.beats[-1][1]] if sheet.beats else None
        document["work_title"] = sheet.work_title or None
        document["work_number"] = sheet.work_number or None
        document["movements"] = _movements(sheet)
        document["parts"] = [
            {**part._asdict(), "name": part.name or None, "instrument": part.instrument or None} for part in sheet.parts
        ]
        played_in = library.alignments.recordings_of(item, alignment_method())
        document["recordings"] = [recording.key for recording in played_in]
    else:
        document["scores"] = [score.key for score in library.alignments.scores_of(item, alignment_method())]
    return document


def _movements(sheet: KeptScore) -> list[dict[str, Any]]:
    from retrieval.kept_score import from_kept

    score = from_kept(sheet, "")
    return [
        {
            "number": movement.number or None,
            "title": movement.title or None,
            "start": round(movement.start, 3),
            "measure": score.position(movement.start)[0] or None,
        }
        for movement in sheet.movements
    ]


def alignment_document(reference: Side, others: list[Other], seconds: float) -> dict[str, Any]:
    """The JSON document of an alignment."""
    from alignment.export import synchronisation_document

    return {
        "ref": reference.path,
        "others": [
            {"path": other.path, "error": other.error, "segments": [], "accepted": False}
            if other.alignment is None
            else synchronisation_document(other.path, other.alignment)
            for other in others
        ],
        "seconds": round(seconds, 3),
    }


def work_document(work: Work) -> dict[str, Any]:
    """A work with its recordings and scores."""
    return {
        "id": work.key,
        "name": work.name or None,
        "confirmed": work.confirmed,
        "recordings": [_member(recording) for recording in work.recordings],
        "scores": [_member(score) for score in work.scores],
    }


def query_document(name: str, task: str, duration: float, seconds: float, hits: Sequence[Hit]) -> dict[str, Any]:
    """What a query found."""
    return {
        "query": name,
        "task": task,
        "duration": round(duration, 3),
        "seconds": round(seconds, 4),
        "hits": [hit.document() for hit in hits],
    }


def comparison_document(a: str, b: str, found: Comparison, seconds: float) -> dict[str, Any]:
    """What two recordings are to each other."""
    sound, timing, work = found.sound, found.timing, found.work
    return {
        "a": a,
        "b": b,
        "verdict": found.verdict.value,
        "score": round(found.score, 4),
        "transposition": found.transposition,
        "tempo_ratio": None if found.tempo_ratio is None else round(found.tempo_ratio, 4),
        "segments": [[round(value, 3) for value in segment] for segment in found.segments],
        "sound": {"pieces": sound.pieces, "found": len(sound.found), "alike": round(sound.alike, 3)},
        "timing": timing
        and {
            "seconds": round(timing.seconds, 3),
            "tempo_ratio": round(timing.tempo_ratio, 5),
            "median_deviation": round(timing.median, 4),
            "deviation_80": round(timing.most, 4),
        },
        "work": work and {"probability": round(work.probability, 4), "accepted": work.accepted},
        "seconds": round(seconds, 3),
    }


def index_document(library: Path, report: IngestReport) -> dict[str, Any]:
    """What came of taking files into a library."""
    return {
        "library": str(library.absolute()),
        **asdict(report),
        "failed": [{"path": os.path.abspath(path), "error": error} for path, error in report.failed],
        "audio_seconds": round(report.audio_seconds, 3),
        "seconds": round(report.seconds, 3),
    }


def _member(item: Item) -> dict[str, Any]:
    return {
        "id": item.key,
        "path": item.path,
        "title": item.title or None,
        "artist": item.artist or None,
        "duration": round(item.duration, 3),
        "confirmed": item.work_confirmed,
    }
