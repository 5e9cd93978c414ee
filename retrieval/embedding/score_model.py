"""The network that embeds windows of scores and of performances alike (torch; the encoder runs its ONNX form).

Both come as sonority, in which instruments hardly differ, so one network serves for both. Convolutions over time,
halved twice; what is left of the 5 s, a frame each .4 s, is brought to one vector by weights of its own for each, as
the order of what is played matters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from retrieval.embedding.score_windows import COMPONENTS, WINDOW_FRAMES

__all__ = ["SCORE_DIMENSIONS", "ScoreNetwork"]

SCORE_DIMENSIONS = 64
_CHANNELS = 128
_NARROW = 48


class ScoreNetwork(nn.Module):
    """CNN from windows `(n, 50, 32)` to unit vectors `(n, 64)`."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = _layer(COMPONENTS, _CHANNELS, 5, 1)
        self.halve = _layer(_CHANNELS, _CHANNELS, 4, 2)
        self.middle = _Block(_CHANNELS)
        self.again = _layer(_CHANNELS, _CHANNELS, 4, 2)
        self.late = _Block(_CHANNELS)
        self.narrow = _layer(_CHANNELS, _NARROW, 1, 1)
        left = WINDOW_FRAMES // 4
        self.head = nn.Linear(_NARROW * left, SCORE_DIMENSIONS)

    def forward(self, windows: Tensor) -> Tensor:
        """Embed windows."""
        x = self.halve(self.enter(windows.transpose(1, 2)))
        x = self.again(self.middle(x))
        x = self.narrow(self.late(x))
        return functional.normalize(self.head(x.flatten(1)), dim=1)


class _Block(nn.Module):
    """Two convolutions beside the input itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _layer(channels, channels, 5, 1)
        self.second = nn.Sequential(nn.Conv1d(channels, channels, 5, padding=2, bias=False), nn.BatchNorm1d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


def _layer(channels_in: int, channels_out: int, taps: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(channels_in, channels_out, taps, stride=stride, padding=(taps - stride + 1) // 2, bias=False),
        nn.BatchNorm1d(channels_out),
        nn.ReLU(),
    )
