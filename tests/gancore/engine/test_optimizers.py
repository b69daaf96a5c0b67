"""Optimizers against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from toys import one_step

from gancore.engine.optimizers import build_optimizer, set_lr


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"name": "adam", "beta1": 0.5}, lambda p: torch.optim.Adam(p, 0.1, (0.5, 0.9), 1e-6, 0.01)),
        ({"name": "adamw", "beta1": 0.5}, lambda p: torch.optim.AdamW(p, 0.1, (0.5, 0.9), 1e-6, 0.01)),
        ({"name": "rmsprop"}, lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.9, eps=1e-6, weight_decay=0.01)),
        ({"name": "sgd", "beta1": 0.5}, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5, weight_decay=0.01)),
    ],
    ids=lambda v: v["name"] if isinstance(v, dict) else "",
)
def test_optimizers_move_as_torchs_own(values, expected):
    nets = []
    for number in range(2):
        torch.manual_seed(0)
        net = nn.Linear(3, 2).double()
        if values["name"] != "sgd":
            values = {"beta2": 0.9, "eps": 1e-6, **values}
        chosen = one_step.optimizer(lr=0.1, weight_decay=0.01, **values)
        optimizer = expected(net.parameters()) if number else build_optimizer(chosen, net.parameters())
        for step in range(3):
            optimizer.zero_grad()
            net(torch.full((1, 3), 1.0 + step, dtype=torch.float64)).square().sum().backward()
            optimizer.step()
        nets.append(net)
    torch.testing.assert_close(nets[0].weight, nets[1].weight, rtol=1e-12, atol=1e-12)


def test_a_new_rate_reaches_every_group():
    optimizer = torch.optim.SGD(
        [{"params": [nn.Parameter(torch.zeros(1))]}, {"params": [nn.Parameter(torch.zeros(1))]}], 1.0
    )
    set_lr(optimizer, 0.25)
    assert [g["lr"] for g in optimizer.param_groups] == [0.25, 0.25]
