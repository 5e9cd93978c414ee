"""Taking recordings and scores into a library: incremental, resumable, committed one by one.

Files whose size and time are known are left alone. The others are hashed, decoded and embedded by worker
threads; this thread alone writes. A file that fails is noted in the library, tried again by every later run, and
the run goes on; an interruption loses at most what was not yet committed.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from alignment.audio import require_file
from alignment.errors import AlignmentError
from alignment.score import is_score
from index.errors import ModelMissing
from index.library import FileState, Library, NewRecording, Retagged
from index.schema import Item, ItemFile, Recording
from retrieval.analysis import KEPT, Analysis, analyse, hash_file
from retrieval.discovery import Discovered, discover, is_gone
from retrieval.embedding.sonority import SONORITY
from retrieval.encoders import Encoders
from retrieval.score_analysis import analyse_score

__all__ = ["IngestReport", "Watcher", "ingest"]

_log = logging.getLogger(__name__)

_SAME_DURATION_SECONDS = 0.05
_SAME_SOUND = 0.95
"""Cosine similarity of the vectors of one sound that is cut into frames elsewhere, as where a tag was written."""


@dataclass
class IngestReport:
    """What a run did; counts are of files.

    Attributes:
        added: taken in as new recordings or scores.
        updated: their content had changed, or vectors of the current model were lacking.
        unchanged: known already, also when one content lies at a second path.
        moved: known content at a new path, its old one gone.
        missing: known files that are gone.
        skipped: files of no known kind, hidden or excluded.
        failed: path and cause of each file that could not be taken in.
        audio_seconds: length of the recordings that were decoded.
        seconds: wall time.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    moved: int = 0
    missing: int = 0
    skipped: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    audio_seconds: float = 0.0
    seconds: float = 0.0


class Watcher(Protocol):
    """Is told how a run goes."""

    def planned(self, files: int) -> None:
        """So many files are to be looked at."""

    def finished(self, path: str, error: str | None, warnings: Sequence[str]) -> None:
        """One of them is done."""


@dataclass(frozen=True)
class _Result:
    """What a worker found of one file: an analysis, or content that is known or being analysed already."""

    file: FileState
    content_hash: str
    analysis: Analysis | None


class _Worker:
    """Hashes and analyses files; each content once."""

    def __init__(self, encoders: Encoders, complete: set[str]) -> None:
        self._encoders = encoders
        self._claimed = complete
        self._lock = threading.Lock()
        self.stopped = threading.Event()

    def __call__(self, path: str) -> _Result:
        if self.stopped.is_set():
            raise KeyboardInterrupt
        require_file(path)
        state = Path(path).stat()
        content_hash = hash_file(path)
        with self._lock:
            known = content_hash in self._claimed
            self._claimed.add(content_hash)
        analysis = None if known else self._analysis(path, content_hash)
        return _Result(FileState(path, state.st_size, state.st_mtime_ns), content_hash, analysis)

    def _analysis(self, path: str, content_hash: str) -> Analysis:
        if is_score(path):
            return analyse_score(path, content_hash, self._encoders.scores)
        return analyse(path, content_hash, self._encoders)


def ingest(
    library: Library,
    encoders: Encoders,
    paths: Sequence[str],
    watcher: Watcher,
    *,
    jobs: int | None = None,
    exclude: Sequence[str] = (),
    inside: Sequence[Path] = (),
    prune: bool = False,
) -> IngestReport:
    """Take the recordings and scores at and below some paths into a library, and bring pending ones up to date.

    Args:
        library: open for writing.
        encoders: the trained models.
        paths: files and folders.
        watcher: is told how it goes.
        jobs: worker threads; as many as there are cores when None.
        exclude: glob patterns of files and folders to pass over.
        inside: folders; links that lead out of all of them are passed over, too.
        prune: forget files that are gone.
    """
    started = time.monotonic()
    if lost := library.forget_lost_vectors():
        _log.warning("%s: vectors of %d recordings and scores were lost; they are analysed again", library.folder, lost)
    found = discover(paths, exclude, inside)
    report = IngestReport(skipped=found.skipped, failed=list(found.absent.items()))
    known = library.files()
    pending = library.pending((*encoders.models, *KEPT))
    lacking = {item.content_hash for item in pending}
    stale = {path for item in pending if (path := _present_path(item.files))}
    library.put_failures({path: cause for path, cause in found.absent.items() if os.path.lexists(path)})
    todo = _changed(found.files, known, library, report, stale)
    _log.info("%d files found, %d of them new or changed", len(found.files), len(todo))
    watcher.planned(len(todo) + len(found.absent))
    for path, cause in found.absent.items():
        watcher.finished(path, cause, ())
    contents = {item.content_hash for item in library.items()}
    complete = contents - lacking
    retagged = partial(_is_retagged, library, encoders)
    moved = _moved_within(todo, known, contents)
    unfinished = {one.file.path for one in moved if one.content_hash in lacking}
    for path, error in _take_known(library, moved, report, known, retagged, lacking):
        if path not in unfinished:
            todo.remove(path)
            watcher.finished(path, error, ())
    worker = _Worker(encoders, complete)
    later: list[_Result] = []
    for path, future in _run(worker, todo, jobs or os.cpu_count() or 1):
        settled = _settle(library, path, future, report, known, lacking, retagged)
        if isinstance(settled, _Result):
            later.append(settled)
        else:
            watcher.finished(path, *settled)
    for path, error in _take_known(library, later, report, known, retagged, set()):
        watcher.finished(path, error, ())
    if library.versions.unsought():
        _pass_on_works(library, retagged)
    _note_missing(library, found, report, prune)
    _forget_failures(library, found, report)
    for model in encoders.searched:
        library.refresh_store(model)
    report.seconds = time.monotonic() - started
    return report


def _present_path(files: Sequence[ItemFile]) -> str | None:
    """Path's own question raises where it cannot be told, as in a folder that may not be read."""
    return next((file.path for file in files if os.path.isfile(file.path)), None)  # noqa: PTH113


def _changed(
    files: Sequence[str], known: dict[str, ItemFile], library: Library, report: IngestReport, stale: set[str]
) -> list[str]:
    """Files to look into; those that are known and untouched are counted and left."""
    todo, back = [], []
    for path in files:
        file = known.get(path)
        if path in stale:
            continue
        try:
            state = Path(path).stat()
        except OSError:
            todo.append(path)
            continue
        if file is not None and (file.size, file.mtime_ns) == (state.st_size, state.st_mtime_ns):
            report.unchanged += 1
            if file.missing:
                back.append(path)
        else:
            todo.append(path)
    if back:
        library.set_missing(back, missing=False)
    return [*sorted(stale), *todo]


def _run(worker: _Worker, todo: Sequence[str], jobs: int) -> Iterator[tuple[str, Future[_Result]]]:
    """Work through the files with a few in flight; leaving the loop early stops the workers."""
    pool = ThreadPoolExecutor(jobs, "incipit")
    waiting = iter(todo)
    running: dict[Future[_Result], str] = {}
    try:
        while True:
            while len(running) < jobs + 2 and (path := next(waiting, None)) is not None:
                running[pool.submit(worker, path)] = path
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future
    finally:
        worker.stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _settle(
    library: Library,
    path: str,
    future: Future[_Result],
    report: IngestReport,
    known: dict[str, ItemFile],
    lacking: set[str],
    retagged: Retagged,
) -> tuple[str | None, Sequence[str]] | _Result:
    """Write one result to the library; gives the error if it failed, and the warnings.

    A result without analysis is given back: its content is known once the others are settled.
    """
    try:
        result = future.result()
    except Exception as error:  # whatever is wrong with one file, the run goes on
        return _note_failure(library, report, path, _cause(error)), ()
    if result.analysis is None:
        return result
    updated = result.content_hash in lacking or path in known
    item = result.analysis.item
    library.add(item, result.file, result.analysis.vectors, retagged)
    _log.info("%s: in the library", path)
    if isinstance(item, NewRecording):
        report.audio_seconds += item.duration
    if updated:
        report.updated += 1
    else:
        report.added += 1
    return None, result.analysis.warnings


def _note_failure(library: Library, report: IngestReport, path: str, cause: str) -> str:
    report.failed.append((path, cause))
    library.put_failures({path: cause})
    return cause


def _cause(error: Exception) -> str:
    if isinstance(error, AlignmentError):
        return error.cause
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"cannot be analysed ({type(error).__name__}: {error})"


def _take_known(
    library: Library,
    results: Sequence[_Result],
    report: IngestReport,
    known: dict[str, ItemFile],
    retagged: Retagged,
    lacking: Set[str],
) -> list[tuple[str, str | None]]:
    """Note the paths of contents that are in the library, all at once; gives each path, and the error if one is not.

    Those that lack something are counted when they have it.
    """
    items = {result.file.path: library.item_of(result.content_hash) for result in results}
    taken = [(item, result.file) for result in results if (item := items[result.file.path])]
    changed = {file.path for item, file in taken if file.path in known and known[file.path].item_id != item.id}
    former = {item.id: {file.path for file in item.files} for item, _ in taken}
    library.put_files(taken, retagged)
    for item, _ in taken:
        gone = [file.path for file in item.files if file.path not in items and is_gone(file.path)]
        for path in gone:
            library.drop_file(path)
    for item, file in taken:
        if item.content_hash in lacking:
            continue
        if file.path in changed:
            report.updated += 1
        elif former[item.id] - {file.path for file in item.files}:
            report.moved += 1
        else:
            report.unchanged += 1
    absent = "has the content of a file that failed"
    return [(path, None if item else _note_failure(library, report, path, absent)) for path, item in items.items()]


def _moved_within(paths: Sequence[str], known: dict[str, ItemFile], contents: set[str]) -> list[_Result]:
    """Files with the content of one whose path has another content now, as when files are numbered anew.

    They are noted before that other content is, which would take away the only path that such an item has.
    """
    changed = {known[path].size for path in paths if path in known}
    found: list[_Result] = []
    for path in paths if changed else ():
        try:
            state = Path(path).stat()
            content_hash = hash_file(path) if state.st_size in changed else ""
        except OSError:
            continue
        if content_hash in contents:
            found.append(_Result(FileState(path, state.st_size, state.st_mtime_ns), content_hash, None))
    return found


def _pass_on_works(library: Library, retagged: Retagged) -> None:
    """Put a recording to the work of one that is gone and sounded the same: its file got other tags and a new name."""
    # Of several, what was there last is where the user left it.
    gone = [one for one in library.recordings() if one.work and all(is_gone(file.path) for file in one.files)][::-1]
    if not gone:
        return
    for one in library.recordings():
        same = (former for former in gone if one.work is None and retagged(one, former))
        if (former := next(same, None)) is not None:
            library.works.inherit(one, former)
            _log.info("%s: takes the work of %s", one.path, former.path)


def _is_retagged(library: Library, encoders: Encoders, one: Item, former: Item) -> bool:
    """Whether the first is the second with other tags: as long, and of recordings the same sound.

    That is told by their fingerprints, or if one was taken in with another model by their sonority.
    """
    if one.kind != former.kind or abs(one.duration - former.duration) > _SAME_DURATION_SECONDS:
        return False
    if not isinstance(one, Recording):
        return True
    for model in (encoders.fingerprint.model, SONORITY):
        with suppress(ModelMissing):
            runs = library.runs(model)
            if one.id in runs.position and former.id in runs.position:
                return _similarity(*(runs.vectors(runs.position[item.id]) for item in (one, former))) > _SAME_SOUND
    return False


def _similarity(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Cosine of all that both have."""
    shorter = min(len(one), len(other))
    one, other = one[:shorter], other[:shorter]
    power = math.sqrt(float(np.square(one).sum()) * float(np.square(other).sum()))
    return float(np.sum(one * other)) / power if power else 0.0


def _note_missing(library: Library, found: Discovered, report: IngestReport, prune: bool) -> None:
    """Mark known files below the walked folders that are gone, or forget them."""
    gone = [
        path
        for path in library.files()
        if is_gone(path) and any(Path(path).is_relative_to(root) for root in found.roots)
    ]
    report.missing = len(gone)
    if prune:
        for path in gone:
            library.drop_file(path)
    elif gone:
        library.set_missing(gone)


def _forget_failures(library: Library, found: Discovered, report: IngestReport) -> None:
    """Forget failures of files that are gone, or that this run looked at, or passed over, without failing."""
    failed = {path for path, _ in report.failed}
    library.forget_failures(
        failure.path
        for failure in library.failures()
        if failure.path not in failed
        and (is_gone(failure.path) or any(Path(failure.path).is_relative_to(root) for root in found.roots))
    )
