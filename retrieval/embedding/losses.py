"""Triplet loss, composed of a distance, a miner and a reducer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["Distance", "Miner", "Reducer", "mean_of_active", "squared_euclidean", "triplet_loss"]

Distance = Callable[[Tensor], Tensor]
Miner = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]
Reducer = Callable[[Tensor, Tensor], Tensor]


def squared_euclidean(vectors: Tensor) -> Tensor:
    """Squared distances between unit vectors, `2 - 2 cos`, shape `(n, n)`."""
    return 2.0 - 2.0 * (vectors @ vectors.T)


def mean_of_active(losses: Tensor, chosen: Tensor) -> Tensor:
    """Mean of the chosen losses that are above 0; 0 when there is none."""
    active = chosen & (losses > 0)
    return torch.where(active, losses, torch.zeros_like(losses)).sum() / active.sum().clamp(min=1)


def triplet_loss(
    vectors: Tensor,
    labels: Tensor,
    miner: Miner,
    *,
    distance: Distance = squared_euclidean,
    reducer: Reducer = mean_of_active,
    margin: float = 0.5,
) -> Tensor:
    """Loss that asks each anchor to be nearer to its positive than to its negatives by a margin.

    Args:
        vectors: unit vectors, shape `(n, d)`.
        labels: which vectors are views of one place, shape `(n,)`.
        miner: chooses the positive and the negatives of each anchor from the distances.
        distance: distances between all vectors.
        reducer: brings the triplets' losses to one number.
        margin: in units of the distance.
    """
    distances = distance(vectors)
    to_positive, negatives = miner(distances, labels, margin)
    return reducer(to_positive[:, None] - distances + margin, negatives)
