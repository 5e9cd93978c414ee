"""A process of its own for verovio, which ends the whole process over some damaged files.

Reads a score from standard input and writes what verovio makes of it as JSON; imports nothing of the project.
Exit codes: 1 verovio cannot read the score, 3 it is not installed.
"""

import json
import os
import sys

_OPTIONS = {"breaks": "none", "expandAlways": True, "midiNoCue": True}


def _main() -> int:
    try:
        import verovio
    except ImportError:
        return 3
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever verovio prints
    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(_OPTIONS)
    if not toolkit.loadData(sys.stdin.buffer.read().decode()):
        return 1
    times = toolkit.renderToTimemap({"includeMeasures": True})
    answer = {"times": times, "midi": toolkit.renderToMIDI(), "mei": toolkit.getMEI()}
    with os.fdopen(answers, "w", encoding="utf-8") as out:
        json.dump(answer, out)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
