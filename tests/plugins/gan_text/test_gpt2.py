"""The generator gpt2: one text token by token is what it is all at once, alone or in a batch, drawn or scored."""

from __future__ import annotations

import logging
import math

import pytest
import torch
import torch.nn.functional as F
from toys.texts import classes_for
from toys.transformers import LENGTH, TEXTS, small, spec_of, writer

from gan_text.nets import gpt2
from gan_text.nets.sampling import Sampling
from gancore.data.spec import SampleSpec
from gancore.errors import UsageError
from gancore.nets.gumbel import gumbel_noise
from gancore.random import Draws

CLASSES = [(), ("x", "y")]


def draws(count: int) -> Draws:
    return Draws(3, torch.arange(count))


@pytest.mark.parametrize("classes", CLASSES)
def test_logits_with_a_cache_are_those_of_all_places_at_once(classes: tuple[str, ...]) -> None:
    spec = spec_of(classes)
    generator = writer(spec)
    hard = spec.encode(TEXTS)
    condition = classes_for(spec, len(TEXTS))
    with torch.no_grad():
        whole = generator.logits(hard, condition)
        state = generator.start(len(hard), condition)
        read = generator.inputs(hard.long(), condition)
        for place in range(LENGTH):
            logits, state = generator.step(read[:, place], state)
            torch.testing.assert_close(logits, whole[:, place], atol=1e-4, rtol=1e-4)


def test_drawing_uses_nothing_that_the_library_calls_outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(logging.Logger, "warning_once", lambda _, words, *args: told.append(words), raising=False)
    generator = writer(spec_of())
    with torch.no_grad():
        generator.sample(generator.draw_latent(draws(2)))
    assert told == []


def test_logits_are_those_of_the_library_given_the_same_vectors() -> None:
    spec = spec_of()
    generator = writer(spec)
    ids = spec.encode(TEXTS).long()
    weight = generator.body.wte.weight
    first = generator.begin.expand(len(ids), 1, -1)
    with torch.no_grad():
        theirs = generator.body(inputs_embeds=torch.cat([first, weight[ids[:, :-1]]], dim=1)).last_hidden_state
        torch.testing.assert_close(generator.logits(ids), theirs @ weight.t(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("classes", CLASSES)
def test_nll_counts_the_first_end_and_nothing_after_it(classes: tuple[str, ...]) -> None:
    spec = spec_of(classes)
    generator = writer(spec)
    hard = spec.encode(TEXTS)
    condition = classes_for(spec, len(TEXTS))
    with torch.no_grad():
        logs = torch.log_softmax(generator.logits(hard, condition), dim=2).gather(2, hard.long()[..., None])[..., 0]
        wanted = torch.zeros(hard.shape)
        for row, count in enumerate(spec.lengths(hard).tolist()):
            wanted[row, : count + 1] = -logs[row, : count + 1]
        assert spec.lengths(hard).max() == LENGTH  # one text has no end at all
        torch.testing.assert_close(generator.nll(hard, condition), wanted, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(generator.log_likelihood(hard, condition), -wanted.sum(1), atol=1e-4, rtol=1e-5)


def test_probabilities_of_all_texts_of_two_tokens_sum_to_one() -> None:
    spec = spec_of(length=2)
    generator = writer(spec)
    count = spec.vocabulary
    pairs = torch.cartesian_prod(torch.arange(count), torch.arange(count))
    # Behind an end there are ends alone.
    texts = pairs[(pairs[:, 0] != spec.end) | (pairs[:, 1] == spec.end)].to(torch.int32)
    with torch.no_grad():
        total = generator.log_likelihood(texts).exp().sum()
    assert float(total) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("feed", ["hard", "soft"])
def test_relaxed_texts_follow_from_logits_and_noise(classes: tuple[str, ...], feed: str) -> None:
    spec = spec_of(classes)
    generator = writer(spec, feed=feed)
    condition = classes_for(spec, 16)
    z = generator.draw_latent(draws(16))
    relaxed = generator.gumbel(z, condition, temperature=0.7)
    with torch.no_grad():
        hard = spec.harden(relaxed)
        assert torch.equal(relaxed, spec.relax(hard))
        noise = gumbel_noise(z.flatten(), spec.vocabulary).view(16, LENGTH, -1)
        best = spec.harden(F.softmax(generator.logits(hard, condition) + noise, dim=2))
        assert torch.equal(best, hard)
    lengths = spec.lengths(hard)
    assert int(lengths.min()) < LENGTH - 1
    assert len(set(map(tuple, hard.tolist()))) > 4


@pytest.mark.parametrize("feed", ["hard", "soft"])
def test_gradient_of_relaxed_texts_is_that_of_the_softmax(feed: str) -> None:
    spec = spec_of(length=3)
    generator = writer(spec, feed=feed)
    z = generator.draw_latent(draws(5))
    weights = torch.randn(5, 3, spec.vocabulary, generator=torch.Generator().manual_seed(0))
    (generator.gumbel(z, temperature=0.5) * weights).sum().backward()
    found = {name: p.grad.clone() for name, p in generator.named_parameters() if p.grad is not None}
    generator.zero_grad()

    # The same by autograd alone, place by place.
    ended = torch.zeros(5, dtype=torch.bool)
    state = generator.start(5, None)
    embedded = generator.begin.expand(5, -1)
    total = torch.zeros(())
    for place in range(3):
        logits, state = generator.step(embedded, state)
        soft = F.softmax((logits + gumbel_noise(z[:, place], spec.vocabulary)) / 0.5, dim=1)
        ids = soft.argmax(1)
        total = total + (soft * weights[:, place])[~ended].sum()
        if feed == "soft":
            one_hot = F.one_hot(ids, spec.vocabulary).float()
            straight = one_hot + (soft - soft.detach())
            straight = torch.where(ended[:, None], F.one_hot(torch.tensor(spec.end), spec.vocabulary).float(), straight)
            embedded = straight @ generator.token_weight()
        else:
            embedded = generator.token_weight()[ids]
        ended = ended | (ids == spec.end)
    total.backward()
    assert len(found) == len(list(generator.parameters()))
    for name, parameter in generator.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, atol=1e-4, rtol=1e-3, msg=name)


def test_soft_texts_are_on_the_simplex_and_pass_gradients_to_every_parameter() -> None:
    generator = writer(spec_of(("x", "y")))
    generator.train()
    z = generator.draw_latent(draws(8))
    soft = generator.gumbel(z, torch.arange(8) % 2, temperature=2.0, hard=False)
    torch.testing.assert_close(soft.sum(2), torch.ones(8, LENGTH))
    assert float(soft.detach().amax(2).min()) < 0.99
    soft.square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in generator.parameters())


@pytest.mark.parametrize("classes", CLASSES)
def test_texts_do_not_depend_on_their_batch(classes: tuple[str, ...]) -> None:
    spec = spec_of(classes)
    generator = writer(spec)
    z, condition = generator.draw_latent(draws(12)), classes_for(spec, 12)
    some = torch.tensor([1, 7, 10])
    few = None if condition is None else condition[some]
    with torch.no_grad():
        assert torch.equal(generator(z, condition)[some], generator(z[some], few))
        assert torch.equal(generator.sample(z, condition)[some], generator.sample(z[some], few))


def test_drawing_is_without_dropout_and_likelihood_with_it() -> None:
    spec = spec_of()
    generator = writer(spec, dropout=0.5)
    z = generator.draw_latent(draws(8))
    still = generator.gumbel(z), generator.sample(z)
    generator.train()
    assert torch.equal(generator.gumbel(z), still[0])
    assert torch.equal(generator.sample(z), still[1])
    hard = spec.encode(TEXTS)
    assert not torch.equal(generator.nll(hard), generator.nll(hard))
    assert all(module.training for module in generator.modules())


def test_samples_have_the_frequencies_of_the_model() -> None:
    spec = spec_of(length=2)
    generator = writer(spec)
    count = 20_000
    with torch.no_grad():
        texts = generator.sample(generator.draw_latent(draws(count)))
        probability = F.softmax(generator.logits(texts[:1])[0, 0], dim=0)
    found = texts[:, 0].long().bincount(minlength=spec.vocabulary) / count
    error = (found - probability).abs() / (probability * (1 - probability) / count).sqrt().clamp_min(1 / count)
    assert float(error.max()) < 4.5


def test_class_changes_what_is_written() -> None:
    spec = spec_of(("x", "y"))
    generator = writer(spec)
    z = generator.draw_latent(draws(16))
    zeros = torch.zeros(16, dtype=torch.int64)
    assert not torch.equal(generator.sample(z, zeros), generator.sample(z, zeros + 1))
    with pytest.raises(UsageError, match="conditional on 2 classes"):
        generator.sample(z)


def test_prompt_begins_every_sample() -> None:
    spec = spec_of()
    generator = writer(spec)
    texts = spec.decode(generator.sample(generator.draw_latent(draws(8)), sampling=Sampling(prompt="the cat")))
    assert all(text.startswith("the cat") for text in texts)
    assert len(set(texts)) > 1


def test_same_seed_builds_the_same_weights() -> None:
    spec = spec_of()
    first, again, other = writer(spec, 1), writer(spec, 1), writer(spec, 2)
    for (name, a), b, c in zip(
        first.state_dict().items(), *(g.state_dict().values() for g in (again, other)), strict=True
    ):
        assert torch.equal(a, b), name
        assert a.dim() < 2 or not torch.equal(a, c), name


def test_untrained_model_is_near_the_uniform_distribution() -> None:
    spec = spec_of()
    torch.manual_seed(0)
    generator = gpt2.build(small(), spec)["generator"].eval()
    hard = spec.encode(TEXTS)
    loss = generator.nll(hard)[hard != spec.end].mean().detach()  # type: ignore[operator]
    assert float(loss) == pytest.approx(math.log(spec.vocabulary), abs=0.1)


def test_likelihood_rises_in_training() -> None:
    spec = spec_of()
    torch.manual_seed(0)
    generator: gpt2.Generator = gpt2.build(small(dropout=0.0), spec)["generator"]  # type: ignore[assignment]
    optimizer = torch.optim.AdamW(generator.parameters(), lr=1e-2)
    hard = spec.encode(TEXTS)
    for _ in range(150):
        optimizer.zero_grad()
        generator.nll(hard).sum().backward()
        optimizer.step()
    texts = spec.decode(generator.sample(generator.draw_latent(draws(20))))
    assert set(texts) <= set(TEXTS)
    # There are four texts, and none can be more probable than the others for all of them.
    assert float(-generator.log_likelihood(hard).mean().detach()) == pytest.approx(math.log(4), abs=0.3)


def test_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(UsageError, match=r"width 18 .* by 4 heads: set architecture\.width"):
        gpt2.build(small(width=18, heads=4), spec_of())


def test_other_samples_are_refused() -> None:
    with pytest.raises(UsageError, match="'gpt2' is for texts"):
        gpt2.build(small(), SampleSpec(shape=(3, 4)))
