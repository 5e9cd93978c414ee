"""Append-only files of vectors.

A file is rows of one dtype and nothing else; how many of them count is said by committed rows of the
database. Bytes behind those are what a crash left, and are overwritten by the next append.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.errors import LibraryDamaged

__all__ = ["ShardFile", "VectorFormat"]


@dataclass(frozen=True)
class VectorFormat:
    """How vectors lie on disk: `stored = round(value * scale)` of `dtype`, `dimensions` to a row."""

    dimensions: int
    dtype: str
    scale: float

    @property
    def row_bytes(self) -> int:
        """Bytes a vector."""
        return self.dimensions * np.dtype(self.dtype).itemsize

    def encode(self, vectors: NDArray[np.float32]) -> NDArray[Any]:
        """To stored form; what the dtype cannot hold is clipped."""
        limits = np.iinfo(self.dtype)
        lowest = -limits.max if limits.min < 0 else 0
        return np.clip(np.rint(vectors * self.scale), lowest, limits.max).astype(self.dtype)

    def decode(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Back to float32."""
        return stored.astype(np.float32) / np.float32(self.scale)


@dataclass(frozen=True)
class ShardFile:
    """One file of a model's vectors; its first row has the number `base`, and `rows` of them are committed."""

    path: Path
    base: int
    rows: int
    format: VectorFormat

    @property
    def committed_bytes(self) -> int:
        """How long the file must be at least."""
        return self.rows * self.format.row_bytes

    @property
    def present_bytes(self) -> int:
        """How long the file is; 0 where there is none."""
        return self.path.stat().st_size if self.path.exists() else 0

    def append(self, stored: NDArray[Any]) -> None:
        """Write rows behind the committed ones, dropping whatever lies there, and force them to the disk.

        Raises:
            LibraryDamaged: the file is shorter than its committed rows.
        """
        offset = self.committed_bytes
        new = not self.path.exists()
        with self.path.open("wb" if new else "r+b") as handle:
            if handle.seek(0, os.SEEK_END) < offset:
                raise LibraryDamaged(f"{self.path}: is shorter than the library says")
            handle.truncate(offset)
            handle.seek(offset)
            handle.write(np.ascontiguousarray(stored).tobytes())
            handle.flush()
            os.fsync(handle.fileno())
        if new:
            _sync_folder(self.path.parent)
            _sync_folder(self.path.parent.parent)

    def map(self) -> NDArray[Any]:
        """The committed rows, read-only and mapped into memory.

        Raises:
            LibraryDamaged: the file lacks some, or cannot be read.
        """
        shape = (self.rows, self.format.dimensions)
        if not self.rows:
            return np.zeros(shape, self.format.dtype)
        try:
            return np.memmap(self.path, self.format.dtype, "r", 0, shape)
        except OSError as error:
            raise LibraryDamaged(f"{self.path}: cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise LibraryDamaged(f"{self.path}: lacks vectors that the library says it holds") from error


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
