"""Samples of a categorical distribution that pass gradients: Gumbel noise, the Gumbel-softmax, and how its temperature falls."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd.function import once_differentiable

from gancore.options import Options
from gancore.random import _GAMMA, _MIX, _signed

_CACHED = 1 << 15
"""How many integers are hashed at a time: with a copy of them they stay in a core's own cache."""

_SCALE = (1.0 - 2.0**-24) * 2.0**-31


@torch.no_grad()
def gumbel_noise(seeds: Tensor, count: int) -> Tensor:
    """`count` independent standard Gumbel numbers for each of `seeds` `[batch]` int64 (any bits): `[batch, count]` float32.

    They are functions of the seed alone, whatever the batch, the device or autocast, and those of a shorter `count` are the
    first of a longer one (up to the last of an odd number). `-log(-log u)` of `u = 1 - v`, where `v` has 31 bits and keeps
    the full precision of float32 near 0: the noise lies in [-2.82, 22.2], and its upper tail, which decides who wins, is as
    fine at 50,000 categories as at 10.
    """
    # SplitMix64 of a counter, as in gancore.random; each 64-bit hash gives two numbers. In place and in parts that stay in
    # the cache, which is three times as fast as the plain formula.
    pairs = (count + 1) // 2
    steps = torch.arange(1, pairs + 1, device=seeds.device, dtype=torch.int64) * _signed(_GAMMA)
    noise = torch.empty(len(seeds), 2 * pairs, device=seeds.device, dtype=torch.float32)
    rows = max(_CACHED // pairs, 1) if seeds.device.type == "cpu" else max(len(seeds), 1)
    spare = torch.empty(min(rows, len(seeds)), pairs, device=seeds.device, dtype=torch.int64)
    for begin in range(0, len(seeds), rows):
        part = noise[begin : begin + rows]
        hashed = _hash(seeds[begin : begin + rows, None] + steps, spare[: len(part)])
        part.copy_(hashed.view(torch.int32).bitwise_and_(0x7FFFFFFF))
        # The largest v would round to 1, and the noise to minus infinity: the scale is a little below 2^-31.
        part.mul_(-_SCALE).sub_(2.0**-32).log1p_().neg_().log_().neg_()
    return noise[:, :count]


def _hash(x: Tensor, spare: Tensor) -> Tensor:
    """`gancore.random.mix` of int64 `x`, in place; `spare` is of its shape."""
    for bits, factor in ((30, _MIX[0]), (27, _MIX[1]), (31, 0)):
        torch.bitwise_right_shift(x, bits, out=spare)
        x.bitwise_xor_(spare.bitwise_and_((1 << (64 - bits)) - 1))
        if factor:
            x.mul_(_signed(factor))
    return x


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Switches autocast off on `device`."""
    # On meta tensors there is none, and torch would not have it named.
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def softmax_gradient(gradient: Tensor, soft: Tensor, temperature: float) -> Tensor:
    """The gradient with respect to `logits` of `soft = softmax(logits / temperature)`, given that with respect to `soft`."""
    pull = soft * gradient
    return torch.addcmul(pull, soft, pull.sum(-1, keepdim=True), value=-1.0).div_(temperature)


class _StraightThrough(torch.autograd.Function):
    """Forward one-hot at the highest logit; backward as if the softmax had been passed on."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, temperature: float) -> Tensor:
        ctx.temperature = temperature
        ctx.save_for_backward(torch.softmax(logits / temperature, dim=-1))
        return torch.zeros_like(logits).scatter_(-1, logits.argmax(-1, keepdim=True), 1.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (soft,) = ctx.saved_tensors
        return softmax_gradient(grads[0], soft, ctx.temperature), None


def gumbel_of(uniform: Tensor) -> Tensor:
    """Standard Gumbel noise of uniform numbers in [0, 1), such as `draws.uniform` gives: in [-2.86, 16.64]."""
    return -torch.log(-torch.log(uniform.clamp(min=2.0**-25)))


def gumbel_softmax(
    logits: Tensor, noise: Tensor | None = None, temperature: float = 1.0, hard: bool = True, *, once: bool = True
) -> Tensor:
    """Relaxed samples of the categorical distributions `softmax(logits)`, `[..., categories]` float32.

    `softmax((logits + noise) / temperature)` with standard Gumbel `noise` (Jang et al. 2017; Maddison et al. 2017). With
    `hard` its highest entry is 1 and all others 0, which is an exact sample, while gradients are those of the soft one
    (straight-through): biased, the less the lower `temperature` is, and the noisier. Without `noise` it is the most probable
    category. Computed in float32 under autocast, too. Hard samples can be differentiated once; where `once` is false, as often as
    wanted, which takes more memory.
    """
    perturbed = logits.float() if noise is None else logits.float() + noise
    if hard and once:
        sample: Tensor = _StraightThrough.apply(perturbed, temperature)
        return sample
    with full_precision(logits.device):
        soft = torch.softmax(perturbed / temperature, dim=-1)
    if not hard:
        return soft
    one_hot = torch.zeros_like(soft).scatter_(-1, perturbed.argmax(dim=-1, keepdim=True), 1.0)
    return one_hot + (soft - soft.detach())


class TemperatureSchedule(Options):
    """How the temperature of the Gumbel-softmax moves from `start` to `final`.

    RelGAN (Nie et al. 2019) raises the inverse temperature as `beta_max^(n/N)`: exponential, from 1 to `1 / beta_max`.
    """

    schedule: Literal["constant", "linear", "exponential", "cosine"] = Field(
        "exponential", description="Shape of the way from start to final; constant stays at start."
    )
    start: float = Field(1.0, ge=1e-4, le=100.0, description="Temperature at first.")
    final: float = Field(0.01, ge=1e-4, le=100.0, description="Temperature at the end.")
    steps: int = Field(
        0, ge=0, le=1_000_000_000, description="Steps after which final is reached; 0: those of the whole run."
    )

    def at(self, step: int, steps: int) -> float:
        """The temperature in `step` (from 0) of a run of `steps` steps: `start` in step 0, `final` from the last one on."""
        last = self.steps or steps
        done = min(max(step / last, 0.0), 1.0) if last > 0 else 1.0
        match self.schedule:
            case "constant":
                return self.start
            case "linear":
                return self.start + (self.final - self.start) * done
            case "exponential":
                return self.start * (self.final / self.start) ** done
            case "cosine":
                return self.final + (self.start - self.final) * (1.0 + math.cos(math.pi * done)) / 2.0
