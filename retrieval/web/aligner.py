"""Alignments for clients: those that the library keeps, and those that are made, which it keeps from then on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from alignment.ensemble import Ensemble
from alignment.errors import AlignmentError
from index.errors import LibraryLocked
from index.library import Library
from retrieval.kept_alignment import alignment_method, as_kept, to_kept
from retrieval.sides import Other, Side, kept_alignment, kept_either_way, read_side, transposable
from retrieval.work_upkeep import is_unchanged

__all__ = ["Aligner"]


class Aligner:
    """Aligns files with a reference; safe to be used by several threads.

    Args:
        library: its folder; it need not be there.
        writer: the one thread that writes to it.
    """

    def __init__(self, library: Path, writer: Executor) -> None:
        self._library = library
        self._writer = writer

    def jointly(self, ref: str, others: Sequence[str], tell: Callable[[int], None]) -> tuple[Side, list[Other]]:
        """Align files, jointly where there are several; a single pair of the library's items is kept.

        Args:
            tell: told how many are done.

        Raises:
            AlignmentError: the reference cannot be read.
        """
        kept = [kept_alignment(ref, other, self._library) for other in others]
        if found := [both for both in kept if both is not None] if all(kept) else []:
            return found[0][0], [other for _, other in found]
        side, sound = read_side(ref)
        ensemble = Ensemble(transposable(ref, sound))
        del sound
        done: list[Other] = []
        for number, path in enumerate(others):
            tell(number)
            done.append(_added(ensemble, path))
        tell(len(others))
        joint = iter(ensemble.joint())
        done = [replace(other, alignment=next(joint)) if other.alignment is not None else other for other in done]
        if len(done) == 1:
            self._keep_soon(ref, done[0])
        return side, done

    def pairs(self, ref: str, others: Sequence[str], tell: Callable[[int], None]) -> list[Other]:
        """Align files, each by itself; all that are made are kept.

        Alignments have the points that are kept, so that they are the same the next time.

        Args:
            tell: told before each how many are done.

        Raises:
            AlignmentError: the reference cannot be read.
        """
        done: list[Other] = []
        ensemble: Ensemble | None = None
        for number, path in enumerate(others):
            tell(number)
            if (kept := kept_either_way(ref, path, self._library)) is not None:
                done.append(kept[1])
                continue
            ensemble = ensemble or Ensemble(transposable(ref, read_side(ref)[1]))
            other = _added(ensemble, path)
            self._keep_soon(ref, other)
            done.append(other if other.alignment is None else replace(other, alignment=as_kept(other.alignment)))
        return done

    def _keep_soon(self, ref: str, other: Other) -> None:
        if other.alignment is not None:
            with suppress(RuntimeError):  # the server is being stopped
                self._writer.submit(self._keep, ref, other)

    def _keep(self, ref: str, other: Other) -> None:
        """Keep how two items correspond, if the library has both and can be written now."""
        if not (self._library / "library.sqlite").is_file() or other.alignment is None:
            return
        try:
            with Library(self._library, write=True) as library:
                sides = [library.item_at(path) for path in (ref, other.path)]
                one, two = (side if side and any(map(is_unchanged, side.files)) else None for side in sides)
                if one is not None and two is not None:
                    library.alignments.put(one, two, alignment_method(), to_kept(other.alignment))
        except LibraryLocked:
            return  # it is found anew the next time


def _added(ensemble: Ensemble, path: str) -> Other:
    """One more aligned, or why that is not possible."""
    try:
        side, sound = read_side(path)
        return Other(path, side, ensemble.add(sound))
    except AlignmentError as error:
        return Other(path, error=error.cause)
