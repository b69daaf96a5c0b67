"""An exponential moving average of a network, with its half-life in samples seen (Karras et al. 2020, appendix)."""

from __future__ import annotations

import copy

import torch
from torch import nn

from gancore.config import Ema


class MovingAverage:
    """`module` is the averaged copy, in evaluation mode and never trained.

    Floating-point buffers (running statistics) are averaged like weights, so that they belong to the averaged weights and
    not to the newest ones; other buffers are copied.
    """

    def __init__(self, source: nn.Module, options: Ema) -> None:
        self.options = options
        self.module = copy.deepcopy(source).eval().requires_grad_(False)
        pairs = [
            *zip(self.module.parameters(), source.parameters(), strict=True),
            *zip(self.module.buffers(), source.buffers(), strict=True),
        ]
        floating = [(a, b) for a, b in pairs if a.is_floating_point()]
        self._average = [a for a, _ in floating]
        self._latest = [b for _, b in floating]
        self._copied = [(a, b) for a, b in pairs if not a.is_floating_point()]

    def decay(self, samples_seen: int, batch_size: int) -> float:
        """The factor that the average keeps in one step: 2^(-batch / half-life), the half-life capped in warm-up."""
        half_life = self.options.half_life
        if self.options.warmup > 0:
            half_life = min(half_life, self.options.warmup * samples_seen)
        return 0.5 ** (batch_size / half_life) if half_life > 0 else 0.0

    @torch.no_grad()
    def update(self, samples_seen: int, batch_size: int) -> None:
        """Move the average towards the source; `samples_seen` counts the current batch."""
        share = 1.0 - self.decay(samples_seen, batch_size)
        torch._foreach_lerp_(self._average, [p.detach() for p in self._latest], share)
        for average, latest in self._copied:
            average.copy_(latest)
