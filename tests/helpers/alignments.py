"""Alignments made up for tests: several matches, parts that stand alone, sections in another order."""

import itertools

import numpy as np
from hypothesis import strategies as st

from alignment import Segment, Synchronisation, WarpingPath

NONE = np.zeros(0)


def match(ref, other):
    """A match along a path given as two lists of seconds."""
    path = WarpingPath(np.array(ref, float), np.array(other, float))
    return Segment("match", (ref[0], ref[-1]), (other[0], other[-1]), path, np.ones(len(path)))


def only_ref(start, end):
    return Segment("only_ref", (start, end), None, None, NONE)


def only_other(start, end):
    return Segment("only_other", None, (start, end), None, NONE)


def synchronisation(*segments, accepted=True, transposition=0, tuning_cents=0.0):
    return Synchronisation(segments, accepted, 0.9 if accepted else 0.1, transposition, tuning_cents)


def with_cut_and_extra():
    """20 s the same, 10 s left out, 20 s the same, 5 s more, 10 s at half speed."""
    return synchronisation(
        match([0.0, 20.0], [1.0, 21.0]),
        only_ref(20.0, 30.0),
        match([30.0, 50.0], [21.0, 41.0]),
        only_other(41.0, 46.0),
        match([50.0, 60.0], [46.0, 66.0]),
    )


def swapped():
    """Two sections in the other order."""
    return synchronisation(match([0.0, 20.0], [30.0, 50.0]), match([20.0, 50.0], [0.0, 30.0]))


@st.composite
def synchronisations(draw, swaps=True):
    """Up to four matches with random paths, gaps on either side and, if wanted, in another order."""
    count = draw(st.integers(1, 4))
    steps = st.lists(st.integers(20, 2000), min_size=1, max_size=6)
    ratio = st.floats(0.5, 2.0)
    shapes = [(draw(steps), draw(ratio), draw(ratio)) for _ in range(count)]
    gaps = st.lists(st.sampled_from([0.0, 0.5, 4.0]), min_size=count + 1, max_size=count + 1)
    order = draw(st.permutations(range(count))) if swaps else list(range(count))
    paths = [_path(*shape) for shape in shapes]
    ref_gaps, other_gaps = draw(gaps), draw(gaps)
    ref_starts = _laid_out([path[0][-1] for path in paths], range(count), ref_gaps)
    other_starts = _laid_out([path[1][-1] for path in paths], order, other_gaps)
    segments = [
        match((path[0] + ref_starts[number]).tolist(), (path[1] + other_starts[number]).tolist())
        for number, path in enumerate(paths)
    ]
    ends = [_end(segments, side) + gaps[-1] for side, gaps in (("ref", ref_gaps), ("other", other_gaps))]
    alone = [only_ref(*span) for span in _holes(segments, "ref", ends[0])]
    more = [only_other(*span) for span in _holes(segments, "other", ends[1])]
    in_order = sorted(segments + alone, key=lambda segment: segment.ref[0])
    return synchronisation(*in_order, *more)


def _path(steps, early, late):
    ref = np.concatenate([[0.0], np.cumsum(steps)]) / 100.0
    speeds = np.linspace(early, late, len(steps))
    other = np.concatenate([[0.0], np.cumsum(np.array(steps) * speeds)]) / 100.0
    return ref, other


def _laid_out(lengths, order, gaps):
    starts, now = {}, 0.0
    for number, gap in zip(order, gaps, strict=False):
        starts[number] = now + gap
        now = starts[number] + lengths[number]
    return starts


def _end(segments, side):
    return max(getattr(segment, side)[1] for segment in segments)


def _holes(segments, side, end):
    spans = sorted(getattr(segment, side) for segment in segments)
    edges = [(0.0, 0.0), *spans, (end, end)]
    return [(a[1], b[0]) for a, b in itertools.pairwise(edges) if b[0] - a[1] > 0.1]
