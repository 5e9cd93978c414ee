"""Keeping up what recordings play: their scores sought, and each recording aligned with its score.

What a recording may play is sought by the sonority that the library keeps of it; only where a score is proposed is the
recording decoded, and aligned, which decides. It goes on where it was interrupted.
"""

from __future__ import annotations

from alignment.audio import read_audio
from alignment.score_sound import score_sound
from alignment.synchronise import synchronise
from index.errors import LibraryError
from index.library import Library
from index.schema import Recording
from retrieval.embedding.sonority import SONORITY
from retrieval.kept_alignment import alignment_method, to_kept
from retrieval.kept_score import from_kept
from retrieval.movement_search import MovementSearch
from retrieval.work_upkeep import Progress, unchanged_path

__all__ = ["FALSE_SCORES", "follow_scores"]

FALSE_SCORES = 1e-3
"""Share of recordings that may be taken for one of a score that they do not play, before they are aligned."""


def follow_scores(library: Library, search: MovementSearch, progress: Progress) -> None:
    """Seek the scores of recordings for which it was not done, and keep how those that are found are played.

    Args:
        library: open for writing.
        search: over that library.
        progress: is told how it goes, and of recordings that cannot be decoded.

    Raises:
        LibraryError: the library cannot be read or written.
    """
    recordings = library.alignments.unsought()
    if not recordings:
        return
    runs = library.runs(SONORITY)
    for done, recording in enumerate(recordings):
        progress.progress("seeking scores", done, len(recordings))
        try:
            frames = runs.vectors(runs.position[recording.id]) if recording.id in runs.position else None
            candidates = [] if frames is None else search.candidates(frames, FALSE_SCORES)
            if not candidates or _decided(library, recording, candidates):
                library.alignments.note_sought(recording)
        except LibraryError:
            raise
        except Exception as error:  # whatever is wrong with one recording, the others are looked at
            progress.say(f"{recording.path}: its score cannot be sought ({type(error).__name__}: {error})")
    progress.progress("seeking scores", len(recordings), len(recordings))


def _decided(library: Library, recording: Recording, candidates: list[int]) -> bool:
    """Align a recording with the scores that it may play; whether that could be done.

    What was found is kept, refusals too, so that nothing is aligned twice.
    """
    path = unchanged_path(recording)
    if path is None:
        return False
    sound = None
    rows, sheets = library.scores_by_id(candidates), library.score_sheets(candidates)
    for number in (number for number in candidates if number in sheets):
        kept = library.alignments.get(rows[number], recording, alignment_method())
        if kept is None:
            sound = sound or read_audio(path)
            kept = to_kept(synchronise(score_sound(from_kept(sheets[number], "")), sound))
            library.alignments.put(rows[number], recording, alignment_method(), kept)
    return True
