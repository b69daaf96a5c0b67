"""Gradients of one step of the standard game on toy pictures, in float64: what ways of computing them are compared by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gancore.components import GameContext, Optimizer
from gancore.configuration.settings import Chosen
from gancore.data.batch import Batch
from gancore.engine.loop import update
from gancore.games.gan import GanGame, GanOptions
from gancore.games.player import Player
from gancore.plugins import Registry
from gancore.random import Draws, derive
from gancore.targets import resolve
from toys.pictures import CLASSES, NetOptions, ToySpec, build_pair, wobble


def components(kind: str, chosen: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Any, Any]]:
    """The engine's components by name with options: name, object, options."""
    registry = Registry(entries=[])
    built = []
    for name, values in chosen.items():
        record = registry.load("gancore").records[kind][name]
        options = resolve(record.options)(**values) if record.options else None
        target = resolve(record.target)
        built.append((name, target(options, ToySpec()) if record.options else target(ToySpec()), options))
    return built


def optimizer(name: str = "adam", **values: Any) -> Chosen:
    """An optimizer of the engine, chosen with options."""
    found = Registry(entries=[]).find(Optimizer, name, "gancore")
    return Chosen(name, found, resolve(found.record.options).model_validate(values))


def double_networks(
    *, labels: bool = False, heads: int = 1, norm: str = "none", discriminator_norm: str = "none"
) -> dict[str, nn.Module]:
    """A pair of networks in float64, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        options = NetOptions(heads=heads, norm=norm, discriminator_norm=discriminator_norm)
        networks = build_pair(options, ToySpec(classes=CLASSES if labels else ()))
        for module in networks.values():
            module.double()
            for p in module.parameters():  # well away from zero, so that no gradient is tiny
                nn.init.normal_(p, std=0.7)
    return networks


def double_batch(size: int, labels: bool = False, step: int = 0) -> Batch:
    """A batch in float64, always the same."""
    positions = torch.arange(step * size, (step + 1) * size)
    x = Draws(99, positions).normal("x", 1, 4, 4).double().clamp(-1, 1)
    return Batch(hard=x, condition=positions % 3 if labels else None, positions=positions, step=step)


def phase_draws(batch: Batch) -> Draws:
    """What the loop gives the phases of a run with seed 0."""
    return Draws(derive(0, "phases"), batch.positions)


def game_gradients(
    networks: Mapping[str, nn.Module],
    batch: Batch,
    *,
    loss: str = "non-saturating",
    penalties: Mapping[str, Mapping[str, Any]] | None = None,
    augment: bool = False,
    micro_batches: int = 1,
    reuse_fakes: bool = True,
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Tensor]]:
    """One step of the standard game without the optimizers: gradients by player and name, and mean scalars of this rank."""
    ((_, built_loss, _),) = components("loss", {loss: {}})
    context = GameContext(
        networks=networks,
        spec=ToySpec(),
        loss=built_loss,
        penalties={n: (r, o) for n, r, o in components("penalty", penalties or {})},
        augment=wobble(ToySpec()) if augment else lambda x, draws: x,
        micro_batches=micro_batches,
    )
    players = {n: Player(n, m, torch.optim.SGD(m.parameters(), lr=0.1)) for n, m in networks.items()}
    for player in players.values():
        player.set_rivals(players)
    phases = GanGame(GanOptions(reuse_fakes=reuse_fakes), context).phases(players)
    parts = list(batch.split(micro_batches))
    draws = [phase_draws(part) for part in parts]
    gradients: dict[str, dict[str, Tensor]] = {}
    scalars: dict[str, Tensor] = {}
    for name in ("discriminator", "generator"):
        due = [p for p in phases if p.player is players[name]]
        _, found = update(players[name], due, parts, draws)
        gradients[name] = {n: p.grad.clone() for n, p in networks[name].named_parameters() if p.grad is not None}
        for values, weight in found:
            for key, value in values.items():
                scalars[key] = scalars.get(key, torch.zeros(())) + value * weight
    return gradients, scalars
