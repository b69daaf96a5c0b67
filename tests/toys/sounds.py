"""Sounds that are known to the last sample, for tests of what is said about them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

RATE = 8000
"""Hz, of all sounds here unless another is given."""


def tone(
    frequency: float,
    length: int = 4096,
    *,
    amplitude: float = 1.0,
    harmonics: Sequence[float] = (1.0,),
    phase: float = 0.0,
    rate: int = RATE,
) -> Tensor:
    """A waveform `[1, length]`: a sine, or several of multiples of `frequency` with these shares of the amplitude."""
    turns = 2.0 * math.pi * frequency / rate * torch.arange(length, dtype=torch.float64)
    parts = [share * torch.sin((n + 1) * turns + phase) for n, share in enumerate(harmonics)]
    return (amplitude * torch.stack(parts).sum(dim=0)).float()[None]


def noise(count: int, length: int = 4096, *, seed: int = 0, amplitude: float = 0.2) -> Tensor:
    """White noise `[count, 1, length]` of this standard deviation, in [-1, 1]."""
    draws = torch.Generator().manual_seed(seed)
    return (torch.randn(count, 1, length, generator=draws) * amplitude).clamp(-1.0, 1.0)
