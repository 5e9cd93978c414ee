"""Keeping up what recordings play: their scores sought, and each recording aligned with its score.

What a recording may play is sought by the sonority that the library keeps of it; only where a score is proposed is the
recording decoded, and aligned, which decides. It goes on where it was interrupted.
"""

from __future__ import annotations

from alignment.audio import read_audio
from alignment.errors import AlignmentError
from alignment.score_sound import score_sound
from alignment.synchronise import synchronise
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
    """
    recordings = library.alignments.unsought()
    if not recordings:
        return
    runs = library.runs(SONORITY)
    positions = {number: position for position, number in enumerate(runs.items.tolist())}
    for done, recording in enumerate(recordings):
        progress.progress("seeking scores", done, len(recordings))
        if recording.id in positions:
            candidates = search.candidates(runs.vectors(positions[recording.id]), FALSE_SCORES)
            _keep_first(library, recording, candidates, progress)
        library.alignments.note_sought(recording)
    progress.progress("seeking scores", len(recordings), len(recordings))


def _keep_first(library: Library, recording: Recording, candidates: list[int], progress: Progress) -> None:
    """Keep the alignment with the first of some scores that is accepted."""
    path = unchanged_path(recording) if candidates else None
    if path is None:
        return
    rows, sheets = library.scores_by_id(candidates), library.score_sheets(candidates)
    for number in (number for number in candidates if number in sheets):
        try:
            alignment = synchronise(score_sound(from_kept(sheets[number], "")), read_audio(path))
        except AlignmentError as error:
            progress.say(str(error))
            return
        if alignment.accepted:
            library.alignments.put(rows[number], recording, alignment_method(), to_kept(alignment))
            return
