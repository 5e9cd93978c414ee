"""Long work that clients start, watch and cancel."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from retrieval.web.problems import Problem, problem_of

__all__ = ["Cancelled", "Job", "JobKind", "JobState", "Jobs", "Told"]

JobKind = Literal["index", "group", "query", "align", "compare", "switch"]
JobState = Literal["waiting", "running", "done", "failed", "cancelled"]

_MOST_WAITING = 100
_MOST_KEPT = 100
_MOST_MESSAGES = 1000


class Cancelled(Exception):
    """The work is not wanted any more."""


@dataclass
class Job:
    """A piece of work.

    Attributes:
        id: what it is called by.
        kind: what is done.
        created: when it was wanted.
        state: how far it is.
        stage, done, total: what is being done, and so much of it is; `total` is None where that is not known.
        failed: path and cause of each file that failed.
        messages: what else did not go well.
        problem: why it failed as a whole.
        result: what came of it.
        version: counted up with every change.
    """

    id: str
    kind: JobKind
    created: datetime
    state: JobState = "waiting"
    stage: str = ""
    done: int = 0
    total: int | None = None
    failed: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=_MOST_MESSAGES))
    messages: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_MESSAGES))
    problem: Problem | None = None
    result: dict[str, Any] | None = None
    version: int = 0
    _cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("done", "failed", "cancelled")


class Told:
    """Is told how a job goes, and stops it where it was cancelled; a `Watcher` and a `Progress`.

    Args:
        job: what it goes about.
    """

    def __init__(self, job: Job) -> None:
        self._job = job

    def check(self) -> None:
        """Raise `Cancelled` if the job was cancelled."""
        if self._job._cancelled.is_set():
            raise Cancelled

    def planned(self, files: int) -> None:
        """So many files are to be looked at."""
        self.progress("indexing", 0, files)

    def finished(self, path: str, error: str | None, warnings: Sequence[str]) -> None:
        """One of them is done."""
        job = self._job
        if error is not None:
            job.failed.append((path, error))
        job.messages.extend(f"{path}: {text}" for text in warnings)
        self.progress(job.stage, job.done + 1, job.total)

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """So much of a stage is done."""
        self.check()
        self._job.stage, self._job.done, self._job.total = stage, done, total
        self._job.version += 1

    def say(self, text: str) -> None:
        """Something did not go well."""
        self._job.messages.append(text)
        self._job.version += 1


class Jobs:
    """The jobs of a server; some that are finished are kept.

    Args:
        library: folder of the library.
    """

    def __init__(self, library: Path) -> None:
        self._library = library
        self._jobs: dict[str, Job] = {}
        self._futures: dict[str, Future[None]] = {}
        self._lock = threading.Lock()

    def start(self, kind: JobKind, executor: Executor, work: Callable[[Told], dict[str, Any]]) -> Job:
        """Have something done by one of an executor's threads.

        Raises:
            Problem: too much waits already.
        """
        job = Job(secrets.token_urlsafe(9), kind, datetime.now(UTC))
        with self._lock:
            if sum(not other.finished for other in self._jobs.values()) >= _MOST_WAITING:
                raise Problem(503, "too-many-jobs", "too many jobs are waiting", {"Retry-After": "10"})
            self._forget_oldest()
            self._jobs[job.id] = job
            self._futures[job.id] = executor.submit(self._run, job, work)
        return job

    def all(self) -> list[Job]:
        """All that are known, the latest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def find(self, id: str) -> Job:
        """The job of that id.

        Raises:
            Problem: there is none.
        """
        with self._lock:
            job = self._jobs.get(id)
        if job is None:
            raise Problem(404, "no-such-job", "there is no such job, or not any more")
        return job

    def cancel(self, job: Job) -> None:
        """Stop a job as soon as it can be stopped; one that is finished stays as it is."""
        job._cancelled.set()
        with self._lock:
            waiting = self._futures[job.id].cancel()
        if waiting and not job.finished:
            self._finish(job, "cancelled")

    def cancel_all(self) -> None:
        """Stop all jobs."""
        for job in self.all():
            self.cancel(job)

    def _run(self, job: Job, work: Callable[[Told], dict[str, Any]]) -> None:
        job.state = "running"
        job.version += 1
        told = Told(job)
        try:
            told.check()
            job.result = work(told)
        except Cancelled:
            self._finish(job, "cancelled")
        except Exception as error:  # the client is told, whatever it is
            job.problem = problem_of(error, self._library)
            self._finish(job, "failed")
        else:
            self._finish(job, "done")

    def _finish(self, job: Job, state: JobState) -> None:
        job.state = state
        job.version += 1

    def _forget_oldest(self) -> None:
        finished = [id for id, job in self._jobs.items() if job.finished]
        for id in finished[: max(len(finished) - _MOST_KEPT + 1, 0)]:
            del self._jobs[id], self._futures[id]
