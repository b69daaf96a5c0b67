"""Batch normalisation, plain or by class, with the statistics of the whole batch however many processes share it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gancore import distributed


class BatchNorm(_BatchNorm):
    """Batch normalisation (Ioffe & Szegedy 2015) of `[batch, features, ...]`, whatever comes behind these.

    In training under a process group, mean and variance are taken over all ranks' rows, of which each rank must hold
    equally many: two processes then compute what one would on the whole batch, gradients and running statistics
    included. Over ranks it can be differentiated once: a penalty on gradients asks for a discriminator without it.
    """

    def __init__(self, features: int, *, affine: bool = True, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(features, eps=eps, momentum=momentum, affine=affine)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(
                f"batch normalisation takes [batch, features, ...], not a tensor of shape {list(input.shape)}"
            )

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and distributed.active()):
            return super().forward(input)
        self._check_input_dim(input)
        return self._over_ranks(input)

    def _over_ranks(self, x: Tensor) -> Tensor:
        column = [1, -1] + [1] * (x.dim() - 2)
        axes = [d for d in range(x.dim()) if d != 1]
        assert self.running_mean is not None
        assert self.running_var is not None
        # Moments about the running mean, which is the same on every rank: one exchange gives both, and E[x^2] - E[x]^2
        # loses few digits where the mean is far from zero.
        shift = self.running_mean.clone()
        centred = x.to(shift.dtype) - shift.view(column)
        moments = torch.stack([centred.mean(axes), centred.square().mean(axes)])
        mean, square = distributed.sum_over_ranks(moments) / distributed.world_size()
        variance = (square - mean.square()).clamp(min=0.0)
        with torch.no_grad():
            count = x.numel() // x.shape[1] * distributed.world_size()
            momentum = self.momentum if self.momentum is not None else 0.1
            self.running_mean.lerp_(shift + mean, momentum)
            self.running_var.lerp_(variance * (count / max(count - 1, 1)), momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        y = (centred - mean.view(column)) * torch.rsqrt(variance + self.eps).view(column)
        if self.affine:
            y = y * self.weight.view(column) + self.bias.view(column)
        return y.to(x.dtype)


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation with a gain and a bias for each sample (de Vries et al. 2017; Miyato & Koyama 2018).

    Both are affine functions of a class embedding, the gain centred on one: `(1 + g(e)) * norm(x) + b(e)`.
    """

    def __init__(self, features: int, embedding_dim: int) -> None:
        super().__init__()
        self.norm = BatchNorm(features, affine=False)
        self.affine = nn.Linear(embedding_dim, 2 * features)
        # Small and not zero: classes differ from the first step on, and spectral normalisation divides by the norm.
        nn.init.normal_(self.affine.weight, std=0.02)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """`x` `[batch, features, ...]` and `embedding` `[batch, embedding_dim]` to the shape of `x`."""
        per_sample = self.affine(embedding)
        gain, bias = per_sample.view(*per_sample.shape, *[1] * (x.dim() - 2)).chunk(2, dim=1)
        return torch.addcmul(bias, self.norm(x), 1.0 + gain)
