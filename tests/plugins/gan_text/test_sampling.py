"""Drawing final tokens: the distribution after temperature, top-k and nucleus, and one token a place by inverse CDF."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from toys.texts import spec_of

from gan_text.nets.sampling import Sampling, draw, prompt_ids, weights
from gancore.errors import UsageError
from gancore.random import mix

COUNT = 40_000
LOGITS = torch.tensor([1.0, 0.0, 2.0, -1.0, 0.5, -30.0, 1.5, 0.2])


def bits(count: int = COUNT) -> Tensor:
    return mix(torch.arange(count) + 12345)


def shares(sampling: Sampling, logits: Tensor = LOGITS) -> Tensor:
    w = weights(logits[None], sampling).double()
    return (w / w.sum())[0]


def kept(p: Tensor, count: int) -> Tensor:
    """`p` with all but the `count` largest left out, summing to one."""
    order = sorted(range(len(p)), key=lambda i: -float(p[i]))[:count]
    result = torch.zeros_like(p)
    result[order] = p[order]
    return result / result.sum()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_divides_logits(temperature: float):
    torch.testing.assert_close(
        shares(Sampling(temperature=temperature)), torch.softmax(LOGITS.double() / temperature, 0), atol=1e-6, rtol=1e-5
    )


@pytest.mark.parametrize("rise", [0.05, 0.5])
def test_temperature_rises_with_the_entropy_of_the_next_token(rise: float):
    sure = torch.tensor([0.0, -1.0, -torch.inf, -torch.inf])
    unsure = torch.zeros(4)  # ln 4 nats
    p = torch.softmax(sure.double(), 0)[:2]
    entropy = -float((p * p.log()).sum())
    found = shares(Sampling(temperature=0.6, temperature_per_nat=rise), sure)
    # The ratio of two tokens is exp(-1 / temperature).
    assert float(torch.log(found[0] / found[1])) == pytest.approx(1.0 / (0.6 + rise * entropy), rel=1e-5)
    assert found[2:].tolist() == [0.0, 0.0]
    rows = weights(torch.stack([sure, unsure]), Sampling(temperature=0.6, temperature_per_nat=rise)).double()
    torch.testing.assert_close(rows[0] / rows[0].sum(), found)
    torch.testing.assert_close(rows[1] / rows[1].sum(), torch.full((4,), 0.25).double())


def test_nothing_added_for_entropy_changes_no_bit():
    assert torch.equal(
        weights(LOGITS[None], Sampling(temperature=0.7, temperature_per_nat=0.0)),
        weights(LOGITS[None], Sampling(temperature=0.7)),
    )


@pytest.mark.parametrize("k", [1, 3, 8, 100])
def test_top_k_keeps_the_k_likeliest(k: int):
    expected = kept(torch.softmax(LOGITS.double(), 0), k)
    torch.testing.assert_close(shares(Sampling(top_k=k)), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("top_p", [0.01, 0.3, 0.5, 0.8, 0.95, 0.999])
def test_top_p_keeps_the_fewest_tokens_with_that_probability(top_p: float):
    p = torch.softmax(LOGITS.double(), 0)
    falling, count, total = sorted(p.tolist(), reverse=True), 0, 0.0
    while total < top_p:
        total += falling[count]
        count += 1
    torch.testing.assert_close(shares(Sampling(top_p=top_p)), kept(p, count), atol=1e-6, rtol=1e-5)


def test_top_p_is_taken_of_what_top_k_left():
    p = torch.softmax(LOGITS.double(), 0)  # .42 .26 .16 .09 ... of which the first three make .84
    first = kept(p, 3)
    assert float(first.max()) > 0.49
    torch.testing.assert_close(shares(Sampling(top_k=3, top_p=0.49)), kept(p, 1))


@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("vocabulary", [2, 700, 5000])
@pytest.mark.parametrize("spread", [2.0, 0.1], ids=["few", "many"])
def test_top_p_is_the_same_for_a_vocabulary_of_any_size(top_p: float, vocabulary: int, spread: float):
    logits = torch.randn(4, vocabulary, generator=torch.Generator().manual_seed(1)) * spread
    w = weights(logits, Sampling(top_p=top_p)).double()
    p = torch.softmax(logits.double(), 1)
    for row, probabilities in zip(w, p, strict=True):
        inside = row > 0.0
        mass = float(probabilities[inside].sum())
        assert mass >= top_p - 1e-5
        assert mass - float(probabilities[inside].min()) < top_p + 1e-5
        assert not bool(inside.all()) or vocabulary == 2
        assert float(probabilities[~inside].max() if not inside.all() else 0.0) <= float(probabilities[inside].min())


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0.5), Sampling(top_k=3), Sampling(top_p=0.8)])
def test_frequencies_are_the_probabilities(sampling: Sampling):
    tokens = draw(weights(LOGITS.expand(COUNT, -1), sampling), bits())
    expected = shares(sampling) * COUNT
    counts = tokens.bincount(minlength=len(LOGITS)).double()
    assert bool((counts[expected == 0.0] == 0).all())
    seen = expected > 1.0
    assert float(((counts - expected).square() / expected)[seen].sum()) < 27.9  # up to 7 degrees of freedom, p > 0.0002


@pytest.mark.parametrize("vocabulary", [2, 63, 64, 65, 300])
def test_frequencies_are_right_across_blocks_of_the_vocabulary(vocabulary: int):
    w = torch.rand(vocabulary, generator=torch.Generator().manual_seed(2)) + 0.05
    counts = draw(w.expand(COUNT, -1), bits()).bincount(minlength=vocabulary).double()
    expected = w.double() / w.sum() * COUNT
    chi2, free = float(((counts - expected).square() / expected).sum()), vocabulary - 1
    assert abs(chi2 - free) < 4.5 * (2 * free) ** 0.5 + 4.0


@pytest.mark.parametrize("z", [0, -1, 1 << 63, (1 << 63) - 1, 0xFFFFFFFFFF, ~0xFFFFFFFFFF])
def test_a_token_of_weight_0_is_never_drawn_by_any_bits(z: int):
    z = z - (1 << 64) if z >> 63 == 1 else z
    for alone in (0, 5, 63, 64, 130, 199):
        w = torch.zeros(1, 200)
        w[0, alone] = 1e-20
        assert draw(w, torch.tensor([z])).tolist() == [alone]
    w = torch.zeros(1, 200)
    w[0, [7, 70, 150]] = torch.tensor([1.0, 1e-9, 3.0])
    assert int(draw(w, torch.tensor([z]))) in (7, 70, 150)


def test_a_row_is_drawn_by_its_own_bits_alone():
    w = torch.rand(40, 500, generator=torch.Generator().manual_seed(4))
    tokens = draw(w, bits(40))
    assert tokens[11:12].tolist() == draw(w[11:12], bits(40)[11:12]).tolist()


def test_logits_of_any_size_make_finite_weights():
    w = weights(torch.tensor([[1e4, -1e4, 9999.0], [-1e30, -1e30, -1e30]]), Sampling(temperature=0.001))
    assert bool(torch.isfinite(w).all())
    assert w[1].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "bad", [{"temperature": 0.0}, {"temperature": 10.1}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.1}]
)
def test_nonsense_is_refused(bad: dict[str, float]):
    with pytest.raises(ValidationError):
        Sampling(**bad)


def test_a_prompt_is_read_without_an_end():
    assert prompt_ids("w3 w2", spec_of()) == [3, 2]
    assert prompt_ids("", spec_of()) == []


def test_a_prompt_of_unknown_words_is_refused():
    with pytest.raises(UsageError, match="vocabulary"):
        prompt_ids("w3 zebra", spec_of())


def test_a_prompt_that_leaves_nothing_to_draw_is_refused():
    with pytest.raises(UsageError, match="has 7 tokens"):
        prompt_ids("w2 w2 w2 w2 w2 w2 w2", spec_of())
