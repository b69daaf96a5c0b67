"""The discriminator transformer: what it reads and what not, twice differentiable, and equal to the library's own encoder."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from toys.transformers import LENGTH, TEXTS, spec_of

from gan_text.nets.transformer import TransformerDiscriminator, TransformerOptions, build_discriminator
from gancore.errors import UsageError


def judge(pooling: str = "summary", classes: tuple[str, ...] = (), **changes: Any) -> TransformerDiscriminator:
    torch.manual_seed(0)
    options = TransformerOptions(**{"width": 16, "heads": 2, "layers": 2, "pooling": pooling, **changes})
    return build_discriminator(options, spec_of(classes)).eval()


def texts(classes: tuple[str, ...] = ()) -> Tensor:
    spec = spec_of(classes)
    return spec.relax(spec.encode(TEXTS))


@pytest.mark.parametrize("pooling", ["summary", "mean"])
def test_places_behind_the_end_make_no_difference(pooling: str) -> None:
    spec, discriminator = spec_of(), judge(pooling)
    x = texts()
    changed = x.clone()
    short = int(spec.lengths(spec.encode(TEXTS))[2])
    changed[2, short + 1 :] = torch.softmax(torch.randn(LENGTH - short - 1, spec.vocabulary), dim=1)
    torch.testing.assert_close(discriminator(changed), discriminator(x), atol=1e-5, rtol=1e-5)
    changed[2, short - 1] = changed[2, short - 1].roll(1)
    assert abs(float((discriminator(changed) - discriminator(x)).detach()[2])) > 1e-3


@pytest.mark.parametrize("pooling", ["summary", "mean"])
def test_logit_depends_on_its_own_sample_alone(pooling: str) -> None:
    discriminator = judge(pooling)
    x = texts()
    with torch.no_grad():
        torch.testing.assert_close(discriminator(x[1:3]), discriminator(x)[1:3], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pooling", ["summary", "mean"])
def test_order_of_tokens_matters_and_both_directions_are_read(pooling: str) -> None:
    spec, discriminator = spec_of(), judge(pooling)
    rows = spec.relax(spec.encode(["the cat sat on", "cat the sat on", "the cat on sat"]))
    logits = discriminator(rows).tolist()
    assert len({round(value, 4) for value in logits}) == 3


def test_forward_is_judge_of_embed_and_mask() -> None:
    discriminator = judge(classes=("x", "y"))
    x, condition = texts(("x", "y")), torch.tensor([0, 1, 1, 0])
    parts = discriminator.logits(discriminator.embed(x), condition, discriminator.mask(x))
    torch.testing.assert_close(discriminator(x, condition), parts)
    features = discriminator.features(x, condition)
    assert features.shape == (4, 16)
    torch.testing.assert_close(discriminator.head(features, condition), parts)


def test_soft_tokens_are_read_as_mixtures() -> None:
    discriminator = judge()
    x = texts()
    mixed = 0.25 * x + 0.75 * x.roll(1, 0)
    with torch.no_grad():
        wanted = 0.25 * discriminator.embed(x) + 0.75 * discriminator.embed(x.roll(1, 0))
        torch.testing.assert_close(discriminator.embed(mixed), wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("soft", [False, True])
def test_gradient_penalty_reaches_every_weight_of_layers(soft: bool) -> None:
    discriminator = judge(classes=("x", "y")).train()
    x = texts(("x", "y"))
    x = (torch.softmax(3.0 * x, dim=2) if soft else x).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(x, torch.tensor([0, 1, 0, 1])).sum(), x, create_graph=True)
    slope.square().sum().backward()
    for name, parameter in discriminator.named_parameters():
        if name.endswith("weight"):
            assert parameter.grad is not None, name
            assert bool(parameter.grad.isfinite().all()), name
            assert float(parameter.grad.abs().sum()) > 0.0, name


def test_second_derivatives_are_right() -> None:
    spec = spec_of()
    torch.manual_seed(1)
    discriminator = build_discriminator(TransformerOptions(width=8, heads=2, layers=1, dropout=0.0), spec).double()
    x = torch.softmax(torch.randn(1, 3, spec.vocabulary, dtype=torch.float64), dim=2)
    embedded, mask = discriminator.embed(x).detach().requires_grad_(), torch.ones(1, 3, dtype=torch.float64)
    assert torch.autograd.gradgradcheck(lambda e: discriminator.logits(e, None, mask), (embedded,))


def test_class_changes_the_logit() -> None:
    discriminator = judge(classes=("x", "y"))
    x, zeros = texts(("x", "y")), torch.zeros(4, dtype=torch.int64)
    assert not torch.allclose(discriminator(x, zeros), discriminator(x, zeros + 1))


def test_no_weight_is_there_that_nothing_uses() -> None:
    discriminator = judge(classes=("x", "y")).train()
    discriminator(texts(("x", "y")), torch.tensor([0, 1, 0, 1])).square().sum().backward()
    unused = [name for name, p in discriminator.named_parameters() if p.grad is None or not p.grad.any()]
    # A shift of all keys leaves attention as it is.
    assert [name for name in unused if ".key.bias" not in name] == []


def test_texts_of_which_none_ends_are_read_whole() -> None:
    spec, discriminator = spec_of(), judge()
    x = spec.relax(spec.encode([TEXTS[3], TEXTS[3]]))
    assert torch.equal(discriminator.mask(x), torch.ones(2, LENGTH))
    assert discriminator(x).shape == (2,)


def test_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(UsageError, match=r"width 18 .* by 4 heads: set architecture\.transformer\.width"):
        judge(width=18, heads=4)
