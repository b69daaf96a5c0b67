"""What a training is made of, built from its settings: data, networks, players, and the state that changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import torch

from gancore import distributed
from gancore.components import Augment, DataSource, GameRule, ProgressReport
from gancore.configuration.settings import Settings
from gancore.data.fingerprint import Fingerprint, fingerprint
from gancore.data.held_out import both_parts
from gancore.data.loader import Loader
from gancore.data.report import silent
from gancore.data.spec import SampleSpec
from gancore.devices import pick_memory_format
from gancore.engine.build import build_chain, build_game, check_writers
from gancore.engine.contract import try_game
from gancore.engine.ema import MovingAverage
from gancore.engine.health import HealthMonitor
from gancore.engine.loop import TrainState
from gancore.engine.optimizers import build_players
from gancore.engine.restore import SavedData
from gancore.engine.strengths import Strengths
from gancore.finite import Oddities, oddities


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one training on one device, the same on every rank."""

    source: DataSource
    """What is trained on, without what is held out ..."""
    whole: DataSource
    """... and with it."""
    spec: SampleSpec
    game: GameRule
    augmentations: Mapping[str, Augment]
    state: TrainState
    data: SavedData
    """Tells all data from others."""
    oddities: Mapping[str, Oddities]
    """What of each network, and of the average, is not finite from the beginning."""
    device: torch.device
    memory_format: torch.memory_format


def build_parts(
    settings: Settings,
    device: torch.device,
    progress: ProgressReport,
    fingerprint_of: Callable[[DataSource], Fingerprint] = fingerprint,
) -> Parts:
    """Read the data and build everything for them; `progress` is called on rank 0 while data are read.

    `fingerprint_of` serves whoever trains many times on data that are open, and need not be looked through each time.

    Raises:
        DataError: nothing usable in the data.
        UsageError: something that was asked for cannot be; PluginError where a component does not keep its contract.
    """
    config = settings.run
    whole: DataSource = settings.open_data(progress if distributed.is_main() else silent)
    source, held_out = both_parts(whole, config.held_out)
    check_writers(settings, source.spec)
    chain = build_chain(settings, source.spec)
    game = build_game(settings, source.spec, source, held_out, chain)
    strengths = Strengths.of(settings.augmentations, chain.parts, config.batch_size, settings.schedules)
    try_game(settings, game, source)
    memory_format = pick_memory_format(config.memory_format, source.spec)
    for module in game.networks.values():
        module.to(device).train()
        if memory_format == torch.channels_last:
            module.to(memory_format=memory_format)  # type: ignore[call-overload]
        distributed.broadcast_module(module)
    odd = {name: oddities(module) for name, module in game.networks.items()}
    odd["ema"] = odd["generator"]
    players = build_players(game.networks, settings.optimizers)
    # A warm-up would forget the average that the run begins with.
    average = config.ema.model_copy(update={"warmup": 0.0}) if config.start.run else config.ema
    ema = MovingAverage(game.networks["generator"], average)
    state = TrainState(players, ema, HealthMonitor(config.health, settings.unused_augmentations), strengths)
    # Rank 0 looks for all: they were given the same data.
    seen = distributed.on_main(lambda: asdict(fingerprint_of(whole)))
    data = SavedData.of(Fingerprint(**seen), config)
    return Parts(source, whole, source.spec, game, chain.parts, state, data, odd, device, memory_format)


def loader_of(parts: Parts, settings: Settings) -> Loader:
    """This rank's batches, from the step that has been reached to the last."""
    config = settings.run
    workers = config.workers
    if workers < 0:
        workers = 0 if parts.source.in_memory else min(4, os.cpu_count() or 1)
    return Loader(
        parts.source,
        batch_size=config.batch_size,
        seed=config.seed,
        workers=workers,
        rank=distributed.rank(),
        world=distributed.world_size(),
        start=parts.state.step,
        stop=config.steps,
        name=settings.data.found.qualified,
        balance=config.balance,
    )
