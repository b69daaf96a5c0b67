"""APA: which rows are fakes in the place of real samples, and of which class."""

from __future__ import annotations

import pytest
import torch
from toys import one_step
from toys.pictures import CLASSES, ToySpec

from gancore.components import GameContext
from gancore.engine.build import Chain
from gancore.games.gan import GanModel, GanOptions
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
def test_chosen_rows_show_the_fake_of_the_last_row_before_that_has_the_same_class(labels):
    part = apa(0.5)
    networks, batch = one_step.double_networks(labels=labels), one_step.double_batch(10, labels=labels)
    context = GameContext(
        networks=networks, spec=ToySpec(classes=CLASSES if labels else ()), loss=NonSaturating(), penalties={},
        augment=Chain({"apa": part}),
    )  # fmt: skip
    d = draws(10)
    fake = torch.arange(10.0).double()[:, None, None, None].expand(10, 1, 4, 4)
    shown = GanModel(GanOptions(), context).shown_as_real(batch, fake, d)
    rows = part.deceived(d.within("augment-0"))
    assert 0 < int(rows.sum()) < 10
    # Classes are 0 1 2 0 1 2 0 1 2 0.
    source = [9, 7, 8, 0, 1, 2, 3, 4, 5, 6] if labels else [9, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    for row, other in enumerate(source):
        assert torch.equal(shown[row], fake[other] if rows[row] else batch.x[row])


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
        results.append((real_logits[0], fake_logits[0]))
    (all_real, all_fake), (real, fake) = results
    torch.testing.assert_close(all_real, all_fake.roll(1, 0))
    torch.testing.assert_close(all_fake, fake)
    assert not torch.equal(all_real, real)
