"""Arrays in npz files, which are whole or not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["save_npz"]


def save_npz(path: Path, **parts: NDArray[Any]) -> None:
    """Write arrays by their names; who stops it leaves what was there."""
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as handle:
        np.savez(handle, **parts)  # type: ignore[arg-type]
    unfinished.replace(path)
