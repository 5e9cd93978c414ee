"""The version network (torch; used in training only, the encoder runs its ONNX form).

From a semitone spectrogram to vectors of pitch classes: what is moved up by a semitone comes out with its pitch
classes rolled by one, so that another key is found by trying twelve rolls of a query. It hears harmonics (copies
of the spectrogram shifted by the intervals of the first partials, as in Bittner et al., "Deep salience
representations for F0 estimation in polyphonic music", ISMIR 2017), folds octaves to pitch classes with weights
by register, and goes on with convolutions that are circular in pitch class.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from retrieval.embedding.version_patches import SEMITONES

__all__ = ["FRAMES_A_VECTOR", "LOCAL_CHANNELS", "SEGMENT_CHANNELS", "VersionNetwork"]

FRAMES_A_VECTOR = 4
"""Frames of the spectrogram for each vector that comes out."""

LOCAL_CHANNELS = 6
SEGMENT_CHANNELS = 12
_PARTIALS = (-12, 0, 12, 19, 24, 28)
_SALIENCE_CHANNELS = 32
_REGISTERS = 3
_CHANNELS = 96
_OCTAVES = SEMITONES // 12


class VersionNetwork(nn.Module):
    """CNN from spectrograms `(n, 84, frames)` to local and segment vectors.

    Local vectors describe some seconds around a moment, and are what recordings are aligned by; a segment vector
    describes all that is given, and is what the shortlist is found by.
    """

    def __init__(self) -> None:
        super().__init__()
        self.salience = nn.Sequential(
            nn.Conv2d(len(_PARTIALS), _SALIENCE_CHANNELS, (5, 5), stride=(1, 2), padding=2, bias=False),
            nn.BatchNorm2d(_SALIENCE_CHANNELS),
            nn.ReLU(),
            nn.Conv2d(_SALIENCE_CHANNELS, _SALIENCE_CHANNELS, (5, 3), padding=(2, 1), bias=False),
            nn.BatchNorm2d(_SALIENCE_CHANNELS),
            nn.ReLU(),
        )
        octaves = torch.linspace(0.0, 1.0, SEMITONES)
        centres = torch.linspace(0.2, 0.8, _REGISTERS)
        self.registers = nn.Parameter(-(((octaves[None] - centres[:, None]) / 0.2) ** 2))
        self.fold_norm = nn.BatchNorm2d(_SALIENCE_CHANNELS * _REGISTERS)
        self.enter = _PitchClasses(_SALIENCE_CHANNELS * _REGISTERS, _CHANNELS)
        self.early = nn.Sequential(_Block(_CHANNELS, 1), _Block(_CHANNELS, 2))
        self.halve = nn.Conv2d(_CHANNELS, _CHANNELS, (1, 4), stride=(1, 2), padding=(0, 1), bias=False)
        self.halve_norm = nn.BatchNorm2d(_CHANNELS)
        self.late = nn.Sequential(_Block(_CHANNELS, 1), _Block(_CHANNELS, 2))
        self.local_head = _PitchClasses(_CHANNELS, LOCAL_CHANNELS)
        self.wide = _Block(_CHANNELS, 4)
        self.segment_head = _PitchClasses(_CHANNELS, SEGMENT_CHANNELS)
        self.weight_head = nn.Conv2d(_CHANNELS, 1, 1)

    def forward(self, spectrograms: Tensor) -> tuple[Tensor, Tensor]:
        """Give local vectors, and what segment vectors are summed from.

        Args:
            spectrograms: shape `(n, 84, frames)`, `frames` a multiple of 4.

        Returns:
            local unit vectors `(n, 6, 12, frames / 4)`, and contributions `(n, 12, 12, frames / 4)` to the vector
            of a segment, which is their sum brought to unit length.
        """
        x = self.salience(_partials(spectrograms))
        x = torch.relu(self.enter(self.fold_norm(self._folded(x))))
        x = torch.relu(self.halve_norm(self.halve(self.early(x))))
        x = self.late(x)
        local = self.local_head(x)
        wide = self.wide(x)
        weights = functional.softplus(self.weight_head(wide).mean(dim=2, keepdim=True))
        return unit(local, (1, 2)), weights * self.segment_head(wide)

    def _folded(self, x: Tensor) -> Tensor:
        """Octaves summed with the weights of each register, shape `(n, channels * registers, 12, frames)`."""
        n, channels, _, frames = x.shape
        weights = torch.exp(self.registers).to(x.dtype).reshape(_REGISTERS, _OCTAVES, 12).permute(2, 0, 1)
        octaves = x.reshape(n, channels, _OCTAVES, 12, frames).permute(3, 2, 0, 1, 4).reshape(12, _OCTAVES, -1)
        summed = torch.matmul(weights, octaves).reshape(12, _REGISTERS, n, channels, frames)
        return summed.permute(2, 1, 3, 0, 4).reshape(n, _REGISTERS * channels, 12, frames)


def unit(vectors: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Vectors along some dimensions brought to unit length."""
    return vectors / torch.sqrt(torch.sum(vectors * vectors, dim=dims, keepdim=True) + 1e-9)


def _partials(spectrograms: Tensor) -> Tensor:
    """Copies shifted so that the partials of a pitch lie on it, shape `(n, 6, 84, frames)`."""
    copies = []
    for shift in _PARTIALS:
        if shift >= 0:
            copies.append(functional.pad(spectrograms[:, shift:], (0, 0, 0, shift)))
        else:
            copies.append(functional.pad(spectrograms[:, :shift], (0, 0, -shift, 0)))
    return torch.stack(copies, dim=1)


class _PitchClasses(nn.Module):
    """A convolution over all twelve pitch classes, circular."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels_in, channels_out, (12, 1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.convolution(torch.cat([x, x[:, :, :-1]], dim=2))
        return out


class _Block(nn.Module):
    """Pitch classes, then time, beside the input itself."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.pitch = _PitchClasses(channels, channels)
        self.pitch_norm = nn.BatchNorm2d(channels)
        self.time = nn.Conv2d(channels, channels, (1, 5), padding=(0, 2 * dilation), dilation=(1, dilation), bias=False)
        self.time_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.pitch_norm(self.pitch(x)))
        return torch.relu(x + self.time_norm(self.time(inner)))
