"""How discriminators read relaxed texts: an embedding that costs a look-up where a text is one-hot, and a mask up to its end."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_text.spec import TextSpec


def up_to_end(ids: Tensor, end: int) -> Tensor:
    """Which places `[batch, length]` of token ids belong to a text: those up to and with its first `end`."""
    ended = (ids == end).cumsum(1)
    return (ended - (ids == end).to(ended.dtype)) == 0


class _OneHotEmbedding(torch.autograd.Function):
    """`x @ weight` of one-hot `x` `[batch, length, vocabulary]`, forward by looking up `ids` `[batch, length]`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, ids: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, ids)
        return F.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight, ids = ctx.saved_tensors
        of_x, of_weight = None, None
        if ctx.needs_input_grad[0]:
            of_x = _times(grads[0].reshape(-1, weight.shape[1]), weight.t()).view(x.shape)
        if ctx.needs_input_grad[1]:
            if torch.is_grad_enabled():
                # The graph of this gradient is asked for, and in it x is a variable.
                of_weight = x.flatten(0, 1).t() @ grads[0].flatten(0, 1)
            else:
                of_weight = torch.zeros_like(weight).index_add_(0, ids.flatten(), grads[0].reshape(-1, weight.shape[1]))
        return of_x, of_weight, None


def _times(rows: Tensor, matrix: Tensor) -> Tensor:
    """`rows @ matrix`, where most of the rows may be 0: places behind the ends of texts."""
    if torch.is_grad_enabled():
        return rows @ matrix
    live = rows.any(1).nonzero().squeeze(1)
    if 4 * len(live) > 3 * len(rows):
        return rows @ matrix
    return rows.new_zeros(len(rows), matrix.shape[1]).index_copy_(0, live, rows[live] @ matrix)


class TextDiscriminator(nn.Module):
    """What discriminators of texts have in common: `forward(x, c) = logits(embed(x), c, mask(x))`.

    Subclasses give `read(embedded, condition, mask) -> [batch, features]`, in which places outside of the mask must make no
    difference, and `head(features, condition)`: logits.
    """

    def __init__(self, spec: TextSpec, dim: int) -> None:
        super().__init__()
        self.end = spec.end
        self.tokens = nn.Embedding(spec.vocabulary, dim)
        nn.init.normal_(self.tokens.weight, std=dim**-0.5)
        self.head: nn.Module
        self.pretrained = False

    @torch.no_grad()
    def begin_with(self, vectors: Tensor) -> None:
        """Make the tokens' vectors a random projection of `vectors` `[vocabulary, n]`, of the size that they have at first.

        Tokens that a trained generator takes for alike are then alike here from the start, which thousands of words that are
        seen a few times each would take longer to show than the discriminator has. A pretrained one keeps its own.
        """
        if self.pretrained:
            return
        weight = self.tokens.weight
        count, dim = vectors.shape[1], weight.shape[1]
        projection = torch.randn(count, dim, generator=torch.Generator().manual_seed(0)).to(vectors)
        projected = vectors @ projection
        weight.copy_(projected * (dim**-0.5 / projected.std().clamp_min(1e-12)))

    def embed(self, x: Tensor) -> Tensor:
        """Relaxed texts `[batch, length, vocabulary]` to the mean of their tokens' vectors, `[batch, length, dim]`."""
        return self._embedded(x, x.detach().argmax(-1))

    def mask(self, x: Tensor) -> Tensor:
        """1 at places `[batch, length]` up to and with the first whose likeliest token is the end, else 0; float32."""
        return up_to_end(x.detach().argmax(-1), self.end).float()

    def read(self, embedded: Tensor, condition: Tensor | None, mask: Tensor) -> Tensor:
        """Features `[batch, features]` of embedded texts `[batch, length, dim]`; `mask` is `[batch, length]`."""
        raise NotImplementedError

    def logits(self, embedded: Tensor, condition: Tensor | None, mask: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Logits `[batch]`, or one such tensor a head, of embedded texts `[batch, length, dim]`."""
        logits: Tensor | tuple[Tensor, ...] = self.head(self.read(embedded, condition, mask), condition)
        return logits

    def features(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """What the logits are functions of: `[batch, features]`."""
        return self.read(*self._seen(x, condition))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        return self.logits(*self._seen(x, condition))

    def _seen(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor]:
        x = x[:, : self._longest(x.detach())]
        ids = x.detach().argmax(-1)
        return self._embedded(x, ids), condition, up_to_end(ids, self.end).float()

    def _longest(self, x: Tensor) -> int:
        """How many places are worth looking at: after them there is nothing but one-hot ends."""
        if x.device.type != "cpu":  # elsewhere looking at values would wait for the device
            return x.shape[1]
        open_places = (x[..., self.end] != 1.0).any(0).nonzero()
        return min(int(open_places[-1]) + 2, x.shape[1]) if len(open_places) else 1

    def _embedded(self, x: Tensor, ids: Tensor) -> Tensor:
        weight = self.tokens.weight
        # The highest entry of a point on the simplex is 1 where all others are 0.
        if x.device.type == "cpu" and bool((x.detach().gather(-1, ids[..., None]) == 1.0).all()):
            embedded: Tensor = _OneHotEmbedding.apply(x, weight, ids)
            return embedded
        return x @ weight
