"""Self-attention against its formula, and its second derivative."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gancore.nets.attention import SelfAttention2d


def test_attention_starts_as_the_identity() -> None:
    x = torch.randn(2, 8, 3, 5)
    assert torch.equal(SelfAttention2d(8)(x), x)


@pytest.mark.parametrize("size", [(4, 4), (3, 5), (7, 7)])
def test_attention_equals_torchs_scaled_product_undone(size: tuple[int, int]) -> None:
    layer, x = SelfAttention2d(16), torch.randn(2, 16, *size)
    torch.nn.init.constant_(layer.gamma, 0.7)
    rows = [
        layer.query(x),
        F.max_pool2d(layer.key(x), 2, ceil_mode=True),
        F.max_pool2d(layer.value(x), 2, ceil_mode=True),
    ]
    query, key, value = (r.flatten(2).transpose(1, 2) for r in rows)
    seen = F.scaled_dot_product_attention(query, key, value, scale=1.0).transpose(1, 2).reshape(2, 8, *size)
    torch.testing.assert_close(layer(x), x + 0.7 * layer.out(seen))


def test_attention_has_second_derivatives() -> None:
    torch.manual_seed(0)
    layer = SelfAttention2d(4).double()
    torch.nn.init.constant_(layer.gamma, 0.5)
    x = torch.randn(1, 4, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(layer, (x,))
