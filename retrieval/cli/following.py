"""`incipit follow`: the pages of a score, and when each of its measures and notes sounds in recordings of it."""

from __future__ import annotations

import json as json_text
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.cli.aligning import align_with
from retrieval.cli.console import absolute, hush_decoders, json_line, library_folder, line, warn, working
from retrieval.cli.options import Json, LibraryFolder, Quiet, Verbose
from retrieval.cli.targets import require_folder
from retrieval.sides import Other, Side, resolve

if TYPE_CHECKING:
    from alignment.engraving import Engraving
    from alignment.score import Score

__all__ = ["follow"]

_PAGE = re.compile(r"page-\d{3,}\.svg")


def follow(
    score: Annotated[str, typer.Argument(metavar="SCORE", help="MusicXML (also .mxl), MEI or kern.")],
    recordings: Annotated[list[str], typer.Argument(metavar="RECORDING...", help="Recordings of it, or ids.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Write the pages and the map there.")],
    library: LibraryFolder = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Engrave a score, and find when each measure and note of it sounds in recordings.

    Writes the pages, page-001.svg and so on, whose measures and notes are elements with ids, and
    following.json, which tells for each recording from when to when each of them sounds, repeats as played.

    Prints a line for each recording: accepted or refused, and how many of the measures it plays.

    Example: incipit follow sonata.musicxml gould.flac richter.mp3 -o sonata
    """
    from alignment.engraving import engrave
    from alignment.errors import AlignmentError

    hush_decoders()
    started = time.monotonic()
    paths = [resolve(name, library_folder(library)) for name in (score, *recordings)]
    _require_usable(paths[0], output)
    try:
        with working(f"engraving {score}", quiet):
            engraving = engrave(paths[0])
        reference, done = align_with(paths, recordings, {}, quiet)
    except AlignmentError as error:
        warn(str(error))
        if json:
            json_line({"score": absolute(score), "error": error.cause, "recordings": []})
        return 1
    assert reference.score is not None, "what is engraved is a score"
    found = [_followed(reference.score, engraving, other) for other in done]
    pages = _write(output, reference.score, engraving, found)
    if json:
        json_line(_summary(reference, output, pages, found, started))
    else:
        for name, other, entry in zip(recordings, done, found, strict=True):
            line(name, *_told(other, entry, len(reference.score.played)))
    if any(other.alignment is None for other in done):
        return 1
    return 0 if any(other.accepted for other in done) else 3


def _require_usable(score: str, output: Path) -> None:
    from alignment.score import SCORE_SUFFIXES, is_score

    if Path(score).exists() and not is_score(score):
        raise typer.BadParameter(f"{score} does not end in {', '.join(sorted(SCORE_SUFFIXES))}", param_hint="'SCORE'")
    if output.exists() and not output.is_dir():
        raise typer.BadParameter(f"{output} is not a folder", param_hint="'-o'")
    require_folder("-o", output)


def _followed(score: Score, engraving: Engraving, other: Other) -> dict[str, Any]:
    """What following.json says of a recording."""
    from alignment.following import Following, follow, recording_rows

    result, side = other.alignment, other.side
    if result is None or side is None:
        return {"path": other.path, "error": other.error, "accepted": False, "measures": [], "notes": []}
    following = follow(score, engraving, result) if result.accepted else Following((), ())
    return {
        "path": other.path,
        "duration": round(side.duration, 3),
        "accepted": result.accepted,
        "confidence": round(result.confidence, 4),
        **recording_rows(score, engraving, following),
    }


def _write(folder: Path, score: Score, engraving: Engraving, found: list[dict[str, Any]]) -> list[str]:
    """Write pages and map; gives the names of the pages."""
    from alignment.following import following_document

    folder.mkdir(exist_ok=True)
    for former in folder.glob("page-*.svg"):
        if _PAGE.fullmatch(former.name):
            former.unlink()
    names = [f"page-{number:03d}.svg" for number in range(1, len(engraving.pages) + 1)]
    for name, page in zip(names, engraving.pages, strict=True):
        (folder / name).write_text(page, "utf-8", newline="")
    document = following_document(score, engraving, names, found)
    text = json_text.dumps(document, ensure_ascii=True, allow_nan=False)
    (folder / "following.json").write_text(text + "\n", "utf-8", newline="")
    return names


def _told(other: Other, entry: dict[str, Any], measures: int) -> list[str]:
    if other.alignment is None:
        return ["failed", other.error]
    if not other.accepted:
        return ["refused", "not taken for this music"]
    return ["accepted", f"{_covered(entry)} of {measures} measures", f"{len(entry['notes'])} notes"]


def _covered(entry: dict[str, Any]) -> int:
    """Measures as played of which something sounds."""
    return len({row[-1] for row in entry["measures"]})


def _summary(
    reference: Side, output: Path, pages: list[str], found: list[dict[str, Any]], started: float
) -> dict[str, Any]:
    """The JSON document of the command: what following.json holds, counted."""
    assert reference.score is not None, "what is engraved is a score"
    return {
        "score": reference.path,
        "folder": absolute(str(output)),
        "pages": len(pages),
        "measures": len(reference.score.played),
        "recordings": [{**entry, "measures": _covered(entry), "notes": len(entry["notes"])} for entry in found],
        "seconds": round(time.monotonic() - started, 3),
    }
