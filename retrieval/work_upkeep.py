"""Keeping a library's works up to date: versions sought, works grouped, recordings aligned with their work.

Each step goes on where it was interrupted: what was found of a recording is written before the next is looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from alignment.audio import read_audio
from alignment.errors import AlignmentError
from alignment.synchronise import synchronise
from alignment.transposition import Transposable
from index.errors import LibraryError
from index.library import Library
from index.schema import ItemFile, Recording
from retrieval.kept_alignment import alignment_method, to_kept
from retrieval.works import group_works

__all__ = [
    "FALSE_VERSIONS",
    "Progress",
    "SilentProgress",
    "VersionFinder",
    "align_works",
    "is_unchanged",
    "unchanged_path",
    "update_works",
]

_log = logging.getLogger(__name__)

FALSE_VERSIONS = 1e-3
"""Share of recordings that may be taken for versions of one which they are not, if nothing else is said."""


class VersionFinder(Protocol):
    """Finds versions of recordings in a library."""

    def versions_of(self, recording: Recording, max_false_accepts: float) -> list[tuple[Recording, float]]:
        """Other recordings accepted as versions, and the probability that they are, surest first."""


class Progress(Protocol):
    """Is told how the works come along."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """So much of a stage is done."""

    def say(self, text: str) -> None:
        """Something did not go well."""


class _Present(NamedTuple):
    """A recording that can be decoded."""

    recording: Recording
    path: str


class SilentProgress:
    """Tells nobody."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


def update_works(
    library: Library,
    finder: VersionFinder,
    progress: Progress,
    *,
    max_false_accepts: float = FALSE_VERSIONS,
    anew: bool = False,
) -> int:
    """Seek the versions of recordings for which it was not done, and group the library into works.

    Args:
        library: open for writing.
        finder: of that library.
        progress: is told how it goes, and of recordings whose versions cannot be sought.
        max_false_accepts: share of recordings that may be accepted by mistake.
        anew: seek the versions of all recordings.

    Returns:
        how many recordings came to another work, or out of one.

    Raises:
        LibraryError: the library cannot be read or written.
    """
    if anew:
        library.versions.seek_again()
    recordings = library.versions.unsought()
    for number, recording in enumerate(recordings):
        progress.progress("seeking versions", number, len(recordings))
        try:
            found = finder.versions_of(recording, max_false_accepts)
        except LibraryError:
            raise
        except Exception as error:  # whatever is wrong with one recording, the rest is grouped
            progress.say(f"{recording.path}: its versions cannot be sought ({type(error).__name__}: {error})")
        else:
            library.versions.put(recording, found)
            _log.info("%s: %d versions", recording.path, len(found))
    if recordings:
        progress.progress("seeking versions", len(recordings), len(recordings))
    durations = {recording.id: recording.duration for recording in library.recordings()}
    return library.works.arrange(group_works(library.versions.pairs(), library.works.membership(), durations))


def align_works(library: Library, progress: Progress) -> None:
    """Align the recordings of each work with its first, where it was not done and their files are there.

    Args:
        library: open for writing.
        progress: is told how it goes, and of recordings that cannot be decoded.
    """
    wanted = list(_unaligned(library))
    total, done = sum(len(others) for _, others in wanted), 0
    for ref, others in wanted:
        try:
            reference = Transposable.read_by(partial(read_audio, ref.path))
        except AlignmentError as error:
            progress.say(str(error))
            done += len(others)
            continue
        for other in others:
            progress.progress("aligning versions", done, total)
            done += 1
            try:
                alignment = synchronise(reference, read_audio(other.path))
            except AlignmentError as error:
                progress.say(str(error))
            else:
                library.alignments.put(ref.recording, other.recording, alignment_method(), to_kept(alignment))
                _log.info("%s: aligned with %s", other.path, ref.path)
    if total:
        progress.progress("aligning versions", total, total)


def _unaligned(library: Library) -> Iterator[tuple[_Present, list[_Present]]]:
    """The reference of each work that has recordings not aligned with it, and these."""
    done = library.alignments.pairs(alignment_method())
    for work in library.works.all():
        there = [_Present(recording, path) for recording in work.recordings if (path := unchanged_path(recording))]
        lacking = [other for other in there[1:] if (there[0].recording.id, other.recording.id) not in done]
        if lacking:
            yield there[0], lacking


def unchanged_path(recording: Recording) -> str | None:
    """Where a recording lies with the content that the library knows, or None."""
    return next((file.path for file in recording.files if is_unchanged(file)), None)


def is_unchanged(file: ItemFile) -> bool:
    """Whether a file is there as it was when the library took it in."""
    try:
        state = Path(file.path).stat()
    except OSError:
        return False
    return (file.size, file.mtime_ns) == (state.st_size, state.st_mtime_ns)
