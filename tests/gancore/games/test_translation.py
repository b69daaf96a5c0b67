"""Games between domains: their gradients against plain autograd, whole and in parts, and the history of samples."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from toys import domains as toys
from toys import one_step

from gancore.components import GameContext
from gancore.data.batch import Batch
from gancore.data.domains import with_given
from gancore.engine.loop import update
from gancore.errors import UsageError
from gancore.games import cut, cycle, stargan
from gancore.games.history import History
from gancore.games.player import Player
from gancore.random import Draws


def translators():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        networks = toys.networks()
        for module in networks.values():
            module.double()
            for p in module.parameters():
                nn.init.normal_(p, std=0.7)
    return networks


def batch_of(size, step=0):
    whole = one_step.double_batch(size, step=step)
    domain = whole.positions % 2
    return with_given(replace(whole, condition=domain, domain=domain, domains=2), toys.SPEC, 3)


def context_of(networks, micro_batches=1, penalties=None):
    ((_, loss, _),) = one_step.components("loss", {"non-saturating": {}})
    return GameContext(
        networks=networks, spec=toys.SPEC, loss=loss, penalties=penalties or {}, augment=lambda x, draws: x, steps=10,
        micro_batches=micro_batches,
    )  # fmt: skip


def gradients(game_class, options, networks, batch, micro_batches=1):
    """Of the generator, of one step of its phase after that of the discriminator; and what is logged."""
    context = context_of(networks, micro_batches)
    game = game_class(options, context)
    game.networks["generator"].double()
    players = {
        n: Player(n, networks[n], torch.optim.SGD(networks[n].parameters(), lr=0.1))
        for n in ("discriminator", "generator")
    }
    for player in players.values():
        player.set_rivals(players)
    phases = {phase.name: phase for phase in game.phases(players)}
    parts = list(batch.split(micro_batches))
    draws = [one_step.phase_draws(part) for part in parts]
    update(players["discriminator"], [phases["discriminator/main"]], parts, draws)
    _, scalars = update(players["generator"], [phases["generator/main"]], parts, draws)
    return {n: p.grad.clone() for n, p in networks["generator"].named_parameters() if p.grad is not None}, scalars


def adversarial(networks, batch, z):
    fake = networks["generator"](z, batch.condition, batch.given)
    return fake, F.softplus(-networks["discriminator"](fake, batch.condition)).mean()


def compared(found, networks, objective):
    names, weights = zip(*networks["generator"].named_parameters(), strict=True)
    expected = torch.autograd.grad(objective, weights, allow_unused=True)
    for name, gradient in zip(names, expected, strict=True):
        if gradient is None:
            assert name not in found or not found[name].any()
        else:
            assert torch.allclose(found[name], gradient, rtol=1e-9, atol=1e-12), name


@pytest.mark.parametrize("micro_batches", [1, 3])
def test_cycle_leads_back_and_leaves_alone_what_is_of_the_domain(micro_batches):
    networks, batch = translators(), batch_of(6)
    found, scalars = gradients(cycle.Cycle, cycle.Options(cycle=7.0, identity=3.0), networks, batch, micro_batches)
    draws = one_step.phase_draws(batch)
    z = draws.normal("z", 3)
    fake, objective = adversarial(networks, batch, z)
    back = networks["generator"](draws.within("back").normal("z", 3), batch.source, fake)
    same = networks["generator"](draws.within("same").normal("z", 3), batch.condition, batch.x)
    there = (back - batch.given).abs().mean()
    compared(found, networks, objective + 7.0 * there + 3.0 * (same - batch.x).abs().mean())
    logged = sum(values["generator/cycle"] * weight for values, weight in scalars)
    assert float(logged) == pytest.approx(float(there), rel=1e-6)


@pytest.mark.parametrize("micro_batches", [1, 3])
def test_cut_tells_each_place_from_the_others_of_its_sample(micro_batches):
    networks, batch = translators(), batch_of(6)
    options = cut.Options(contrast=2.0, identity=0.5, places=3, temperature=0.5, projection=5)
    found, _ = gradients(cut.Cut, options, networks, batch, micro_batches)
    generator, draws = networks["generator"], one_step.phase_draws(batch)

    def contrast(source, made, own):
        terms = []
        for number, (one, other) in enumerate(
            zip(generator.encode(source, None), generator.encode(made, None), strict=True)
        ):
            one, other = one.flatten(2), other.flatten(2)
            order = own.uniform(f"places-{number}", one.shape[2]).argsort(dim=1)
            for row in range(len(one)):
                at = order[row, :3]
                query, key = (
                    F.normalize(generator.contrast.layers[number](m[row][:, at].T), dim=1) for m in (other, one)
                )
                terms.append(F.cross_entropy(query @ key.detach().T / 0.5, torch.arange(3)))
        return torch.stack(terms).mean()

    own = draws.within("contrast")
    fake, objective = adversarial(networks, batch, draws.normal("z", 3))
    same = generator(own.within("same").normal("z", 3), batch.condition, batch.x)
    objective = objective + 2.0 * contrast(batch.given, fake, own)
    compared(found, networks, objective + 0.5 * contrast(batch.x, same, own.within("identity")))


@pytest.mark.parametrize("micro_batches", [1, 3])
def test_stargan_reads_styles_tells_them_apart_and_leads_back_in_that_of_the_source(micro_batches):
    networks, batch = translators(), batch_of(6, step=1)
    batch = replace(batch, step=2)
    options = stargan.Options(cycle=3.0, style=2.0, diversity=1.5, references=0.5)
    found, _ = gradients(stargan.StarGan, options, networks, batch, micro_batches)
    generator, draws = networks["generator"], one_step.phase_draws(batch)
    codes = generator.map(draws.normal("z", 3), batch.condition)
    follows = draws.uniform("references") < 0.5
    assert 0 < int(follows.sum()) < 6
    codes = torch.where(follows[:, None, None], generator.read(batch.x, batch.condition).detach(), codes)
    fake = generator.synthesise(codes, batch.condition, batch.given)
    objective = F.softplus(-networks["discriminator"](fake, batch.condition)).mean()
    style = (generator.read(fake, batch.condition) - codes).abs().mean()
    other = generator.synthesise(
        generator.map(draws.within("other").normal("z", 3), batch.condition), batch.condition, batch.given
    )
    back = generator.synthesise(generator.read(batch.given, batch.source), batch.source, fake)
    objective = objective + 2.0 * style + 3.0 * (back - batch.given).abs().mean()
    compared(found, networks, objective - 1.5 * 0.8 * (fake - other).abs().mean())  # after 2 of 10 steps


def test_perfect_places_cost_nothing_and_equal_ones_the_logarithm_of_their_number():
    vectors = torch.eye(4)[None]
    assert float(cut.contrast(vectors, vectors, 0.01)) == pytest.approx(0.0, abs=1e-6)
    alike = torch.ones(2, 4, 3) / 3**0.5
    assert float(cut.contrast(alike, alike, 0.07)) == pytest.approx(torch.tensor(4.0).log())


@pytest.mark.parametrize("game", [cycle.Cycle, cut.Cut, stargan.StarGan])
def test_data_without_domains_are_refused(game):
    context = replace(context_of(translators()), spec=toys.ToySpec())
    model = {cycle.Cycle: cycle.Options, cut.Cut: cut.Options, stargan.StarGan: stargan.Options}[game]
    with pytest.raises(UsageError, match="these data have none; take data of two or more classes"):
        game(model(), context)


@pytest.mark.parametrize(("game", "options"), [(cut.Cut, cut.Options()), (stargan.StarGan, stargan.Options())])
def test_a_generator_that_does_not_show_what_a_game_needs_is_refused(game, options):
    networks = translators() | {"generator": nn.Linear(16, 16)}
    with pytest.raises(UsageError, match=r"a Linear has no method .*; take another architecture"):
        game(options, context_of(networks))


# --- the history ------------------------------------------------------------------------------------------------------


def fakes(positions):
    """Samples `[n, 1, 2]` that say which they are."""
    return positions.float()[:, None, None].expand(-1, 1, 2) + 1.0


def steps(history, size, count, parts=1):
    """What `history` shows in so many steps of `size` samples of two domains."""
    seen = []
    for step in range(count):
        positions = torch.arange(step * size, (step + 1) * size)
        whole = Batch(hard=fakes(positions), condition=positions % 2, positions=positions, step=step, domains=2)
        history.begin()
        for part in whole.split(parts):
            seen.append(history.shown(part.x, part, Draws(1, part.positions)))
        history.keep()
    return torch.cat(seen)[:, 0, 0].long() - 1


def test_new_samples_are_shown_until_there_are_enough_and_then_half_are_old_ones_of_their_domain():
    history = History(2, 10, (1, 2))
    seen = steps(history, 20, 50)
    positions = torch.arange(1000)
    assert torch.equal(seen[:20], positions[:20])
    assert bool((seen % 2 == positions % 2).all())
    assert bool((seen <= positions).all())
    old = (seen[20:] // 20 < positions[20:] // 20).float()
    assert float(old.mean()) == pytest.approx(0.5, abs=0.05)
    kept = history.kept[:, :, 0].long() - 1
    assert bool((kept % 2 == torch.tensor([[0], [1]])).all())
    assert int(kept.max()) >= 960


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(1, 4), st.integers(1, 6))
def test_parts_of_a_batch_see_and_keep_what_the_whole_would(size, turns, parts):
    one, other = (History(2, size, (1, 2)) for _ in range(2))
    assert torch.equal(steps(one, 2 * turns, 6), steps(other, 2 * turns, 6, parts))
    assert torch.equal(one.kept, other.kept)
    assert torch.equal(one.filled, other.filled)


def test_it_goes_on_from_its_state_as_if_nothing_had_been():
    whole, first, second = (History(2, 4, (1, 2)) for _ in range(3))
    shown = steps(whole, 8, 6)
    steps(first, 8, 3)
    second.load_state_dict(first.state_dict())
    positions = torch.arange(24, 32)
    part = Batch(hard=fakes(positions), condition=positions % 2, positions=positions, step=3)
    seen = second.shown(part.x, part, Draws(1, positions))[:, 0, 0].long() - 1
    assert torch.equal(seen, shown[24:32])


def test_what_a_step_that_came_to_nothing_has_shown_is_not_kept_nor_what_is_not_finite():
    history = History(1, 4, (1, 2))
    positions = torch.arange(4)
    part = Batch(hard=fakes(positions), condition=None, positions=positions, step=0)
    history.shown(part.x, part, Draws(1, positions))
    history.begin()
    history.keep()
    assert int(history.filled) == 0
    spoiled = part.x.clone()
    spoiled[1] = torch.nan
    history.shown(spoiled, part, Draws(1, positions))
    history.keep()
    assert int(history.filled) == 3
    assert bool(torch.isfinite(history.kept).all())


def test_where_an_encoder_sees_nothing_the_contrast_has_gradients_of_bounded_size():
    torch.manual_seed(0)
    projections = cut.Projections([4], 8)
    key = F.normalize(torch.randn(1, 6, 8), dim=2)
    cut.contrast(projections(0, torch.zeros(1, 6, 4)), key, 0.07).backward()
    steepest = max(p.grad.abs().max() for p in projections.parameters())
    assert 0 < steepest < 1e5
