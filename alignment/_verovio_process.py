"""A process of its own for verovio, which ends the whole process over some damaged files.

Reads a score from standard input and writes what verovio makes of it as JSON; imports nothing of the project.
The one argument says what is wanted: "play", what sounds, repeats unfolded, or "engrave", the pages, as printed.
Exit codes: 1 verovio cannot read the score, 3 it is not installed.
"""

import contextlib
import json
import os
import re
import sys

_MOST_BYTES = 2**32
_SEEDED = {"xmlIdSeed": 1}  # elements without an id are given the same one each time
_PLAYED = {**_SEEDED, "breaks": "none", "expandAlways": True, "midiNoCue": True}
_PRINTED = {**_SEEDED, "mdivAll": True, "expandNever": True, "footer": "none", "svgViewBox": True}


def _main() -> int:
    try:
        import verovio
    except ImportError:
        return 3
    _limit_memory()
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever verovio prints
    verovio.enableLog(verovio.LOG_OFF)
    score = sys.stdin.buffer.read().decode()
    printed = verovio.toolkit()
    printed.setOptions(_PRINTED)
    if not printed.loadData(score):
        return 1
    mei = printed.getMEI()
    if sys.argv[1] == "engrave":
        pages = [printed.renderToSVG(number + 1) for number in range(printed.getPageCount())]
        answer = {"pages": pages, "times": printed.renderToTimemap({"includeMeasures": True}), "mei": mei}
    else:
        # One by one: in one go, a staff keeps the transposition that it has in the first movement.
        count = len(re.findall(r"<score[ >]", mei))
        chosen = [{"mdivXPathQuery": f"(.//mdiv[score])[{number + 1}]"} for number in range(count)]
        answer = {"mei": mei, "movements": []}
        for choice in chosen if count > 1 else [{}]:
            played = verovio.toolkit()
            played.setOptions({**_PLAYED, **choice})
            if not played.loadData(score):
                return 1
            times = played.renderToTimemap({"includeMeasures": True})
            answer["movements"].append({"times": times, "midi": played.renderToMIDI()})
    with os.fdopen(answers, "w", encoding="utf-8") as out:
        json.dump(answer, out)
    return 0


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # not every platform can
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))


if __name__ == "__main__":
    sys.exit(_main())
