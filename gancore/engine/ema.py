"""An exponential moving average of a network, with its half-life in samples seen (Karras et al. 2020, appendix)."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import is_parametrized

from gancore.configuration.run_config import Ema
from gancore.engine.buffers import Buffers


def normed(network: nn.Module) -> list[tuple[nn.Module, str, nn.Module]]:
    """Every weight under spectral normalisation: its layer, its name, its parametrisation."""
    return [
        (layer, name, parts)
        for layer in network.modules()
        if is_parametrized(layer)
        for name, parts in layer.parametrizations.items()  # type: ignore[operator, union-attr]
        if any(isinstance(part, _SpectralNorm) for part in parts.modules())
    ]


class MovingAverage:
    """`module` is the averaged copy, in evaluation mode and never trained.

    Floating-point buffers (running statistics) are averaged like weights, so that they belong to the averaged weights and
    not to the newest ones; other buffers are copied. Singular vectors of spectral normalisation are neither: the average of
    unit vectors is shorter than one and would scale the weights up, so they follow the averaged weights by power iteration.
    """

    def __init__(self, source: nn.Module, options: Ema) -> None:
        self.half_life = options.half_life
        self.warmup = options.warmup
        self.source = source
        self.module = copy.deepcopy(source).eval().requires_grad_(False)
        self._normed = normed(self.module)
        vectors = [[b for _, _, parts in normed(m) for b in parts.buffers()] for m in (self.module, source)]
        self._weights = [[p.detach() for p in network.parameters()] for network in (self.module, source)]
        self._buffers = (Buffers([self.module], vectors[0]), Buffers([source], vectors[1]))

    def begin(self) -> None:
        """Be the source as it is now."""
        self.module.load_state_dict(self.source.state_dict())

    def decay(self, samples_seen: int, batch_size: int) -> float:
        """The factor that the average keeps in one step: 2^(-batch / half-life), the half-life capped in warm-up."""
        half_life = self.half_life
        if self.warmup > 0:
            half_life = min(half_life, self.warmup * samples_seen)
        return 0.5 ** (batch_size / half_life) if half_life > 0 else 0.0

    @torch.no_grad()
    def update(self, samples_seen: int, batch_size: int) -> None:
        """Move the average towards the source; `samples_seen` counts the current batch."""
        share = 1.0 - self.decay(samples_seen, batch_size)
        averages, latest = list(self._weights[0]), list(self._weights[1])
        for average, new in zip(self._buffers[0].now(), self._buffers[1].unchanged(), strict=True):
            if average.is_floating_point():
                averages.append(average)
                latest.append(new.detach())
            else:
                average.copy_(new)
        torch._foreach_lerp_(averages, latest, share)
        for layer, name, parts in self._normed:
            parts.train()
            getattr(layer, name)  # computing the weight in training mode refines the vectors
            parts.eval()
