"""The standard game: gradients against plain autograd, in parts as in one, and what each player's phase leaves alone."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from toys import one_step
from toys import pictures as toys

from gancore.components import GameContext
from gancore.configuration.configure import configure
from gancore.engine.loop import update
from gancore.errors import PluginError
from gancore.games.calling import draw_latent
from gancore.games.gan import GanGame, GanOptions
from gancore.games.player import Player
from gancore.nets.conditioning import ProjectionHead
from gancore.random import Draws, derive

LOSSES = ("non-saturating", "minimax", "hinge", "least-squares", "wasserstein", "rpgan", "ragan")
FINITE = {"method": "finite"}
PENALTIES = ("r1", "r2", "gradient-penalty", "dragan")
SIZE = 10


SIDES = {"r1": "real", "r2": "fake"}
"""Penalties that see samples augmented as the loss sees them; the others by themselves."""


def plain_gradients(networks, batch, *, loss, penalty="", augment=False, **options):
    """The same step by torch.autograd.grad on the whole batch, written out without the game."""
    generator, discriminator = networks["generator"], networks["discriminator"]
    draws = one_step.phase_draws(batch)
    change = toys.wobble(toys.ToySpec()) if augment else lambda x, d: x
    ((_, objective, _),) = one_step.components("loss", {loss: {}})

    def judge(x, part):
        out = discriminator(change(x, draws.within(part)), batch.condition)
        return out if isinstance(out, list) else [out]

    fake = generator(draws.normal("z", toys.LATENT).double(), batch.condition)
    real_logits, fake_logits = judge(batch.x, "real"), judge(fake.detach(), "fake")
    sides = zip(real_logits, fake_logits, strict=True)
    total = sum(objective.discriminator(r.flatten(), f.flatten()) for r, f in sides)
    if penalty:
        ((_, regulariser, _),) = one_step.components("penalty", {penalty: {"weight": 3.0, **options}})
        own = draws.within(f"discriminator/{penalty}")
        critic = lambda x: sum(h.reshape(len(h), -1).mean(1) for h in judge(x, SIDES.get(penalty, "penalty")))  # noqa: E731
        total = total + 3.0 * regulariser.penalty(critic, batch.x, fake.detach(), own)
    parameters = dict(discriminator.named_parameters())
    grads = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
    result = {"discriminator": {n: g for n, g in zip(parameters, grads, strict=True) if g is not None}}
    again = zip(judge(fake, "generator"), judge(batch.x, "real"), strict=True)
    again = [objective.generator(f.flatten(), r.flatten()) for f, r in again]
    parameters = dict(generator.named_parameters())
    result["generator"] = dict(zip(parameters, torch.autograd.grad(sum(again), list(parameters.values())), strict=True))
    return result, {"discriminator/total": total.detach(), "generator/loss": sum(again).detach()}


def assert_same(actual, expected, tolerance=1e-10):
    assert actual.keys() == expected.keys()
    for player, grads in expected.items():
        assert actual[player].keys() == grads.keys()
        for name, grad in grads.items():
            error = (actual[player][name] - grad).abs().max()
            assert error <= tolerance * max(1.0, float(grad.abs().max())), f"{player} {name}: off by {error:.2g}"


@pytest.mark.parametrize("micro_batches", [1, 2, 3, 4])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_parts_of_a_batch_add_up_to_plain_autograd_on_the_whole(loss, micro_batches):
    networks, batch = one_step.double_networks(), one_step.double_batch(SIZE)
    expected, figures = plain_gradients(networks, batch, loss=loss)
    actual, scalars = one_step.game_gradients(networks, batch, loss=loss, micro_batches=micro_batches)
    assert_same(actual, expected)
    torch.testing.assert_close(scalars["discriminator/loss"], figures["discriminator/total"], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(scalars["generator/loss"], figures["generator/loss"], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("micro_batches", [1, 3])
@pytest.mark.parametrize(
    ("penalty", "options"), [*((name, {}) for name in PENALTIES), ("r1", FINITE), ("r2", FINITE)], ids=str
)
def test_penalties_of_parts_of_a_batch_add_up_to_plain_autograd_on_the_whole(penalty, options, micro_batches):
    networks, batch = one_step.double_networks(labels=True), one_step.double_batch(SIZE, labels=True)
    expected, figures = plain_gradients(networks, batch, loss="rpgan", penalty=penalty, **options)
    actual, scalars = one_step.game_gradients(
        networks,
        batch,
        loss="rpgan",
        penalties={penalty: {"weight": 3.0, **options}},
        micro_batches=micro_batches,
    )
    assert_same(actual, expected)
    total = scalars["discriminator/loss"] + 3.0 * scalars[f"discriminator/{penalty}"]
    torch.testing.assert_close(total, figures["discriminator/total"], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("micro_batches", [1, 4])
@pytest.mark.parametrize("loss", ["hinge", "ragan"])
def test_augmented_gradients_of_parts_of_a_batch_add_up_to_the_whole(loss, micro_batches):
    networks, batch = one_step.double_networks(labels=True), one_step.double_batch(SIZE, labels=True)
    expected, _ = plain_gradients(networks, batch, loss=loss, penalty="r1", augment=True)
    actual, _ = one_step.game_gradients(
        networks, batch, loss=loss, penalties={"r1": {"weight": 3.0}}, augment=True, micro_batches=micro_batches
    )
    assert_same(actual, expected)


@pytest.mark.parametrize("micro_batches", [1, 3])
@pytest.mark.parametrize("loss", ["non-saturating", "rpgan", "ragan"])
@pytest.mark.parametrize("options", [{}, FINITE], ids=["exact", "finite"])
def test_losses_of_several_heads_are_added_up(loss, micro_batches, options):
    networks, batch = one_step.double_networks(heads=3), one_step.double_batch(SIZE)
    expected, _ = plain_gradients(networks, batch, loss=loss, penalty="r1", **options)
    actual, _ = one_step.game_gradients(
        networks, batch, loss=loss, penalties={"r1": {"weight": 3.0, **options}}, micro_batches=micro_batches
    )
    assert_same(actual, expected)


class Places(nn.Module):
    """A discriminator whose heads are places: logits `[batch, 2, 2]` of one head, `[batch, 2]` of another."""

    def __init__(self, of):
        super().__init__()
        self.of = of

    def forward(self, x, condition):
        heads = self.of(x, condition)
        return [torch.stack(heads[:4], dim=1).view(-1, 2, 2), torch.stack(heads[4:], dim=1)]


@pytest.mark.parametrize("micro_batches", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("penalty", ["r1", "gradient-penalty"])
def test_losses_are_means_over_places_and_penalties_see_the_mean_logit_of_a_sample(loss, penalty, micro_batches):
    networks, batch = one_step.double_networks(heads=6), one_step.double_batch(SIZE)
    networks["discriminator"] = Places(networks["discriminator"])
    expected, _ = plain_gradients(networks, batch, loss=loss, penalty=penalty)
    actual, scalars = one_step.game_gradients(
        networks, batch, loss=loss, penalties={penalty: {"weight": 3.0}}, micro_batches=micro_batches
    )
    assert_same(actual, expected)
    if micro_batches == 1:
        real, fake = (
            networks["discriminator"](x, None)[0].flatten(1).mean(1)
            for x in (
                batch.x,
                networks["generator"](one_step.phase_draws(batch).normal("z", toys.LATENT).double(), None),
            )
        )
        truth = [1] * SIZE + [0] * SIZE
        area = roc_auc_score(truth, torch.cat([real, fake]).detach())
        assert scalars["discriminator/auc"].item() == pytest.approx(area)


def test_a_discriminator_with_batch_norm_sees_real_and_fake_samples_apart():
    networks, batch = one_step.double_networks(discriminator_norm="plain"), one_step.double_batch(SIZE)
    expected, _ = plain_gradients(networks, batch, loss="hinge")
    actual, _ = one_step.game_gradients(networks, batch, loss="hinge")
    assert_same(actual, expected)


def test_more_micro_batches_than_samples_are_as_many_as_samples():
    networks, batch = one_step.double_networks(), one_step.double_batch(3)
    expected, _ = plain_gradients(networks, batch, loss="ragan")
    actual, _ = one_step.game_gradients(networks, batch, loss="ragan", micro_batches=64)
    assert_same(actual, expected)


def test_a_lazy_penalty_is_scaled_up_by_its_interval():
    networks, batch = one_step.double_networks(), one_step.double_batch(SIZE)
    often, _ = one_step.game_gradients(networks, batch, penalties={"r1": {"weight": 8.0, "every": 1}})
    lazily, _ = one_step.game_gradients(networks, batch, penalties={"r1": {"weight": 2.0, "every": 4}})
    assert_same(lazily, often)


# --- penalties in the pass of the loss ------------------------------------------------------------------------------


def together(phases, batch):
    """All phases of the discriminator, as the loop runs them: gradients and figures."""
    player = phases[0].player
    due = [phase for phase in phases if phase.player is player]
    _, scalars = update(player, due, [batch], [one_step.phase_draws(batch)])
    return [p.grad for p in player.parameters], {n: v for values, _ in scalars for n, v in values.items()}


FEW = {**FINITE, "share": 0.3}


@pytest.mark.parametrize(
    ("r1", "r2", "passes"),
    [
        ({}, {}, [20]),
        (FINITE, FINITE, [40]),
        (FEW, FEW, [26]),
        ({}, FEW, [10, 13]),
        ({}, None, [10, 10]),
        ({"share": 0.5}, FINITE, [30, 5]),
    ],
)
def test_penalties_share_the_pass_of_the_loss_and_come_to_what_they_are_apart(game, r1, r2, passes):
    chosen = {n: {"weight": 3.0, **o} for n, o in (("r1", r1), ("r2", r2)) if o is not None}
    batch, results = one_step.double_batch(SIZE), []
    for apart in (False, True):
        players, phases = game(augment=True, **chosen)
        sizes = []
        players["discriminator"].module.register_forward_pre_hook(lambda _, x, sizes=sizes: sizes.append(len(x[0])))
        for phase in phases[1:-1]:
            phase.main = None if apart else phase.main
        results.append(together(phases, batch))
        wanted = passes if not apart else [20, *(n for o in chosen.values() for n in calls(o))]
        assert [n for n in sizes if n != 2] == wanted  # two samples tell whether the network draws for itself
    (shared, figures), (separate, others) = results
    for ours, theirs in zip(shared, separate, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    assert figures.keys() == others.keys()
    for name, value in figures.items():
        torch.testing.assert_close(value, others[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("penalties", [{"r1": {}, "r2": FEW}, {"r1": FEW, "r2": {}}, {"r1": FEW, "r2": FEW}])
def test_san_and_classifiers_look_at_real_and_fake_samples_only(game, penalties):
    class Judge(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = ProjectionHead(16, 3)

        def forward(self, x, condition):
            return self.head(x.flatten(1), condition)

    batch, results = one_step.double_batch(SIZE, labels=True), []
    for apart in (False, True):
        torch.manual_seed(0)
        options = {"san": True, "classes": "adc"}
        _, phases = game(discriminator=Judge(), options=options, **penalties)
        phases[0].player.module.double()
        for phase in phases[1:-1]:
            phase.main = None if apart else phase.main
        results.append(together(phases, batch)[0])
    for shared, separate in zip(*results, strict=True):
        torch.testing.assert_close(shared, separate, rtol=1e-9, atol=1e-12)


def calls(options):
    """The sizes of the passes of a penalty that is computed apart."""
    rows = max(1, round(options.get("share", 1.0) * SIZE))
    return [rows] * (2 if options.get("method") == "finite" else 1)


def test_a_penalty_on_a_share_is_that_of_every_so_manieth_sample(game):
    _, phases = game(r1={"weight": 3.0, "share": 0.5})
    batch = one_step.double_batch(SIZE)
    _, figures = together(phases, batch)
    few = type(batch)(hard=batch.x[::2], condition=None, positions=batch.positions[::2], step=0)
    _, expected = together(game(r1={"weight": 3.0})[1], few)
    torch.testing.assert_close(figures["discriminator/r1"], expected["discriminator/r1"])


def test_where_the_discriminator_drops_units_both_sides_of_a_difference_lack_the_same(game):
    batch, judge = one_step.double_batch(SIZE), Forgetful(one_step.double_networks()["discriminator"])
    _, phases = game(discriminator=judge, r1=FINITE)
    state = torch.get_rng_state()
    together(phases, batch)
    tried, loss, beside, here = judge.masks
    assert (len(tried), len(loss)) == (2, 2 * SIZE)
    assert torch.equal(beside, here)
    # Having tried it left no trace.
    torch.set_rng_state(state)
    assert torch.equal(loss, torch.nn.functional.dropout(torch.ones_like(loss), 0.5))


# --- fakes that both players use ------------------------------------------------------------------------------------


@pytest.fixture
def game():
    """Networks, players and phases of a game whose generator's graph is kept from the discriminator's phase."""

    def make(reuse_fakes=True, augment=False, discriminator=None, options=None, **penalties):
        networks = one_step.double_networks(labels=options is not None)
        networks["discriminator"] = discriminator or networks["discriminator"]
        players = {n: Player(n, m, torch.optim.SGD(m.parameters(), 0.1)) for n, m in networks.items()}
        for player in players.values():
            player.set_rivals(players)
        ((_, loss, _),) = one_step.components("loss", {"non-saturating": {}})
        chosen = {n: (r, o) for n, r, o in one_step.components("penalty", penalties)}
        context = GameContext(
            networks=networks,
            spec=toys.ToySpec(classes=toys.CLASSES if options else ()),
            loss=loss,
            penalties=chosen,
            augment=toys.wobble(toys.ToySpec()) if augment else lambda x, draws: x,
        )
        rule = GanGame(GanOptions(reuse_fakes=reuse_fakes, **(options or {})), context)
        return players, rule.phases(players)

    return make


def run_phase(phase, batch):
    with phase.player.updating():
        return phase.run(batch, one_step.phase_draws(batch))


@pytest.mark.parametrize("reuse_fakes", [True, False])
def test_each_phase_gives_gradients_to_its_own_player_only(game, reuse_fakes):
    players, (first, penalty, last) = game(reuse_fakes, r2={})
    batch = one_step.double_batch(SIZE)
    run_phase(first, batch)
    assert all(p.grad is None for p in players["generator"].parameters)
    assert all(p.grad is not None for p in players["discriminator"].parameters)
    run_phase(penalty, batch)
    assert all(p.grad is None for p in players["generator"].parameters)
    before = [p.grad.clone() for p in players["discriminator"].parameters if p.grad is not None]
    run_phase(last, batch)
    after = [p.grad for p in players["discriminator"].parameters if p.grad is not None]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(p.grad is not None for p in players["generator"].parameters)


def test_reused_fakes_are_generated_once_and_their_graph_reaches_the_generator(game):
    players, (first, penalty, last) = game(r2={})
    batch = one_step.double_batch(SIZE)
    for phase in (first, penalty, last):
        run_phase(phase, batch)
    assert players["generator"].module.calls == 1
    kept = [p.grad.clone() for p in players["generator"].parameters]
    # Recomputed from the start, the discriminator unchanged: the loop has made no step in between.
    networks = {n: p.module for n, p in players.items()}
    expected, _ = plain_gradients(networks, batch, loss="non-saturating")
    for ours, theirs in zip(kept, expected["generator"].values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_reused_fakes_meet_the_discriminator_as_it_is_after_its_step(game):
    players, (first, last) = game()
    batch = one_step.double_batch(SIZE)
    run_phase(first, batch)
    players["discriminator"].optimizer.step()
    run_phase(last, batch)
    expected, _ = plain_gradients({n: p.module for n, p in players.items()}, batch, loss="non-saturating")
    for p, theirs in zip(players["generator"].parameters, expected["generator"].values(), strict=True):
        torch.testing.assert_close(p.grad, theirs, rtol=1e-10, atol=1e-12)


def test_without_reuse_the_generator_moves_on_latents_that_the_discriminator_has_not_seen(game):
    players, (first, last) = game(reuse_fakes=False)
    batch, seen = one_step.double_batch(SIZE), []
    players["generator"].module.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0].clone()))
    run_phase(first, batch)
    run_phase(last, batch)
    draws = one_step.phase_draws(batch)
    assert torch.equal(seen[0], draws.normal("z", toys.LATENT).double())
    assert len(seen) == 2
    assert not torch.isin(seen[1], seen[0]).any()


def test_every_step_draws_new_latents():
    first, second = (one_step.phase_draws(one_step.double_batch(SIZE, step=s)).normal("z", 4) for s in (0, 1))
    assert not torch.isin(second, first).any()


def test_a_generators_own_latents_are_preferred_to_standard_normal_ones():
    draws = Draws(3, torch.arange(5))
    net = nn.Linear(2, 2)
    net.latent_shape = (2, 3)
    assert torch.equal(draw_latent(net, draws), Draws(3, torch.arange(5)).normal("z", 2, 3))
    net.draw_latent = lambda d: d.uniform("mine", 2)
    assert torch.equal(draw_latent(net, draws), Draws(3, torch.arange(5)).uniform("mine", 2))


# --- precision ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", PENALTIES)
def test_bf16_runs_networks_in_bfloat16_and_penalties_in_float32(penalty):
    networks = {n: m.float() for n, m in one_step.double_networks(labels=True).items()}
    players = {n: Player(n, m, torch.optim.SGD(m.parameters(), 0.1)) for n, m in networks.items()}
    for player in players.values():
        player.set_rivals(players)
    ((_, loss, _),) = one_step.components("loss", {"rpgan": {}})
    chosen = {n: (r, o) for n, r, o in one_step.components("penalty", {penalty: {}})}
    context = GameContext(
        networks=networks, spec=toys.ToySpec(), loss=loss, penalties=chosen, augment=lambda x, draws: x,
        autocast=torch.bfloat16,
    )  # fmt: skip
    main, regular, generator = GanGame(GanOptions(), context).phases(players)
    batch = one_step.double_batch(SIZE, labels=True)
    batch = type(batch)(hard=batch.x.float(), condition=batch.condition, positions=batch.positions, step=0)
    seen = networks["discriminator"].seen
    types = {}
    for phase in (main, regular, generator):
        seen.clear()
        scalars = run_phase(phase, batch)
        types[phase.name] = set(seen)
        assert all(v.dtype == torch.float32 and torch.isfinite(v) for v in scalars.values())
        assert all(p.grad.dtype == torch.float32 for p in phase.player.parameters if p.grad is not None)
    assert types == {
        "discriminator/main": {torch.bfloat16},
        f"discriminator/{penalty}": {torch.float32},
        "generator/main": {torch.bfloat16},
    }


def test_weight_clipping_holds_right_after_the_discriminators_step(toys_registry):
    settings = configure(toys_registry, plugin="toy", layers=[{"data": "toy", "architecture": "pair"}])
    assert settings.game.name == "gan"
    networks = one_step.double_networks()
    players = {n: Player(n, m, torch.optim.SGD(m.parameters(), 0.1)) for n, m in networks.items()}
    ((_, clip, options),) = one_step.components("penalty", {"weight-clip": {"clip": 0.05}})
    ((_, loss, _),) = one_step.components("loss", {"wasserstein": {}})
    context = GameContext(
        networks=networks, spec=toys.ToySpec(), loss=loss, penalties={"weight-clip": (clip, options)},
        augment=lambda x, draws: x,
    )  # fmt: skip
    phases = GanGame(GanOptions(), context).phases(players)
    before = [p.detach().clone() for p in players["discriminator"].parameters]
    phases[1].after_step()
    for p, old in zip(players["discriminator"].parameters, before, strict=True):
        assert torch.equal(p, old.clamp(-0.05, 0.05))


def test_a_network_that_the_game_lacks_is_an_error_that_names_it(toys_registry):
    from gancore.engine.build import build_game

    layer = {"data": {"name": "toy"}, "architecture": {"name": "pair", "missing": "discriminator"}}
    settings = configure(toys_registry, plugin="toy", layers=[layer])
    with pytest.raises(PluginError, match=r"needs a network for discriminator.*toy:pair.*brought generator"):
        build_game(settings, toys.ToySpec())


def test_phases_of_two_seeds_draw_different_noise():
    positions = torch.arange(4)
    first, second = (Draws(derive(seed, "phases"), positions).normal("z", 3) for seed in (0, 1))
    assert not torch.isin(first, second).any()


class Forgetful(torch.nn.Module):
    """A discriminator with dropout that remembers its masks."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.masks = []

    def forward(self, x, condition=None):
        mask = torch.nn.functional.dropout(torch.ones_like(x), 0.5)
        self.masks.append(mask)
        return self.inner(x * mask, condition)


def test_both_passes_of_a_coupling_loss_drop_the_same_units():
    networks = one_step.double_networks()
    judge = Forgetful(networks["discriminator"])
    one_step.game_gradients(
        {**networks, "discriminator": judge}, one_step.double_batch(8), loss="ragan", micro_batches=2
    )
    first, second, again_first, again_second = judge.masks[:4]
    assert not torch.equal(first, second)
    assert torch.equal(first, again_first)
    assert torch.equal(second, again_second)


def test_a_discriminator_that_mixes_its_batch_sees_real_and_fake_apart():
    networks = one_step.double_networks()
    for mixes, rows in ((False, {16}), (True, {8})):
        judge = Forgetful(networks["discriminator"])
        judge.mixes_batch = mixes
        one_step.game_gradients({**networks, "discriminator": judge}, one_step.double_batch(8))
        assert {len(m) for m in judge.masks[:1]} == rows


class Rounded(nn.Module):
    """Logits of which many are equal, as those of the real and then the fake samples of a step; it keeps them."""

    mixes_batch = True

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.seen = []

    def forward(self, x, condition):
        logits = self.inner(x, condition)
        self.seen.append(logits.detach().div(0.1).round())
        return logits - logits.detach() + self.seen[-1]


def test_auc_is_that_of_scikit_learn_where_logits_are_equal_too():
    networks, batch = one_step.double_networks(), one_step.double_batch(40)
    discriminator = Rounded(networks["discriminator"])
    _, scalars = one_step.game_gradients({**networks, "discriminator": discriminator}, batch)
    real, fake = discriminator.seen[:2]
    assert set(real.tolist()) & set(fake.tolist())
    expected = roc_auc_score([1] * len(real) + [0] * len(fake), torch.cat([real, fake]))
    assert float(scalars["discriminator/auc"]) == pytest.approx(expected)


@pytest.mark.parametrize(("loss", "threshold"), [("non-saturating", 0.0), ("hinge", 0.0), ("least-squares", 0.5), ("wasserstein", None),
                                                 ("rpgan", None), ("ragan", None)])  # fmt: skip
def test_sign_is_by_the_threshold_of_the_loss_or_by_the_mean_fake_where_it_has_none(loss, threshold):
    networks, batch = one_step.double_networks(), one_step.double_batch(40)
    discriminator = Rounded(networks["discriminator"])
    _, scalars = one_step.game_gradients({**networks, "discriminator": discriminator}, batch, loss=loss)
    real, fake = discriminator.seen[:2]
    limit = float(fake.mean()) if threshold is None else threshold
    expected = float((real > limit).double().mean()) - float((real < limit).double().mean())
    assert float(scalars["discriminator/sign"]) == pytest.approx(expected)
