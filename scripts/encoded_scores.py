"""Write a score in MusicXML as MEI and as Humdrum kern, by verovio.

    python scripts/encoded_scores.py SCORE MEI KERN

MEI is what verovio makes of MusicXML, kern what humlib does, which verovio holds. `encode` has a process of its own do
it, since some documents end the process.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from alignment._musicxml_document import plain_musicxml

__all__ = ["encode"]

_PATIENCE_SECONDS = 120


def encode(score: Path, mei: Path, kern: Path) -> None:
    """Write what is not there yet; what verovio cannot write is left out."""
    if not (mei.exists() and kern.exists()):
        mei.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, __file__, str(score), str(mei), str(kern)]
        subprocess.run(command, timeout=_PATIENCE_SECONDS, check=False)


def main() -> None:
    """Write one score."""
    import verovio

    score, mei, kern = map(Path, sys.argv[1:])
    verovio.enableLog(verovio.LOG_OFF)
    document = plain_musicxml(score.read_bytes()).decode()
    toolkit = verovio.toolkit()
    toolkit.setOptions({"inputFrom": "xml", "xmlIdSeed": 1})
    if toolkit.loadData(document):
        mei.write_text(toolkit.getMEI(), "utf-8")
    toolkit = verovio.toolkit()
    toolkit.setOptions({"inputFrom": "musicxml-hum"})
    if toolkit.loadData(document) and (humdrum := toolkit.getHumdrumBuffer()):
        kern.write_text(humdrum, "utf-8")


if __name__ == "__main__":
    main()
