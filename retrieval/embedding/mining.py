"""Which triplets of a batch the loss looks at.

Distances are squared Euclidean between unit vectors (0 to 4), shape `(n, n)`; labels, shape `(n,)`, name
the place in the music that a vector is a view of.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["any_positive_violating_negatives", "hard_positive_semi_hard_negatives"]


def hard_positive_semi_hard_negatives(distances: Tensor, labels: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """For each anchor the farthest positive, and every negative beyond it but within the margin.

    Schroff, Kalenichenko and Philbin, FaceNet (CVPR 2015), section 3.2. Anchors without a positive take
    no part.

    Returns:
        the distance of each anchor to its positive, shape `(n,)`, and the mask of its negatives, `(n, n)`.
    """
    same = labels[:, None] == labels[None, :]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    to_positive = torch.where(positive, distances, distances.new_tensor(-1.0)).amax(dim=1)
    beyond = (distances > to_positive[:, None]) & (distances < to_positive[:, None] + margin)
    return to_positive, beyond & ~same & positive.any(dim=1, keepdim=True)


def any_positive_violating_negatives(distances: Tensor, labels: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """For each anchor one of its positives at random, and every negative nearer than that and the margin.

    Over many steps that is every triplet of a batch, as in Hermans, Beyer and Leibe, "In defense of the triplet
    loss for person re-identification" (2017), section 2, "batch all". Anchors without a positive take no part.

    Returns:
        the distance of each anchor to its positive, shape `(n,)`, and the mask of its negatives, `(n, n)`.
    """
    same = labels[:, None] == labels[None, :]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    drawn = torch.where(positive, torch.rand(positive.shape, device=labels.device), -1.0).argmax(dim=1)
    to_positive = distances.gather(1, drawn[:, None]).squeeze(1)
    near = distances < to_positive[:, None] + margin
    return to_positive, near & ~same & positive.any(dim=1, keepdim=True)
