"""`incipit query --monitor`: which recordings or works play in a long file or a stream, and when."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from retrieval.cli.console import absolute, clock, json_line, line, warn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from retrieval.collection import Collection
    from retrieval.hits import Stretch

__all__ = ["MONITORED_TASKS", "Pcm", "monitor"]

_STANDARD_INPUT = "-"


class Pcm(NamedTuple):
    """How samples lie on standard input: signed 16 bits, little-endian, channels side by side."""

    rate: int
    channels: int


class _Listener(Protocol):
    """Hears a stream, and tells stretches of it as they close."""

    def feed(self, samples: NDArray[np.float32]) -> Iterator[Stretch]:
        """The next samples at the analysis rate."""

    def finish(self) -> Iterator[Stretch]:
        """The stream is over."""


def _recordings(collection: Collection, source: str, max_false_accepts: float) -> _Listener:
    from retrieval.monitoring import Monitor

    return Monitor(collection.identifier(), max_false_accepts)


def _works(collection: Collection, source: str, max_false_accepts: float) -> _Listener:
    from retrieval.analysis import hash_file
    from retrieval.version_monitoring import VersionMonitor

    content_hash = hash_file(source) if Path(source).is_file() else ""
    return VersionMonitor(collection.version_search(), max_false_accepts, content_hash)


MONITORED_TASKS: dict[str, Callable[[Collection, str, float], _Listener]] = {
    "identify": _recordings,
    "versions": _works,
}
"""What can be asked of a stream, and who listens."""


def monitor(collection: Collection, source: str, task: str, pcm: Pcm, max_false_accepts: float, *, json: bool) -> int:
    """Print a line for each stretch as it closes, and for each gap between them."""
    from alignment.errors import AlignmentError

    listener = MONITORED_TASKS[task](collection, source, max_false_accepts)
    found, code = False, 0
    name = source if source == _STANDARD_INPUT else absolute(source)
    try:
        for block in _blocks(source, pcm):
            for stretch in listener.feed(block):
                found |= _tell(name, task, stretch, json)
    except AlignmentError as error:
        warn(str(error))
        code = 1
    except KeyboardInterrupt:
        warn("interrupted; what was heard so far follows")
        code = 130
    for stretch in listener.finish():
        found |= _tell(name, task, stretch, json)
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


def _tell(name: str, task: str, stretch: Stretch, json: bool) -> bool:
    """Print a stretch or a gap; gives whether anything was found."""
    hit = stretch.hit
    if json:
        json_line(_document(name, task, stretch))
    else:
        title, path = (hit.title or "-", hit.path) if hit else ("-", _gap(stretch))
        score = f"{hit.score:.3f}" if hit else "-"
        line(clock(stretch.start), clock(stretch.end), score, title, path)
        sys.stdout.flush()
    return hit is not None


def _document(name: str, task: str, stretch: Stretch) -> dict[str, Any]:
    """What is told of a stretch, and what a gap is."""
    gap = None if stretch.hit else _gap(stretch)
    return {"query": name, "task": task, **stretch.document(), "gap": gap}


def _gap(stretch: Stretch) -> str:
    return "silence" if stretch.silent else "unknown"
