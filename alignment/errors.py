"""What can go wrong in this room.

AlignmentError
├── AudioError          a file that cannot be decoded to sound
├── ScoreError          a file that cannot be read as a score
└── FeatureError        sound or features that cannot be worked with
"""

from __future__ import annotations

__all__ = ["AlignmentError", "AudioError", "FeatureError", "ScoreError"]


class AlignmentError(Exception):
    """Base of every error that `alignment` raises on purpose; its text is one line for the user."""


class AudioError(AlignmentError):
    """A file cannot be decoded; names the file and the cause.

    `cause` is the text without the file's name, for tables that show the name in another column.
    """

    def __init__(self, path: str, cause: str) -> None:
        self.path = path
        self.cause = cause
        super().__init__(f"{path}: {cause}")


class FeatureError(AlignmentError):
    """The given sound or features cannot be worked with (too short, not finite, unlike shapes)."""


class ScoreError(AlignmentError):
    """A file cannot be read as a score; names the file and the cause, as `AudioError` does."""

    def __init__(self, path: str, cause: str) -> None:
        self.path = path
        self.cause = cause
        super().__init__(f"{path}: {cause}")
