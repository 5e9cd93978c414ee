"""Work by several processes, which end when it is left early, and with the process that began them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

__all__ = ["spread"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def spread(
    work: Callable[[_Item], _Result], items: Sequence[_Item], jobs: int, report: Callable[[int, int], None]
) -> Iterator[_Result]:
    """Work on items in so many processes, in their order, telling how many are done, and of how many."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, max(len(items), 1)), context, _begin)
    report(0, len(items))
    try:
        for done, result in enumerate(pool.map(work, items, chunksize=4), 1):
            report(done, len(items))
            yield result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    """In each process: leave interrupts to the one that began it, and end with that, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
