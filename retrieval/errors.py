"""What can go wrong in this room.

RetrievalError
├── QueryError      a clip cannot be queried
├── ModelError      a trained model cannot be loaded
└── TrainingError   a training cannot be begun
"""

from __future__ import annotations

__all__ = ["ModelError", "QueryError", "RetrievalError", "TrainingError"]


class RetrievalError(Exception):
    """Base of every error that `retrieval` raises on purpose; its text is one line for the user."""


class QueryError(RetrievalError):
    """A clip cannot be queried."""


class ModelError(RetrievalError):
    """A trained model cannot be loaded."""


class TrainingError(RetrievalError):
    """A training cannot be begun: nothing to train on, or its folder holds another."""
