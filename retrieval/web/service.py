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
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from alignment.audio import read_audio
from alignment.ensemble import Ensemble
from alignment.errors import AlignmentError
from alignment.score import is_score, read_score
from index.errors import LibraryLocked, LibraryMissing
from index.library import Library
from retrieval.analysis import hash_file
from retrieval.collection import Collection
from retrieval.comparison import compare
from retrieval.documents import alignment_document, comparison_document, index_document, query_document
from retrieval.encoders import Encoders
from retrieval.hits import Hit, Wanted
from retrieval.kept_alignment import alignment_method, as_kept, to_kept
from retrieval.sides import Other, Side, kept_alignment, kept_either_way, read_side
from retrieval.web.documents import (
    AlignRequest,
    CompareRequest,
    IndexRequest,
    ItemSource,
    KeptSource,
    PathSource,
    QueryRequest,
    Source,
    SwitchRequest,
    clean,
)
from retrieval.web.jobs import Jobs, Told
from retrieval.web.matrix import matrix_document
from retrieval.web.pieces import Pieces
from retrieval.web.problems import Problem, cause_of
from retrieval.web.roots import Roots
from retrieval.web.sound import Copies
from retrieval.web.switching import KeptFile, Sheets, Switching
from retrieval.web.uploads import Uploads
from retrieval.work_upkeep import is_unchanged

__all__ = ["Service"]

_Result = TypeVar("_Result")

_MOST_WAITING = 200
_LOCK_SECONDS = 10.0
_STOP_SECONDS = 5.0


@dataclass(frozen=True)
class _File:
    """A file that a client named: where it lies, and what it is called in answers."""

    path: str
    name: str


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
        jobs: long work.
    """

    def __init__(self, library: Path, roots: Sequence[Path], most_upload_bytes: int) -> None:
        self.library = library
        self.roots = Roots(roots)
        self.most_upload_bytes = most_upload_bytes
        self.uploads = Uploads(most_upload_bytes)
        self.copies = Copies()
        self.pieces = Pieces(self.copies)
        self.sheets = Sheets()
        self.jobs = Jobs(library)
        self._workers = ThreadPoolExecutor(min(max(os.cpu_count() or 1, 2), 4), "incipit-query")
        self._writer = ThreadPoolExecutor(1, "incipit-write")
        self._players = ThreadPoolExecutor(2, "incipit-play")  # their own, since who listens cannot wait
        self._own = threading.local()
        self._models: Encoders | None = None
        self._models_lock = threading.Lock()
        self._waiting = 0
        self._known_files: tuple[object, dict[str, tuple[str, str, tuple[int, int]]]] = (None, {})
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
            file = self._file(request.clip, stack)
            clip = read_score(file.path) if is_score(file.path) else read_audio(file.path)
            content = hash_file(file.path)
        hits: list[Hit] = []
        if (self.library / "library.sqlite").is_file():
            hits = self._collection.ask(clip, request.task, replace(wanted, content_hash=content))
        return clean(query_document(file.name, request.task, clip.duration, time.monotonic() - started, hits))

    def align(self, request: AlignRequest, told: Told | None = None) -> dict[str, Any]:
        """How some correspond to a reference, as the JSON contract has it; what is kept is not computed again."""
        started = time.monotonic()
        with ExitStack() as stack:
            ref = self._file(request.ref, stack)
            others = [self._file(source, stack) for source in request.others]
            kept = [kept_alignment(ref.path, other.path, self.library) for other in others]
            if found := [both for both in kept if both is not None] if all(kept) else []:
                side, aligned = found[0][0], [other for _, other in found]
            else:
                side, aligned = self._aligned(ref, others, told)
        named = [replace(result, path=file.name) for result, file in zip(aligned, others, strict=True)]
        return clean(alignment_document(replace(side, path=ref.name), named, time.monotonic() - started))

    def compare(self, request: CompareRequest) -> dict[str, Any]:
        """What two recordings are to each other, as the JSON contract has it, how long they are, and their matrix."""
        started = time.monotonic()
        with ExitStack() as stack:
            a, b = self._file(request.a, stack), self._file(request.b, stack)
            sounds = read_audio(a.path), read_audio(b.path)
        found = compare(*sounds, self.models)
        document = clean(comparison_document(a.name, b.name, found, time.monotonic() - started))
        document["durations"] = [round(sound.duration, 3) for sound in sounds]
        document["matrix"] = matrix_document(found.work) if request.matrix and found.work is not None else None
        return document

    def switch(self, request: SwitchRequest, told: Told) -> dict[str, Any]:
        """What the switcher's page plays and shows. Each pair is aligned by itself, so that it can be kept."""
        switching = Switching(self.pieces, self.sheets, self.pairs, told)
        with ExitStack() as stack:
            ref = self.kept_file(request.ref, stack)
            files = [ref]
            for source in request.others:
                try:
                    files.append(self.kept_file(source, stack))
                except Problem as problem:
                    switching.leave_out(_name_of(source), problem.detail)
            score = None if request.score is None else self.kept_file(request.score, stack)
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
            kept = self.kept_file(source, stack)
            if kept.kind != "recording":
                raise Problem(404, "no-sound", "it is a score, which has no sound of its own")
            return self.pieces.piece(kept.key, kept.path, number)

    def page(self, source: KeptSource, number: int) -> str:
        """A page of a score by its number from 1, as SVG.

        Raises:
            Problem: there is no such score or page.
        """
        with ExitStack() as stack:
            kept = self.kept_file(source, stack)
            if kept.kind != "score":
                raise Problem(404, "no-score", "it is a recording, not a score")
            pages = self.sheets.engraving(kept.key, kept.path).pages
        if not 1 <= number <= len(pages):
            raise Problem(404, "no-such-page", f"the score has {len(pages)} pages")
        return pages[number - 1]

    def pairs(self, ref: str, others: Sequence[str], tell: Callable[[int], None]) -> list[Other]:
        """Align files with a reference, each by itself; what is kept is not computed again, and the rest is kept.

        Alignments have the points that are kept, so that they are the same the next time.

        Args:
            tell: told before each how many are done.

        Raises:
            AlignmentError: the reference cannot be read.
        """
        done: list[Other] = []
        ensemble: Ensemble | None = None
        for number, path in enumerate(others):
            tell(number)
            if (kept := kept_either_way(ref, path, self.library)) is not None:
                done.append(kept[1])
                continue
            ensemble = ensemble or Ensemble(read_side(ref)[1])
            other = _added(ensemble, path)
            self._keep_soon(ref, other)
            done.append(other if other.alignment is None else replace(other, alignment=as_kept(other.alignment)))
        return done

    def _aligned(self, ref: _File, others: Sequence[_File], told: Told | None) -> tuple[Side, list[Other]]:
        """Align anew, jointly where there are several; a single pair of the library's items is kept."""
        side, sound = read_side(ref.path)
        ensemble = Ensemble(sound)
        done: list[Other] = []
        for number, file in enumerate(others):
            if told is not None:
                told.progress("aligning", number, len(others))
            done.append(_added(ensemble, file.path))
        if told is not None:
            told.progress("aligning", len(others), len(others))
        joint = iter(ensemble.joint())
        done = [replace(other, alignment=next(joint)) if other.alignment is not None else other for other in done]
        if len(done) == 1:
            self._keep_soon(ref.path, done[0])
        return side, done

    def _keep_soon(self, ref: str, other: Other) -> None:
        if other.alignment is not None:
            with suppress(RuntimeError):  # the server is being stopped
                self._writer.submit(self._keep, ref, other)

    def _keep(self, ref: str, other: Other) -> None:
        """Keep how two items correspond, if the library has both and can be written now."""
        if not (self.library / "library.sqlite").is_file() or other.alignment is None:
            return
        try:
            with Library(self.library, write=True) as library:
                sides = [library.item_at(path) for path in (ref, other.path)]
                one, two = (side if side and any(map(is_unchanged, side.files)) else None for side in sides)
                if one is not None and two is not None:
                    library.alignments.put(one, two, alignment_method(), to_kept(other.alignment))
        except LibraryLocked:
            return  # it is found anew the next time

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

    def _file(self, source: Source, stack: ExitStack) -> _File:
        """The file that a client means, which stays until the stack is left.

        Raises:
            Problem: there is none, or it may not be read.
        """
        if isinstance(source, ItemSource):
            path = self.item_path(source.item)
            return _File(path, path)
        if isinstance(source, PathSource):
            path = str(self.roots.resolve(source.path))
            return _File(path, path)
        upload = stack.enter_context(self.uploads.reading(source.upload))
        return _File(str(upload.path), upload.name)

    def kept_file(self, source: KeptSource, stack: ExitStack) -> KeptFile:
        """Likewise, of what can be asked for again."""
        if isinstance(source, ItemSource):
            path, kind, _ = self.item_file(source.item)
            return KeptFile(path, path, kind, source.item, f"items/{source.item}")
        upload = stack.enter_context(self.uploads.reading(source.upload))
        return KeptFile(str(upload.path), upload.name, upload.kind, upload.key, f"uploads/{upload.id}")

    def item_path(self, key: str) -> str:
        """Where an item lies as it was indexed.

        Raises:
            Problem: there is no such item, or its files are gone or have changed.
        """
        return self.item_file(key)[0]

    def item_file(self, key: str) -> tuple[str, str, tuple[int, int]]:
        """Path of an item's file as it was indexed, the item's kind, the file's bytes and time of change.

        Raises:
            Problem: there is no such item, or its files are gone or have changed.
        """
        seen = self._state()
        known_since, known = self._known_files
        if known_since != seen:
            known = {}
            self._known_files = seen, known
        found = known.get(key)
        if found is None or _state_of(Path(found[0])) != found[2]:
            found = known[key] = self._found_file(key)
        return found

    def upload_file(self, id: str) -> tuple[str, str, tuple[int, int]]:
        """As `item_file`, of an upload.

        Raises:
            Problem: there is none of that id.
        """
        with self.uploads.reading(id) as upload:
            return str(upload.path), upload.kind, _existing_state(upload.path)

    def named_file(self, name: str) -> tuple[str, str, tuple[int, int]]:
        """As `item_file`, of a file that a client named.

        Raises:
            Problem: there is none, or it may not be read.
        """
        path = self.roots.resolve(name)
        if not path.is_file():
            raise Problem(404, "no-such-file", "it is a folder, not a file")
        return str(path), "score" if is_score(path) else "recording", _existing_state(path)

    def _found_file(self, key: str) -> tuple[str, str, tuple[int, int]]:
        with self.opened() as library:
            item = library.item(key) if library is not None else None
            if item is None or item.key != key:
                raise Problem(404, "no-such-item", "there is no such recording or score in the library")
            for file in item.files:
                if is_unchanged(file):
                    return file.path, item.kind, (file.size, file.mtime_ns)
        raise Problem(410, "file-gone", "its file is gone, or not any more what was indexed")

    def _state(self) -> tuple[int, int] | None:
        """Changes whenever the library is written."""
        return _state_of(self.library / "library.sqlite")

    def opened(self) -> AbstractContextManager[Library | None]:
        """The library to read, or None where it is not there yet."""
        try:
            return Library(self.library)
        except LibraryMissing:
            return nullcontext(None)


def _added(ensemble: Ensemble, path: str) -> Other:
    """One more aligned, or why that is not possible."""
    try:
        side, sound = read_side(path)
        return Other(path, side, ensemble.add(sound))
    except AlignmentError as error:
        return Other(path, error=cause_of(error))


def _name_of(source: KeptSource) -> str:
    return source.item if isinstance(source, ItemSource) else source.upload


def _state_of(path: Path) -> tuple[int, int] | None:
    """Bytes and time of change of a file; None where there is none."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns


def _existing_state(path: Path) -> tuple[int, int]:
    state = _state_of(path)
    if state is None:
        raise Problem(410, "file-gone", "the file is gone")
    return state


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
