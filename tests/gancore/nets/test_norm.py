"""Batch normalisation: alone as torch's own, on two processes as on one, and by class."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from gancore import distributed
from gancore.nets.norm import BatchNorm, ConditionalBatchNorm

ROWS, FEATURES = 6, 3


def whole_batch() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(ROWS, FEATURES, 2, 4, generator=draw, dtype=torch.float64) * 3.0 + 50.0
    return x, torch.randn(x.shape, generator=draw, dtype=torch.float64)


def two_layers() -> nn.Module:
    torch.manual_seed(0)
    # Two in a row, so that a gradient passes through one layer's statistics on its way to the other's parameters.
    return nn.Sequential(BatchNorm(FEATURES), nn.Tanh(), BatchNorm(FEATURES)).double()


def forward_and_backward(net: nn.Module, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    # A first pass moves the running statistics, about which the moments over ranks are taken, off zero.
    with torch.no_grad():
        net(x)
    x = x.clone().requires_grad_()
    y = net(x)
    # The mean over rows, as an objective is: the ranks' means average to the whole batch's mean.
    (y * target).flatten(1).sum(dim=1).mean().backward()
    assert x.grad is not None
    return y.detach(), x.grad


def on_one_of_two_ranks(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    try:
        net = two_layers()
        mine = slice(rank * ROWS // 2, (rank + 1) * ROWS // 2)
        x, target = whole_batch()
        y, x_grad = forward_and_backward(net, x[mine], target[mine])
        distributed.reduce_gradients(list(net.parameters()))
        torch.save(
            {"y": y, "x_grad": x_grad / 2, "grads": [p.grad for p in net.parameters()], "buffers": list(net.buffers())},
            f"{folder}/{rank}.pt",
        )
    finally:
        dist.destroy_process_group()


def test_two_processes_equal_one_on_the_whole_batch(tmp_path: Path) -> None:
    mp.start_processes(on_one_of_two_ranks, args=(str(tmp_path),), nprocs=2, start_method="fork")
    ranks = [torch.load(tmp_path / f"{r}.pt", weights_only=True) for r in range(2)]
    net = two_layers()
    y, x_grad = forward_and_backward(net, *whole_batch())

    close = {"rtol": 1e-6, "atol": 1e-8}
    torch.testing.assert_close(torch.cat([r["y"] for r in ranks]), y, **close)
    torch.testing.assert_close(torch.cat([r["x_grad"] for r in ranks]), x_grad, **close)
    for rank in ranks:
        for got, p in zip(rank["grads"], net.parameters(), strict=True):
            torch.testing.assert_close(got, p.grad, **close)
        for got, want in zip(rank["buffers"], net.buffers(), strict=True):
            torch.testing.assert_close(got, want, **close)


@pytest.mark.parametrize("training", [True, False])
def test_alone_it_is_torchs_batch_norm(training: bool) -> None:
    ours, theirs = BatchNorm(3).train(training), nn.BatchNorm2d(3).train(training)
    x = torch.randn(5, 3, 4, 2)
    assert torch.equal(ours(x), theirs(x))
    for got, want in zip(ours.buffers(), theirs.buffers(), strict=True):
        assert torch.equal(got, want)


@pytest.mark.parametrize("shape", [(8, 3), (8, 3, 7), (8, 3, 4, 5), (8, 3, 2, 3, 4)])
def test_features_come_out_with_mean_zero_and_variance_one_whatever_follows_them(shape: tuple[int, ...]) -> None:
    y = BatchNorm(3)(torch.randn(shape) * 4.0 + 9.0).transpose(0, 1).flatten(1)
    torch.testing.assert_close(y.mean(1), torch.zeros(3), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(y.var(1, unbiased=False), torch.ones(3), atol=1e-4, rtol=0.0)


def test_a_tensor_without_features_is_refused() -> None:
    with pytest.raises(ValueError, match=r"batch, features"):
        BatchNorm(3)(torch.randn(3))


def test_conditional_gain_and_bias_are_affine_in_the_embedding() -> None:
    layer = ConditionalBatchNorm(2, 3)
    with torch.no_grad():
        layer.affine.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 2, 0], [0, 0, 3], [1, 1, 1]]))
        layer.affine.bias.copy_(torch.tensor([0.5, 0.0, 0.0, -1.0]))
    x, e = torch.randn(4, 2, 5), torch.tensor([[1.0, 2, 3], [0, 0, 0], [-1, 0, 0], [0, 0, 1]])
    plain = nn.BatchNorm1d(2, affine=False)(x)
    gain = torch.tensor([[2.5, 5.0], [1.5, 1.0], [0.5, 1.0], [1.5, 1.0]])
    bias = torch.tensor([[9.0, 5.0], [0.0, -1.0], [0.0, -2.0], [3.0, 0.0]])
    torch.testing.assert_close(layer(x, e), gain[:, :, None] * plain + bias[:, :, None])


def test_conditional_norm_starts_near_the_plain_one() -> None:
    torch.manual_seed(0)
    x = torch.randn(16, 4, 3, 3)
    y = ConditionalBatchNorm(4, 8)(x, torch.randn(16, 8))
    distance = (y - BatchNorm(4)(x)).abs().mean()
    assert 0.0 < distance < 0.2
