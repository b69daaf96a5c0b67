"""The loop against a bare one written out by hand, its bookkeeping, and what it does about numbers that are not finite."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from toys import one_step

from gancore.components import GameContext
from gancore.configuration.run_config import RunConfig
from gancore.data.batch import Batch
from gancore.data.spec import SampleSpec
from gancore.engine.ema import MovingAverage
from gancore.engine.health import HealthMonitor
from gancore.engine.loop import BufferGuard, Means, TrainState, grad_norm, train_steps
from gancore.engine.optimizers import build_players
from gancore.engine.schedules import Course, Schedules
from gancore.games.gan import GanGame, GanOptions
from gancore.games.player import Phase
from gancore.random import derive, normal
from gancore.schedules import Linear

BATCH = 6
LATENT = 5
SPEC = SampleSpec(shape=(1, 4, 4))


class SmallGenerator(nn.Module):
    """As in the DCGAN: transposed convolutions with batch normalisation."""

    latent_shape = (LATENT,)

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(LATENT, 8, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z, condition):
        return self.layers(z[:, :, None, None])


class SmallDiscriminator(nn.Module):
    """Strided convolutions without normalisation."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(32, 1), nn.Flatten(0)
        )

    def forward(self, x, condition):
        return self.layers(x)


class Pictures:
    """A batch source of uint8 pictures, a function of the step."""

    def batch(self, step):
        positions = torch.arange(step * BATCH, (step + 1) * BATCH)
        x = (normal(5, positions, 16).view(-1, 1, 4, 4) * 60 + 128).clamp(0, 255).to(torch.uint8)
        return Batch(hard=x, condition=None, positions=positions, step=step)


def small_networks():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return {"generator": SmallGenerator(), "discriminator": SmallDiscriminator()}


def configuration(**values):
    ema = {"half_life": 40.0, "warmup": 0.5}
    return RunConfig.model_validate(
        {"plugin": "toy", "seed": 11, "steps": 5, "batch_size": BATCH, "ema": ema, **values}
    )  # fmt: skip


ADAM = {"lr": 1e-3, "beta1": 0.5, "beta2": 0.9}


def by_engine(config, memory_format=torch.contiguous_format, schedules=Schedules(), optimizer=ADAM, **game_options):
    """Networks, average and mean scalars after `config.steps` steps of the engine."""
    networks = {n: m.to(memory_format=memory_format) for n, m in small_networks().items()}
    players = build_players(networks, dict.fromkeys(networks, one_step.optimizer(**optimizer)))
    state = TrainState(players, MovingAverage(networks["generator"], config.ema), HealthMonitor(config.health))
    ((_, loss, _),) = one_step.components("loss", {"non-saturating": {}})
    penalties = one_step.components("penalty", {"r1": {"weight": 2.0, "every": 2}})
    context = GameContext(
        networks=networks, spec=SPEC, loss=loss, penalties={n: (r, o) for n, r, o in penalties},
        augment=lambda x, draws: x, micro_batches=config.micro_batches,
    )  # fmt: skip
    phases = GanGame(GanOptions(**game_options), context).phases(players)
    for _ in train_steps(config, state, phases, Pictures(), SPEC, torch.device("cpu"), memory_format, schedules):
        pass
    return networks, state.ema.module, state.means.take()


def by_hand(steps=5, reuse_fakes=True, generator_every=1, seed=11):
    """The same in plain PyTorch."""
    networks = small_networks()
    generator, discriminator = networks["generator"], networks["discriminator"]
    average = copy.deepcopy(generator)
    move_g = torch.optim.Adam(generator.parameters(), 1e-3, (0.5, 0.9), fused=True)
    move_d = torch.optim.Adam(discriminator.parameters(), 1e-3, (0.5, 0.9), fused=True)
    noise = derive(seed, "phases")
    for step in range(steps):
        positions = torch.arange(step * BATCH, (step + 1) * BATCH)
        # 2/255 and 1 in float32, as a reader of the formula 2 x / 255 - 1 would write it.
        real = Pictures().batch(step).x.float() * (2.0 / 255.0) - 1.0
        fake = generator(normal(derive(noise, "z"), positions, LATENT), None)

        move_d.zero_grad()
        if step % 2 == 0:
            x = real.clone().requires_grad_()
            logits, others = discriminator(x, None), discriminator(fake.detach(), None)
            (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
            r1 = slope.flatten(1).square().sum(1).mean() / 2
            (F.softplus(-logits).mean() + F.softplus(others).mean() + r1 * (2.0 * 2)).backward()
        else:
            both = discriminator(torch.cat([real, fake.detach()]), None)
            (F.softplus(-both[:BATCH]).mean() + F.softplus(both[BATCH:]).mean()).backward()
        move_d.step()

        if step % generator_every == 0:
            if not reuse_fakes:
                other = normal(derive(derive(noise, "generator"), "z"), positions, LATENT)
                fake = generator(other, None)
            move_g.zero_grad()
            F.softplus(-discriminator(fake, None)).mean().backward()
            move_g.step()

        half_life = min(40.0, 0.5 * (step + 1) * BATCH)
        share = 1.0 - 0.5 ** (BATCH / half_life)
        with torch.no_grad():
            for a, b in zip(average.parameters(), generator.parameters(), strict=True):
                a.lerp_(b, share)
            for a, b in zip(average.buffers(), generator.buffers(), strict=True):
                a.lerp_(b, share) if a.is_floating_point() else a.copy_(b)
    return networks, average


def assert_equal_bits(ours, theirs):
    ours, theirs = ours.state_dict(), theirs.state_dict()
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), f"{name}: off by {(ours[name] - value).abs().max():.2g}"


@pytest.mark.parametrize(
    "game", [{}, {"reuse_fakes": False}, {"generator_every": 2}, {"reuse_fakes": False, "generator_every": 2}]
)
def test_the_loop_equals_a_bare_pytorch_loop_bit_for_bit(game):
    networks, average, _ = by_engine(configuration(), **game)
    expected, expected_average = by_hand(**game)
    for name, module in expected.items():
        assert_equal_bits(networks[name], module)
    assert_equal_bits(average, expected_average)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    first, again, other = (by_engine(configuration(seed=s))[0]["generator"].state_dict() for s in (3, 3, 4))
    assert all(torch.equal(first[n], again[n]) for n in first)
    assert not torch.equal(first["layers.0.weight"], other["layers.0.weight"])


def test_channels_last_gives_the_same_numbers():
    ours, average, _ = by_engine(configuration(), torch.channels_last)
    assert ours["discriminator"].layers[0].weight.is_contiguous(memory_format=torch.channels_last)
    expected, expected_average = by_hand()
    for mine, theirs in ((ours["discriminator"], expected["discriminator"]), (average, expected_average)):
        for name, value in theirs.state_dict().items():
            torch.testing.assert_close(mine.state_dict()[name], value, rtol=1e-5, atol=1e-5)


def test_the_learning_rate_follows_its_schedule():
    # The first step of Adam moves each weight by the learning rate, whatever the gradient.
    config = configuration(steps=1)
    warming = Course(Linear(), 1e-3, 1e-3, 0, 1, warmup=4)
    networks, _, _ = by_engine(config, schedules=Schedules({"optimizers.discriminator.lr": warming}))
    for name, expected in (("generator", 1e-3), ("discriminator", 0.25e-3)):
        moved = [
            float((a - b).detach().abs().max())
            for a, b in zip(networks[name].parameters(), small_networks()[name].parameters(), strict=True)
        ]
        assert max(moved) == pytest.approx(expected, rel=1e-3)


class Waiting(TorchDispatchMode):
    """Counts what a device would be waited for: numbers that Python reads, and results whose size depends on numbers."""

    count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.count += operation.overloadpacket in (torch.ops.aten._local_scalar_dense, torch.ops.aten.nonzero)
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("values", [{}, {"micro_batches": 2}, {"clip": 1e-3}])
def test_a_step_waits_for_the_device_once_for_each_player_and_once_in_the_end(values):
    adam = {**ADAM, "clip": values.pop("clip", 0.0)}
    counts = []
    for steps in (2, 5):  # the figures are read in the end, however many steps there were
        with Waiting() as waiting:
            by_engine(configuration(steps=steps, **values), optimizer=adam)
        counts.append(waiting.count)
    assert counts[1] - counts[0] == 3 * (2 + 1)


# --- pieces -----------------------------------------------------------------------------------------------------------


def test_a_phase_may_set_the_learning_rate_of_its_steps(monkeypatch):
    asked = []

    def own(phase, planned, step):
        asked.append((phase.name, planned, step))
        return planned / 4 if phase.name == "generator/main" else planned

    monkeypatch.setattr(Phase, "learning_rate", own)
    networks, _, _ = by_engine(configuration(steps=1))
    before, moved = small_networks(), {}
    for name, network in networks.items():
        pairs = zip(network.parameters(), before[name].parameters(), strict=True)
        moved[name] = max(float((new - old).detach().abs().max()) for new, old in pairs)
    assert moved == {"generator": pytest.approx(0.25e-3, rel=1e-3), "discriminator": pytest.approx(1e-3, rel=1e-3)}
    # Of phases that share a step, the first decides.
    assert asked == [("discriminator/main", 1e-3, 0), ("generator/main", 1e-3, 0)]


def test_the_average_begins_anew_from_weights_that_a_phase_has_put_in(monkeypatch):
    def put_in(phase):
        phase.replaced = phase.name == "generator/main" and len(calls) == 2
        calls.append(phase.name)

    calls = []
    monkeypatch.setattr(Phase, "after_step", put_in)
    networks, average, _ = by_engine(configuration(steps=2, ema={"half_life": 1e9, "warmup": 0.0}))
    assert calls == ["discriminator/main", "generator/main"] * 2
    assert not torch.equal(average.layers[0].weight, networks["generator"].layers[0].weight)
    calls.clear()
    monkeypatch.setattr(Phase, "after_step", lambda phase: setattr(phase, "replaced", phase.name == "generator/main"))
    networks, average, _ = by_engine(configuration(steps=2, ema={"half_life": 1e9, "warmup": 0.0}))
    for a, b in zip(average.parameters(), networks["generator"].parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("most", [0.0, 1e-3, 1e6])
def test_gradients_are_shortened_to_the_norm_that_is_set(most):
    sgd = {"name": "sgd", "lr": 1.0, "beta1": 0.0, "clip": most}
    networks, _, scalars = by_engine(configuration(steps=1), optimizer=sgd)
    before = small_networks()
    for name, network in networks.items():
        pairs = zip(network.parameters(), before[name].parameters(), strict=True)
        moved = grad_norm_of([(new - old).detach() for new, old in pairs])
        norm = float(scalars[f"{name}/grad_norm"])
        assert moved == pytest.approx(min(norm, most) if most else norm, rel=1e-4)
        assert norm > 1e-3


def grad_norm_of(differences):
    return float(torch.cat([d.flatten() for d in differences]).norm())


def test_means_are_weighted_and_begin_anew_after_each_taking():
    means = Means()
    means.add({"a": torch.tensor(1.0)}, 0.25)
    means.add({"a": torch.tensor(5.0), "b": 7.0}, 0.75)
    assert means.take() == {"a": 4.0, "b": 7.0}
    means.add({"a": 2.0})
    assert means.take() == {"a": 2.0}
    assert means.take() == {}


def test_means_go_on_from_their_state():
    whole, first, second = Means(), Means(), Means()
    values = [torch.tensor(v) for v in (0.1, 0.7, 1e-3, 33.3)]
    for v in values:
        whole.add({"a": v}, 0.3)
    for v in values[:2]:
        first.add({"a": v}, 0.3)
    second.restore(first.state())
    for v in values[2:]:
        second.add({"a": v}, 0.3)
    assert second.take() == whole.take()


def test_the_gradient_norm_is_that_of_all_gradients_together():
    a, b, c = (nn.Parameter(torch.zeros(n)) for n in (1, 2, 5))
    a.grad, b.grad = torch.tensor([2.0]), torch.tensor([3.0, 6.0])
    assert float(grad_norm([a, b, c])) == 7.0
    assert float(grad_norm([c])) == 0.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_the_gradient_norm_is_not_finite_when_one_value_is_not(bad):
    a, b = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2))
    a.grad, b.grad = torch.ones(3), torch.tensor([1.0, bad])
    assert not torch.isfinite(grad_norm([a, b]))


def test_a_guard_puts_buffers_of_all_kinds_back():
    net = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3)).train()
    net(torch.randn(4, 3))
    guard = BufferGuard([net])
    guard.remember()
    before = {n: b.clone() for n, b in net.named_buffers()}
    net(torch.full((4, 3), torch.nan))
    assert torch.isnan(net[0].running_mean).all()
    guard.put_back()
    assert all(torch.equal(b, before[n]) for n, b in net.named_buffers())


class Replacing(nn.Module):
    """Replaces its buffer where others change it in place."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(1))

    def forward(self, x):
        self.mean = 0.5 * self.mean + 0.5 * x.mean(0)
        return x


def test_a_guard_puts_back_buffers_that_were_replaced():
    net = Replacing()
    guard = BufferGuard([net])
    net(torch.full((2, 1), 8.0))
    guard.remember()
    net(torch.full((2, 1), torch.nan))
    guard.put_back()
    assert net.mean.tolist() == [4.0]


# --- phases -----------------------------------------------------------------------------------------------------------


class Constant(Phase):
    """Adds a fixed gradient to a player of one parameter, and notes that it ran."""

    def __init__(self, name, player, value, ran, **when):
        super().__init__(name, player, **when)
        self.value, self.ran = value, ran

    def run(self, batch, draws):
        self.ran.append((batch.step, self.name, len(batch)))
        (self.player.module.weight.sum() * self.value * batch.weight).backward()
        return {self.name: torch.tensor(self.value)}

    def after_step(self):
        self.ran.append(("after", self.name))


def trained(make_phases, steps, **values):
    """Weights of three one-number players after plain SGD with learning rate 1 on constant gradients."""
    sgd = {"name": "sgd", "lr": 1.0, "beta1": 0.0}
    names = ("generator", "b", "c")
    config = configuration(steps=steps, **values)
    networks = {name: nn.Linear(1, 1, bias=False) for name in names}
    for module in networks.values():
        nn.init.zeros_(module.weight)
    players = build_players(networks, dict.fromkeys(names, one_step.optimizer(**sgd)))
    ran = []
    state = TrainState(players, MovingAverage(players["generator"].module, config.ema), HealthMonitor(config.health))
    phases = make_phases(players, ran)
    outcomes = list(train_steps(config, state, phases, Pictures(), SPEC, torch.device("cpu"), torch.contiguous_format))
    return {n: p.module.weight.item() for n, p in players.items()}, ran, state, outcomes


def test_neighbouring_phases_of_one_player_share_one_optimizer_step():
    def phases(players, ran):
        return [
            Constant("b/one", players["b"], 1.0, ran), Constant("b/two", players["b"], 10.0, ran),
            Constant("c/one", players["c"], 5.0, ran), Constant("b/three", players["b"], 100.0, ran),
        ]  # fmt: skip

    weights, ran, state, _ = trained(phases, 1)
    assert weights == {"generator": 0.0, "b": -111.0, "c": -5.0}
    assert [r[1] for r in ran] == ["b/one", "b/two", "b/one", "b/two", "c/one", "c/one", "b/three", "b/three"]
    # Two optimizer steps of b: gradients of norm 11 and 100.
    assert state.means.take()["b/grad_norm"] == 55.5


def test_phases_take_part_in_their_steps_only():
    def phases(players, ran):
        return [
            Constant("b/main", players["b"], 1.0, ran, start=1, every=2, stop=6),
            Constant("c/main", players["c"], 1.0, ran, stop=2),
        ]

    weights, ran, _, _ = trained(phases, 7)
    assert [r[:2] for r in ran if r[0] != "after"] == [
        (0, "c/main"), (1, "b/main"), (1, "c/main"), (3, "b/main"), (5, "b/main"),
    ]  # fmt: skip
    assert weights == {"generator": 0.0, "b": -3.0, "c": -2.0}


def test_a_step_in_which_nothing_is_due_counts_all_the_same():
    _, ran, state, outcomes = trained(lambda players, ran: [Constant("b", players["b"], 1.0, ran, start=9)], 3)
    assert ran == []
    assert state.step == 3
    assert [o.culprit for o in outcomes] == ["", "", ""]


def test_micro_batches_add_up_in_one_optimizer_step():
    weights, ran, state, _ = trained(lambda players, ran: [Constant("b", players["b"], 3.0, ran)], 1, micro_batches=4)
    assert [r[2] for r in ran if r[0] != "after"] == [2, 2, 1, 1]
    assert weights["b"] == pytest.approx(-3.0)
    assert state.means.take()["b"] == pytest.approx(3.0)


class Poisoned(Constant):
    def run(self, batch, draws):
        self.ran.append((batch.step, self.name, len(batch)))
        bad = batch.step in (1, 2)
        (self.player.module.weight.sum() * (torch.nan if bad else self.value)).backward()
        return {self.name: torch.tensor(self.value)}


def test_a_player_with_a_bad_gradient_ends_its_step_and_the_next_step_goes_on():
    def phases(players, ran):
        return [
            Constant("c/main", players["c"], 1.0, ran), Poisoned("b/main", players["b"], 1.0, ran),
            Constant("generator/main", players["generator"], 1.0, ran),
        ]  # fmt: skip

    weights, ran, state, outcomes = trained(phases, 5)
    assert [o.culprit for o in outcomes] == ["", "b", "b", "", ""]
    assert weights == {"generator": -3.0, "b": -3.0, "c": -5.0}
    assert [r[0] for r in ran if r[1] == "generator/main" and r[0] != "after"] == [0, 3, 4]
    assert state.means.weights == {
        "b/main": 3.0, "b/grad_norm": 3.0, "c/main": 5.0, "c/grad_norm": 5.0,
        "generator/main": 3.0, "generator/grad_norm": 3.0,
    }  # fmt: skip
