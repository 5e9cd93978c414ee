"""`incipit query --monitor`: which recordings play in a long file or a stream, and when."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from retrieval.cli.console import absolute, clock, json_line, line, warn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from retrieval.collection import Collection
    from retrieval.monitoring import Detection

__all__ = ["Pcm", "monitor"]

_STANDARD_INPUT = "-"


class Pcm(NamedTuple):
    """How samples lie on standard input: signed 16 bits, little-endian, channels side by side."""

    rate: int
    channels: int


def monitor(collection: Collection, source: str, pcm: Pcm, max_false_accepts: float, *, json: bool) -> int:
    """Print a line for each detection as it closes, and for each gap between them."""
    from alignment.errors import AlignmentError
    from retrieval.monitoring import Monitor

    listener = Monitor(collection.identifier(), max_false_accepts)
    found, code = False, 0
    name = source if source == _STANDARD_INPUT else absolute(source)
    try:
        for block in _blocks(source, pcm):
            for detection in listener.feed(block):
                found |= _tell(collection, name, detection, json)
    except AlignmentError as error:
        warn(str(error))
        code = 1
    except KeyboardInterrupt:
        warn("interrupted; what was heard so far follows")
        code = 130
    for detection in listener.finish():
        found |= _tell(collection, name, detection, json)
    return code or (0 if found else 3)


def _blocks(source: str, pcm: Pcm) -> Iterator[NDArray[np.float32]]:
    """Mono samples at the analysis rate, from a file or from standard input."""
    from alignment.audio import ANALYSIS_RATE, MonoResampler, audio_blocks

    if source != _STANDARD_INPUT:
        yield from audio_blocks(source)
        return
    import numpy as np

    resampler = MonoResampler(pcm.rate, ANALYSIS_RATE)
    frame = 2 * pcm.channels
    left = b""
    while data := sys.stdin.buffer.read(pcm.rate * frame):
        data = left + data
        whole = len(data) // frame * frame
        left = data[whole:]
        samples = np.frombuffer(data[:whole], "<i2").reshape(-1, pcm.channels)
        yield resampler.feed(samples.astype(np.float32) / np.float32(32768))
    yield resampler.finish()


def _tell(collection: Collection, name: str, detection: Detection, json: bool) -> bool:
    """Print a detection or a gap; gives whether a recording was found."""
    from retrieval.monitoring import detected_hit

    found = detected_hit(collection.identifier(), detection)
    if json:
        json_line(_document(name, detection, found.document() if found else None))
    else:
        title, path = (found.title or "-", found.path) if found else ("-", "silence" if detection.silent else "unknown")
        score = f"{found.score:.3f}" if found else "-"
        line(clock(detection.start), clock(detection.end), score, title, path)
        sys.stdout.flush()
    return found is not None


def _document(name: str, detection: Detection, hit: dict[str, Any] | None) -> dict[str, Any]:
    """A hit's own fields; for a gap they are null, and `gap` says what it is."""
    from retrieval.hits import FIELDS

    fields = hit or dict.fromkeys(FIELDS)
    times = {"query_start": round(detection.start, 3), "query_end": round(detection.end, 3)}
    gap = None if hit else "silence" if detection.silent else "unknown"
    return {"query": name, "task": "identify", **fields, **times, "gap": gap}
