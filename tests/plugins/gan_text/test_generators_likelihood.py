"""Recurrent generators of texts have one distribution, whether texts are drawn, relaxed or judged by likelihood."""

from __future__ import annotations

import itertools
import math
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from toys.texts import both, build, classes_for, latents, pulled, spec_of, texts

from gan_text.nets.reading import up_to_end
from gan_text.nets.sampling import Sampling

SPEC = spec_of()
CLASSES = spec_of(classes=3)
LENGTHS = (6, 0, 3, 5, 7, 1, 1, 2, 4, 3, 3, 3, 6, 2, 0, 5, 4)
"""As many as are read in groups of similar length."""


@both
@pytest.mark.parametrize("spec", [SPEC, CLASSES], ids=["plain", "classes"])
def test_teacher_forced_logits_are_those_of_the_steps(architecture: ModuleType, spec: Any):
    generator, _ = build(architecture, spec)
    hard, y = texts(7, 0, 3, 5, spec=spec), classes_for(spec, 4)
    offset = 0.0 if y is None else generator.classes(y)
    state, embedded = generator.start(4, y), generator.begin.expand(4, -1) + offset
    steps = []
    for place in range(spec.length):
        logits, state = generator.step(embedded, state)
        steps.append(logits)
        embedded = generator.tokens(hard[:, place].long()) + offset
    torch.testing.assert_close(generator.logits(hard, y), torch.stack(steps, 1), atol=1e-5, rtol=1e-4)


@both
def test_a_place_sees_the_tokens_before_it_and_no_others(architecture: ModuleType):
    generator, _ = build(architecture, SPEC)
    hard = texts(7, spec=SPEC)
    other = hard.clone()
    other[0, 3] = 1 if int(hard[0, 3]) != 1 else 2
    change = (generator.logits(hard) - generator.logits(other)).detach().abs().amax(2)[0]
    assert float(change[:4].max()) == 0.0
    assert bool((change[4:] > 0.0).all())


@both
@pytest.mark.parametrize("tied", [True, False])
def test_nll_and_its_gradients_are_those_of_cross_entropy(architecture: ModuleType, tied: bool):
    generator, _ = build(architecture, SPEC, tied=tied)
    hard = texts(*LENGTHS, spec=SPEC)
    nll = generator.nll(hard)
    inside = torch.arange(SPEC.length) <= torch.tensor(LENGTHS)[:, None]
    expected = F.cross_entropy(generator.logits(hard).transpose(1, 2), hard.long(), reduction="none") * inside
    assert nll.dtype == torch.float32
    torch.testing.assert_close(nll, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(generator.log_likelihood(hard), -expected.sum(1), atol=1e-5, rtol=1e-5)
    mine, theirs = pulled(generator, nll), pulled(generator, expected)
    for name, gradient in theirs.items():
        assert float(gradient.abs().max()) > 0.0, name
        torch.testing.assert_close(mine[name], gradient, atol=1e-5, rtol=1e-4)


@both
def test_a_text_that_fills_all_places_has_no_end_to_count(architecture: ModuleType):
    generator, _ = build(architecture, SPEC)
    hard = texts(7, spec=SPEC)
    assert int((generator.nll(hard) > 0.0).sum()) == 7


@both
def test_without_a_linear_readout_all_is_the_same(architecture: ModuleType, monkeypatch: pytest.MonkeyPatch):
    generator, _ = build(architecture, SPEC)
    z, hard = latents(generator, 12), texts(6, 0, 3, spec=SPEC)
    x, nll = generator(z), generator.nll(hard)
    expected = [pulled(generator, x), pulled(generator, nll)]
    weight, bias = generator.readout()
    monkeypatch.setattr(generator, "project", lambda hidden: hidden @ weight.t() + bias)
    monkeypatch.setattr(generator, "readout", lambda: None)
    assert torch.equal(generator(z), x)
    for mine, theirs in zip(
        [pulled(generator, generator(z)), pulled(generator, generator.nll(hard))], expected, strict=True
    ):
        for name, gradient in theirs.items():
            torch.testing.assert_close(mine[name], gradient, atol=1e-5, rtol=1e-4)


@both
def test_dropout_acts_on_likelihood_in_training(architecture: ModuleType):
    generator, _ = build(architecture, SPEC, dropout=0.5)
    hard = texts(7, spec=SPEC)
    assert torch.equal(generator.nll(hard), generator.nll(hard))
    generator.train()
    assert not torch.equal(generator.nll(hard), generator.nll(hard))


# --- one distribution ---


def all_texts(spec: Any) -> Tensor:
    """Every text of the vocabulary: what stands behind an end is the end."""
    rows = torch.tensor(list(itertools.product(range(spec.vocabulary), repeat=spec.length)))
    return torch.where(up_to_end(rows, spec.end), rows, spec.end).unique(dim=0).to(torch.int32)


@both
def test_probabilities_of_all_texts_sum_to_one(architecture: ModuleType):
    spec = spec_of(3, 4, classes=2)
    generator, _ = build(architecture, spec)
    every = all_texts(spec)
    assert len(every) == 31  # 1 + 2 + 4 + 8 that end, and 16 that fill all places
    for label in range(2):
        total = generator.log_likelihood(every, torch.full((31,), label)).exp().sum()
        assert float(total.detach()) == pytest.approx(1.0, abs=1e-5)


@both
@pytest.mark.parametrize("way", ["sample", "gumbel", "soft"])
def test_texts_are_drawn_with_their_likelihood(architecture: ModuleType, way: str):
    spec, count = spec_of(3, 3), 20_000
    generator, _ = build(architecture, spec)
    z = latents(generator, count)
    with torch.no_grad():
        match way:
            case "sample":
                drawn = generator.sample(z)
            case "gumbel":
                drawn = spec.harden(generator(z))
            case "soft":
                drawn = spec.harden(generator.gumbel(z, hard=False, temperature=0.3))
        every = all_texts(spec)
        expected = generator.log_likelihood(every).double().exp() * count
    counts = (drawn[:, None] == every).all(2).sum(0).double()
    assert int(counts.sum()) == count
    assert float(expected.min()) > 5.0
    chi2, free = float(((counts - expected).square() / expected).sum()), len(every) - 1
    assert chi2 < free + 4.5 * math.sqrt(2 * free)


@both
def test_sampling_at_a_temperature_follows_scaled_logits(architecture: ModuleType):
    spec, count = spec_of(3, 2), 20_000
    generator, _ = build(architecture, spec)
    with torch.no_grad():
        drawn = generator.sample(latents(generator, count), sampling=Sampling(temperature=0.5))
        every = all_texts(spec)
        logs = torch.log_softmax(generator.logits(every) / 0.5, 2).gather(2, every.long()[..., None]).squeeze(2)
        expected = (logs * up_to_end(every, spec.end)).sum(1).double().exp() * count
    counts = (drawn[:, None] == every).all(2).sum(0).double()
    assert float(((counts - expected).square() / expected).sum()) < len(every) - 1 + 15.0


# --- final texts ---


@both
def test_samples_are_hard_texts(architecture: ModuleType):
    generator, _ = build(architecture, CLASSES)
    hard = generator.sample(latents(generator, 30), classes_for(CLASSES, 30))
    assert hard.dtype == torch.int32
    assert hard.shape == (30, CLASSES.length)
    assert torch.equal(CLASSES.harden(CLASSES.relax(hard)), hard)
    assert len(CLASSES.lengths(hard).unique()) > 2


@both
def test_every_sample_begins_with_the_prompt(architecture: ModuleType):
    generator, _ = build(architecture, SPEC, sampling={"prompt": "w3 w5"})
    z = latents(generator, 20)
    hard = generator.sample(z)
    assert bool((hard[:, :2] == torch.tensor([3, 5])).all())
    assert len(hard[:, 2].unique()) > 1
    assert not torch.equal(hard, generator.sample(z, sampling=Sampling()))


@both
def test_a_prompt_conditions_what_comes_after_it(architecture: ModuleType):
    spec, count = spec_of(3, 3), 20_000
    generator, _ = build(architecture, spec)
    with torch.no_grad():
        hard = generator.sample(latents(generator, count), sampling=Sampling(prompt="w2 w2"))
        last = torch.tensor([[2, 2, 0]])
        expected = torch.softmax(generator.logits(last)[0, 2], 0).double() * count
    counts = hard[:, 2].bincount(minlength=3).double()
    assert float(((counts - expected).square() / expected).sum()) < 15.2  # 2 degrees of freedom, p = 0.0005
