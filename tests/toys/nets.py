"""What tests of networks of every modality need: one thread, weights that are nowhere special, and what all networks keep to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks this small lose more to waiting for threads than they gain by them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def perturb(*networks: nn.Module) -> None:
    """Move every parameter off its special initial value."""
    with torch.no_grad():
        for p in (p for network in networks for p in network.parameters()):
            p.add_(torch.randn_like(p) * 0.1)


def without_effect(generator: Any, discriminator: Any, real: Tensor, condition: Tensor | None) -> set[str]:
    """Names of the parameters whose gradient is zero in a step of both networks; every one has a gradient, and it is finite."""
    fake = generator(torch.randn(len(real), *generator.latent_shape), condition)
    (F.softplus(-discriminator(real, condition)) + F.softplus(discriminator(fake, condition))).mean().backward()
    still = set()
    for network in (generator, discriminator):
        for path, p in network.named_parameters():
            assert p.grad is not None, path
            assert p.grad.isfinite().all(), path
            if p.grad.abs().max() == 0.0:
                still.add(path)
    return still


def assert_penalised(
    weights: list[nn.Parameter], discriminator: nn.Module, x: Tensor, condition: Tensor | None
) -> None:
    """Through a penalty on its gradient with respect to `x`, each of these weights of a discriminator gets a gradient."""
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(x, condition).sum(), x, create_graph=True)
    slope.square().flatten(1).sum(1).mean().backward()
    assert weights
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.abs().max() > 0 for p in weights)


def assert_apart(generator: Any, discriminator: nn.Module, condition: Tensor, one: int) -> None:
    """A sample and its logit are the same, alone or among others."""
    perturb(generator, discriminator)
    generator.eval()
    z, alone = torch.randn(len(condition), *generator.latent_shape), slice(one, one + 1)
    with torch.no_grad():
        whole = generator(z, condition)
        torch.testing.assert_close(generator(z[alone], condition[alone]), whole[alone], rtol=1e-4, atol=1e-5)
        logits = discriminator(whole, condition)
        torch.testing.assert_close(discriminator(whole[alone], condition[alone]), logits[alone], rtol=1e-4, atol=1e-5)


def assert_classes_differ(generator: Any, discriminator: nn.Module) -> None:
    """Samples of the same latents, and logits of the same samples, are others for another class."""
    generator.eval()
    z, first, second = torch.randn(3, *generator.latent_shape), *torch.arange(2)[:, None].expand(2, 3)
    with torch.no_grad():
        x = generator(z, first)
        assert (x - generator(z, second)).abs().max() > 1e-3
        assert not torch.allclose(discriminator(x, first), discriminator(x, second))


def assert_seeded(build: Callable[[], tuple[nn.Module, nn.Module]]) -> None:
    """Networks that are built with the same seed are the same."""
    for one, other in zip(build(), build(), strict=True):
        for (path, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
            assert torch.equal(a, b), path
