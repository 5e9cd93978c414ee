"""What happens to music on its way to a listener's microphone, made by simulation, in batches of torch.

Signals are float32 of shape `(n, samples)`. Convolutions are circular over the excerpt, which begins two
seconds before the second that is embedded, so that the reverberation of what came before is in it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["Degrader", "coloured_noise", "room_responses"]

_ROOMS = 240


class Degrader:
    """Degrades excerpts: room, loudspeaker and microphone, noise and other music, phone band, clipping.

    Args:
        rate: samples a second.
        generator: source of all randomness.
    """

    def __init__(self, rate: int, generator: torch.Generator) -> None:
        self._rate = rate
        self._generator = generator
        self._rooms: Tensor | None = None

    def __call__(self, excerpts: Tensor, disturbances: Tensor) -> Tensor:
        """Degrade excerpts `(n, samples)` with disturbances (noise or other music) of the same shape."""
        n, length = excerpts.shape
        heard = torch.fft.rfft(excerpts) * self._responses(n, length) * self._equalisers(n, length)
        noise = torch.fft.rfft(disturbances)
        snr = self._uniform(n, -3.0, 18.0)[:, None]
        gain = _level(heard) / _level(noise) * 10.0 ** (-snr / 20.0)
        gain[self._uniform(n, 0.0, 1.0) < 0.2] = 0.0
        return self._clip(torch.fft.irfft((heard + gain * noise) * self._bands(n, length), n=length))

    def _uniform(self, n: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=self._generator, device=self._generator.device)

    def _responses(self, n: int, length: int) -> Tensor:
        """Spectra of room responses drawn from a fixed set; a third of the excerpts stay dry."""
        if self._rooms is None:
            rt60 = torch.exp(self._uniform(_ROOMS, math.log(0.1), math.log(1.4)))
            direct = self._uniform(_ROOMS, 0.2, 0.9)
            direct[: _ROOMS // 3] = 1.0
            self._rooms = torch.fft.rfft(room_responses(rt60, direct, length, self._rate, self._generator))
        return self._rooms[torch.randint(_ROOMS, (n,), generator=self._generator, device=self._generator.device)]

    def _equalisers(self, n: int, length: int) -> Tensor:
        """Smooth random gains over log frequency, up to 9 dB either way."""
        frequency = torch.fft.rfftfreq(length, 1.0 / self._rate, device=self._generator.device).clamp(min=20.0)
        waves = 2.0 * math.pi * frequency.new_tensor([0.06, 0.15, 0.4])[:, None] * torch.log2(frequency / 20.0)
        shapes = torch.cat([torch.sin(waves), torch.cos(waves)])
        strengths = torch.stack([self._uniform(n, -3.0, 3.0) for _ in shapes], dim=1)
        return torch.exp(math.log(10.0) / 20.0 * (strengths @ shapes))

    def _bands(self, n: int, length: int) -> Tensor:
        """Band limits of telephones, small loudspeakers and low-rate codecs."""
        frequency = torch.fft.rfftfreq(length, 1.0 / self._rate, device=self._generator.device).clamp(min=1.0)[None, :]
        low = torch.exp(self._uniform(n, math.log(30.0), math.log(400.0)))[:, None]
        high = torch.exp(self._uniform(n, math.log(3000.0), math.log(11000.0)))[:, None]
        gain = 1.0 / torch.sqrt((1.0 + (low / frequency) ** 8) * (1.0 + (frequency / high) ** 8))
        full = self._uniform(n, 0.0, 1.0)[:, None] < 0.5
        return torch.where(full, torch.ones_like(gain), gain)

    def _clip(self, signals: Tensor) -> Tensor:
        drive = torch.exp(self._uniform(len(signals), math.log(0.3), math.log(6.0)))[:, None]
        clipped = self._uniform(len(signals), 0.0, 1.0)[:, None] < 0.2
        scaled = signals / (3.0 * _rms(signals))
        return torch.where(clipped, torch.tanh(drive * scaled), scaled)


def room_responses(rt60: Tensor, direct: Tensor, length: int, rate: int, generator: torch.Generator) -> Tensor:
    """Room impulse responses: a direct sound, then noise that decays by 60 dB in `rt60` seconds and darkens.

    Args:
        rt60: reverberation times in seconds, shape `(n,)`.
        direct: share of the direct sound, in (0, 1), shape `(n,)`.
        length: samples of each response.
        rate: samples a second.
        generator: source of randomness.

    Returns:
        shape `(n, length)`; the tail has energy `(1 - direct)²`.
    """
    seconds = torch.arange(length, device=rt60.device) / rate
    tail = torch.randn(len(rt60), length, generator=generator, device=rt60.device) * 10.0 ** (
        -3.0 * seconds / rt60[:, None]
    )
    tail = 0.5 * (tail + torch.roll(tail, 1, dims=1))
    tail[:, 0] = 0.0
    tail *= ((1.0 - direct) / tail.square().sum(dim=1).sqrt())[:, None]
    tail[:, 0] = direct
    return tail


def coloured_noise(samples: int, slope: float, generator: torch.Generator) -> Tensor:
    """Noise whose amplitude falls as frequency to the power `-slope`: 0 white, 0.5 pink, 1 brown; `(samples,)`."""
    spectrum = torch.fft.rfft(torch.randn(samples, generator=generator))
    frequency = torch.linspace(0.0, 1.0, len(spectrum)).clamp(min=1e-3)
    return torch.fft.irfft(spectrum * frequency**-slope, n=samples)


def _rms(signals: Tensor) -> Tensor:
    return signals.square().mean(dim=1, keepdim=True).sqrt() + 1e-7


def _level(spectra: Tensor) -> Tensor:
    """Proportional to the rms of the signals, by Parseval."""
    return torch.view_as_real(spectra).square().sum(dim=(1, 2)).sqrt()[:, None] + 1e-6
