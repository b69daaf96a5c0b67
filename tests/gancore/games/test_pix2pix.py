"""The game of pairs: its gradients against plain autograd, whole and in parts."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toys import one_step
from toys import pictures as toys
from toys.runs import begin

from gancore.components import GameContext
from gancore.data.batch import Batch
from gancore.engine.loop import update
from gancore.errors import UsageError
from gancore.games.pix2pix import Options, Pix2Pix
from gancore.games.player import Player

SPEC = toys.HalfSpec()


def half_networks():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        networks = toys.build_half(toys.NetOptions(), SPEC)
        for module in networks.values():
            module.double()
            for p in module.parameters():
                nn.init.normal_(p, std=0.7)
    return networks


def half_batch(size):
    whole = one_step.double_batch(size)
    return Batch(hard=whole.x, condition=None, positions=whole.positions, step=0, given=SPEC.given_part(whole.x))


@pytest.mark.parametrize("micro_batches", [1, 3])
def test_the_generator_is_drawn_to_the_real_sample_in_what_it_makes(micro_batches):
    networks, batch = half_networks(), half_batch(6)
    ((_, loss, _),) = one_step.components("loss", {"non-saturating": {}})
    context = GameContext(
        networks=networks, spec=SPEC, loss=loss, penalties={}, augment=lambda x, draws: x, micro_batches=micro_batches
    )
    player = Player("generator", networks["generator"], torch.optim.SGD(networks["generator"].parameters(), lr=0.1))
    rival = Player("discriminator", networks["discriminator"], torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1))
    phases = Pix2Pix(Options(distance=7.0), context).phases({"generator": player, "discriminator": rival})
    (main,) = [phase for phase in phases if phase.name == "generator/main"]
    parts = list(batch.split(micro_batches))
    _, scalars = update(player, [main], parts, [one_step.phase_draws(part) for part in parts])
    actual = {name: p.grad.clone() for name, p in networks["generator"].named_parameters()}

    z = one_step.phase_draws(batch).normal("z", toys.LATENT).double()
    fake = networks["generator"](z, None, batch.given)
    distance = (fake[:, :, 2:] - batch.x[:, :, 2:]).abs().mean()  # the upper half is given
    objective = F.softplus(-networks["discriminator"](fake, None)).mean() + 7.0 * distance
    names, weights = zip(*networks["generator"].named_parameters(), strict=True)
    expected = torch.autograd.grad(objective, weights)
    for name, gradient in zip(names, expected, strict=True):
        torch.testing.assert_close(actual[name], gradient, rtol=1e-9, atol=1e-9)
    logged = sum(values["generator/distance"] * weight for values, weight in scalars)
    torch.testing.assert_close(logged, distance.detach())


def test_without_anything_given_there_are_no_pairs(tmp_path):
    with pytest.raises(UsageError, match=r"nothing is given of these data; take pairs"):
        begin(tmp_path / "run", 1, game="pix2pix")
