"""The networks: draws that follow their distribution, gradients that flow, numbers seen whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.nets.gumbel import gumbel_of as gumbel
from gancore.nets.gumbel import gumbel_softmax
from gancore.random import Draws
from scipy import stats

from gan_tabular.nets import Options, WholeNumbers, build
from gan_tabular.spec import Category, Mode, Number, TableSpec

MODES = (Mode(centre=10, spread=2.0, weight=0.5), Mode(centre=50, spread=5.0, weight=0.5))
SPEC = TableSpec.of(
    (
        Category(name="c", values=("x", "y", "z")),
        Number(name="n", digits=0, lowest=0, highest=70, modes=MODES, missing=3),
    )
)


def draws(count: int, seed: int = 0) -> Draws:
    return Draws(seed, torch.arange(count))


def test_choices_follow_the_softmax_of_their_logits() -> None:
    n, logits = 200_000, torch.tensor([1.5, 0.0, -1.0, 0.3, -3.0])
    noise = gumbel(draws(n).uniform("choices", 5))
    chosen = gumbel_softmax(logits.expand(n, 5), noise, 0.5, True).sum(0)
    expected = torch.softmax(logits.double(), 0).numpy() * n
    assert stats.chisquare(chosen.numpy().round(), expected * (n / expected.sum())).pvalue > 1e-3


def test_gumbel_noise_is_standard_and_finite() -> None:
    noise = gumbel(draws(100_000).uniform("choices", 1)).numpy().ravel()
    assert stats.kstest(noise, stats.gumbel_r.cdf).pvalue > 1e-3
    assert torch.isfinite(gumbel(torch.tensor([0.0, 1.0 - 2.0**-24]))).all()


def test_straight_through_is_one_hot_with_the_gradient_of_the_softmax() -> None:
    logits = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    noise = gumbel(draws(7).uniform("choices", 4))
    weight = torch.arange(4.0)
    gradients = []
    for straight in (True, False):
        x = logits.clone().requires_grad_(True)
        y = gumbel_softmax(x, noise, 0.7, straight)
        (y * weight).sum().backward()
        gradients.append(x.grad)
        if straight:
            assert y.detach().sort(dim=1).values.allclose(torch.tensor([0.0, 0.0, 0.0, 1.0]), atol=1e-6)
    assert gradients[0] is not None
    assert gradients[0].abs().sum() > 0
    assert torch.allclose(gradients[0], gradients[1])


def test_lower_temperature_is_nearer_to_one_hot() -> None:
    logits, noise = torch.zeros(500, 4), gumbel(draws(500).uniform("choices", 4))
    sharp, soft = (gumbel_softmax(logits, noise, t, False).amax(1).mean() for t in (0.1, 2.0))
    assert sharp > 0.9 > 0.7 > soft


def test_latent_is_normal_then_gumbel_and_decides_the_row() -> None:
    generator = build(Options(latent=8, width=16), SPEC)["generator"].eval()
    z = generator.draw_latent(draws(4000))
    assert z.shape == (4000, *generator.latent_shape) == (4000, 8 + 3 + 3)
    assert stats.kstest(z[:, :8].numpy().ravel(), stats.norm.cdf).pvalue > 1e-3
    assert stats.kstest(z[:, 8:].numpy().ravel(), stats.gumbel_r.cdf).pvalue > 1e-3
    assert generator(z, None).equal(generator(z, None))


def test_rows_are_choices_and_places_in_range() -> None:
    generator = build(Options(latent=8, width=16), SPEC)["generator"]
    x = generator(generator.draw_latent(draws(64)), None)
    assert x.shape == (64, 7)
    assert x[:, 3].abs().max() <= 1.0
    assert x[:, :3].sum(1).allclose(torch.ones(64))
    assert x[:, 4:].sum(1).allclose(torch.ones(64))


def test_whole_numbers_are_the_hard_numbers_standardised() -> None:
    codes = torch.tensor([[0, 12], [1, 45], [2, 50], [0, -1]], dtype=torch.int32)
    # Mean 30; variance 1/2 (20^2 + 2^2) + 1/2 (20^2 + 5^2) = 414.5.
    expected = (np.array([12, 45, 50, 30]) - 30) / np.sqrt(414.5)
    whole = WholeNumbers(SPEC)(SPEC.relax(codes))[:, 0]
    assert whole.tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_both_networks_look_at_the_class() -> None:
    spec = SPEC.model_copy(update={"classes": ("a", "b")})
    networks = {name: module.eval() for name, module in build(Options(latent=8, width=16), spec).items()}
    z = networks["generator"].draw_latent(draws(32))
    first, second = (torch.full((32,), label) for label in (0, 1))
    x = networks["generator"](z, first)
    assert not x.equal(networks["generator"](z, second))
    assert not networks["discriminator"](x, first).equal(networks["discriminator"](x, second))


def test_place_belongs_to_the_mode_that_was_drawn() -> None:
    generator = build(Options(latent=4, width=8), SPEC)["generator"].eval()
    with torch.no_grad():
        generator.head.weight.zero_()
        # Three categories, three modes (the last is missing), then a place for each mode.
        generator.head.bias.copy_(torch.tensor([0.0, 0, 0, 0, 0, 0, 0.5, -1.0, 2.0]))
    x = generator(generator.draw_latent(draws(200)), None)
    expected = torch.tanh(torch.tensor([0.5, -1.0, 2.0]))[x[:, 4:].argmax(1)]
    assert x[:, 3].allclose(expected)
    assert len(x[:, 3].unique()) == 3


def test_table_of_categories_alone_has_networks() -> None:
    spec = TableSpec.of((Category(name="c", values=("x", "y")),))
    networks = build(Options(latent=4, width=8), spec)
    x = networks["generator"](networks["generator"].draw_latent(draws(5)), None)
    assert networks["discriminator"](x, None).shape == (5,)


def test_samples_of_another_kind_are_refused() -> None:
    with pytest.raises(UsageError, match="is for rows of a table, which these data are not"):
        build(Options(), SampleSpec(shape=(3, 8, 8)))
