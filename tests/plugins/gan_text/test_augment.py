"""ADA for texts: tokens that are left out, spans that are exchanged, and what stays as it is."""

from __future__ import annotations

import pytest
import torch
from toys.texts import spec_of

from gan_text.augment import TextAda, TextAdaOptions
from gancore.random import Draws

LENGTH, WORDS = 8, 12
SPEC = spec_of(vocabulary=WORDS, length=LENGTH)


def augmented(x, *policy, strength=1.0, **options):
    t = TextAda(TextAdaOptions(policy=policy, strength=strength, **options), SPEC)
    return t(x, Draws(5, torch.arange(len(x))))


def hard(n, length=LENGTH):
    """Texts of `length` different tokens, none of them unknown, and then ends."""
    ids = torch.stack(
        [torch.randperm(WORDS - 2, generator=torch.Generator().manual_seed(k))[:LENGTH] + 2 for k in range(n)]
    )
    return torch.where(torch.arange(LENGTH) < length, ids, SPEC.end).to(torch.int32)


def ids_of(relaxed):
    return relaxed.argmax(-1).to(torch.int32)


def test_tokens_before_the_end_become_unknown_and_others_stay():
    x = hard(2000, 5)
    y = augmented(SPEC.relax(x), "dropout", dropout=0.3)
    assert torch.equal(y.sum(-1), torch.ones(2000, LENGTH))
    lost = ids_of(y) != x
    assert bool((ids_of(y)[lost] == SPEC.unknown).all())
    assert lost.double().mean(0).tolist() == pytest.approx([0.3] * 5 + [0.0] * 3, abs=0.04)


def test_two_neighbouring_spans_of_the_text_are_exchanged():
    x = hard(400, 6)
    found = set()
    for before, after in zip(x.tolist(), ids_of(augmented(SPEC.relax(x), "swap")).tolist(), strict=True):
        ways = {
            (a, b, c)
            for a in range(7) for b in range(a, 7) for c in range(b, 7)
            if [*before[:a], *before[b:c], *before[a:b], *before[c:]] == after
        }  # fmt: skip
        assert ways
        if len(ways) == 1:
            found |= ways
    assert len(found) > 25  # of 35


def test_spans_are_exchanged_half_as_often_as_the_strength_says():
    x = hard(3000)
    moved = (ids_of(augmented(SPEC.relax(x), "swap", strength=0.8)) != x).any(1)
    # Where two of the three cuts are the same nothing moves: 120 of 9^3 triples have three, each in six orders of 84.
    assert float(moved.double().mean()) == pytest.approx(0.4 * 84 * 6 / 9**3, abs=0.03)


def test_most_texts_stay_as_they_are_at_a_small_strength():
    x = hard(1000)
    same = (ids_of(augmented(SPEC.relax(x), "dropout", "swap", strength=0.1)) == x).all(1)
    assert float(same.double().mean()) > 0.9


def test_derivatives_match_finite_differences_and_strength_0_gives_back_the_samples():
    x = (SPEC.relax(hard(1, 6)).double() * 3).softmax(-1)
    assert augmented(x, "dropout", "swap", strength=0.0) is x
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: augmented(v, "dropout", "swap", dropout=0.3), (x,))
    assert torch.autograd.gradgradcheck(lambda v: augmented(v, "dropout", "swap").pow(3), (x,))
