"""The last layer of a generator whose samples are made of named parts."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gancore.data.parts import PartsSpec
from gancore.errors import UsageError
from gancore.nets.gumbel import gumbel_of, gumbel_softmax
from gancore.random import Draws


class PartsHead(nn.Module):
    """Logits `[batch, size]` to relaxed samples `[batch, width]` of a `PartsSpec`; it has no weights.

    Numbers are moved to [-1, 1] by tanh, categories to the simplex by softmax. With `noise`, categories are drawn by Gumbel-softmax at
    `temperature` (Jang et al. 2017; Maddison et al. 2017). Where `straight_through` is true they are exact one-hot vectors, as those
    of data are, with the gradient of the softmax; without noise the likeliest category then.

    Parts that are given get no logits. They are passed in as they are, `[batch, *given_shape]`, and stand where they belong.
    """

    def __init__(self, spec: PartsSpec, *, temperature: float = 1.0, straight_through: bool = True) -> None:
        super().__init__()
        if not temperature > 0.0:
            raise UsageError(f"the temperature of choices must be above 0, not {temperature}")
        self.temperature, self.straight_through = temperature, straight_through
        self._parts = [(math.prod(part.relaxed_shape), part.count, part.given) for part in spec.parts]
        self.size = sum(width for width, _, given in self._parts if not given)
        """How many logits it takes of each sample."""
        self.choices = sum(width for width, count, given in self._parts if count and not given)
        """How many of them are of categories, and so the length of the noise; 0 where there are none."""
        self._given = sum(width for width, _, given in self._parts if given)

    def draw_noise(self, draws: Draws) -> Tensor:
        """Standard Gumbel noise `[batch, choices]`, counted as all random numbers are: a part of a latent, say."""
        return gumbel_of(draws.uniform("choices", self.choices))

    def forward(self, logits: Tensor, noise: Tensor | None = None, given: Tensor | None = None) -> Tensor:
        """Relaxed samples `[batch, width]` float32 of `logits` `[batch, size]`, `noise` `[batch, choices]` and what is `given`.

        Raises:
            UsageError: one of them has another shape, or something is given where no part is, or the other way round.
        """
        self._check("logits", logits, self.size)
        if noise is not None:
            self._check("noise", noise, self.choices)
        if (given is None) != (self._given == 0):
            raise UsageError("pass what is given exactly where parts of the spec are marked as given")
        if given is not None:
            self._check("given", given, self._given)
        made, at, drawn, kept = [], 0, 0, 0
        for width, count, known in self._parts:
            if known:
                assert given is not None
                made.append(given[:, kept : (kept := kept + width)].float())
                continue
            own = logits[:, at : (at := at + width)].float()
            if not count:
                made.append(torch.tanh(own))
                continue
            its_noise = None if noise is None else noise[:, drawn : (drawn := drawn + width)].float()
            made.append(self._choice(own, its_noise, count))
        return torch.cat(made, dim=1)

    def _choice(self, logits: Tensor, noise: Tensor | None, count: int) -> Tensor:
        """Points on the simplex, `[batch, values * count]`, of as many logits."""
        each = (-1, count)
        own = None if noise is None else noise.unflatten(1, each)
        drawn = gumbel_softmax(logits.unflatten(1, each), own, self.temperature, self.straight_through, once=False)
        return drawn.flatten(1)

    def _check(self, name: str, values: Tensor, length: int) -> None:
        if values.dim() != 2 or values.shape[1] != length:
            raise UsageError(f"{name} of these parts must be [batch, {length}], not {list(values.shape)}")
