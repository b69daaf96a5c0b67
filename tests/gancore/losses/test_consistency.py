"""Consistency regularisation against closed forms, and that its augmentations are its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from toys import pictures as toys
from toys.one_step import double_batch, double_networks, game_gradients, phase_draws

from gancore.components import Augment
from gancore.configuration.configure import configure
from gancore.configuration.layers import nest
from gancore.data.report import silent
from gancore.engine.build import Chain, own_augmentations
from gancore.engine.parts import Parts, build_parts
from gancore.errors import UsageError
from gancore.games.calling import draw_latent
from gancore.losses.consistency import Consistency, ConsistencyOptions, FakeConsistency
from gancore.random import Draws

W = torch.tensor([3.0, -4.0], dtype=torch.float64)


def linear(w: torch.Tensor) -> Any:
    return lambda x: x @ w + 7.0


def moved(x: torch.Tensor, draws: Draws) -> torch.Tensor:
    return x + torch.tensor([0.5, 0.25]).to(x)


def flipped(x: torch.Tensor, draws: Draws) -> torch.Tensor:
    return torch.where(draws.uniform("flip", 1).to(x) < 0.5, -x, x)


def made(kind: type[Consistency], augment: Augment) -> Consistency:
    penalty = kind(ConsistencyOptions())
    penalty.augment = augment
    return penalty


@pytest.mark.parametrize("kind", [Consistency, FakeConsistency])
def test_of_a_linear_discriminator_it_is_the_square_of_what_the_augmentation_adds(kind: type[Consistency]) -> None:
    w = W.clone().requires_grad_()
    x = torch.randn(6, 2, dtype=torch.float64)
    term = made(kind, moved).penalty(linear(w), x, x, Draws(1, torch.arange(6)))
    term.backward()
    # w . (0.5, 0.25) = 1.5 - 1; and the gradient of its square.
    assert term.item() == pytest.approx(0.25)
    assert w.grad is not None
    assert w.grad.tolist() == pytest.approx([2 * 0.5 * 0.5, 2 * 0.5 * 0.25])


@pytest.mark.parametrize(("kind", "side"), [(Consistency, 0), (FakeConsistency, 1)])
def test_one_is_of_real_samples_and_the_other_of_generated_ones(kind: type[Consistency], side: int) -> None:
    samples = torch.randn(2, 64, 2, dtype=torch.float64)
    draws = Draws(1, torch.arange(64))
    term = made(kind, flipped).penalty(linear(W), samples[0], samples[1], draws)
    # Where a sample is turned round, its logit w . x becomes -w . x.
    turned = (draws.uniform("flip", 1) < 0.5)[:, 0]
    assert 0 < int(turned.sum()) < 64
    expected = torch.where(turned, (2 * samples[side] @ W).square(), torch.zeros(64, dtype=torch.float64)).mean()
    assert float(term) == pytest.approx(float(expected))


@pytest.mark.parametrize("name", ["cr", "cr-fake"])
def test_gradients_of_a_step_are_those_of_the_loss_and_of_the_weighted_term(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Consistency, "augment", staticmethod(lambda x, draws: 0.5 * x))
    batch, networks = double_batch(4), double_networks()
    without, _ = game_gradients(double_networks(), batch)
    found, scalars = game_gradients(double_networks(), batch, penalties={name: {"weight": 2.0}})
    judge, generator = networks["discriminator"], networks["generator"]
    x = batch.x if name == "cr" else generator(draw_latent(generator, phase_draws(batch)).double(), None).detach()
    term = (judge(x, None) - judge(0.5 * x, None)).square().mean()
    assert float(scalars[f"discriminator/{name}"]) == pytest.approx(float(term), rel=1e-6)
    slopes = torch.autograd.grad(2.0 * term, list(judge.parameters()))
    for (key, _), slope in zip(judge.named_parameters(), slopes, strict=True):
        added = found["discriminator"][key] - without["discriminator"][key]
        torch.testing.assert_close(added, slope, rtol=1e-5, atol=1e-7)


# --- in a run -----------------------------------------------------------------------------------------------------------


def parts_of(**options: Any) -> Parts:
    settings = configure(toys.new_registry(), plugin="toy", layers=[nest({**toys.SMALL, "steps": 2, **options})])
    return build_parts(settings, torch.device("cpu"), silent)


def change(augment: Augment) -> float:
    """What samples of ones become."""
    return float(augment(torch.ones(2, 1, 4, 4), Draws(0, torch.arange(2))).mean())


def test_its_augmentations_are_seen_by_nobody_else() -> None:
    grows = {"augmentations.grow.strength": 0.5}
    context = parts_of(**grows, **{"penalties.cr": {}, "penalties.cr-fake": {}}).game.context
    assert change(context.augment) == 1.0
    assert [change(penalty.augment) for penalty, _ in context.penalties.values()] == [1.5, 1.5]
    named = {"augmentations.wobble": {}, "penalties.cr.augmentations": "grow", "penalties.r1": {}}
    context = parts_of(**grows, **named).game.context
    assert change(context.penalties["cr"][0].augment) == 1.5
    assert change(context.augment) not in (1.0, 1.5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {},
            r"penalties\.cr\.augmentations: .* there is none; of the run's augmentations, none can be had for that: add one",
        ),
        ({"augmentations.apa": {}}, "there is none; .* none can be had"),
        (
            {"augmentations.wobble": {}, "penalties.cr.augmentations": "grow"},
            "names grow; .* wobble can be had for that",
        ),
        ({"augmentations.wobble": {}, "penalties.cr.augmentations": "apa,wobble"}, "names apa, wobble; .* wobble can"),
    ],
)
def test_augmentations_that_it_cannot_have_are_refused_with_the_way_out(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parts_of(**{"penalties.cr": {}}, **options)


def test_an_adaptive_strength_would_follow_logits_of_samples_without_the_augmentation() -> None:
    def taken(**more: Any) -> dict[str, Chain]:
        chosen = {**toys.SMALL, "augmentations.apa.strength": 0.5, "penalties.cr": {}, **more}
        settings = configure(toys.new_registry(), plugin="toy", layers=[nest(chosen)])
        return own_augmentations(settings, Chain({"apa": moved}))  # options of a strength, of what changes samples

    with pytest.raises(UsageError, match=r"strength of 'apa' is adapted .* say augmentations\.apa\.adaptive=false"):
        taken()
    assert list(taken(**{"augmentations.apa.adaptive": False})["cr"].parts) == ["apa"]
    assert list(taken(**{"schedules.augmentations.apa.strength.last": 0.1})["cr"].parts) == ["apa"]
