"""What the reference records of a Humdrum file say: the work, and where its movements begin.

Records are those of the Humdrum Guide book: OTL title, OPR the work that it is from, ONM its number there, OMV and OMD
number and name of a movement, OPS and SCT opus and catalogue number, COM composer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from alignment._sheet import Measure
from alignment.heading import Heading, Movement

__all__ = ["kern_heading"]

_RECORD = re.compile(r"!!!([A-Z]{3})\d*(?:@{1,2}[A-Z]+)?:\s*(.*)")
_BEGIN_MOVEMENTS = ("OMV", "OTL")


def kern_heading(text: str, measures: Sequence[Measure]) -> tuple[Heading, list[Movement]]:
    """The work and the movements that a file tells, when its measures are played so.

    Records before the music and after it are of the whole; another number or title of a movement between its measures
    begins one. A designation (OMD) alone does not: many files state changes of tempo so.
    """
    (_, stated), *within = _blocks(text)
    composer = " ".join(reversed([part.strip() for part in stated.get("COM", "").split(",", 1)])).strip()
    number = stated.get("SCT") or stated.get("OPS", "")
    heading = Heading(stated.get("OPR") or stated.get("OTL", ""), number, composer)
    later = [(written, records) for written, records in within if any(name in records for name in _BEGIN_MOVEMENTS)]
    first = _movement(stated, "OPR" in stated)
    if not later:
        return heading, [first] if first.number or first.title else []
    starts: dict[int, float] = {}
    for measure in measures:
        starts.setdefault(measure.written, measure.start)
    found = [
        _movement(records, True)._replace(start=starts[written]) for written, records in later if written in starts
    ]
    return heading, [first, *found]


def _movement(records: dict[str, str], within: bool) -> Movement:
    """A movement as its records name it; `within`: its title is not that of the work."""
    number, designation = records.get("OMV", ""), records.get("OMD", "")
    if number and not re.match(r"\d|[IVX]+\b", number):  # some programs write the name there
        number, designation = "", designation or number
    title = records.get("OTL", "") if within else ""
    if within and not number:
        number = records.get("ONM", "")
    return Movement(number, title or designation)


def _blocks(text: str) -> list[tuple[int, dict[str, str]]]:
    """Reference records that stand together between music, each with its first value, and the measures before them.

    Those after all music are given with those before it.
    """
    found: list[tuple[int, dict[str, str]]] = [(0, {})]
    measures, sounding = 0, False
    for line in text.splitlines():
        record = _RECORD.match(line)
        if record:
            place = measures + sounding
            if found[-1][0] != place:
                found.append((place, {}))
            found[-1][1].setdefault(record[1], record[2].strip())
        elif line.startswith("="):
            measures, sounding = measures + sounding, False
        elif line and not line.startswith(("!", "*")) and line.strip(".\t"):
            sounding = True
    if len(found) > 1 and found[-1][0] == measures + sounding:
        for name, value in found.pop()[1].items():
            found[0][1].setdefault(name, value)
    return found
