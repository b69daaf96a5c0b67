"""APA: which rows are fakes in the place of real samples, and of which class."""

from __future__ import annotations

import pytest
import torch
from toys import one_step
from toys.pictures import CLASSES, LATENT, ToySpec

from gancore.components import GameContext
from gancore.engine.build import Chain
from gancore.games.gan import GanOptions
from gancore.games.gan_model import GanModel
from gancore.losses.adversarial import NonSaturating
from gancore.losses.apa import Apa, ApaOptions
from gancore.random import Draws


def apa(strength):
    return Apa(ApaOptions(strength=strength))


def draws(count, seed=5):
    return Draws(seed, torch.arange(count))


def test_samples_are_left_as_they_are():
    x = torch.randn(3, 4)
    assert apa(0.7)(x, draws(3)) is x


@pytest.mark.parametrize("strength", [0.3, 0.8])
def test_the_strength_is_the_share_of_rows(strength):
    assert float(apa(strength).deceived(draws(4000)).float().mean()) == pytest.approx(strength, abs=0.02)


def test_a_stronger_one_replaces_the_same_rows_and_more():
    few, many = (apa(strength).deceived(draws(200)) for strength in (0.2, 0.6))
    assert bool((many | ~few).all())
    assert not torch.equal(few, many)


@pytest.mark.parametrize("labels", [False, True])
def test_chosen_rows_show_other_fakes_of_their_class_whatever_else_is_in_the_batch(labels):
    part = apa(0.5)
    networks, batch = one_step.double_networks(labels=labels), one_step.double_batch(10, labels=labels)
    context = GameContext(
        networks=networks, spec=ToySpec(classes=CLASSES if labels else ()), loss=NonSaturating(), penalties={},
        augment=Chain({"apa": part}),
    )  # fmt: skip
    model, d = GanModel(GanOptions(), context), draws(10)
    shown, fake = model.shown_as_real(batch, d), model.fake_for_discriminator(batch, d, None)
    rows = part.deceived(d.within("augment-0"))
    assert 0 < int(rows.sum()) < 10
    other = networks["generator"](d.within("deceived").normal("z", LATENT).double(), batch.condition)
    torch.testing.assert_close(shown, torch.where(rows[:, None, None, None], other, batch.x), check_dtype=False)
    assert not bool((shown == fake).flatten(1).all(1).any())
    parts = [model.shown_as_real(half, d.at(half.positions)) for half in batch.split(2)]
    torch.testing.assert_close(torch.cat(parts), shown)


def test_a_discriminator_sees_fakes_as_real_in_its_own_phase_alone():
    networks, batch = one_step.double_networks(), one_step.double_batch(8)
    results = []
    for part in (apa(1.0), apa(0.0)):
        context = GameContext(
            networks=networks, spec=ToySpec(), loss=NonSaturating(), penalties={}, augment=Chain({"apa": part})
        )
        model = GanModel(GanOptions(), context)
        fake = model.fake_for_discriminator(batch, draws(8), None)
        real_logits, fake_logits = model.both_logits(batch, fake, draws(8))
        others = model.logits(model.generate(batch, draws(8).within("deceived")), None)[0]
        results.append((real_logits[0], fake_logits[0]))
    (all_real, all_fake), (real, fake) = results
    torch.testing.assert_close(all_real, others)
    torch.testing.assert_close(all_fake, fake)
    assert not torch.equal(all_real, real)
