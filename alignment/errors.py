"""What can go wrong in this room.

AlignmentError
├── FileError               a file that cannot be used
│   ├── AudioError          decoded to sound
│   ├── ScoreError          read as a score
│   └── AnnotationError     read as annotations
└── FeatureError            sound or features that cannot be worked with
"""

from __future__ import annotations

__all__ = ["AlignmentError", "AnnotationError", "AudioError", "FeatureError", "FileError", "ScoreError"]


class AlignmentError(Exception):
    """Base of every error that `alignment` raises on purpose; its text is one line for the user."""

    @property
    def cause(self) -> str:
        """The text without a file's name, for tables that show the name in another column."""
        return str(self)


class FileError(AlignmentError):
    """A file cannot be used; names the file and the cause."""

    def __init__(self, path: str, cause: str) -> None:
        self.path = path
        self._cause = cause
        super().__init__(f"{path}: {cause}")

    @property
    def cause(self) -> str:
        """The text without the file's name."""
        return self._cause


class AudioError(FileError):
    """A file cannot be decoded."""


class ScoreError(FileError):
    """A file cannot be read as a score."""


class AnnotationError(FileError):
    """A file cannot be read as annotations."""


class FeatureError(AlignmentError):
    """The given sound or features cannot be worked with (too short, not finite, unlike shapes)."""
