"""Replicated training on many processes: who am I, agree on values, average gradients.

A process group exists only under `torchrun`; without one every function here does nothing and costs nothing. The same code
runs on one CPU and on many nodes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gancore.errors import LostProcessError, ToldElsewhereError

Value = TypeVar("Value")
BUCKET_BYTES = 25 * 1024 * 1024


def active() -> bool:
    """Whether this process is one of several."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """This process's number, 0 when alone."""
    return dist.get_rank() if active() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if active() else 1


def is_main() -> bool:
    """Whether this process writes files and speaks to the user."""
    return rank() == 0


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the group that `torchrun` announces, if any, and leave it in the end."""
    if "WORLD_SIZE" not in os.environ or "RANK" not in os.environ or active():
        yield
        return
    if device.type == "cuda":
        # Before anything is exchanged: values travel by way of the current card, and two processes cannot share one.
        local = int(os.environ.get("LOCAL_RANK", os.environ["RANK"]))
        torch.cuda.set_device(local % torch.cuda.device_count())
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def talking() -> Iterator[None]:
    """Around an exchange between processes.

    Raises:
        LostProcessError: another one has ended, or cannot be reached.
    """
    try:
        yield
    except RuntimeError as error:
        reason = (
            re.sub(r"^(\[[^]]*\]\s*)+", "", str(error).strip()).split(". ")[0].split("\n")[0] or type(error).__name__
        )
        raise LostProcessError(
            f"another process of this training has ended or cannot be reached any more, as process {rank()} of {world_size()} found "
            f"({reason})"
        ) from error


def broadcast_value(value: Any) -> Any:
    """Rank 0's value, on every rank (plain data: numbers, strings, lists)."""
    if not active():
        return value
    box = [value]
    with talking():
        dist.broadcast_object_list(box, src=0)
    return box[0]


def on_main(call: Callable[[], Value]) -> Value:
    """What `call` gives on rank 0 (plain data), on every rank. Where it raises, every rank does, and rank 0 alone tells.

    Raises:
        ToldElsewhereError: on other ranks, that rank 0 could not go on.
    """
    if not active():
        return call()
    value: Value | None = None
    error: Exception | None = None
    if is_main():
        try:
            value = call()
        except Exception as caught:
            error = caught
    failure = None if error is None else (str(error), int(getattr(error, "exit_code", 1)))
    value, failed = broadcast_value((value, failure))
    if error is not None:
        raise error
    if failed is not None:
        raise ToldElsewhereError(*failed)
    return value


def broadcast_module(module: nn.Module) -> None:
    """Make every rank's parameters and buffers those of rank 0."""
    if active():
        with torch.no_grad():
            for tensor in [*module.parameters(), *module.buffers()]:
                flat = tensor.detach().contiguous()
                with talking():
                    dist.broadcast(flat, src=0)
                tensor.copy_(flat)


def reduce_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Average the gradients of `parameters` over ranks, in flat buckets.

    The list is the same on every rank whatever happened in the backward pass: a gradient that is missing counts as zeros,
    so a phase that touches only some parameters, or none on some ranks, cannot make ranks wait for one another in vain.
    """
    if not active():
        return
    bucket: list[nn.Parameter] = []
    size = 0
    for p in parameters:
        if bucket and (size + p.numel() * p.element_size() > BUCKET_BYTES or p.dtype != bucket[0].dtype):
            _reduce_bucket(bucket)
            bucket, size = [], 0
        bucket.append(p)
        size += p.numel() * p.element_size()
    if bucket:
        _reduce_bucket(bucket)


def _reduce_bucket(parameters: Sequence[nn.Parameter]) -> None:
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([g.reshape(-1) for g in grads])
    with talking():
        dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for p, g, part in zip(parameters, grads, flat.split([g.numel() for g in grads]), strict=True):
        p.grad = g.copy_(part.view(g.shape))


def mean_scalars(scalars: dict[str, float]) -> dict[str, float]:
    """Each scalar averaged over ranks. Ranks must hold the same names."""
    if not active() or not scalars:
        return scalars
    names = sorted(scalars)
    flat = torch.tensor([scalars[n] for n in names], dtype=torch.float64)
    if dist.get_backend() == "nccl":
        flat = flat.cuda()
    with talking():
        dist.all_reduce(flat)
    return dict(zip(names, (flat / dist.get_world_size()).tolist(), strict=True))


class _Gather(torch.autograd.Function):
    """All ranks' rows, in order of rank. Every rank computes the same function of them, so the gradient needs no exchange:
    a rank keeps its own rows of it, times the number of ranks because gradients are averaged afterwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.rows = len(x)
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        with talking():
            dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        start = dist.get_rank() * ctx.rows
        return grad[start : start + ctx.rows] * dist.get_world_size()


def gather(x: Tensor) -> Tensor:
    """Rows of every rank `[world * batch, ...]`, differentiable; `x` itself when alone. Ranks hold equally many rows."""
    return _Gather.apply(x) if active() else x


class _SumOverRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.detach().clone()
        with talking():
            dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _SumOverRanks.apply(grad)  # the same again, so that penalties can differentiate twice


def sum_over_ranks(x: Tensor) -> Tensor:
    """The sum over ranks, differentiable: each rank's objective may depend on it."""
    return _SumOverRanks.apply(x) if active() else x
