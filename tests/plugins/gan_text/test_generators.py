"""Recurrent generators of texts: relaxed texts with the gradients of autograd, latents, devices, classes and layers."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Categorical
from toys.texts import SMALL, both, build, classes_for, latents, pulled, spec_of, texts

from gan_text.nets import lstm
from gan_text.nets.generator import _alike
from gan_text.nets.reading import up_to_end
from gan_text.nets.sampling import Sampling
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.losses.spectral import apply_spectral_norm
from gancore.nets.gumbel import gumbel_noise
from gancore.random import Draws

SPEC = spec_of()
CLASSES = spec_of(classes=3)


def ends_vary(x: Tensor) -> None:
    """Texts end at several places, so that all cases come up."""
    assert len(SPEC.lengths(SPEC.harden(x.detach())).unique()) > 2


def plain(
    generator: Any,
    z: Tensor,
    y: Tensor | None,
    temperature: float,
    hard: bool,
    noise: float,
    noise_per_nat: float,
    soft_feed: bool,
) -> Tensor:
    """Relaxed texts by autograd alone, place by place, with everything copied."""
    weight, offset = generator.tokens.weight, 0.0 if y is None else generator.classes(y)
    state, embedded = generator.start(len(z), y), generator.begin.expand(len(z), -1) + offset
    end = F.one_hot(torch.full((len(z),), generator.end), len(weight)).float()
    ended, rows = torch.zeros(len(z), 1, dtype=torch.bool), []
    for place in range(z.shape[1]):
        logits, state = generator.step(embedded, state)
        entropy = Categorical(logits=logits.detach()).entropy()[:, None]
        perturbed = logits + (noise + noise_per_nat * entropy) * gumbel_noise(z[:, place], len(weight))
        soft = torch.softmax(perturbed / temperature, 1)
        one_hot = F.one_hot(perturbed.argmax(1), len(weight)).float()
        row = one_hot + soft - soft.detach() if hard else soft
        row, one_hot = torch.where(ended, end, row), torch.where(ended, end, one_hot)
        rows.append(row)
        ended = ended | (one_hot.argmax(1, keepdim=True) == generator.end)
        embedded = (row if soft_feed else one_hot) @ weight + offset
    return torch.stack(rows, 1)


# --- relaxed texts ---


@both
@pytest.mark.parametrize("spec", [SPEC, CLASSES], ids=["plain", "classes"])
@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize(("feed", "per_nat"), [("hard", 0.0), ("soft", 0.0), ("hard", 0.3)])
def test_relaxed_texts_and_their_gradients_are_those_of_autograd(
    architecture: ModuleType, spec: Any, hard: bool, feed: str, per_nat: float
):
    generator, _ = build(architecture, spec, feed=feed)
    z, y = latents(generator, 20), classes_for(spec, 20)
    how = {"temperature": 0.6, "hard": hard, "noise": 0.8, "noise_per_nat": per_nat}
    x = generator.gumbel(z, y, **how)
    expected = plain(generator, z, y, soft_feed=feed == "soft", **how)
    ends_vary(x)
    torch.testing.assert_close(x, expected, atol=1e-5, rtol=1e-4)
    mine, theirs = pulled(generator, x), pulled(generator, expected)
    for name, gradient in theirs.items():
        assert float(gradient.abs().max()) > 0.0, name
        torch.testing.assert_close(mine[name], gradient, atol=2e-5, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}")


@both
@pytest.mark.parametrize("feed", ["hard", "soft"])
def test_texts_without_a_graph_are_those_with_one(architecture: ModuleType, feed: str):
    generator, _ = build(architecture, SPEC, feed=feed)
    z = latents(generator, 12)
    for hard in (True, False):
        with torch.no_grad():
            made = generator.gumbel(z, hard=hard, temperature=0.6)
        torch.testing.assert_close(made, generator.gumbel(z, hard=hard, temperature=0.6), atol=1e-6, rtol=1e-5)


@both
def test_a_call_is_straight_through_at_temperature_1(architecture: ModuleType):
    generator, _ = build(architecture, CLASSES)
    z, y = latents(generator), classes_for(CLASSES, 6)
    x = generator(z, y)
    assert x.shape == (6, *CLASSES.shape)
    assert x.dtype == torch.float32
    assert x.requires_grad
    assert torch.equal(x, generator.gumbel(z, y, temperature=1.0, hard=True, noise=1.0))
    assert set(x.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(x.sum(2), torch.ones(6, SPEC.length))


@both
@pytest.mark.parametrize("hard", [True, False])
def test_the_end_absorbs_and_passes_no_gradient(architecture: ModuleType, hard: bool):
    generator, _ = build(architecture, SPEC)
    x = generator.gumbel(latents(generator, 40), hard=hard, temperature=0.5)
    ends_vary(x)
    behind = ~up_to_end(SPEC.harden(x.detach()), SPEC.end)
    assert bool((x[behind][:, SPEC.end] == 1.0).all())
    assert bool((x[behind].sum(1) == 1.0).all())
    for gradient in pulled(generator, x * behind[..., None]).values():
        assert float(gradient.abs().max()) == 0.0


@both
def test_hard_texts_are_the_same_at_any_temperature(architecture: ModuleType):
    generator, _ = build(architecture, SPEC)
    z = latents(generator)
    assert torch.equal(generator.gumbel(z, temperature=0.01), generator.gumbel(z, temperature=5.0))


@both
def test_without_noise_the_likeliest_tokens_are_chosen(architecture: ModuleType):
    generator, _ = build(architecture, SPEC)
    x = SPEC.harden(generator.gumbel(latents(generator, 2), noise=0.0))
    assert torch.equal(x[0], x[1])
    logits = generator.logits(x)
    inside = up_to_end(x, SPEC.end)
    assert torch.equal(logits.argmax(2)[inside], x.long()[inside])
    assert torch.equal(x, generator.sample(latents(generator, 2), sampling=Sampling(top_k=1)))


@both
def test_walking_stops_when_all_texts_have_ended(architecture: ModuleType, monkeypatch: pytest.MonkeyPatch):
    generator, _ = build(architecture, SPEC)
    z = latents(generator, 5)
    longest = int(SPEC.lengths(SPEC.harden(generator(z))).max())
    z = z[SPEC.lengths(SPEC.harden(generator(z))) < longest]
    count = int(SPEC.lengths(SPEC.harden(generator(z))).max()) + 1
    step, calls = generator.step, []
    monkeypatch.setattr(generator, "step", lambda *a: calls.append(1) or step(*a))
    x = generator(z)
    assert len(calls) == count < SPEC.length
    assert bool((x[:, count:, SPEC.end] == 1.0).all())


@both
def test_training_mode_makes_the_texts_of_evaluation(architecture: ModuleType):
    generator, _ = build(architecture, SPEC, dropout=0.5)
    z = latents(generator)
    evaluated = generator(z).detach()
    generator.train()
    assert torch.equal(generator(z), evaluated)
    assert torch.equal(SPEC.harden(evaluated)[:, :1], SPEC.harden(generator(z))[:, :1])
    assert all(m.training for m in generator.modules())


# --- the latent ---


@both
def test_latents_are_64_bits_a_place_that_follow_from_the_position(architecture: ModuleType):
    generator, _ = build(architecture, SPEC)
    z = generator.draw_latent(Draws(3, torch.arange(50)))
    assert z.dtype == torch.int64
    assert z.shape == (50, *generator.latent_shape) == (50, SPEC.length)
    assert len(z.unique()) == z.numel()
    assert torch.equal(z[20:30], generator.draw_latent(Draws(3, torch.arange(20, 30))))
    assert not torch.equal(z, generator.draw_latent(Draws(4, torch.arange(50))))


@both
def test_a_text_does_not_depend_on_its_batch(architecture: ModuleType):
    generator, _ = build(architecture, CLASSES)
    z, y = latents(generator, 20), classes_for(CLASSES, 20)
    for make in (generator, generator.sample):
        assert torch.equal(make(z, y)[4:7], make(z[4:7], y[4:7]))


@both
def test_the_same_seed_makes_the_same_texts(architecture: ModuleType):
    first, second = build(architecture, SPEC)[0], build(architecture, SPEC)[0]
    z = latents(first)
    assert torch.equal(first(z), second(z))
    assert torch.equal(first.sample(z), second.sample(z))
    assert not torch.equal(first.sample(z), first.sample(latents(first, seed=8)))


# --- where and how they are used ---


@both
def test_texts_depend_on_their_class_and_one_must_be_given(architecture: ModuleType):
    generator, _ = build(architecture, CLASSES)
    z = latents(generator, 30)
    first, last = (generator(z, torch.full((30,), label)) for label in (0, 2))
    assert not torch.equal(first, last)
    with pytest.raises(UsageError, match="3 classes"):
        generator(z)


@both
@pytest.mark.parametrize("feed", ["hard", "soft"])
def test_values_are_never_looked_at_on_the_meta_device(architecture: ModuleType, feed: str):
    generator, judge = build(architecture, CLASSES, feed=feed)
    generator.to("meta").train()
    judge.to("meta")
    y = torch.zeros(3, dtype=torch.int64, device="meta")
    z = generator.draw_latent(Draws(0, torch.arange(3, device="meta")))
    x = generator(z, y)
    assert x.is_meta
    assert x.shape == (3, *CLASSES.shape)
    x.sum().backward()
    assert generator.nll(CLASSES.harden(x), y).shape == (3, CLASSES.length)
    assert generator.sample(z, y).shape == (3, CLASSES.length)
    assert judge(x, y).shape == (3,)


@both
def test_texts_are_float32_under_autocast(architecture: ModuleType):
    generator, judge = build(architecture, SPEC)
    z, hard = latents(generator), texts(6, 0, 3, spec=SPEC)
    expected = generator.nll(hard)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x, nll = generator(z), generator.nll(hard)
        soft = generator.gumbel(z, hard=False)
        logits = judge(x)
    assert x.dtype == soft.dtype == nll.dtype == torch.float32
    assert torch.equal(x.sum(2), torch.ones(x.shape[:2]))
    torch.testing.assert_close(soft.sum(2), torch.ones(x.shape[:2]))
    torch.testing.assert_close(nll, expected, atol=0.2, rtol=0.1)
    (logits.sum() + nll.sum() + soft.square().sum()).backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in generator.parameters() if p.grad is not None)


@both
@pytest.mark.parametrize("feed", ["hard", "soft"])
def test_gradients_of_the_discriminator_reach_every_weight(architecture: ModuleType, feed: str):
    generator, judge = build(architecture, CLASSES, feed=feed)
    y = classes_for(CLASSES, 12)
    judge(generator(latents(generator, 12), y), y).sum().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0.0, name


@both
def test_spectral_normalisation_can_be_put_on(architecture: ModuleType):
    generator, _ = build(architecture, SPEC)
    apply_spectral_norm(generator.train())
    z = latents(generator)
    assert generator(z).shape == (6, *SPEC.shape)
    generator.nll(texts(6, 2, spec=SPEC)).sum().backward()
    generator.eval()
    assert torch.equal(generator(z), generator(z))


@both
def test_samples_that_are_no_texts_are_refused(architecture: ModuleType):
    with pytest.raises(UsageError, match="is for texts"):
        architecture.build(architecture.Options(), SampleSpec(shape=(3, 8, 8)))


@settings(max_examples=20, deadline=None)
@given(
    architecture=st.sampled_from(list(SMALL)),
    vocabulary=st.integers(3, 70),
    length=st.integers(1, 6),
    classes=st.sampled_from([0, 3]),
    tied=st.booleans(),
    feed=st.sampled_from(["hard", "soft"]),
    count=st.integers(1, 3),
)
def test_shapes_agree_for_any_texts(
    architecture: ModuleType, vocabulary: int, length: int, classes: int, tied: bool, feed: str, count: int
):
    spec = spec_of(vocabulary, length, classes)
    generator, judge = build(architecture, spec, tied=tied, feed=feed)
    z, y = latents(generator, count), classes_for(spec, count)
    x = generator(z, y)
    assert x.shape == (count, length, vocabulary)
    assert judge(x, y).shape == (count,)
    hard = spec.harden(x.detach())
    assert torch.equal(spec.relax(hard), x)
    assert generator.logits(hard, y).shape == (count, length, vocabulary)
    assert generator.nll(hard, y).shape == (count, length)
    judge(x, y).sum().backward()


# --- the layers ---


def test_forget_gates_are_open_at_first():
    generator = build(lstm, SPEC, spread=1.0)[0]
    for layer in generator.layers:
        assert layer.bias_ih_l0[6:12].tolist() == [1.0] * 6


def test_locked_dropout_leaves_out_the_same_entries_at_every_place():
    from gan_text.nets.dropout import Dropout

    torch.manual_seed(0)
    x = torch.ones(50, 4, 40)
    locked, free = Dropout(0.25, True)(x), Dropout(0.25, False)(x)
    assert torch.equal(locked, locked[:, :1].expand(-1, 4, -1))
    assert not torch.equal(free, free[:, :1].expand(-1, 4, -1))
    for y in (locked, free):
        assert y.unique().tolist() == [0.0, pytest.approx(4 / 3)]
        assert float((y == 0.0).float().mean()) == pytest.approx(0.25, abs=0.04)
    assert not torch.equal(locked[0], locked[1])


def test_texts_are_grouped_where_lengths_differ_much_and_places_cost_little():
    few_long = torch.tensor([5] * 24 + [30] * 8)[torch.randperm(32, generator=torch.Generator().manual_seed(0))]
    groups = _alike(few_long, overhead=0)
    assert sorted(torch.cat([texts for texts, _ in groups]).tolist()) == list(range(32))
    assert [(len(texts), longest) for texts, longest in groups] == [(24, 5), (8, 30)]
    assert all(int(few_long[texts].max()) == longest for texts, longest in groups)
    assert len(_alike(few_long, overhead=1000)) == 1
    assert len(_alike(torch.full((32,), 9), overhead=1)) == 1
    assert [longest for _, longest in _alike(torch.tensor([3, 9]), overhead=0)] == [9]
