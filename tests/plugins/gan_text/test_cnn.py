"""The convolutional discriminator of texts: what it sees of them, and that it can be differentiated twice."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from toys.texts import JUDGE, build, classes_for, latents, spec_of, texts

from gan_text.nets import lstm
from gan_text.nets.cnn import CnnOptions, Highway, build_discriminator
from gan_text.nets.reading import up_to_end
from gan_text.spec import TextSpec
from gancore.errors import UsageError
from gancore.games.calling import heads

SPEC = spec_of()
CLASSES = spec_of(classes=3)


def judge_of(spec: TextSpec = SPEC, **options: Any) -> Any:
    torch.manual_seed(0)
    return build_discriminator(CnnOptions(**{**JUDGE, **options}), spec).eval()


def soft_texts(count: int, spec: TextSpec = SPEC) -> Tensor:
    """Points inside of the simplex."""
    return torch.softmax(3.0 * torch.randn(count, *spec.shape, generator=torch.Generator().manual_seed(2)), 2)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_logits_are_one_a_text(count: int):
    judge = judge_of()
    assert judge(soft_texts(count), None).shape == (count,)
    assert judge.features(soft_texts(count), None).shape == (count, 3 * 16)


def test_separate_heads_have_the_mean_of_the_averaged_one():
    x, y = soft_texts(5, CLASSES), classes_for(CLASSES, 5)
    averaged, separate = judge_of(CLASSES), judge_of(CLASSES, heads="separate")
    separate.load_state_dict(averaged.state_dict())
    parts = heads(separate(x, y))
    assert [p.shape for p in parts] == [(5,)] * 3
    assert float(torch.stack(parts).detach().std(0).min()) > 0.0
    torch.testing.assert_close(torch.stack(parts).mean(0), averaged(x, y))


def test_representations_are_judged_by_the_same_weights():
    """With the parts of all vectors in another order the logit is the same."""
    judge, x = judge_of(), soft_texts(4)
    before = judge(x, None)
    with torch.no_grad():
        parts = judge.tokens.weight.unflatten(1, (3, 2))
        judge.tokens.weight.copy_(parts[:, [2, 0, 1]].flatten(1))
    torch.testing.assert_close(judge(x, None), before)


def test_a_call_is_embedding_mask_and_judgement():
    judge, y = judge_of(CLASSES), classes_for(CLASSES, 6)
    for x in (soft_texts(6, CLASSES), CLASSES.relax(texts(7, 0, 1, 5, 3, 2, spec=CLASSES))):
        torch.testing.assert_close(judge(x, y), judge.logits(judge.embed(x), y, judge.mask(x)))
        assert judge.embed(x).shape == (6, CLASSES.length, 6)


def test_the_mask_is_1_up_to_and_with_the_first_end():
    mask = judge_of().mask(SPEC.relax(texts(0, 3, 6, 7, spec=SPEC)))
    assert mask.dtype == torch.float32
    assert mask.tolist() == [[1.0] * n + [0.0] * (7 - n) for n in (1, 4, 7, 7)]


def test_of_soft_texts_the_likeliest_token_says_where_they_end():
    x = torch.full((1, *SPEC.shape), 0.07)
    x[0, :, 4] = 0.44
    x[0, 2] = torch.tensor([0.3] + [0.7 / 8] * 8)
    assert judge_of().mask(x).tolist() == [[1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]]


def test_what_stands_behind_the_end_makes_no_difference():
    judge, hard = judge_of(), texts(3, 5, spec=SPEC)
    x, other = SPEC.relax(hard), SPEC.relax(hard)
    other[0, 4:] = soft_texts(1)[0, 4:]
    torch.testing.assert_close(judge(other, None), judge(x, None))
    x.requires_grad_()
    judge(x, None).sum().backward()
    assert x.grad is not None
    behind = ~up_to_end(hard, SPEC.end)
    assert float(x.grad[behind].abs().max()) == 0.0
    assert float(x.grad[~behind].abs().sum(1).min()) > 0.0


def test_every_token_and_the_order_and_the_beginning_matter():
    judge, hard = judge_of(), texts(5, spec=SPEC)
    with torch.no_grad():
        first = judge(SPEC.relax(hard), None)
        for place in range(5):
            other = hard.clone()
            other[0, place] = 1 if int(hard[0, place]) != 1 else 2
            assert not torch.equal(judge(SPEC.relax(other), None), first)
        turned = hard.clone()
        turned[0, :5] = hard[0, :5].flip(0)
        assert not torch.equal(judge(SPEC.relax(turned), None), first)
        cut = torch.cat([hard[:, 1:], hard[:, -1:]], dim=1)
        assert not torch.equal(judge(SPEC.relax(cut), None), first)


def test_a_text_is_judged_alike_beside_longer_ones():
    judge, hard = judge_of(), texts(1, 3, 7, spec=SPEC)
    together = judge(SPEC.relax(hard), None)
    for number in range(3):
        torch.testing.assert_close(judge(SPEC.relax(hard[number : number + 1]), None)[0], together[number])


def test_windows_may_be_longer_than_texts():
    spec = spec_of(5, 1)
    assert judge_of(spec, windows=(5, 9))(spec.relax(texts(1, 0, spec=spec)), None).shape == (2,)


@pytest.mark.parametrize("hot", [True, False], ids=["one-hot", "soft"])
def test_looking_up_is_multiplying_in_all_derivatives(hot: bool):
    judge = judge_of().double()
    x = (SPEC.relax(texts(3, 7, 0, spec=SPEC)) if hot else soft_texts(3)).double().requires_grad_()
    weight = judge.tokens.weight
    results = []
    for make in (judge.embed, lambda x: x @ weight):
        embedded = make(x)
        loss = (embedded.sin() * torch.arange(embedded.numel()).view_as(embedded)).sum()
        first = torch.autograd.grad(loss, (x, weight), create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), (x, weight))
        plain = torch.autograd.grad(
            (make(x).sin() * torch.arange(embedded.numel()).view_as(embedded)).sum(), (x, weight)
        )
        results.append((embedded, *first, *second, *plain))
    for mine, expected in zip(*results, strict=True):
        torch.testing.assert_close(mine, expected)


def test_a_gradient_penalty_on_texts_trains_every_weight():
    judge = judge_of(CLASSES, heads="separate").train()
    x, y = CLASSES.relax(texts(7, 2, 4, 5, spec=CLASSES)).requires_grad_(), torch.tensor([0, 1, 2, 0])
    (gradient,) = torch.autograd.grad(torch.stack(heads(judge(x, y))).sum(), x, create_graph=True)
    gradient.square().sum().backward()
    for name, parameter in judge.named_parameters():
        if parameter.grad is None:  # no second derivative but in the activations' slopes
            assert name.endswith("bias"), name
        else:
            assert bool(torch.isfinite(parameter.grad).all())
    assert float(judge.tokens.weight.grad.abs().sum()) > 0.0


def test_a_gradient_penalty_on_embedded_texts_is_right():
    """Finite differences of the penalty along a weight, in float64."""
    judge = judge_of().double()
    x = SPEC.relax(texts(7, 2, 4, spec=SPEC)).double()
    weight = judge.windows[1].weight

    def penalty() -> Tensor:
        embedded = judge.embed(x).detach().requires_grad_()
        (g,) = torch.autograd.grad(
            judge.logits(embedded, None, judge.mask(x).double()).sum(), embedded, create_graph=True
        )
        return g.square().sum()

    (analytic,) = torch.autograd.grad(penalty(), weight)
    step = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        weight.add_(step, alpha=1e-6)
    above = float(penalty().detach())
    with torch.no_grad():
        weight.sub_(step, alpha=2e-6)
    below = float(penalty().detach())
    assert float((analytic * step).sum()) == pytest.approx((above - below) / 2e-6, rel=1e-4)


def test_classes_are_asked_for_and_matter():
    judge, x = judge_of(CLASSES), soft_texts(4, CLASSES)
    first, last = (judge(x, torch.full((4,), label)) for label in (0, 2))
    assert not torch.equal(first, last)
    with pytest.raises(UsageError, match="3 classes"):
        judge(x, None)


def test_straight_through_gradients_reach_the_generator():
    generator, judge = build(lstm, SPEC)
    judge(generator(latents(generator, 8)), None).sum().backward()
    assert all(float(p.grad.abs().sum()) > 0.0 for p in generator.parameters())


def test_dropout_is_for_training():
    judge, x = judge_of(dropout=0.5), soft_texts(4)
    assert torch.equal(judge(x, None), judge(x, None))
    judge.train()
    assert not torch.equal(judge(x, None), judge(x, None))


def test_a_highway_carries_what_it_is_given_where_its_gate_is_shut():
    torch.manual_seed(0)
    layer, x = Highway(4), torch.randn(3, 4)
    with torch.no_grad():
        layer.both.bias[:4] = -60.0
    torch.testing.assert_close(layer(x), x)
    with torch.no_grad():
        layer.both.bias[:4] = 60.0
    torch.testing.assert_close(layer(x), torch.relu(x @ layer.both.weight[4:].t() + layer.both.bias[4:]))


def test_nothing_is_looked_at_on_the_meta_device():
    judge = judge_of(CLASSES).to("meta").train()
    x = torch.empty(2, *CLASSES.shape, device="meta")
    assert judge(x, torch.zeros(2, dtype=torch.int64, device="meta")).shape == (2,)


@pytest.mark.parametrize(
    "bad", [{"windows": ()}, {"windows": (0,)}, {"windows": "2,99"}, {"channels": 0}, {"dropout": 1.0}]
)
def test_nonsense_is_refused(bad: dict[str, Any]):
    with pytest.raises(ValidationError):
        CnnOptions(**bad)


def test_windows_can_be_typed():
    assert CnnOptions(windows="2,3").windows == (2, 3)
