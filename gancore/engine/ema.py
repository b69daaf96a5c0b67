"""An exponential moving average of a network, with its half-life in samples seen (Karras et al. 2020, appendix)."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import is_parametrized

from gancore.config import Ema


class MovingAverage:
    """`module` is the averaged copy, in evaluation mode and never trained.

    Floating-point buffers (running statistics) are averaged like weights, so that they belong to the averaged weights and
    not to the newest ones; other buffers are copied. Singular vectors of spectral normalisation are neither: the average of
    unit vectors is shorter than one and would scale the weights up, so they follow the averaged weights by power iteration.
    """

    def __init__(self, source: nn.Module, options: Ema) -> None:
        self.options = options
        self.source = source
        self.module = copy.deepcopy(source).eval().requires_grad_(False)
        self._normed = [
            (layer, name, parts)
            for layer in self.module.modules()
            if is_parametrized(layer)
            for name, parts in layer.parametrizations.items()  # type: ignore[operator, union-attr]
            if any(isinstance(part, _SpectralNorm) for part in parts.modules())
        ]

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
        vectors = {id(b) for _, _, parts in self._normed for b in parts.buffers()}
        # Asked for anew each time: a module may replace a buffer instead of changing it.
        pairs = [
            *zip(self.module.parameters(), self.source.parameters(), strict=True),
            *(
                (a, b)
                for a, b in zip(self.module.buffers(), self.source.buffers(), strict=True)
                if id(a) not in vectors
            ),
        ]
        floating = [(a, b.detach()) for a, b in pairs if a.is_floating_point()]
        torch._foreach_lerp_([a for a, _ in floating], [b for _, b in floating], share)
        for average, latest in pairs:
            if not average.is_floating_point():
                average.copy_(latest)
        for layer, name, parts in self._normed:
            parts.train()
            getattr(layer, name)  # computing the weight in training mode refines the vectors
            parts.eval()
