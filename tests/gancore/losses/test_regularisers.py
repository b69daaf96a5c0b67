"""Penalties of logits and of the generator against their formulas, by numbers that can be worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gancore.errors import UsageError
from gancore.losses.regularisers import LeCam, LeCamOptions, PathLength, PathLengthOptions
from gancore.random import Draws

REAL, FAKE = torch.tensor([1.0, 3.0], requires_grad=True), torch.tensor([-2.0, 0.0], requires_grad=True)


def lecam(*anchors: float, **options) -> LeCam:
    penalty = LeCam(LeCamOptions(**options))
    if anchors:
        penalty.average.copy_(torch.tensor(anchors))
    return penalty


def after(penalty, *steps):
    """The average after steps of parts, each of real and fake logits."""
    for parts in steps:
        for real, fake in parts:
            penalty.of_logits(torch.tensor(real), torch.tensor(fake))
        penalty.constrain(nn.Identity())
    return penalty.average.tolist()


def test_lecam_is_the_squared_distance_beyond_the_other_sides_anchor():
    # Real logits above the fake anchor 2: (3 - 2)^2 of one of two; fake ones below the real anchor -1: (-1 + 2)^2 of one of two.
    term = lecam(-1.0, 2.0).of_logits(REAL, FAKE)
    assert float(term) == pytest.approx(0.5 + 0.5)
    real, fake = torch.autograd.grad(term, [REAL, FAKE])
    assert real.tolist() == [0.0, 1.0]
    assert fake.tolist() == [-1.0, 0.0]


def test_lecam_adds_nothing_before_it_has_anchors():
    term = lecam().of_logits(REAL, FAKE)
    grads = torch.autograd.grad(term, [REAL, FAKE])
    assert float(term) == 0.0
    assert all(not g.any() for g in grads)


def test_lecams_anchors_are_moving_averages_of_the_batches_means():
    once = [([1.0, 3.0], [-2.0, 0.0])]
    assert after(lecam(decay=0.75), once) == [2.0, -1.0]
    assert after(lecam(decay=0.75), once, [([6.0, 6.0], [3.0, 3.0])]) == [3.0, 0.0]


def test_parts_of_a_batch_make_the_anchors_of_the_whole():
    whole = [([1.0, 2.0, 6.0], [0.0, 3.0, 3.0])]
    parts = [([1.0, 2.0], [0.0, 3.0]), ([6.0], [3.0])]
    assert after(lecam(), parts) == after(lecam(), whole) == [3.0, 2.0]


def test_a_batch_that_is_not_finite_leaves_the_average_as_it_is():
    assert after(lecam(1.0, 2.0), [([math.nan, 1.0], [0.0, 2.0])])[0] == 1.0


@pytest.mark.parametrize(("shape", "elements"), [((3,), 1), ((2, 4, 5), 20)])
def test_path_length_is_the_squared_distance_of_the_gradients_lengths_from_their_average(shape, elements):
    torch.manual_seed(0)
    matrix = torch.randn(math.prod(shape), 4, dtype=torch.float64)
    penalty, draws = PathLength(PathLengthOptions(decay=0.5)), Draws(3, torch.arange(6))
    z = torch.randn(6, 4, dtype=torch.float64)
    # Of a linear generator, the gradient of <Az, y> is A^T y whatever z is.
    y = draws.normal("path", *shape).double().flatten(1) / math.sqrt(elements)
    lengths = (y @ matrix).norm(dim=1)

    def generate(latents):
        return (latents @ matrix.T).unflatten(1, shape)

    assert not float(
        penalty.of_generator(lambda x: generate(x) + 0 * x.square().sum(), z, draws)
    )  # there is no average yet
    penalty.constrain(nn.Identity())
    assert float(penalty.average) == pytest.approx(float(lengths.mean()))
    penalty.average.fill_(1.5)
    term = penalty.of_generator(lambda x: generate(x) + 0 * x.square().sum(), z, draws)
    assert float(term) == pytest.approx(float((lengths - 1.5).square().mean()))
    penalty.constrain(nn.Identity())
    assert float(penalty.average) == pytest.approx((1.5 + float(lengths.mean())) / 2)


def test_path_length_moves_the_generator_towards_the_average_length():
    weight = nn.Parameter(torch.tensor(2.0))
    penalty = PathLength(PathLengthOptions())
    penalty.average.fill_(0.0)
    draws = Draws(3, torch.arange(4))
    penalty.of_generator(lambda z: weight * z, torch.ones(4, 1), draws).backward()
    y = draws.normal("path", 1)
    # d/dw mean (w |y|)^2 = 2 w mean y^2
    assert float(weight.grad) == pytest.approx(4.0 * float(y.square().mean()), rel=1e-5)


def test_path_length_is_refused_where_samples_do_not_depend_on_the_latent():
    penalty, weight = PathLength(PathLengthOptions()), torch.ones(4, 2, requires_grad=True)
    with pytest.raises(UsageError, match="on which these do not depend; leave it out"):
        penalty.of_generator(lambda z: 2 * weight, torch.ones(4, 1), Draws(0, torch.arange(4)))
