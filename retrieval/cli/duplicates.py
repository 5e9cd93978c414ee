"""`incipit duplicates`: what the library holds more than once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.cli.console import StageBars, clock, explain, json_line, library_folder, line
from retrieval.cli.options import Json, LibraryFolder, Quiet, Verbose

if TYPE_CHECKING:
    from index.schema import Recording
    from retrieval.duplicates import DuplicatePair
    from retrieval.identification import Identifier

__all__ = ["duplicates"]


def duplicates(
    library: LibraryFolder = None,
    share: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Share of the shorter recording that must be in both.")
    ] = 0.8,
    max_false_accepts: Annotated[
        float, typer.Option(metavar="P", min=1e-9, max=0.5, help="Accept at most this share of mistaken pieces.")
    ] = 1e-4,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """List groups of recordings with the same sound: other encodings, cuts and masterings, and plain copies.

    What is a part of several, or has several as its parts, is in several groups.

    Prints a line a file: number of its group, length, id, path. Exit code 3 where there are none.

    Example: incipit duplicates --json | jq '.recordings[].path'
    """
    from retrieval.collection import Collection
    from retrieval.duplicates import duplicate_groups, duplicate_pairs, present_files

    collection = Collection(library_folder(library))
    identifier = collection.identifier()
    with StageBars(quiet) as bars:
        found = duplicate_pairs(
            identifier, max_false_accepts, lambda done, total: bars.progress("comparing", done, total)
        )
    pairs = [pair for pair in found if pair.share >= share]
    groups = [list(map(identifier.recording, group)) for group in duplicate_groups(pairs, share)]
    present = [[recording for recording in group if recording and present_files(recording)] for group in groups]
    listed = [group for group in present if len(group) > 1]
    known = {recording.id for group in listed for recording in group}
    listed += [[recording] for recording in collection.copies() if recording.id not in known]
    for number, group in enumerate(listed, 1):
        if json:
            json_line(_document(identifier, group, pairs))
            continue
        for recording in group:
            for path in present_files(recording):
                line(str(number), clock(recording.duration), recording.key, path)
    if not listed:
        explain("no duplicates", quiet)
    return 0 if listed else 3


def _document(identifier: Identifier, group: list[Recording], pairs: list[DuplicatePair]) -> dict[str, Any]:
    from retrieval.duplicates import present_files

    keys = {recording.id: recording.key for recording in group}
    told = []
    for pair in pairs:
        one, other = identifier.recording(pair.one), identifier.recording(pair.other)
        if one and other and one.id in keys and other.id in keys:
            offset, ratio = pair.line.offset, pair.line.tempo_ratio
            told.append(
                {
                    "one": one.key,
                    "other": other.key,
                    "one_seconds": [round(pair.start, 2), round(pair.end, 2)],
                    "other_seconds": [round(offset + ratio * time, 2) for time in (pair.start, pair.end)],
                    "tempo_ratio": round(ratio, 4),
                    "share": round(pair.share, 3),
                }
            )
    recordings = [
        {
            "id": recording.key,
            "title": recording.title or None,
            "duration": round(recording.duration, 3),
            "path": paths[0],
            "paths": paths,
        }
        for recording in group
        for paths in [present_files(recording)]
    ]
    return {"recordings": recordings, "pairs": told}
