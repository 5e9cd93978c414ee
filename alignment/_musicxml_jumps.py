"""Da capo, dal segno, coda and fine of a MusicXML document that only writes them.

A document should say in `sound` elements how it is played; where none tells of a jump, signs and usual words do.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["spell_out_jumps"]

_JUMPS = ("segno", "coda", "tocoda", "fine", "dacapo", "dalsegno")
_WORDS = {
    "dacapo": re.compile(r"\bd\.?\s?c\.|\bda capo\b", re.IGNORECASE),
    "dalsegno": re.compile(r"\bd\.?\s?s\.|\bdal segno\b", re.IGNORECASE),
    "tocoda": re.compile(r"^\W*to coda\b", re.IGNORECASE),
    "fine": re.compile(r"^\W*fine\W*$", re.IGNORECASE),
}


def spell_out_jumps(root: Any) -> None:
    """Give the directions of a document `sound` elements for what their signs and words say of jumps.

    Those of the first part that has any; a document that has such elements is left as it is.
    """
    if any(sound.get(jump) for sound in root.iter("sound") for jump in _JUMPS):
        return
    for part in root.iterfind("part"):
        meant = [(direction, _meant(direction)) for direction in part.iter("direction")]
        if any("dacapo" in jumps or "dalsegno" in jumps for _, jumps in meant):
            codas = [jumps for _, jumps in meant if "coda" in jumps]
            if len(codas) > 1 and not any("tocoda" in jumps for _, jumps in meant):
                codas[0].remove("coda")
                codas[0].add("tocoda")
            for direction, jumps in meant:
                if jumps:
                    direction.append(direction.makeelement("sound", dict.fromkeys(sorted(jumps), "yes")))
            return


def _meant(direction: Any) -> set[str]:
    words = " ".join(" ".join(element.itertext()) for element in direction.iter("words"))
    jumps = {jump for jump, pattern in _WORDS.items() if pattern.search(words)}
    signs = {sign for sign in ("segno", "coda") if direction.find(f"direction-type/{sign}") is not None}
    return jumps or signs
