"""The library: metadata in SQLite, vectors in append-only files, search by FAISS or NumPy."""

from index.errors import LibraryError
from index.library import FileState, Library, NewRecording
from index.runs import Model, Runs, Vectors
from index.shards import VectorFormat

__all__ = ["FileState", "Library", "LibraryError", "Model", "NewRecording", "Runs", "VectorFormat", "Vectors"]
