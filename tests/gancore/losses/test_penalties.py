"""Penalties against closed forms of linear and quadratic critics, and under splitting and odd shapes."""

from __future__ import annotations

import importlib
import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from gancore import builtin
from gancore.errors import GanError
from gancore.losses.penalties import (
    R1,
    R2,
    Dragan,
    DraganOptions,
    GradientPenalty,
    GradientPenaltyOptions,
    R1Options,
    WeightClip,
    WeightClipOptions,
)
from gancore.losses.spectral import apply_spectral_norm
from gancore.random import Draws

W = [3.0, -4.0]  # norm 5
GRADIENT = {
    "gradient-penalty": GradientPenalty(GradientPenaltyOptions()),
    "one-sided": GradientPenalty(GradientPenaltyOptions(sides="one")),
    "dragan": Dragan(DraganOptions()),
    "r1": R1(R1Options()),
    "r2": R2(R1Options()),
}
FINITE = {"method": "finite"}
each_term = pytest.mark.parametrize(
    "penalty", [*GRADIENT.values(), R1(R1Options(**FINITE))], ids=[*GRADIENT.keys(), "r1-finite"]
)
each_gradient_penalty = pytest.mark.parametrize("penalty", GRADIENT.values(), ids=GRADIENT.keys())


def draws(n, start=0):
    return Draws(11, torch.arange(start, start + n))


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def linear(w):
    return lambda x: x.flatten(1) @ w


def quadratic(x):
    """Its gradient at x is x."""
    return 0.5 * x.flatten(1).square().sum(1)


def close(actual, expected):
    expected = torch.as_tensor(expected, dtype=torch.float64).detach()
    torch.testing.assert_close(actual.detach(), expected.to(actual.dtype))


@pytest.mark.parametrize(
    ("name", "expected", "slope"),
    [
        # At w = (3, -4): d(||w||^2 / 2) = w and d(||w|| - 1)^2 = 2 (||w|| - 1) w / ||w||.
        ("r1", 12.5, [3.0, -4.0]),
        ("r2", 12.5, [3.0, -4.0]),
        ("gradient-penalty", 16.0, [4.8, -6.4]),
        ("one-sided", 16.0, [4.8, -6.4]),
        ("dragan", 16.0, [4.8, -6.4]),
    ],
)
def test_linear_critic_gives_the_closed_form_and_its_slope(name, expected, slope):
    w = torch.tensor(W, dtype=torch.float64, requires_grad=True)
    value = GRADIENT[name].penalty(linear(w), randn(6, 2), randn(6, 2, seed=1), draws(6))
    value.backward()
    close(value, expected)
    close(w.grad, slope)


def test_one_sided_penalty_forgives_small_norms_and_two_sided_does_not():
    w = torch.tensor([0.3, 0.4], dtype=torch.float64, requires_grad=True)
    x = randn(4, 2)
    close(GRADIENT["one-sided"].penalty(linear(w), x, x, draws(4)), 0.0)
    close(GRADIENT["gradient-penalty"].penalty(linear(w), x, x, draws(4)), 0.25)


def test_r1_looks_at_real_samples_and_r2_at_fake_ones():
    real, fake = randn(5, 3), randn(5, 3, seed=1)
    close(GRADIENT["r1"].penalty(quadratic, real, fake, draws(5)), real.square().sum(1).mean() / 2)
    close(GRADIENT["r2"].penalty(quadratic, real, fake, draws(5)), fake.square().sum(1).mean() / 2)


@pytest.mark.parametrize("epsilon", [0.01, 0.5])
def test_finite_differences_of_a_linear_critic_are_squared_slopes_in_random_directions(epsilon):
    w = torch.tensor(W, dtype=torch.float64, requires_grad=True)
    value = R1(R1Options(**FINITE, epsilon=epsilon)).penalty(linear(w), randn(6, 2), randn(6, 2, seed=1), draws(6))
    value.backward()
    n = draws(6).normal("direction", 2).double()
    close(value, (n @ w).square().mean() / 2)
    close(w.grad, ((n @ w)[:, None] * n).mean(0))


def test_finite_differences_of_a_quadratic_critic_have_its_curvature_in_them():
    real, fake = randn(5, 2, 3), randn(5, 2, 3, seed=1)
    n = draws(5).normal("direction", 2, 3).double()
    for penalty, x in ((R1, real), (R2, fake)):
        value = penalty(R1Options(**FINITE, epsilon=0.5)).penalty(quadratic, real, fake, draws(5))
        slopes = (x * n).sum((1, 2)) + 0.5 / 2 * n.square().sum((1, 2))
        close(value, slopes.square().mean() / 2)


def test_finite_differences_have_the_mean_of_the_exact_penalty():
    net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1), nn.Flatten(0)).double()
    for number, p in enumerate(net.parameters()):
        p.data.copy_(randn(*p.shape, seed=number))
    x = randn(1, 6).expand(8000, 6)
    exact = float(R1(R1Options()).penalty(net, x[:1], x, draws(1)).detach())
    found = float(R1(R1Options(**FINITE)).penalty(net, x, x, draws(8000)).detach())
    # Squares of normal numbers vary by sqrt(2) times their mean: 1.6% of it for 8,000 of them.
    assert found == pytest.approx(exact, rel=0.05)


def test_spectral_norms_are_those_of_one_pass_in_a_difference():
    net = nn.Sequential(apply_spectral_norm(nn.Linear(3, 1)), nn.Flatten(0)).double()
    seen = []
    R1(R1Options(**FINITE)).penalty(lambda x: seen.append(net[0].weight) or net(x), randn(4, 3), randn(4, 3), draws(4))
    assert torch.equal(*seen)


def test_gradient_penalty_is_taken_at_one_point_per_sample_between_real_and_fake():
    real, fake = randn(6, 2, 3), randn(6, 2, 3, seed=1)
    seen = []

    def critic(x):
        seen.append(x.detach())
        return quadratic(x)

    value = GRADIENT["gradient-penalty"].penalty(critic, real, fake, draws(6))
    share = (seen[0] - real) / (fake - real)
    torch.testing.assert_close(share, share[:, :1, :1].expand_as(share))
    assert float(share.min()) >= 0.0
    assert float(share.max()) < 1.0
    assert len(share[:, 0, 0].unique()) == 6
    close(value, (seen[0].flatten(1).norm(dim=1) - 1).square().mean())


def test_dragan_looks_at_points_above_real_ones_within_half_a_deviation_of_each_sample():
    real = randn(64, 3, 4) * torch.logspace(-2, 2, 64, dtype=torch.float64)[:, None, None]
    seen = []

    def critic(x):
        seen.append(x.detach())
        return quadratic(x)

    value = GRADIENT["dragan"].penalty(critic, real, real, draws(64))
    mean = real.mean(dim=(1, 2), keepdim=True)
    deviation = (real - mean).square().mean(dim=(1, 2), keepdim=True).sqrt()
    steps = (seen[0] - real) / deviation
    assert float(steps.min()) >= -1e-9
    assert 0.4 < float(steps.max()) < 0.5
    # The product of two uniforms has mean 1/4, here times 1/2.
    assert float(steps.mean()) == pytest.approx(0.125, abs=0.02)
    close(value, (seen[0].flatten(1).norm(dim=1) - 1).square().mean())


def test_dragan_with_scale_zero_is_taken_at_the_real_samples():
    real = randn(5, 3)
    value = Dragan(DraganOptions(scale=0.0)).penalty(quadratic, real, real, draws(5))
    close(value, (real.norm(dim=1) - 1).square().mean())


@each_term
def test_penalty_of_the_whole_is_the_mean_of_its_parts(penalty):
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0)).double()
    real, fake = randn(8, 3, 4) * 3, randn(8, 3, 4, seed=1)
    for n, p in enumerate(net.parameters()):
        p.data.copy_(2 * randn(*p.shape, seed=n))  # steep enough for norms above 1

    def gradients(*parts):
        net.zero_grad()
        for part in parts:
            rows = slice(part[0], part[1])
            n = part[1] - part[0]
            (penalty.penalty(net, real[rows], fake[rows], draws(n, part[0])) * n / 8).backward()
        return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])

    whole = gradients((0, 8))
    assert float(whole.abs().max()) > 0.0
    torch.testing.assert_close(gradients((0, 4), (4, 8)), whole)
    torch.testing.assert_close(gradients((0, 1), (1, 6), (6, 8)), whole)


@each_term
def test_slope_in_the_weights_matches_finite_differences(penalty):
    real, fake = randn(3, 4), randn(3, 4, seed=1)

    def value(first, second):
        return penalty.penalty(lambda x: torch.tanh(x @ first) @ second, real, fake, draws(3))

    first, second = (randn(4, 5, seed=2) * 2).requires_grad_(), (randn(5, seed=3) * 2).requires_grad_()
    assert torch.autograd.gradcheck(value, (first, second))


@each_term
def test_zero_gradient_norm_gives_a_finite_slope(penalty):
    w = torch.zeros(2, requires_grad=True)
    value = penalty.penalty(linear(w), torch.ones(3, 2), torch.zeros(3, 2), draws(3))
    value.backward()
    assert value.isfinite()
    assert w.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(4,), (4, 7), (4, 2, 9), (4, 3, 5, 6), (4, 2, 3, 2, 2)], ids=str)
@each_gradient_penalty
def test_any_shape_and_precision_of_samples_is_taken(penalty, shape, dtype):
    real, fake = randn(*shape, dtype=dtype), randn(*shape, seed=1, dtype=dtype)
    scale = torch.tensor(2.0, dtype=dtype, requires_grad=True)
    value = penalty.penalty(lambda x: (scale * x).reshape(4, -1).sum(1), real, fake, draws(4))
    squared = 4.0 * math.prod(shape[1:])
    close(value, squared / 2 if isinstance(penalty, R1 | R2) else (math.sqrt(squared) - 1) ** 2)
    assert value.dtype == dtype
    assert value.shape == ()


@each_term
def test_memory_format_does_not_matter(penalty):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 9, 1), nn.Flatten(0)).double()
    real, fake = randn(4, 3, 5, 5), randn(4, 3, 5, 5, seed=1)
    last = {"memory_format": torch.channels_last}
    expected = penalty.penalty(net, real, fake, draws(4))
    close(penalty.penalty(net, real.contiguous(**last), fake.contiguous(**last), draws(4)), expected)


@each_term
def test_relaxed_text_is_taken(penalty):
    embedding = nn.Linear(11, 5).double()
    net = nn.GRU(5, 6, batch_first=True).double()
    real, fake = randn(3, 7, 11).softmax(-1), randn(3, 7, 11, seed=1).softmax(-1)
    penalty.penalty(lambda x: net(embedding(x))[0][:, -1].sum(1), real, fake, draws(3)).backward()
    assert embedding.weight.grad.isfinite().all()


@each_gradient_penalty
def test_half_precision_norms_are_summed_in_float32(penalty):
    """Squares of 300 overflow float16; the norm of such a gradient must not."""
    w = torch.full((2,), 300.0, dtype=torch.float16, requires_grad=True)
    x = torch.zeros(2, 2, dtype=torch.float16)
    value = penalty.penalty(lambda x: (x * w).sum(1), x, x, draws(2))
    assert value.dtype == torch.float32
    assert value.isfinite()


@each_gradient_penalty
@pytest.mark.parametrize(
    "critic",
    [lambda x: torch.zeros(len(x)), lambda x: nn.Linear(2, 1)(x.detach())[:, 0]],
    ids=["constant", "detached"],
)
def test_critic_that_ignores_its_input_is_an_error_in_words(penalty, critic):
    with pytest.raises(GanError, match="does not depend on its input"):
        penalty.penalty(critic, torch.ones(3, 2), torch.ones(3, 2), draws(3))


def test_hard_samples_are_an_error_in_words():
    for penalty in (GRADIENT["r1"], R1(R1Options(**FINITE))):
        with pytest.raises(GanError, match="floating point"):
            penalty.penalty(quadratic, torch.ones(3, 2, dtype=torch.int64), torch.ones(3, 2), draws(3))


def test_gradient_penalty_refuses_shapes_that_do_not_pair_up():
    with pytest.raises(GanError, match="row by row"):
        GRADIENT["gradient-penalty"].penalty(quadratic, torch.ones(3, 2), torch.ones(1, 2), draws(3))


@each_term
def test_samples_given_are_left_as_they_were(penalty):
    real, fake = randn(3, 2), randn(3, 2, seed=1)
    before = real.clone(), fake.clone()
    penalty.penalty(quadratic, real, fake, draws(3))
    assert torch.equal(real, before[0])
    assert torch.equal(fake, before[1])
    assert not real.requires_grad
    assert not fake.requires_grad


@each_gradient_penalty
def test_gradient_penalties_leave_the_weights_alone(penalty):
    net = nn.Linear(2, 1)
    before = [p.clone() for p in net.parameters()]
    penalty.constrain(net)
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))


def test_weight_clip_clamps_every_parameter_in_place_and_adds_no_term():
    net = nn.Linear(2, 2)
    weight = net.weight
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[0.5, -0.5], [0.01, -0.02]]))
        net.bias.copy_(torch.tensor([-7.0, 0.03]))
    clip = WeightClip(WeightClipOptions(clip=0.05))
    assert clip.penalty(quadratic, torch.ones(1, 2), torch.ones(1, 2), draws(1)) is None
    clip.constrain(net)
    assert net.weight is weight
    close(weight, torch.tensor([[0.05, -0.05], [0.01, -0.02]]))
    close(net.bias, torch.tensor([-0.05, 0.03]))
    assert weight.requires_grad


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (WeightClipOptions, {"clip": 0.0}),
        (GradientPenaltyOptions, {"sides": "both"}),
        (GradientPenaltyOptions, {"weight": -1.0}),
        (DraganOptions, {"scale": -0.1}),
        (R1Options, {"gamma": 1.0}),
        (R1Options, {"method": "none"}),
        (R1Options, {"epsilon": 0.0}),
        (R1Options, {"share": 0.0}),
        (R1Options, {"share": 1.5}),
    ],
)
def test_impossible_options_are_refused(options, values):
    with pytest.raises(ValidationError):
        options(**values)


def test_default_weights_are_those_of_the_papers():
    assert {record.name: load(record.options)().weight for record in builtin.gan_penalties()} == {
        "gradient-penalty": 10.0,
        "dragan": 10.0,
        "r1": 10.0,
        "r2": 10.0,
        "weight-clip": 1.0,
        "cr": 10.0,
        "cr-fake": 10.0,
        "lecam": 0.3,
        "path-length": 2.0,
    }


def load(path):
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("record", list(builtin.gan_penalties()), ids=lambda record: record.name)
def test_every_declared_penalty_is_built_from_its_default_options(record):
    penalty = load(record.target)(load(record.options)())
    net = nn.Linear(2, 1)
    term = penalty.penalty(lambda x: net(x)[:, 0], torch.ones(3, 2), torch.zeros(3, 2), draws(3))
    assert term is None or term.isfinite()
    penalty.constrain(net)
