"""A collection of music in three lines: open it, add folders, ask it questions."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar, cast

from alignment.audio import Audio, read_audio
from alignment.score import Score, is_score, read_score
from alignment.score_sound import score_sound
from index.library import Library
from index.schema import Recording
from retrieval.analysis import hash_file
from retrieval.calibration import Calibration
from retrieval.duplicates import present_files
from retrieval.encoders import Encoders
from retrieval.errors import QueryError
from retrieval.hits import Hit, Wanted
from retrieval.identification import Identifier
from retrieval.ingest import IngestReport, Watcher, ingest
from retrieval.matching import Matcher
from retrieval.movement_search import MovementSearch
from retrieval.pattern_search import PatternSearch
from retrieval.plausibility import Plausibility
from retrieval.score_search import SCORE_PLAUSIBILITY_PATH, ScoreSearch
from retrieval.score_upkeep import follow_scores
from retrieval.timing import TimingTest
from retrieval.version_calibration import VersionCalibration
from retrieval.version_search import VersionSearch
from retrieval.work_upkeep import (
    FALSE_VERSIONS,
    Progress,
    SilentProgress,
    align_works,
    update_works,
)

__all__ = ["TASKS", "TASKS_IN_ANY_KEY", "Collection", "Searcher", "SilentWatcher"]

_Kind = TypeVar("_Kind")


class Searcher(Protocol):
    """Answers the queries of one task."""

    def search(self, clip: Audio, wanted: Wanted) -> list[Hit]:
        """The hits, best first."""


class SilentWatcher:
    """Tells nobody."""

    def planned(self, files: int) -> None:
        """Nothing."""

    def finished(self, path: str, error: str | None, warnings: Sequence[str]) -> None:
        """Nothing."""


class Collection:
    """Recordings in a library folder, to add to and to query.

        collection = Collection("my-library")
        collection.add("Music")
        hits = collection.query("clip.wav")

    Args:
        folder: of the library; made by the first `add`.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._encoders: Encoders | None = None
        self._searchers: dict[type, object] = {}
        self._seen: tuple[int, int] | None = None

    @property
    def encoders(self) -> Encoders:
        """The trained models, loaded when first wanted."""
        if self._encoders is None:
            self._encoders = Encoders()
        return self._encoders

    @encoders.setter
    def encoders(self, encoders: Encoders) -> None:
        self._encoders = encoders
        self._searchers.clear()

    def add(
        self,
        *paths: str | os.PathLike[str],
        jobs: int | None = None,
        exclude: Sequence[str] = (),
        inside: Sequence[Path] = (),
        prune: bool = False,
        watcher: Watcher | None = None,
        works: bool = True,
    ) -> IngestReport:
        """Take in recordings and folders of them; what is known and unchanged costs next to nothing.

        Where folders are named as `inside`, links that lead out of them are passed over. With `works`, what is new is
        put to the work of its versions and aligned with it, see `group`.

        Raises:
            LibraryLocked, LibraryReadOnly, LibraryDamaged: the library cannot be written.
        """
        self._searchers.clear()
        names = [os.fspath(path) for path in paths]
        with Library(self.folder, write=True) as library:
            report = ingest(
                library,
                self.encoders,
                names,
                watcher or SilentWatcher(),
                jobs=jobs,
                exclude=exclude,
                inside=inside,
                prune=prune,
            )
        if works:
            self.group()
        return report

    def group(
        self, progress: Progress | None = None, *, max_false_accepts: float = FALSE_VERSIONS, anew: bool = False
    ) -> int:
        """Group recordings into works by their versions, and align each work's recordings with its first.

        Recordings that play a score of the library are aligned with it, too.

        What users confirmed stays as it is.

        Args:
            progress: is told how it goes.
            max_false_accepts: share of recordings that may be accepted as versions by mistake.
            anew: seek the versions of all recordings, not only of those for which it was not done.

        Returns:
            how many recordings came to another work, or out of one.

        Raises:
            LibraryLocked, LibraryReadOnly, LibraryDamaged: the library cannot be written.
        """
        told = progress or SilentProgress()
        with Library(self.folder, write=True) as library:
            finder = VersionSearch(library, self.encoders.versions, VersionCalibration.load())
            moved = update_works(library, finder, told, max_false_accepts=max_false_accepts, anew=anew)
            align_works(library, told)
            follow_scores(library, self._movements(library), told)
        return moved

    def query(
        self,
        clip: str | os.PathLike[str],
        task: str = "identify",
        *,
        top: int = 10,
        max_false_accepts: float = 0.01,
        any_key: bool = False,
        any_rhythm: bool = False,
    ) -> list[Hit]:
        """Find what a clip is, where it is played, other recordings of it, or its score.

        Args:
            clip: an audio file, or a score: then `scores` looks for its notes in scores, and `match` and `versions` for
                recordings in which it is played.
            task: one of `TASKS`: `identify`, `match`, `versions` and `scores`.
            top: at most so many hits.
            max_false_accepts: share of clips that are not in the library of which any hit may be accepted.
            any_key: look for the clip in other keys, too; `match` and `scores` only.
            any_rhythm: look for the notes of a score in other rhythms, too; `scores` only.

        Raises:
            AudioError, ScoreError: the clip cannot be read.
            LibraryMissing, LibraryDamaged, ModelMissing: the library cannot be searched.
            QueryError: there is no such task, or it cannot do what is wanted.
        """
        read = read_score(clip) if is_score(clip) else read_audio(clip)
        return self.ask(read, task, Wanted(top, max_false_accepts, any_key, any_rhythm, hash_file(os.fspath(clip))))

    def ask(self, clip: Audio | Score, task: str, wanted: Wanted) -> list[Hit]:
        """As `query`, of sound or a score that has been read.

        Raises:
            LibraryMissing, LibraryDamaged, ModelMissing: the library cannot be searched.
            QueryError: there is no such task, or it cannot do what is wanted.
        """
        if wanted.any_key and task not in TASKS_IN_ANY_KEY:
            raise QueryError(f"Other keys are tried by the tasks {', '.join(TASKS_IN_ANY_KEY)} only. Got {task!r}.")
        if wanted.any_rhythm and not (task == "scores" and isinstance(clip, Score)):
            raise QueryError("Other rhythms are tried only where a score is sought in scores.")
        if isinstance(clip, Score) and task == "scores":
            return self.pattern_search().search(clip, wanted)
        if isinstance(clip, Score) and task == "identify":
            raise QueryError("A score is not from any recording. Ask for the task versions, match or scores.")
        sound = score_sound(clip) if isinstance(clip, Score) else clip
        return self.searcher(task).search(sound, wanted)

    def searcher(self, task: str) -> Searcher:
        """What answers the queries of a task over the library as it is; made anew when the library has been written.

        Raises:
            LibraryMissing, LibraryDamaged, ModelMissing: the library cannot be searched.
            QueryError: there is no such task.
        """
        if task not in TASKS:
            raise QueryError(f"The 'task' must be one of {', '.join(TASKS)}. Got {task!r} instead.")
        return TASKS[task](self)

    def copies(self) -> list[Recording]:
        """Recordings whose very content lies in several files that are there."""
        with Library(self.folder) as library:
            found = library.recordings()
        return [recording for recording in found if len(recording.files) > 1 and len(present_files(recording)) > 1]

    def identifier(self) -> Identifier:
        """The identifier over the library as it is; made anew when the library has been written."""
        return self._current(
            Identifier,
            lambda: Identifier(Library(self.folder), self.encoders.fingerprint, Calibration.load(), TimingTest.load()),
        )

    def matcher(self) -> Matcher:
        """The matcher over the library as it is; made anew when the library has been written."""
        return self._current(Matcher, lambda: Matcher(Library(self.folder), Plausibility.load()))

    def version_search(self) -> VersionSearch:
        """The search for versions in the library as it is; made anew when the library has been written."""
        return self._current(
            VersionSearch,
            lambda: VersionSearch(Library(self.folder), self.encoders.versions, VersionCalibration.load()),
        )

    def movement_search(self) -> MovementSearch:
        """The search for scores in the library as it is; made anew when the library has been written."""
        return self._current(MovementSearch, lambda: self._movements(Library(self.folder)))

    def _movements(self, library: Library) -> MovementSearch:
        passages = ScoreSearch(library, self.encoders.scores, Plausibility.load(SCORE_PLAUSIBILITY_PATH))
        return MovementSearch(library, passages)

    def pattern_search(self) -> PatternSearch:
        """The search for notes in the library's scores as they are; made anew when the library has been written."""
        return self._current(PatternSearch, lambda: PatternSearch(Library(self.folder)))

    def _current(self, kind: type[_Kind], make: Callable[[], _Kind]) -> _Kind:
        database = self.folder / "library.sqlite"
        state = (database.stat().st_mtime_ns, database.stat().st_size) if database.is_file() else None
        if state != self._seen:
            self._searchers.clear()
            self._seen = state
        if kind not in self._searchers:
            self._searchers[kind] = make()
        return cast(_Kind, self._searchers[kind])


TASKS: dict[str, Callable[[Collection], Searcher]] = {
    "identify": Collection.identifier,
    "match": Collection.matcher,
    "versions": Collection.version_search,
    "scores": Collection.movement_search,
}
"""What can be asked of a clip, and what answers it."""

TASKS_IN_ANY_KEY = ("match", "scores")
"""Those that can look for it in other keys."""
