"""The library: metadata in SQLite, vectors in append-only files, search by FAISS or NumPy."""

from index.errors import LibraryError
from index.library import FileState, Library, NewRecording, NewScore
from index.runs import Model, Runs, Vectors
from index.shards import VectorFormat
from index.sheets import KeptScore

__all__ = [
    "FileState",
    "KeptScore",
    "Library",
    "LibraryError",
    "Model",
    "NewRecording",
    "NewScore",
    "Runs",
    "VectorFormat",
    "Vectors",
]
