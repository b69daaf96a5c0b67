"""Self-attention over the positions of a feature map, differentiable as often as a gradient penalty needs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention2d(nn.Module):
    """Self-attention of SAGAN (Zhang et al. 2019): `x + gamma * o(softmax(q(x)^T k(x)) v(x))`, `gamma` zero at first.

    As in the authors' implementation keys and values are max-pooled by two, which makes the attention map four times
    smaller. Written out as two products, because fused attention has no second derivative.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // 8, 1)
        self.query = nn.Conv2d(channels, inner, 1, bias=False)
        self.key = nn.Conv2d(channels, inner, 1, bias=False)
        self.value = nn.Conv2d(channels, max(channels // 2, 1), 1, bias=False)
        self.out = nn.Conv2d(max(channels // 2, 1), channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, channels, height, width]` to the same shape."""
        batch, _, height, width = x.shape
        query = self.query(x).flatten(2)
        key = F.max_pool2d(self.key(x), 2, ceil_mode=True).flatten(2)
        value = F.max_pool2d(self.value(x), 2, ceil_mode=True).flatten(2)
        weights = torch.softmax(query.transpose(1, 2) @ key, dim=-1)
        seen = (value @ weights.transpose(1, 2)).reshape(batch, -1, height, width)
        return x + self.gamma * self.out(seen)
