"""The head of generators of named parts: the activation of each part in its place, and draws that are counted."""

from __future__ import annotations

import math

import pytest
import torch

from gancore.data.parts import Part, PartsSpec
from gancore.errors import UsageError
from gancore.nets.parts import PartsHead
from gancore.random import Draws

PLACE = Part(name="place", shape=(2,), value_range=(-2.0, 2.0))
PET = Part(name="pet", categories=("cat", "dog", "none"))
LETTERS = Part(name="letters", shape=(2,), categories=2)
SPEC = PartsSpec(parts=(PET, PLACE, LETTERS))


def test_each_part_has_its_own_activation_in_its_place() -> None:
    head = PartsHead(SPEC, temperature=2.0, straight_through=False)
    assert (head.size, head.choices) == (9, 7)
    logits = torch.tensor([[0.0, 2 * math.log(3), 0.0, 0.5, -1.0, 1.0, 1.0, 2 * math.log(4), 0.0]])
    made = SPEC.split(head(logits), relaxed=True)
    assert made["pet"][0].tolist() == pytest.approx([0.2, 0.6, 0.2])
    assert made["place"][0].tolist() == pytest.approx([math.tanh(0.5), math.tanh(-1.0)])
    assert made["letters"][0].flatten().tolist() == pytest.approx([0.5, 0.5, 0.8, 0.2])


def test_straight_through_is_one_hot_with_the_gradient_of_the_softmax_more_than_once() -> None:
    logits = torch.randn(5, 9, generator=torch.Generator().manual_seed(1))
    noise = PartsHead(SPEC).draw_noise(Draws(3, torch.arange(5)))
    weight = torch.arange(9.0)
    found = []
    for straight in (True, False):
        x = logits.clone().requires_grad_()
        y = PartsHead(SPEC, temperature=0.7, straight_through=straight)(x, noise)
        (first,) = torch.autograd.grad((y * weight).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), x)
        found.append((y, first, second))
    hard, soft = found
    assert torch.equal(SPEC.relax(SPEC.harden(hard[0]))[:, :3], hard[0][:, :3])
    assert set(hard[0][:, 5:].flatten().tolist()) == {0.0, 1.0}
    assert not torch.equal(hard[0], soft[0])
    torch.testing.assert_close(hard[1], soft[1])
    torch.testing.assert_close(hard[2], soft[2])
    assert float(second.abs().sum()) > 0


def test_choices_follow_the_softmax_of_their_logits_and_the_draws_alone() -> None:
    head, draws = PartsHead(SPEC), Draws(0, torch.arange(20_000))
    logits = torch.tensor([1.0, 0.0, -1.0, 0, 0, 0, 0, 0, 0]).expand(20_000, 9)
    made = head(logits, head.draw_noise(draws))
    share, wanted = made[:, :3].mean(dim=0), torch.softmax(logits[0, :3], 0)
    # Four standard deviations of a share of 20,000.
    assert (share - wanted).abs().max() < 4 * 0.5 / math.sqrt(20_000)
    assert torch.equal(made, head(logits, head.draw_noise(draws)))
    assert torch.equal(made[:7], head(logits[:7], head.draw_noise(draws.at(slice(7)))))


def test_what_is_given_stands_where_it_belongs_and_takes_no_logits() -> None:
    given = [part.model_copy(update={"given": part is not PLACE}) for part in SPEC.parts]
    spec = PartsSpec(parts=tuple(given))
    head = PartsHead(spec)
    assert (head.size, head.choices) == (2, 0)
    own = spec.given_part(torch.arange(9.0)[None])
    made = head(torch.tensor([[0.5, -1.0]]), head.draw_noise(Draws(0, torch.arange(1))), own)
    assert torch.equal(spec.given_part(made), own)
    assert spec.split(made, relaxed=True)["place"][0].tolist() == pytest.approx([math.tanh(0.5), math.tanh(-1.0)])
    with pytest.raises(UsageError, match="pass what is given exactly where"):
        head(torch.zeros(1, 2))
    with pytest.raises(UsageError, match="pass what is given exactly where"):
        PartsHead(SPEC)(torch.zeros(1, 9), None, own)


@pytest.mark.parametrize(
    ("logits", "noise", "words"),
    [
        ((2, 8), None, r"logits of these parts must be \[batch, 9\], not \[2, 8\]"),
        ((2, 9), (2, 9), r"noise of these parts must be \[batch, 7\], not \[2, 9\]"),
    ],
)
def test_other_shapes_are_refused(logits, noise, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        PartsHead(SPEC)(torch.zeros(logits), None if noise is None else torch.zeros(noise))


def test_temperature_of_zero_is_refused() -> None:
    with pytest.raises(UsageError, match="must be above 0, not 0"):
        PartsHead(SPEC, temperature=0)
