"""What can go wrong in this room.

LibraryError
├── LibraryMissing      there is no library in that folder
├── LibraryLocked       another process is writing
├── LibraryReadOnly     the folder or its files cannot be written
├── LibraryDamaged      what is on disk contradicts itself
├── ModelMissing        the library holds no vectors of the wanted model
├── StoreUnavailable    the wanted vector store is not installed
└── WorkError           there is no such work, or what is wanted of it cannot be done
"""

from __future__ import annotations

__all__ = [
    "LibraryDamaged",
    "LibraryError",
    "LibraryLocked",
    "LibraryMissing",
    "LibraryReadOnly",
    "ModelMissing",
    "StoreUnavailable",
    "WorkError",
]


class LibraryError(Exception):
    """Base of every error that `index` raises on purpose; its text is one line for the user."""


class LibraryMissing(LibraryError):
    """There is no library in the folder that was named."""


class LibraryLocked(LibraryError):
    """Another process is writing to the library; names it."""


class LibraryReadOnly(LibraryError):
    """The library's folder or files cannot be written."""


class LibraryDamaged(LibraryError):
    """The library's files contradict each other or cannot be read."""


class ModelMissing(LibraryError):
    """No recording of the library has vectors of the wanted model."""


class StoreUnavailable(LibraryError):
    """The wanted vector store needs a package that is not installed."""


class WorkError(LibraryError):
    """What is wanted of a work cannot be done, or its name is that of several."""


class WorkMissing(WorkError):
    """There is no work of that name."""
