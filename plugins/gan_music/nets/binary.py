"""Neurons that answer 0 or 1 and can still be trained: thresholds whose gradient is that of a steepening sigmoid.

A generator of piano rolls that is cut off only after training leaves many cells near the threshold, which become fragments
of notes; one that decides while it learns does not (Dong & Yang 2018).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from gancore import distributed
from gancore.errors import UsageError
from gancore.random import derive, uniform

Kind = Literal["deterministic", "stochastic", "none"]

_NOISE = derive(0, "binary neurons")


class _StraightThrough(torch.autograd.Function):
    """Forward `sigmoid(slope * logit) > threshold`; backward as if the probability had been passed on (Bengio et al. 2013)."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, slope: Tensor, threshold: Tensor | None) -> Tensor:
        ctx.save_for_backward(logits, slope)
        # Without thresholds it is 1/2, where the logit is 0.
        on = logits > 0.0 if threshold is None else torch.sigmoid(logits * slope) > threshold
        return on.to(logits.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        logits, slope = ctx.saved_tensors
        probability = torch.sigmoid(logits * slope)
        return torch.ops.aten.sigmoid_backward(grads[0], probability) * slope, None, None


def level(values: Tensor, levels: int) -> Tensor:
    """The nearest of `levels` equally spaced values for `values` in [0, 1], as its number 0 to `levels - 1`; gradients pass."""
    nearest: Tensor = _Level.apply(values, levels)
    return nearest


class _Highest(torch.autograd.Function):
    """Forward 1 at the highest logit of the last axis if that is above 0; backward as if `shares` had been passed on."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, slope: Tensor, gumbel: Tensor | None) -> Tensor:
        ctx.save_for_backward(logits, slope)
        if gumbel is not None:
            # With noise on every choice the highest is drawn with its probability (Gumbel 1954); silence has the last one.
            logits, silence = logits * slope + gumbel[..., :-1], gumbel[..., -1:]
        else:
            silence = torch.zeros_like(logits[..., :1])
        best = logits.argmax(-1, keepdim=True)
        return torch.zeros_like(logits).scatter_(-1, best, (logits.gather(-1, best) > silence).to(logits.dtype))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        logits, slope = ctx.saved_tensors
        share = shares(logits * slope)
        pull = share * grads[0]
        return torch.addcmul(pull, share, pull.sum(-1, keepdim=True), value=-1.0) * slope, None, None


def shares(logits: Tensor) -> Tensor:
    """The softmax over the last axis with silence as one more choice, of logit 0, which is left out: sums are below 1."""
    top = logits.detach().amax(-1, keepdim=True).clamp(min=0.0)
    weights = torch.exp(logits - top)
    return weights / (weights.sum(-1, keepdim=True) + torch.exp(-top))


class _Level(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, levels: int) -> Tensor:
        ctx.factor = levels - 1
        return (values * ctx.factor).round()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.factor, None


def noise_of(key: Tensor, *shape: int) -> Tensor:
    """Uniform numbers in [0, 1) that the latent itself determines: `key` `[batch]` float32 to `[batch, *shape]`.

    So a stochastic neuron draws nothing of its own, and the same latent makes the same sample in any batch on any rank.
    """
    positions = key.detach().float().contiguous().view(torch.int32).to(torch.int64)
    return uniform(_NOISE, positions, torch.Size(shape).numel()).reshape(-1, *shape)


class BinaryNeurons(nn.Module):
    """Logits `[batch, ...]` to values 0 or 1 of the same shape, by straight-through estimation with slope annealing.

    `deterministic` neurons are on where the probability `sigmoid(slope * logit)` is above 1/2, `stochastic` ones with that
    probability; both pass gradients times the sigmoid's derivative. In evaluation both are deterministic. `none` gives the
    probability itself, with slope 1. The slope grows from 1 to `slope_max` (Chung et al. 2016), linearly over the first
    `slope_samples` samples that were generated in training with a gradient. These are counted in an integer buffer over
    all ranks: a run resumes where it was, micro-batches make no difference, and an average of the network copies the count.
    """

    seen: Tensor

    def __init__(self, kind: Kind, slope_max: float = 5.0, slope_samples: int = 200_000) -> None:
        super().__init__()
        self.kind = kind
        self.slope_max = slope_max
        self.slope_samples = slope_samples
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def slope(self) -> Tensor:
        """The present slope, a scalar float32."""
        return 1.0 + (self.slope_max - 1.0) * (self.seen.float() / self.slope_samples).clamp(max=1.0)

    def forward(self, logits: Tensor, noise: Tensor | None = None) -> Tensor:
        """`noise` of the logits' shape, uniform in [0, 1), is needed by stochastic neurons in training."""
        logits = logits.float()
        if self.kind == "none":
            return torch.sigmoid(logits)
        slope = self.slope()
        self._count(logits)
        return _StraightThrough.apply(logits, slope, self._drawn(noise))

    def highest(self, logits: Tensor, noise: Tensor | None = None) -> Tensor:
        """At most one neuron of the last axis is on: the one with the highest logit, if that is above 0.

        Silence is a choice of logit 0. Stochastic neurons draw from the softmax over all choices, `none` gives it; gradients
        are those of the softmax (straight through; Jang et al. 2017 with the temperature 1 / slope). `noise` as above, with
        one more number on the last axis. Calls of one step are counted by `forward` alone.
        """
        logits = logits.float()
        if self.kind == "none":
            return shares(logits)
        drawn = self._drawn(noise)
        if drawn is not None:
            drawn = -torch.log(-torch.log(drawn.clamp(1e-7, 1.0 - 1e-7)))
        return _Highest.apply(logits, self.slope(), drawn)

    def _count(self, logits: Tensor) -> None:
        if self.training and logits.requires_grad and torch.is_grad_enabled():
            self.seen += len(logits) * distributed.world_size()

    def _drawn(self, noise: Tensor | None) -> Tensor | None:
        """The noise where it is used: by stochastic neurons in training."""
        if self.kind == "deterministic" or not self.training:
            return None
        if noise is None:
            raise UsageError("stochastic binary neurons need noise in training: pass uniform numbers as `noise`")
        return noise
