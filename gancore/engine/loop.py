"""The training loop: phases when due, one optimizer step per player, an average, and what happens between steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import torch
from torch import Tensor, nn

from gancore import distributed
from gancore.components import BatchSource
from gancore.configuration.run_config import RunConfig
from gancore.data.batch import Batch
from gancore.data.domains import with_given
from gancore.data.spec import SampleSpec
from gancore.engine.buffers import Buffers
from gancore.engine.ema import MovingAverage
from gancore.engine.health import HealthMonitor
from gancore.engine.optimizers import set_lr
from gancore.engine.schedules import Schedules
from gancore.engine.strengths import Strengths
from gancore.finite import Watch
from gancore.games.player import Phase, Player
from gancore.nets.layout import in_layout
from gancore.random import Draws, derive


class Means:
    """Running means of scalars between two ticks."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor | float] = {}
        self.weights: dict[str, float] = {}

    def add(self, scalars: Mapping[str, Tensor | float], weight: float = 1.0) -> None:
        """Take in `scalars`; nothing waits for the device."""
        for name, value in scalars.items():
            self.sums[name] = self.sums.get(name, 0.0) + (value if weight == 1.0 else value * weight)
            self.weights[name] = self.weights.get(name, 0.0) + weight

    def take(self) -> dict[str, float]:
        """The means, averaged over ranks, and begin anew."""
        means = {n: float(s) / self.weights[n] for n, s in self.sums.items()}
        self.__init__()  # type: ignore[misc]
        return distributed.mean_scalars(means)

    def look(self) -> dict[str, float]:
        """The means of this process so far; nothing begins anew."""
        return {n: float(s) / self.weights[n] for n, s in self.sums.items()}

    def state(self) -> dict[str, tuple[float | str, float]]:
        """For a checkpoint between ticks; JSON has no numbers that are not finite, so they become text."""
        sums = {n: float(s) for n, s in self.sums.items()}
        return {n: (s if math.isfinite(s) else str(s), self.weights[n]) for n, s in sums.items()}

    def restore(self, state: Mapping[str, tuple[float | str, float]]) -> None:
        """Take up where `state` was given."""
        self.sums = {n: float(s) for n, (s, _) in state.items()}
        self.weights = {n: w for n, (_, w) in state.items()}


@dataclass(slots=True)
class TrainState:
    """Everything that changes while training: players, average, strengths, figures, health and the number of completed steps."""

    players: Mapping[str, Player]
    ema: MovingAverage
    health: HealthMonitor
    strengths: Strengths = field(default_factory=lambda: Strengths({}, 1))
    means: Means = field(default_factory=Means)
    step: int = 0
    whole: bool = True
    """False in the middle of a step, when some players have moved and others have not."""


class BufferGuard:
    """Puts buffers (running statistics) back when a step turns out not to be finite: forward passes change them at once."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._live = Buffers(modules)
        self._saved = [b.detach().clone() for b in self._live.now()]

    @torch.no_grad()
    def remember(self) -> None:
        if self._saved:
            torch._foreach_copy_(self._saved, self._live.unchanged())

    @torch.no_grad()
    def put_back(self) -> None:
        if self._saved:
            torch._foreach_copy_(self._live.unchanged(), self._saved)


def grad_norm(parameters: Sequence[nn.Parameter]) -> Tensor:
    """Euclidean norm of all gradients together; not finite when any of them is not."""
    grads = [p.grad for p in parameters if p.grad is not None]
    if not grads:
        return torch.zeros(())
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))


@torch.no_grad()
def clip(parameters: Sequence[nn.Parameter], norm: float, most: float) -> None:
    """Shorten the gradient, whose norm is `norm`, to `most` where it is longer (Pascanu et al. 2013); 0: leave it."""
    if most and norm > most:
        torch._foreach_mul_([p.grad for p in parameters if p.grad is not None], most / norm)


def seed_layers(seed: int, step: int, name: str) -> None:
    """Make layers that draw for themselves (dropout) a function of the step, phase and rank as well."""
    number = derive(seed, "layers", step, name, distributed.rank())
    # Not torch.manual_seed, which takes 0.3 ms to look for every kind of device.
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(number)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A completed step: its batch, relaxed and on the device.

    `culprit` is the player whose gradients were not finite, if any, and `spoiled` a player and a parameter that is no longer, if any.
    """

    batch: Batch
    culprit: str = ""
    spoiled: tuple[str, str] | None = None


Scalars = list[tuple[Mapping[str, Tensor], float]]


def update(
    player: Player, due: Sequence[Phase], parts: Sequence[Batch], draws: Sequence[Draws]
) -> tuple[Tensor, Scalars]:
    """Add up the gradients of all due phases of one player over all micro-batches and ranks: their norm, and scalars with weights."""
    scalars: Scalars = []
    with player.updating():
        for phase in due:
            phase.prepare(parts, draws)
        for part, d in zip(parts, draws, strict=True):
            for phase in due:
                scalars.append((phase.run(part, d), part.weight))
    distributed.reduce_gradients(player.parameters)
    return grad_norm(player.parameters), scalars


def train_steps(
    config: RunConfig,
    state: TrainState,
    phases: Sequence[Phase],
    data: BatchSource,
    spec: SampleSpec,
    device: torch.device,
    memory_format: torch.memory_format,
    schedules: Schedules = Schedules(),
) -> Iterator[Outcome]:
    """Train from `state.step` to `config.steps`, one yield per completed step.

    A player whose gradients are not finite does not move, and its step ends there: buffers go back, the average stays. An update
    that is not finite though its gradients were spoils the weights: it is told at the end of its step, and has not reached the
    average.

    The device is waited for once for each player that is due, to know the norm of its gradient, and once at the end of a step.
    """
    guard = BufferGuard([p.module for p in state.players.values()])
    seed = derive(config.seed, "phases")
    share = config.batch_size // distributed.world_size()

    def relax(hard: Tensor) -> Tensor:
        x = spec.relax(hard)
        return in_layout(x, memory_format) if x.dim() == 4 else x

    watch = Watch({name: player.module for name, player in state.players.items()})
    groups = [list(group) for _, group in groupby(phases, key=lambda phase: id(phase.player))]
    while state.step < config.steps:
        step = state.step
        schedules.apply(step)
        batch = data.batch(step).to(device)
        batch = replace(batch, relax=relax)
        batch = with_given(batch, spec, seed)
        parts = list(batch.split(min(config.micro_batches, share)))
        draws = [Draws(seed, part.positions) for part in parts]
        state.whole = False
        guard.remember()
        culprit = ""
        moved: list[str] = []
        for group in groups:
            due = [phase for phase in group if phase.due(step)]
            if not due:
                continue
            player = due[0].player
            seed_layers(config.seed, step, due[0].name)
            norm, scalars = update(player, due, parts, draws)
            length = float(norm)
            if not math.isfinite(length):
                culprit = player.name
                guard.put_back()
                break
            clip(player.parameters, length, player.options.clip)
            planned = schedules.at(f"optimizers.{player.name}.lr", player.options.lr, step)
            set_lr(player.optimizer, due[0].learning_rate(planned, step))
            player.optimizer.step()
            moved.append(player.name)
            for phase in due:
                phase.after_step()
                if phase.replaced and player.name == "generator":
                    state.ema.begin()
            for values, weight in scalars:
                state.means.add(values, weight)
                state.strengths.see(values, weight)
            state.means.add({f"{player.name}/grad_norm": norm})
        damage = watch.spoiled(moved)
        if not culprit and not damage:
            state.ema.update((step + 1) * config.batch_size, config.batch_size)
        state.step = step + 1
        state.means.add(state.strengths.after(state.step))
        state.whole = True
        yield Outcome(batch, culprit, damage)
