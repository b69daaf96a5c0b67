"""Adversarial losses against values worked by hand, with the math module, and against identities from the papers."""

from __future__ import annotations

import importlib
import math
from statistics import fmean

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gancore import builtin
from gancore.errors import GanError
from gancore.losses.adversarial import (
    Hinge,
    LeastSquares,
    LeastSquaresOptions,
    Minimax,
    NonSaturating,
    RelativisticAverage,
    RelativisticPairing,
    Wasserstein,
)

REAL = [0.7, -1.2, 2.5]
FAKE = [-0.4, 0.9, -3.0]
LOSSES = [
    NonSaturating(),
    Minimax(),
    Hinge(),
    LeastSquares(LeastSquaresOptions()),
    Wasserstein(),
    RelativisticPairing(),
    RelativisticAverage(),
]
SMOOTH = [loss for loss in LOSSES if not isinstance(loss, Hinge)]
RELATIVE = [RelativisticPairing(), RelativisticAverage(), Wasserstein()]


def name_of(value):
    return type(value).__name__


def logits(values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype, requires_grad=True)


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


def close(actual, expected):
    torch.testing.assert_close(actual.detach().double(), torch.tensor(expected, dtype=torch.float64))


def test_cross_entropy_discriminator_is_the_mean_log_likelihood_of_the_right_answers():
    expected = -fmean(math.log(sigmoid(x)) for x in REAL) - fmean(math.log(1 - sigmoid(x)) for x in FAKE)
    close(NonSaturating().discriminator(logits(REAL), logits(FAKE)), expected)
    close(Minimax().discriminator(logits(REAL), logits(FAKE)), expected)


def test_minimax_value_of_a_discriminator_at_one_half_is_minus_log_4():
    zero = torch.zeros(5)
    close(-Minimax().discriminator(zero, zero), -math.log(4))
    close(NonSaturating().generator(zero), math.log(2))
    close(Minimax().generator(zero), -math.log(2))


def test_minimax_value_of_the_optimal_discriminator_is_twice_jensen_shannon_minus_log_4():
    """Two distributions on two points, each point as often as its probability: D* = p / (p + q)."""
    p, q = [0.75, 0.25], [0.25, 0.75]
    best = [math.log(a / b) for a, b in zip(p, q, strict=True)]
    real, fake = logits([best[0]] * 3 + [best[1]]), logits([best[0]] + [best[1]] * 3)
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    divergence = sum(
        0.5 * a * math.log(a / m) + 0.5 * b * math.log(b / m) for a, b, m in zip(p, q, middle, strict=True)
    )
    loss = Minimax().discriminator(real, fake)
    close(-loss, 2 * divergence - math.log(4))
    gradient = torch.autograd.grad(loss, [real, fake])
    # At the optimum, moving the logit of either point changes nothing.
    assert float(gradient[0][:3].sum() + gradient[1][:1].sum()) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("value", [-30.0, -1.5, 0.0, 2.0, 30.0])
def test_non_saturating_generator_gradient_is_minus_one_minus_d(value):
    fake = logits([value])
    NonSaturating().generator(fake).backward()
    close(fake.grad, [-sigmoid(-value)])


@pytest.mark.parametrize("value", [-30.0, -1.5, 0.0, 2.0, 30.0])
def test_minimax_generator_gradient_is_minus_d_and_vanishes_for_obvious_fakes(value):
    fake = logits([value])
    Minimax().generator(fake).backward()
    close(fake.grad, [-sigmoid(value)])


@pytest.mark.parametrize("loss", [NonSaturating(), Minimax()], ids=name_of)
def test_cross_entropy_is_finite_at_extreme_logits(loss):
    real, fake = logits([-1e4], torch.float32), logits([1e4], torch.float32)
    close(loss.discriminator(real, fake), 2e4)


def test_hinge_counts_only_what_is_inside_the_margins():
    real, fake = logits([2.0, 0.5, -1.0]), logits([-3.0, -0.25, 1.0])
    loss = Hinge().discriminator(real, fake)
    close(loss, (0 + 0.5 + 2) / 3 + (0 + 0.75 + 2) / 3)
    loss.backward()
    close(real.grad, [0.0, -1 / 3, -1 / 3])
    close(fake.grad, [0.0, 1 / 3, 1 / 3])


@pytest.mark.parametrize("loss", [Hinge(), Wasserstein()], ids=name_of)
def test_linear_generators_minimise_minus_the_mean_fake_logit(loss):
    close(loss.generator(logits([1.0, 2.0, -6.0])), 1.0)


def test_least_squares_by_hand():
    loss = LeastSquares(LeastSquaresOptions())
    close(loss.discriminator(logits([1.0, 3.0]), logits([0.0, 2.0])), 0.5 * (0 + 4) / 2 + 0.5 * (0 + 4) / 2)
    close(loss.generator(logits([1.0, 3.0])), 0.5 * (0 + 4) / 2)


def test_least_squares_uses_each_of_its_three_labels():
    loss = LeastSquares(LeastSquaresOptions(a=-1.0, b=1.0, c=0.0))
    close(loss.discriminator(logits([1.0]), logits([-1.0])), 0.0)
    close(loss.discriminator(logits([0.0]), logits([1.0])), 0.5 * 1 + 0.5 * 4)
    close(loss.generator(logits([3.0])), 4.5)


def test_least_squares_rejects_equal_labels_for_real_and_fake():
    with pytest.raises(ValidationError, match="a and b must differ"):
        LeastSquaresOptions(a=1.0, b=1.0)


def test_wasserstein_critic_minimises_the_negative_distance_of_the_means():
    close(Wasserstein().discriminator(logits([3.0, 5.0]), logits([1.0, 0.0])), 0.5 - 4.0)


def test_rpgan_compares_row_by_row():
    pairs = list(zip(REAL, FAKE, strict=True))
    close(
        RelativisticPairing().discriminator(logits(REAL), logits(FAKE)),
        fmean(math.log1p(math.exp(-(r - f))) for r, f in pairs),
    )
    close(
        RelativisticPairing().generator(logits(FAKE), logits(REAL)),
        fmean(math.log1p(math.exp(-(f - r))) for r, f in pairs),
    )


def test_rpgan_refuses_unpaired_logits():
    with pytest.raises(GanError, match="row by row"):
        RelativisticPairing().discriminator(torch.zeros(4), torch.zeros(3))
    with pytest.raises(GanError, match=r"\[4, 1\]"):
        RelativisticPairing().generator(torch.zeros(4, 1), torch.zeros(4))


def test_ragan_by_hand():
    mean_real, mean_fake = fmean(REAL), fmean(FAKE)
    to_fake = [r - mean_fake for r in REAL]
    to_real = [f - mean_real for f in FAKE]
    close(
        RelativisticAverage().discriminator(logits(REAL), logits(FAKE)),
        -fmean(math.log(sigmoid(d)) for d in to_fake) - fmean(math.log(1 - sigmoid(d)) for d in to_real),
    )
    close(
        RelativisticAverage().generator(logits(FAKE), logits(REAL)),
        -fmean(math.log(sigmoid(d)) for d in to_real) - fmean(math.log(1 - sigmoid(d)) for d in to_fake),
    )


def test_ragan_gradient_flows_through_the_averages():
    """One real x and one fake y: both terms are softplus(y - x), so the slope in x is -2 sigmoid(y - x)."""
    real, fake = logits([0.3]), logits([-0.5])
    RelativisticAverage().discriminator(real, fake).backward()
    close(real.grad, [-2 * sigmoid(-0.8)])
    close(fake.grad, [2 * sigmoid(-0.8)])


@pytest.mark.parametrize("loss", [RelativisticPairing(), RelativisticAverage()], ids=name_of)
def test_relativistic_generators_say_that_they_need_real_logits(loss):
    assert loss.needs_real
    with pytest.raises(GanError, match="real"):
        loss.generator(torch.zeros(2), None)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if not loss.needs_real], ids=name_of)
def test_other_generators_do_not_look_at_real_logits(loss):
    fake = logits(FAKE)
    assert torch.equal(loss.generator(fake, None), loss.generator(fake, logits(REAL)))


@settings(max_examples=30, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.floats(-20, 20), st.floats(-20, 20)), min_size=1, max_size=6),
    shift=st.floats(-50, 50),
)
@pytest.mark.parametrize("loss", RELATIVE, ids=name_of)
def test_discriminators_of_differences_ignore_a_constant_added_to_all_logits(loss, pairs, shift):
    real, fake = torch.tensor(pairs, dtype=torch.float64).T
    torch.testing.assert_close(loss.discriminator(real + shift, fake + shift), loss.discriminator(real, fake))
    if loss.needs_real:
        torch.testing.assert_close(loss.generator(fake + shift, real + shift), loss.generator(fake, real))


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_couples_batch_tells_whether_half_batches_average_to_the_whole(loss):
    generator = torch.Generator().manual_seed(1)
    real, fake = torch.randn(2, 8, dtype=torch.float64, generator=generator) * 3
    halves = [loss.discriminator(real[rows], fake[rows]) for rows in (slice(0, 4), slice(4, 8))]
    same = torch.allclose(sum(halves) / 2, loss.discriminator(real, fake))
    assert same is not loss.couples_batch


@pytest.mark.parametrize("loss", SMOOTH, ids=name_of)
def test_gradients_match_finite_differences(loss):
    real, fake = logits(REAL), logits(FAKE)
    assert torch.autograd.gradcheck(loss.discriminator, (real, fake))
    assert torch.autograd.gradcheck(lambda f, r: loss.generator(f, r), (fake, real))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_half_precision_logits_are_computed_in_float32(loss, dtype):
    real, fake = torch.tensor(REAL, dtype=dtype), torch.tensor(FAKE, dtype=dtype)
    for actual, expected in [
        (loss.discriminator(real, fake), loss.discriminator(real.float(), fake.float())),
        (loss.generator(fake, real), loss.generator(fake.float(), real.float())),
    ]:
        assert actual.dtype == torch.float32
        assert torch.equal(actual, expected)


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_double_precision_is_kept_and_losses_are_scalars(loss):
    for value in (loss.discriminator(logits(REAL), logits(FAKE)), loss.generator(logits(FAKE), logits(REAL))):
        assert value.dtype == torch.float64
        assert value.shape == ()


def load(path):
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("record", list(builtin.gan_losses()), ids=lambda record: record.name)
def test_every_declared_loss_is_built_from_its_default_options(record):
    loss = load(record.target)(load(record.options)()) if record.options else load(record.target)()
    real, fake = logits(REAL), logits(FAKE)
    assert loss.discriminator(real, fake).isfinite()
    assert loss.generator(fake, real if loss.needs_real else None).isfinite()


def test_declared_losses_have_the_names_that_users_type():
    assert [record.name for record in builtin.gan_losses()] == [
        "non-saturating",
        "minimax",
        "hinge",
        "least-squares",
        "wasserstein",
        "rpgan",
        "ragan",
    ]
