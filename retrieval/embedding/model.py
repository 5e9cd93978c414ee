"""The fingerprint network (torch; used in training only, the encoder runs its ONNX form).

One second of log-frequency spectrogram in, a unit vector out. The first layer looks at the patch through
filters of three musical shapes side by side: tall ones for timbre (a spectrum at one moment), long ones
for rhythm (one band over time), square ones for both (Pons et al., "Experimenting with musically motivated
convolutional neural networks", CBMI 2016).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from retrieval.embedding.patches import PATCH_FRAMES, PATCH_LAYOUT

__all__ = ["DIMENSIONS", "FingerprintNetwork"]

DIMENSIONS = 128
_FIRST_SHAPES = {"tall": (25, 3), "long": (3, 15), "square": (7, 7)}
_FIRST_CHANNELS = 16
_CHANNELS = (64, 96, 128, 192)


class FingerprintNetwork(nn.Module):
    """CNN from patches `(n, 1, 120, 50)` to unit vectors `(n, dimensions)`."""

    def __init__(self, dimensions: int = DIMENSIONS) -> None:
        super().__init__()
        self.first = nn.ModuleDict(
            {
                name: nn.Conv2d(1, _FIRST_CHANNELS, shape, stride=2, padding=(shape[0] // 2, shape[1] // 2), bias=False)
                for name, shape in _FIRST_SHAPES.items()
            }
        )
        channels = _FIRST_CHANNELS * len(_FIRST_SHAPES)
        self.first_norm = nn.BatchNorm2d(channels)
        blocks = []
        for out in _CHANNELS:
            blocks.append(_Block(channels, out))
            channels = out
        self.blocks = nn.Sequential(*blocks)
        cells = _halved(PATCH_LAYOUT.bins, 5) * _halved(PATCH_FRAMES, 5)
        self.project = nn.Linear(channels * cells, dimensions)

    def forward(self, patches: Tensor) -> Tensor:
        """Embed patches; rows have unit Euclidean length."""
        x = torch.cat([branch(patches) for branch in self.first.values()], dim=1)
        x = self.blocks(torch.relu(self.first_norm(x)))
        vectors: Tensor = self.project(torch.flatten(x, 1))
        return vectors / torch.sqrt(torch.sum(vectors * vectors, dim=1, keepdim=True) + 1e-12)


class _Block(nn.Module):
    """A halving convolution and a residual one at the new size."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.halve = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False)
        self.halve_norm = nn.BatchNorm2d(channels_out)
        self.depthwise = nn.Conv2d(channels_out, channels_out, 3, padding=1, groups=channels_out, bias=False)
        self.pointwise = nn.Conv2d(channels_out, channels_out, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.halve_norm(self.halve(x)))
        return torch.relu(x + self.norm(self.pointwise(self.depthwise(x))))


def _halved(length: int, times: int) -> int:
    for _ in range(times):
        length = (length + 1) // 2
    return length
