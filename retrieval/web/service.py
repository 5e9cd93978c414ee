"""What the server does: queries by several threads, all writing by one.

Searchers hold a database session, which no two threads may use at once; so each thread has a collection of its own, and
all of them the same models. A collection makes its searchers anew when the library has been written.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from alignment.audio import read_audio
from alignment.score import read_score
from index.errors import LibraryLocked
from index.library import Library
from retrieval.analysis import hash_file
from retrieval.collection import Collection
from retrieval.comparison import compare
from retrieval.documents import alignment_document, comparison_document, index_document, query_document
from retrieval.encoders import Encoders
from retrieval.hits import Hit, Wanted
from retrieval.web.aligner import Aligner
from retrieval.web.documents import (
    AlignRequest,
    CompareRequest,
    IndexRequest,
    ItemSource,
    KeptSource,
    QueryRequest,
    SwitchRequest,
    clean,
)
from retrieval.web.files import Files, opened
from retrieval.web.jobs import Jobs, Told
from retrieval.web.matrix import matrix_document
from retrieval.web.pieces import Pieces
from retrieval.web.problems import Problem
from retrieval.web.roots import Roots
from retrieval.web.sound import Copies
from retrieval.web.switching import Sheets, Switching
from retrieval.web.uploads import Uploads

__all__ = ["Service"]

_Result = TypeVar("_Result")

_MOST_WAITING = 200
_LOCK_SECONDS = 10.0
_STOP_SECONDS = 5.0


class Service:
    """A library and what can be asked of it, safe to be used by several threads.

    Args:
        library: its folder; it need not be there.
        roots: folders whose files clients may name.
        most_upload_bytes: of one file.

    Attributes:
        library: as given.
        roots: likewise.
        uploads: files that clients sent.
        copies: recordings as browsers can play them.
        pieces: recordings as the switcher plays them.
        sheets: scores as it shows them.
        files: those that clients mean.
        jobs: long work.
    """

    def __init__(self, library: Path, roots: Sequence[Path], most_upload_bytes: int) -> None:
        self.library = library
        self.roots = Roots(roots)
        self.most_upload_bytes = most_upload_bytes
        self.copies = Copies()
        self.uploads = Uploads(most_upload_bytes, lambda upload: self.copies.remove(upload.key))
        self.pieces = Pieces(self.copies)
        self.sheets = Sheets()
        self.files = Files(library, self.roots, self.uploads)
        self.jobs = Jobs(library)
        self._workers = ThreadPoolExecutor(min(max(os.cpu_count() or 1, 2), 4), "incipit-query")
        self._writer = ThreadPoolExecutor(1, "incipit-write")
        self._players = ThreadPoolExecutor(2, "incipit-play")  # their own, since who listens cannot wait
        self._aligner = Aligner(library, self._writer)
        self._own = threading.local()
        self._models: Encoders | None = None
        self._models_lock = threading.Lock()
        self._waiting = 0
        self._workers.submit(lambda: self.models)  # before they are wanted

    def close(self) -> None:
        """Cancel what is under way, wait a little for it, and remove what clients sent."""
        self.jobs.cancel_all()
        for pool in (self._workers, self._writer, self._players):
            pool.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline and any(not job.finished for job in self.jobs.all()):
            time.sleep(0.05)
        self.uploads.close()
        self.copies.close()

    # Where things are done

    async def compute(self, work: Callable[[], _Result]) -> _Result:
        """Have one of the threads for queries do something.

        Raises:
            Problem: too much waits for them already.
        """
        return await self._by(self._workers, work)

    async def play(self, work: Callable[[], _Result]) -> _Result:
        """Have one of the threads for what is played and shown do something.

        Raises:
            Problem: too much waits for them already.
        """
        return await self._by(self._players, work)

    async def write(self, work: Callable[[Library], _Result]) -> _Result:
        """Have the one writer do something to the library, which must be there.

        Raises:
            Problem: too much waits for it already.
            LibraryError: the library is not there or cannot be written.
        """
        return await self._by(self._writer, lambda: self._written(work))

    async def _by(self, pool: ThreadPoolExecutor, work: Callable[[], _Result]) -> _Result:
        if self._waiting >= _MOST_WAITING:  # counted by the event loop's thread alone
            raise Problem(503, "busy", "the server has too much to do", {"Retry-After": "5"})
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        finally:
            self._waiting -= 1

    def start_query(self, request: QueryRequest) -> str:
        """Start a job that asks for a clip; its id."""
        return self.jobs.start("query", self._workers, lambda told: self.query(request)).id

    def start_align(self, request: AlignRequest) -> str:
        """Start a job that aligns; its id."""
        return self.jobs.start("align", self._workers, lambda told: self.align(request, told)).id

    def start_compare(self, request: CompareRequest) -> str:
        """Start a job that compares; its id."""
        return self.jobs.start("compare", self._workers, lambda told: self.compare(request)).id

    def start_switch(self, request: SwitchRequest) -> str:
        """Start a job that makes what the switcher's page wants; its id."""
        return self.jobs.start("switch", self._workers, lambda told: self.switch(request, told)).id

    def start_index(self, request: IndexRequest) -> str:
        """Start a job that takes files in; its id.

        Raises:
            Problem: the path is not one that may be read.
        """
        path = self.roots.resolve(request.path)
        return self.jobs.start("index", self._writer, lambda told: self._index(path, request, told)).id

    def start_group(self) -> str:
        """Start a job that groups the library into works anew; its id."""
        return self.jobs.start("group", self._writer, self._group).id

    # What is done, by a thread of the pools

    def query(self, request: QueryRequest) -> dict[str, Any]:
        """What a clip is, as the JSON contract has it."""
        wanted = Wanted(request.top, request.max_false_accepts, request.any_key, request.any_rhythm)
        started = time.monotonic()
        with ExitStack() as stack:
            file = self.files.meant(request.clip, stack)
            clip = read_score(file.path) if file.kind == "score" else read_audio(file.path)
            content = hash_file(file.path)
        hits: list[Hit] = []
        if (self.library / "library.sqlite").is_file():
            hits = self._collection.ask(clip, request.task, replace(wanted, content_hash=content))
        return clean(query_document(file.name, request.task, clip.duration, time.monotonic() - started, hits))

    def align(self, request: AlignRequest, told: Told | None = None) -> dict[str, Any]:
        """How some correspond to a reference, as the JSON contract has it; what is kept is not computed again."""
        started = time.monotonic()
        with ExitStack() as stack:
            ref = self.files.meant(request.ref, stack)
            others = [self.files.meant(source, stack) for source in request.others]

            def tell(done: int) -> None:
                if told is not None:
                    told.progress("aligning", done, len(others))

            side, aligned = self._aligner.jointly(ref.path, [other.path for other in others], tell)
        named = [replace(result, path=file.name) for result, file in zip(aligned, others, strict=True)]
        return clean(alignment_document(replace(side, path=ref.name), named, time.monotonic() - started))

    def compare(self, request: CompareRequest) -> dict[str, Any]:
        """What two recordings are to each other, as the JSON contract has it, how long they are, and their matrix."""
        started = time.monotonic()
        with ExitStack() as stack:
            a, b = self.files.meant(request.a, stack), self.files.meant(request.b, stack)
            sounds = read_audio(a.path), read_audio(b.path)
        found = compare(*sounds, self.models)
        document = clean(comparison_document(a.name, b.name, found, time.monotonic() - started))
        document["durations"] = [round(sound.duration, 3) for sound in sounds]
        document["matrix"] = matrix_document(found.work) if request.matrix and found.work is not None else None
        return document

    def switch(self, request: SwitchRequest, told: Told) -> dict[str, Any]:
        """What the switcher's page plays and shows. Each pair is aligned by itself, so that it can be kept."""
        switching = Switching(self.pieces, self.sheets, self._aligner.pairs, told)
        with ExitStack() as stack:
            ref = self.files.meant(request.ref, stack)
            files = [ref]
            for source in request.others:
                try:
                    files.append(self.files.meant(source, stack))
                except Problem as problem:
                    switching.leave_out(_name_of(source), problem.detail)
            score = None if request.score is None else self.files.meant(request.score, stack)
            recordings = [file for file in files if file.kind == "recording"]
            scores = [file for file in (score, *files) if file is not None and file.kind == "score"]
            if score is not None and score.kind != "score":
                raise Problem(422, "no-score", "what is to be shown is a recording, not a score")
            if not recordings:
                raise Problem(422, "no-sound", "there is no recording to play")
            for file in scores[1:]:
                switching.leave_out(Path(file.name).name, "one score is shown")
            return clean(switching.document(recordings, scores[0] if scores else None))

    def piece(self, source: KeptSource, number: int) -> bytes:
        """A piece of a recording by its number from 0, as Ogg Opus.

        Raises:
            Problem: there is no such recording or piece.
        """
        with ExitStack() as stack:
            kept = self.files.meant(source, stack)
            kept.require("recording")
            return self.pieces.piece(kept.key, kept.path, number)

    def page(self, source: KeptSource, number: int) -> str:
        """A page of a score by its number from 1, as SVG.

        Raises:
            Problem: there is no such score or page.
        """
        with ExitStack() as stack:
            kept = self.files.meant(source, stack)
            kept.require("score")
            pages = self.sheets.engraving(kept.key, kept.path).pages
        if not 1 <= number <= len(pages):
            raise Problem(404, "no-such-page", f"the score has {len(pages)} pages")
        return pages[number - 1]

    def _index(self, path: Path, request: IndexRequest, told: Told) -> dict[str, Any]:
        collection = self._collection
        report = _patiently(
            lambda: collection.add(path, inside=self.roots.folders, prune=request.prune, watcher=told, works=False)
        )
        if request.works:
            _patiently(lambda: collection.group(told))
        return clean(index_document(self.library, report))

    def _group(self, told: Told) -> dict[str, Any]:
        Library(self.library).close()  # a library that is not there is not made
        return {"moved": _patiently(lambda: self._collection.group(told, anew=True))}

    def _written(self, work: Callable[[Library], _Result]) -> _Result:
        Library(self.library).close()  # a library that is not there is not made
        with _patiently(lambda: Library(self.library, write=True)) as library:
            return work(library)

    # What it is done with

    @property
    def models(self) -> Encoders:
        """The trained models, which all threads share."""
        with self._models_lock:
            if self._models is None:
                self._models = Encoders()
            return self._models

    @property
    def _collection(self) -> Collection:
        """That of this thread."""
        if not hasattr(self._own, "collection"):
            collection = Collection(self.library)
            collection.encoders = self.models
            self._own.collection = collection
        return self._own.collection

    def opened(self) -> AbstractContextManager[Library | None]:
        """The library to read, or None where it is not there yet."""
        return opened(self.library)


def _name_of(source: KeptSource) -> str:
    return source.item if isinstance(source, ItemSource) else source.upload


def _patiently(work: Callable[[], _Result]) -> _Result:
    """Do something that wants the writer's lock, waiting a little for who has it."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return work()
        except LibraryLocked:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
