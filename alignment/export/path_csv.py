"""CSV of corresponding times: columns `ref,other,segment`, or a column for each other recording.

What is written is the longest chain of matches that rises on both sides (`Synchronisation.chain`). Points that
linear interpolation inside a segment gives back to the millisecond are left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from alignment.export.columns import seconds_text, table_rows, thinned
from alignment.segments import Synchronisation

__all__ = ["path_csv"]


def path_csv(others: Sequence[tuple[str, Synchronisation | None]]) -> str:
    """CSV of one or several alignments to one reference, None for one that failed.

    One alignment gives `ref,other,segment`, where `segment` numbers the matches from 1; interpolate between
    rows of the same number. Several give a column for each, under its path, on the union of their reference
    times, blank where an alignment has nothing; two rows with one time are a jump.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = [[thinned(segment) for segment in alignment.chain()] if alignment else [] for _, alignment in others]
    if len(others) == 1:
        writer.writerow(["ref", "other", "segment"])
        for number, path in enumerate(columns[0], 1):
            for ref, other in zip(path.ref, path.other, strict=True):
                writer.writerow([seconds_text(ref), seconds_text(other), number])
        return buffer.getvalue()
    writer.writerow(["ref", *(name for name, _ in others)])
    writer.writerows([seconds_text(time), *map(seconds_text, values)] for time, values in table_rows(columns))
    return buffer.getvalue()
