"""The measure table: when each beat of a score sounds in each performance."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from alignment.carrying import carry_times, inverted
from alignment.export.columns import seconds_text
from alignment.segments import Synchronisation

if TYPE_CHECKING:
    from alignment.score import Beat

__all__ = ["measure_table"]


def measure_table(
    beats: Sequence[Beat], others: Sequence[tuple[str, Synchronisation | None]], score: int | None = None
) -> str:
    """CSV with the columns `measure,beat,ref` and one for each other recording, under its path.

    A row for each beat of the score in the order in which it is played, repeats unfolded; `measure` as
    printed, seconds blank where a performance leaves the beat out.

    Args:
        beats: of the score.
        others: path and alignment to the reference, None for one that failed.
        score: which of the others is the score; None where the reference is.
    """
    own = [beat.seconds for beat in beats]
    to_ref = others[score][1] if score is not None else None
    if score is None:
        ref = own
    elif to_ref is None:
        ref = [float("nan")] * len(own)
    else:
        ref = carry_times(own, inverted(to_ref)).tolist()
    columns = [ref]
    for number, (_, alignment) in enumerate(others):
        if number == score:
            columns.append(own)
        else:
            columns.append(carry_times(ref, alignment).tolist() if alignment else [float("nan")] * len(own))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["measure", "beat", "ref", *(name for name, _ in others)])
    for beat, *times in zip(beats, *columns, strict=True):
        writer.writerow([beat.measure, f"{beat.beat:g}", *map(seconds_text, times)])
    return buffer.getvalue()
