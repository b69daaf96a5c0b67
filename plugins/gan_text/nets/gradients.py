"""Gradients of texts written out by hand, where autograd would copy or hold `[batch, length, vocabulary]` several times.

All work in float32, can be differentiated once, and on a CPU go through the rows in parts that stay in its cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from gancore.nets.gumbel import full_precision, softmax_gradient

_ROWS = 128
_NUMBERS = 1 << 27


def _parts(rows: Tensor, width: int) -> Iterator[slice]:
    """Slices of `rows` `[n, ...]` to be worked on at a time, where each has `width` numbers."""
    step = _ROWS if rows.device.type == "cpu" else max(_NUMBERS // width, _ROWS)
    for begin in range(0, len(rows), step):
        yield slice(begin, begin + step)


class Placed(torch.autograd.Function):
    """The relaxed texts `out` `[batch, length, vocabulary]`, already made, as a function of logits `[n, vocabulary]` of places.

    `soft`, of the form of `out`, has `softmax(logits / temperature)`; `rows` says for each of the logits in which of its
    `batch * length` rows.
    """

    @staticmethod
    def forward(
        ctx: Any, out: Tensor, soft: Tensor, temperature: float, rows: Sequence[Tensor], *logits: Tensor
    ) -> Tensor:
        del logits
        ctx.soft, ctx.temperature, ctx.rows = soft.flatten(0, 1), temperature, rows
        ctx.mark_dirty(out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        grad = grads[0].flatten(0, 1)
        return None, None, None, None, *(softmax_gradient(grad[r], ctx.soft[r], ctx.temperature) for r in ctx.rows)


class Projected(torch.autograd.Function):
    """`Placed` of the logits `hidden @ weight.T + bias`, which need not be computed again: `hidden` is `[n, features]`."""

    @staticmethod
    def forward(
        ctx: Any,
        out: Tensor,
        soft: Tensor,
        temperature: float,
        rows: Tensor,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
    ) -> Tensor:
        del bias
        ctx.soft, ctx.temperature, ctx.rows = soft.flatten(0, 1), temperature, rows
        ctx.save_for_backward(hidden, weight)
        ctx.mark_dirty(out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        hidden, weight = ctx.saved_tensors
        grad = grads[0].flatten(0, 1)
        back = _Linear(hidden, weight, *ctx.needs_input_grad[4:])
        for part in _parts(ctx.rows, len(weight)):
            rows = ctx.rows[part]
            back.add(part, softmax_gradient(grad[rows], ctx.soft[rows], ctx.temperature))
        return None, None, None, None, back.hidden, back.weight, back.bias


class Fed(torch.autograd.Function):
    """The vector `[batch, dim]` that is read of a relaxed token: `soft @ weight`, or that of `ids` with the same gradient."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, weight: Tensor, soft: Tensor, ids: Tensor | None, temperature: float
    ) -> Tensor:
        del logits
        ctx.save_for_backward(weight, ids)
        ctx.soft, ctx.temperature = soft, temperature
        if ids is not None:
            return F.embedding(ids, weight)
        with full_precision(weight.device):
            return soft @ weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        weight, ids = ctx.saved_tensors
        of_weight = None
        if ctx.needs_input_grad[1]:
            of_weight = _by_token(weight, ids, grads[0]) if ids is not None else ctx.soft.t() @ grads[0]
        return softmax_gradient(grads[0] @ weight.t(), ctx.soft, ctx.temperature), of_weight, None, None, None


def linear_cross_entropy(hidden: Tensor, weight: Tensor, bias: Tensor | None, ids: Tensor) -> Tensor:
    """`-log softmax(hidden @ weight.T + bias)` at `ids` `[n]`, in nats: `[n]`. `hidden` is `[n, features]` float32."""
    losses: Tensor = _LinearCrossEntropy.apply(hidden, weight, bias, ids)
    return losses


class _LinearCrossEntropy(torch.autograd.Function):
    """Holds the probabilities `[n, vocabulary]` once for the backward pass, and not at all where there is none."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, ids: Tensor) -> Tensor:
        count, vocabulary = len(hidden), len(weight)
        kept = hidden.new_empty(count, vocabulary) if any(ctx.needs_input_grad) else None
        losses = hidden.new_empty(count)
        with full_precision(hidden.device):
            for part in _parts(hidden, vocabulary):
                logits = F.linear(hidden[part], weight, bias)
                top = logits.amax(1, keepdim=True)
                chosen = logits.gather(1, ids[part, None])
                total = logits.sub_(top).exp_().sum(1, keepdim=True)
                losses[part] = (total.log() + top - chosen).squeeze(1)
                if kept is not None:
                    torch.div(logits, total, out=kept[part])
        ctx.save_for_backward(hidden, weight, kept, ids)
        return losses

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        hidden, weight, kept, ids = ctx.saved_tensors
        back = _Linear(hidden, weight, *ctx.needs_input_grad[:3])
        for part in _parts(hidden, len(weight)):
            pull = grads[0][part, None]
            of_logits = kept[part] * pull
            of_logits.scatter_add_(1, ids[part, None], -pull)
            back.add(part, of_logits)
        return back.hidden, back.weight, back.bias, None


class _Linear:
    """Gradients of a linear layer, added up over parts of its rows; None for those that are not needed."""

    def __init__(self, hidden: Tensor, weight: Tensor, of_hidden: bool, of_weight: bool, of_bias: bool) -> None:
        self._inputs, self._weights = hidden, weight
        self.hidden = torch.empty_like(hidden) if of_hidden else None
        self.weight = torch.zeros_like(weight) if of_weight else None
        self.bias = weight.new_zeros(len(weight)) if of_bias else None

    def add(self, part: slice, of_logits: Tensor) -> None:
        with full_precision(of_logits.device):
            if self.hidden is not None:
                self.hidden[part] = of_logits @ self._weights
            if self.weight is not None:
                self.weight.addmm_(of_logits.t(), self._inputs[part])
            if self.bias is not None:
                self.bias += of_logits.sum(0)


def _by_token(weight: Tensor, ids: Tensor, grad: Tensor) -> Tensor:
    """The gradient of vectors that were looked up at `ids`."""
    return torch.zeros_like(weight).index_add_(0, ids, grad)
