"""How games call networks, whatever these are: latents, generators of which a part is given, discriminators with several heads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gancore.powers import DrawsLatent, MixesBatch
from gancore.random import Draws

Heads = tuple[Tensor, ...]
"""Logits `[batch]` of each head of a discriminator, or `[batch, places...]` of one that judges parts of samples."""


def draw_latent(generator: nn.Module, draws: Draws) -> Tensor:
    """Latents `[batch, *latent_shape]` for `generator`: its own distribution where it has one, else standard normal."""
    if isinstance(generator, DrawsLatent):
        return generator.draw_latent(draws)
    return draws.normal("z", *generator.latent_shape)  # type: ignore[misc]


def call_generator(generator: nn.Module, z: Tensor, condition: Tensor | None, given: Tensor | None) -> Tensor:
    """Relaxed samples `[batch, *shape]`: `generator(z, condition)`, and with `given` where a part of each sample is given.

    Every game that generates for itself does it so, with `batch.condition` and `batch.given`; then it works where a part is
    given, and with generators that know of none.
    """
    samples: Tensor = generator(z, condition) if given is None else generator(z, condition, given)
    return samples


def heads(output: Tensor | Sequence[Tensor]) -> Heads:
    """A discriminator's output as float32 logits per head, whatever precision it was computed in."""
    parts = (output,) if isinstance(output, Tensor) else tuple(output)
    return tuple(p.float() if p.dtype in (torch.bfloat16, torch.float16) else p for p in parts)


def of_samples(head: Tensor) -> Tensor:
    """The logit `[batch]` of each sample: where a head has logits of places, `[batch, places...]`, their mean."""
    return head if head.dim() == 1 else head.flatten(1).mean(1)


def total(logits: Heads) -> Tensor:
    """The logit `[batch]` of each sample, heads added up, as penalties look at it."""
    return torch.stack([of_samples(head) for head in logits]).sum(0)


def mixes_batch(discriminator: nn.Module) -> bool:
    """Whether samples of a batch affect each other: it says so, or normalises over the batch."""
    says = isinstance(discriminator, MixesBatch) and bool(discriminator.mixes_batch)
    return says or any(isinstance(m, _BatchNorm) for m in discriminator.modules())
