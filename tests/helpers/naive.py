"""The same mathematics as the project's, in slow plain Python."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np

SINGLE = ((1, 1), (1, 0), (0, 1))


def dtw(x, y, weights=(1.0, 1.0, 1.0), subsequence=False, corridor=None, steps=SINGLE):
    """Accumulated costs (n, m) of cosine distances, every cell by the recurrence."""
    n, m = x.shape[1], y.shape[1]
    total = np.full((n, m), math.inf)
    for i in range(n):
        for j in range(m):
            if corridor is not None and not corridor.low[i] <= j < corridor.high[i]:
                continue
            cost = max(1.0 - float(np.dot(x[:, i].astype(float), y[:, j].astype(float))), 0.0)
            if i == 0 and (subsequence or j == 0):
                total[i, j] = cost
                continue
            ways = [
                total[i - down, j - right] + weight * cost
                for (down, right), weight in zip(steps, weights, strict=True)
                if i >= down and j >= right
            ]
            total[i, j] = min(ways, default=math.inf)
    return total


def path_cost(x, y, path, weights=(1.0, 1.0, 1.0), steps=SINGLE):
    """Cost of a path, step by step."""
    weight_of = dict(zip(steps, weights, strict=True))
    total = 0.0
    for k, (i, j) in enumerate(path):
        cost = max(1.0 - float(np.dot(x[:, i].astype(float), y[:, j].astype(float))), 0.0)
        total += cost if k == 0 else weight_of[i - path[k - 1][0], j - path[k - 1][1]] * cost
    return total


def triplet_loss(vectors, labels, margin):
    """Hardest positive, mean over all semi-hard negatives, in loops."""
    losses = []
    for a in range(len(vectors)):
        distances = [sum((p - q) ** 2 for p, q in zip(vectors[a], other, strict=True)) for other in vectors]
        positives = [distances[b] for b in range(len(vectors)) if b != a and labels[b] == labels[a]]
        if not positives:
            continue
        hardest = max(positives)
        for b in range(len(vectors)):
            if labels[b] != labels[a] and hardest < distances[b] < hardest + margin:
                losses.append(hardest - distances[b] + margin)
    return sum(losses) / max(len(losses), 1)


def subsequence_costs(costs):
    """Least mean cost of a query laid along a recording, by the frame where it ends, and the frame where it begins."""
    n, m = costs.shape
    total = [[math.inf] * m for _ in range(n)]
    begun = [[-1] * m for _ in range(n)]
    for i in range(n):
        for j in range(m):
            if i == 0:
                total[i][j], begun[i][j] = float(costs[i, j]), j
                continue
            ways = []
            if j >= 1:
                ways.append((total[i - 1][j - 1] + costs[i, j], begun[i - 1][j - 1]))
            if j >= 2:
                ways.append((total[i - 1][j - 2] + (costs[i, j - 1] + costs[i, j]) / 2, begun[i - 1][j - 2]))
            if i >= 2 and j >= 1:
                ways.append((total[i - 2][j - 1] + costs[i - 1, j] + costs[i, j], begun[i - 2][j - 1]))
            if ways:
                total[i][j], begun[i][j] = min(ways)
    return np.array(total[-1]) / n, np.array(begun[-1])


def pattern_occurrences(pattern, notes, shifts, slowest):
    """Most notes of a pattern that are in a score at one shift and tempo, from all pairs of notes, in exact fractions.

    Both are lists of (onset, pitch), onsets whole numbers.
    """
    there = {(Fraction(onset), pitch) for onset, pitch in notes}
    best = 0
    for shift in shifts:
        for (x1, p1), (x2, p2) in itertools.permutations(pattern, 2):
            for (y1, q1), (y2, q2) in itertools.permutations(notes, 2):
                if x2 <= x1 or y2 <= y1 or q1 != p1 + shift or q2 != p2 + shift:
                    continue
                ratio = Fraction(y2 - y1, x2 - x1)
                if 1 / slowest <= ratio <= slowest:
                    laid = {(y1 + ratio * (x - x1), p + shift) for x, p in pattern}
                    best = max(best, len(laid & there))
    return best


def ordered_occurrences(melody, chords, shifts, between):
    """Whether a melody occurs in order in a list of sets of pitches, with at most so many others between two notes."""

    def goes_on(i, j, shift):
        if melody[i] + shift not in chords[j]:
            return False
        after = range(j + 1, min(j + between + 2, len(chords)))
        return i + 1 == len(melody) or any(goes_on(i + 1, later, shift) for later in after)

    return any(goes_on(0, j, shift) for shift in shifts for j in range(len(chords)))
