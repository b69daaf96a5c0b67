"""Gradient caching (Gao et al. 2021): a loss that couples the samples of a batch, with the memory of a part of it.

A first pass without graphs collects the logits of all parts, and the gradient of the loss with respect to each. Every part is
then passed once more, with a graph, and backpropagates its own share of that gradient: the result is that of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gancore.data.batch import Batch
from gancore.random import Draws

Logits = tuple[Tensor, ...]
"""Logits `[batch, ...]` of each head of a discriminator."""


class GradientCache:
    """The loss of a whole batch, and its gradient with respect to the logits of each of its `parts`, to be used in their order.

    `logits` makes those of real and of fake samples of a part, and `loss` a scalar of all of them.
    """

    def __init__(
        self,
        parts: Sequence[Batch],
        draws: Sequence[Draws],
        logits: Callable[[Batch, Draws], tuple[Logits, Logits]],
        loss: Callable[[Logits, Logits], Tensor],
    ) -> None:
        self._states, seen = [], []
        with torch.no_grad():
            for part, d in zip(parts, draws, strict=True):
                self._states.append(layer_randomness(part.x.device))
                seen.append(logits(part, d))
        real, fake = (
            tuple(torch.cat(head).detach().requires_grad_() for head in zip(*side, strict=True))
            for side in zip(*seen, strict=True)
        )
        total = loss(real, fake)
        grads = torch.autograd.grad(total, [*real, *fake], allow_unused=True, materialize_grads=True)
        sizes = [len(part) for part in parts]
        self._grads = list(zip(*(g.split(sizes) for g in grads), strict=True))
        self.loss = total.detach()

    def restore_randomness(self, device: torch.device) -> None:
        """Have layers that draw for themselves (dropout) draw for the next part what they drew in the first pass."""
        layer_randomness(device, self._states.pop(0))

    def backward(self, real: Logits, fake: Logits, more: Tensor | None = None, weight: float = 1.0) -> None:
        """Backpropagate the next part's share of the gradient through its logits, and `weight` times `more`, a term of its own."""
        pairs = [(h, g) for h, g in zip((*real, *fake), self._grads.pop(0), strict=True) if h.requires_grad]
        if more is not None:
            pairs.append((more, torch.full_like(more, weight)))
        torch.autograd.backward([h for h, _ in pairs], [g for _, g in pairs])


def layer_randomness(device: torch.device, state: Tensor | None = None) -> Tensor:
    """The state that layers on `device` draw from (dropout), after setting it to `state` if one is given."""
    if device.type == "cuda":
        if state is not None:
            torch.cuda.set_rng_state(state, device)
        return torch.cuda.get_rng_state(device)
    if state is not None:
        torch.set_rng_state(state)
    return torch.get_rng_state()
