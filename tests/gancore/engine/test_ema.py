"""The moving average against its closed form, a recursion of plain numbers, and torch's kinds of buffers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gancore.configuration.run_config import Ema
from gancore.engine.ema import MovingAverage
from gancore.losses.spectral import apply_spectral_norm


class OneNumber(nn.Module):
    """A weight, a statistic in floating point and a counter."""

    def __init__(self, value=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(float(value), dtype=torch.float64))
        self.register_buffer("statistic", torch.tensor(float(value), dtype=torch.float64))
        self.register_buffer("count", torch.tensor(0))


def put(net, value):
    with torch.no_grad():
        net.weight.fill_(value)
        net.statistic.fill_(10 * value)


@pytest.mark.parametrize(("half_life", "batch"), [(64, 16), (100, 25), (8, 8), (10, 20)])
def test_the_distance_to_a_constant_halves_in_a_half_life_of_samples(half_life, batch):
    net = OneNumber(0.0)
    average = MovingAverage(net, Ema(half_life=half_life, warmup=0))
    put(net, 1.0)
    seen = 0
    for _ in range(12):
        seen += batch
        average.update(seen, batch)
        assert 1.0 - average.module.weight.item() == pytest.approx(0.5 ** (seen / half_life), rel=1e-12)


@given(
    values=st.lists(st.floats(-3, 3), min_size=1, max_size=12),
    half_life=st.floats(0, 1000),
    warmup=st.floats(0, 1),
    batch=st.integers(1, 64),
)
@settings(max_examples=50, deadline=None)
def test_it_equals_a_recursion_of_plain_numbers(values, half_life, warmup, batch):
    net = OneNumber(0.5)
    put(net, 0.5)
    average = MovingAverage(net, Ema(half_life=half_life, warmup=warmup))
    expected, seen = 0.5, 0
    for value in values:
        seen += batch
        put(net, value)
        average.update(seen, batch)
        life = min(half_life, warmup * seen) if warmup > 0 else half_life
        keep = 2.0 ** (-batch / life) if life > 0 else 0.0
        expected = keep * expected + (1 - keep) * value
        assert math.isclose(average.module.weight.item(), expected, rel_tol=1e-9, abs_tol=1e-9)
        assert math.isclose(average.module.statistic.item(), 10 * expected, rel_tol=1e-9, abs_tol=1e-8)


def test_warm_up_shortens_the_half_life_to_a_share_of_the_samples_seen():
    average = MovingAverage(OneNumber(), Ema(half_life=5000, warmup=0.05))
    assert average.decay(64, 64) == pytest.approx(2 ** (-64 / 3.2))
    assert average.decay(6400, 64) == pytest.approx(2 ** (-64 / 320))
    assert average.decay(100_000, 64) == average.decay(10**9, 64) == pytest.approx(2 ** (-64 / 5000))


def test_a_half_life_of_zero_follows_the_raw_weights_exactly():
    net = OneNumber(0.1)
    average = MovingAverage(net, Ema(half_life=0))
    put(net, 0.7)
    average.update(8, 8)
    assert average.module.weight.item() == 0.7


def test_counters_are_copied():
    net = OneNumber()
    average = MovingAverage(net, Ema(half_life=1e9, warmup=0))
    net.count.fill_(41)
    average.update(1, 1)
    assert average.module.count.item() == 41


def test_running_statistics_of_batch_norm_are_averaged_with_the_weights():
    net = nn.BatchNorm1d(2).double().train()
    average = MovingAverage(net, Ema(half_life=4, warmup=0))
    net(torch.tensor([[1.0, 2.0], [3.0, 6.0]], dtype=torch.float64))  # moves the mean to 0.1 * (2, 4)
    average.update(4, 4)
    torch.testing.assert_close(average.module.running_mean, torch.tensor([0.1, 0.2], dtype=torch.float64))
    assert average.module.num_batches_tracked.item() == 1


def test_a_buffer_that_the_network_replaces_is_averaged_all_the_same():
    net = OneNumber()
    average = MovingAverage(net, Ema(half_life=8, warmup=0))
    net.statistic = torch.tensor(6.0, dtype=torch.float64)
    average.update(8, 8)
    assert average.module.statistic.item() == pytest.approx(3.0)


def test_averaged_weights_under_spectral_norm_have_a_spectral_norm_of_one():
    torch.manual_seed(0)
    net = apply_spectral_norm(nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Conv2d(3, 4, 3))).train()
    average = MovingAverage(net, Ema(half_life=200, warmup=0))
    weights = [net[i].parametrizations.weight.original for i in (0, 2)]
    for step in range(300):
        # A rank-one part that turns, and the singular vectors with it.
        with torch.no_grad():
            for w in weights:
                matrix = w.view(len(w), -1)
                turn = torch.arange(matrix.numel()).view_as(matrix) * 0.7 + 0.02 * step
                matrix.lerp_(torch.cos(turn), 0.05)
        _ = net[0].weight, net[2].weight  # what a forward pass does: one power iteration
        average.update((step + 1) * 8, 8)
    for i in (0, 2):
        norm = torch.linalg.matrix_norm(average.module[i].weight.flatten(1), 2).item()
        assert norm == pytest.approx(1.0, abs=0.02)
    assert not any(m.training for m in average.module.modules())


def test_the_average_is_a_copy_in_evaluation_mode_that_nothing_trains():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).train()
    average = MovingAverage(net, Ema())
    assert not average.module.training
    assert not any(p.requires_grad for p in average.module.parameters())
    assert net.training
    assert all(p.requires_grad for p in net.parameters())
    with torch.no_grad():
        net[0].weight.add_(1.0)
    assert not torch.equal(net[0].weight, average.module[0].weight)
