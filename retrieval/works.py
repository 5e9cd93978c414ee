"""Works: which recordings play the same, from pairs accepted as versions and from what users said.

Average linkage on accepted pairs: groups are joined, the most alike first, where at least half of the pairs between
them were accepted. So one pair that was accepted by mistake does not chain two works together, and one that was
overlooked does not tear a work apart. Alike are recordings that are probably versions and were accepted with the same
others, since a mistake, however sure, is shared by few. A recording much longer than another may hold more than that
one's work, as a record side does: such a pair counts for half, so that two works on it are not chained together. What a
user confirmed is in its group from the start, and no two groups with confirmed recordings are ever joined.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from index.works import Grouping

__all__ = ["group_works"]

_ACCEPTED_SHARE = 0.5
_MUCH_LONGER = 1.7
_OF_UNEVEN = 0.5
"""For how much an accepted pair counts of which one is that much longer."""


@dataclass
class _Link:
    """Between two groups: how many pairs were accepted, as far as they count, and the sum of their likenesses."""

    accepted: float = 0.0
    likeness: float = 0.0


class _Groups:
    """Groups that are joined one by one, each numbered by its least recording."""

    def __init__(
        self, pairs: Mapping[tuple[int, int], float], confirmed: Mapping[int, int], durations: Mapping[int, float]
    ) -> None:
        self.members: dict[int, list[int]] = {}
        self.work: dict[int, int] = {}
        self._links: dict[int, dict[int, _Link]] = {}
        self._queue: list[tuple[float, int, int, int, int]] = []
        number_of = self._start(pairs, confirmed)
        for (one, other), likeness in sorted(_likeness(pairs).items()):
            lasts = sorted(durations[recording] for recording in (one, other))
            counts = _OF_UNEVEN if lasts[1] > _MUCH_LONGER * lasts[0] else 1.0
            self._add(number_of[one], number_of[other], _Link(counts, likeness))
        for number in self.members:
            self._enqueue(number)

    def join(self) -> None:
        """Join what belongs together until nothing is left to join."""
        while self._queue:
            _, one, other, *sizes = heapq.heappop(self._queue)
            if [len(self.members.get(number, ())) for number in (one, other)] == sizes:
                self._join(one, other)

    def _start(self, pairs: Iterable[tuple[int, int]], confirmed: Mapping[int, int]) -> dict[int, int]:
        """A group for each confirmed work, and one for each other recording; the group of each recording."""
        number_of: dict[int, int] = {}
        number_of_work: dict[int, int] = {}
        for recording in sorted({*confirmed, *(recording for pair in pairs for recording in pair)}):
            number = recording
            if recording in confirmed:
                number = number_of_work.setdefault(confirmed[recording], recording)
                self.work[number] = confirmed[recording]
            number_of[recording] = number
            self.members.setdefault(number, []).append(recording)
            self._links.setdefault(number, {})
        return number_of

    def _add(self, one: int, other: int, link: _Link) -> None:
        if one == other:
            return
        for group, neighbour in ((one, other), (other, one)):
            known = self._links[group].setdefault(neighbour, _Link())
            known.accepted += link.accepted
            known.likeness += link.likeness

    def _enqueue(self, group: int) -> None:
        """Note which neighbours may be joined with a group, by the mean likeness over all pairs."""
        for neighbour, link in self._links[group].items():
            one, other = min(group, neighbour), max(group, neighbour)
            sizes = len(self.members[one]), len(self.members[other])
            both = sizes[0] * sizes[1]
            if link.accepted >= _ACCEPTED_SHARE * both and not (one in self.work and other in self.work):
                heapq.heappush(self._queue, (-link.likeness / both, one, other, *sizes))

    def _join(self, one: int, other: int) -> None:
        """Put the second group into the first."""
        self.members[one] += self.members.pop(other)
        if other in self.work:
            self.work[one] = self.work.pop(other)
        for neighbour, link in self._links.pop(other).items():
            del self._links[neighbour][other]
            self._add(one, neighbour, link)
        self._enqueue(one)


def group_works(
    pairs: Iterable[tuple[int, int, float]],
    membership: Mapping[int, tuple[int, bool]],
    durations: Mapping[int, float],
) -> list[Grouping]:
    """Group recordings into works; the order of what is given does not matter.

    Args:
        pairs: ids of two recordings accepted as versions, and the probability that they are; of a pair given
            twice, in whatever direction, the greater counts.
        membership: by the id of each recording in a work: the work's id, and whether a user confirmed it.
        durations: seconds, by the id of each recording in a pair.

    Returns:
        the works with a confirmed recording, and the groups of several others. Such a group keeps the work that
        most of it is in, if no larger part of that work is elsewhere.
    """
    accepted: dict[tuple[int, int], float] = {}
    for one, other, probability in pairs:
        pair = min(one, other), max(one, other)
        accepted[pair] = max(accepted.get(pair, 0.0), probability)
    confirmed = {recording: work for recording, (work, told) in membership.items() if told}
    groups = _Groups(accepted, confirmed, durations)
    groups.join()
    told = [Grouping(work, frozenset(groups.members[number])) for number, work in groups.work.items()]
    found = [
        frozenset(members)
        for number, members in groups.members.items()
        if number not in groups.work and len(members) > 1
    ]
    former = {recording: work for recording, (work, _) in membership.items() if work not in groups.work.values()}
    return sorted([*told, *_with_works(found, former)], key=lambda grouping: min(grouping.recordings))


def _likeness(pairs: Mapping[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    """Each pair's probability, times the share of the recordings accepted with either that were with both."""
    circle: dict[int, set[int]] = {}
    for one, other in pairs:
        circle.setdefault(one, {one}).add(other)
        circle.setdefault(other, {other}).add(one)
    return {
        (one, other): probability * len(circle[one] & circle[other]) / len(circle[one] | circle[other])
        for (one, other), probability in pairs.items()
    }


def _with_works(groups: Sequence[frozenset[int]], former: Mapping[int, int]) -> list[Grouping]:
    """Give groups the works that their recordings are in, each to the group with the largest part of it."""
    shared: dict[tuple[int, frozenset[int]], int] = {}
    for group in groups:
        for recording in group & former.keys():
            shared[former[recording], group] = shared.get((former[recording], group), 0) + 1
    given: dict[frozenset[int], int] = {}
    for work, group in sorted(shared, key=lambda key: (-shared[key], key[0], min(key[1]))):
        if group not in given and work not in given.values():
            given[group] = work
    return [Grouping(given.get(group), group) for group in groups]
