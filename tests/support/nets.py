"""What tests of networks of every modality need: one thread, and weights that are nowhere special."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn


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
