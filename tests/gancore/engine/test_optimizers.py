"""Learning rates against their closed forms, and optimizers against torch's own."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gancore.configuration.run_config import Optimizer
from gancore.engine.optimizers import build_optimizer, lr_factor, set_lr

FALLING = st.sampled_from(["linear", "cosine"])
SHARE = st.floats(0, 1)


def options(**values):
    return Optimizer.model_validate(values)


def test_a_constant_rate_is_one_throughout():
    assert [lr_factor(options(), step, 10) for step in range(10)] == [1.0] * 10


def test_a_linear_rate_falls_evenly():
    rates = [lr_factor(options(schedule="linear"), step, 4) for step in range(4)]
    assert rates == pytest.approx([1.0, 0.75, 0.5, 0.25])
    rates = [lr_factor(options(schedule="linear", final=0.2), step, 4) for step in range(4)]
    assert rates == pytest.approx([1.0, 0.8, 0.6, 0.4])


def test_a_cosine_rate_follows_half_a_wave():
    rates = [lr_factor(options(schedule="cosine"), step, 6) for step in range(6)]
    assert rates == pytest.approx([1, 0.5 + math.sqrt(3) / 4, 0.75, 0.5, 0.25, 0.5 - math.sqrt(3) / 4])
    assert lr_factor(options(schedule="cosine", final=0.5), 3, 6) == pytest.approx(0.75)


def test_a_rate_is_held_for_its_share_of_the_steps():
    rates = [lr_factor(options(schedule="linear", hold=0.5), step, 8) for step in range(8)]
    assert rates == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25])
    assert lr_factor(options(schedule="linear", hold=1.0), 99, 100) == 1.0


def test_warm_up_rises_in_equal_steps_to_the_full_rate():
    rates = [lr_factor(options(warmup=4), step, 10) for step in range(6)]
    assert rates == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


@given(schedule=FALLING, hold=SHARE, final=SHARE, steps=st.integers(1, 200))
def test_falling_rates_never_rise_and_end_between_final_and_one(schedule, hold, final, steps):
    chosen = options(schedule=schedule, hold=hold, final=final)
    rates = [lr_factor(chosen, step, steps) for step in range(steps + 1)]
    assert all(a >= b - 1e-12 for a, b in pairwise(rates))
    assert rates[0] == 1.0
    assert all(final - 1e-12 <= r <= 1.0 for r in rates)


@given(schedule=FALLING, hold=st.floats(0, 0.9), final=SHARE, steps=st.integers(20, 200))
def test_falling_rates_reach_final_where_training_ends(schedule, hold, final, steps):
    chosen = options(schedule=schedule, hold=hold, final=final)
    assert lr_factor(chosen, steps, steps) == pytest.approx(final, abs=1e-9)


@given(warmup=st.integers(1, 100), steps=st.integers(1, 200))
def test_warm_up_never_falls_and_is_never_zero(warmup, steps):
    rates = [lr_factor(options(warmup=warmup), step, steps) for step in range(steps)]
    assert all(a <= b for a, b in pairwise(rates))
    assert rates[0] > 0.0


@given(schedule=FALLING, hold=SHARE, final=SHARE, warmup=st.integers(0, 50), step=st.integers(0, 99))
def test_the_rate_is_the_product_of_warm_up_and_schedule(schedule, hold, final, warmup, step):
    fall = lr_factor(options(schedule=schedule, hold=hold, final=final), step, 100)
    rise = lr_factor(options(warmup=warmup), step, 100)
    both = lr_factor(options(schedule=schedule, hold=hold, final=final, warmup=warmup), step, 100)
    assert both == pytest.approx(rise * fall)


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
        chosen = options(lr=0.1, beta2=0.9, eps=1e-6, weight_decay=0.01, **values)
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
