"""Choosing tokens by Gumbel-softmax, place by place, and relaxed texts of them whose gradients are the softmax's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from gan_text.nets.gradients import Fed, Placed, Projected
from gan_text.nets.reading import up_to_end
from gan_text.nets.sampling import by_entropy
from gancore.nets.gumbel import gumbel_noise

if TYPE_CHECKING:
    from gan_text.nets.generator import TextGenerator


class Place(NamedTuple):
    """Where a generator is: at place `number` of the texts `order` `[n]`, whose random bits `[n]` for it are `bits`.

    `ended` `[n]` says which of them have ended before.
    """

    number: int
    bits: Tensor
    order: Tensor
    ended: Tensor


Choose = Callable[[Tensor, Place], tuple[Tensor, Tensor | None]]
"""Of logits `[n, vocabulary]` float32 at a place, the token ids `[n]` chosen, and what is read of them `[n, dim]`.

None for the latter is the vectors of the tokens.
"""


class Relaxing:
    """`choose` of relaxed texts `[batch, length, vocabulary]`, which it fills on the way: each place once, with no copy."""

    def __init__(
        self, generator: TextGenerator, batch: int, temperature: float, hard: bool, noise: tuple[float, float]
    ) -> None:
        """`noise` is the factor of the Gumbel noise, and what is added to it for each nat of entropy."""
        self._end, self._length = generator.end, generator.spec.length
        self._temperature, self._hard, self._noise = temperature, hard, noise
        self._keep = torch.is_grad_enabled()
        self._through = generator.feed == "soft" and (self._keep or not hard)
        self._weight = generator.token_weight() if self._through else None
        self.out = torch.zeros(batch, self._length, generator.spec.vocabulary, device=generator.begin.device)
        # Behind the end of a text it is never read, and so never filled.
        self._soft = torch.empty_like(self.out) if hard and self._keep else self.out
        self._rows: list[Tensor] = []
        self._logits: list[Tensor] = []

    def choose(self, logits: Tensor, now: Place) -> tuple[Tensor, Tensor | None]:
        """One place; see `Choose`."""
        soft = None
        with torch.no_grad():
            perturbed = logits
            if any(self._noise):
                perturbed = logits + gumbel_noise(now.bits, logits.shape[1]).mul_(by_entropy(logits, *self._noise))
            ids = perturbed.argmax(1).masked_fill(now.ended, self._end)
            if self._keep or not self._hard:
                # A text that has ended goes on with one-hot ends, through which no gradient passes.
                soft = torch.softmax(perturbed / self._temperature, dim=1).masked_fill_(now.ended[:, None], 0.0)
                soft[:, self._end].masked_fill_(now.ended, 1.0)
                self._soft[now.order, now.number] = soft
            if self._hard:
                self.out[now.order, now.number, ids] = 1.0
        if logits.requires_grad:
            self._rows.append(now.order * self._length + now.number)
            self._logits.append(logits)
        if self._weight is None:
            return ids, None
        return ids, Fed.apply(logits, self._weight, soft, ids if self._hard else None, self._temperature)

    def close(self, ids: Tensor) -> None:
        """Fill what was left out of the texts `ids` `[batch, length]` with ends."""
        self.out[..., self._end].masked_fill_(~up_to_end(ids, self._end), 1.0)

    def texts(self, rows: Sequence[Tensor] | None = None, logits: Sequence[Tensor] | None = None) -> Tensor:
        """The relaxed texts, as a function of `logits` `[n, vocabulary]` of which `rows` say which of the places they are.

        Without them, of the logits that they were chosen from.
        """
        rows, logits = (self._rows, self._logits) if rows is None or logits is None else (rows, logits)
        if not logits:
            return self.out
        relaxed: Tensor = Placed.apply(self.out, self._soft, self._temperature, rows, *logits)
        return relaxed

    def projected(self, rows: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The relaxed texts, as a function of the logits `hidden @ weight.T + bias` of the places `rows`."""
        relaxed: Tensor = Projected.apply(self.out, self._soft, self._temperature, rows, hidden, weight, bias)
        return relaxed
