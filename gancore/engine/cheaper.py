"""What would take less time than a long run: a narrower network, tried on the spot, or fewer steps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from pydantic import ValidationError
from torch import nn

from gancore.configuration.settings import Settings
from gancore.data.batch import Batch
from gancore.data.spec import SampleSpec
from gancore.errors import GanError
from gancore.events import Estimate
from gancore.games.calling import call_generator, draw_latent
from gancore.random import Draws

LONG = 3600.0
"""Seconds from which on something shorter is looked for."""
WELCOME = 4 * 3600.0
"""Nothing narrower is tried than what takes so long."""
NARROWEST = 8
SECONDS_TO_TRY = 1.5
"""After which no other width is begun with."""
FEW, MANY = 2, 8
"""Samples of two passes: their difference leaves out what a pass costs whatever its size, which is much on a busy machine."""
MOST_PASSES, ENOUGH = 6, 0.2
"""The fastest of so many passes counts, or of those that so many seconds hold."""
SLOW = 2.0
"""Seconds a step from which on a guess is made before the first has ended."""
SOON = 2
"""Steps that are left, up to which no guess is made: the first of them tells better, and the passes take as long."""
PASSES = 10
"""How many times as long as one pass of both networks a step takes, gradients and lazy penalties included: 8 to 12 were
measured with dcgan, resnet and r3gan at 32x32."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried: the networks of a run, the averaged generator among them, on samples of a batch."""

    networks: Mapping[str, nn.Module]
    spec: SampleSpec
    batch: Batch
    memory_format: torch.memory_format


def at_first_sight(settings: Settings, trial: Trial, step: int) -> Estimate | None:
    """A guess before the first step, by a pass of the networks; None where a few steps will soon have told better."""
    if not {"generator", "discriminator"} <= trial.networks.keys():
        return None
    rest = settings.run.steps - step
    if rest <= SOON:
        return None
    seconds = _each(trial) * PASSES * settings.run.batch_size
    if seconds < SLOW:
        return None
    return Estimate(seconds=seconds * rest, seconds_per_step=seconds, measured=0, last_step=settings.run.steps)


def with_cheaper(estimate: Estimate, settings: Settings, trial: Trial) -> Estimate:
    """`estimate` with a setting that takes less time, where the rest is long."""
    if estimate.seconds < LONG:
        return estimate
    whole = estimate.seconds_per_step * settings.run.steps
    best = ("", whole)
    for text, ratio in _ratios(settings, trial):
        best = min(best, (text, whole * ratio), key=lambda one: one[1])
        if best[1] <= WELCOME:
            break
    if best[1] > whole / 2:
        steps = max(1, int(float(f"{settings.run.steps * LONG / whole:.1e}")))
        best = (f"steps={steps}", estimate.seconds_per_step * steps)
    return replace(estimate, cheaper=best[0], cheaper_seconds=best[1])


def _ratios(settings: Settings, trial: Trial) -> Iterator[tuple[str, float]]:
    """Narrower widths, and how long they take beside the present one: both measured."""
    options = settings.architecture.options
    width = getattr(options, "width", None)
    if options is None or not isinstance(width, int):
        return
    end, usual = time.perf_counter() + SECONDS_TO_TRY, _each(trial)
    while width // 2 >= NARROWEST and time.perf_counter() < end:
        width //= 2
        try:
            narrower = type(options).model_validate(options.model_dump() | {"width": width})
            with torch.random.fork_rng(devices=[]):
                built = replace(settings.architecture, options=narrower).build(trial.spec)
            for module in built.values():
                if trial.memory_format == torch.channels_last:
                    module.to(memory_format=trial.memory_format)
            yield f"architecture.width={width}", _each(replace(trial, networks=built)) / usual
        except (ValidationError, GanError):  # a width that the architecture does not take
            return


def _each(trial: Trial) -> float:
    """Seconds in which the networks make and judge one more sample."""
    few, many = (min(n, len(trial.batch)) for n in (FEW, MANY))
    whole = _seconds(trial, many)
    if many > few and (more := whole - _seconds(trial, few)) > 0.0:
        return more / (many - few)
    return whole / many


@torch.no_grad()
def _seconds(trial: Trial, count: int) -> float:
    """Seconds in which the networks make `count` samples and judge as many, without those that other programs took meanwhile."""
    networks = [trial.networks[n] for n in ("generator", "discriminator") if n in trial.networks]
    training = [module.training for module in networks]
    for module in networks:
        module.eval()
    x, condition = trial.batch.x[:count], trial.batch.condition
    condition = None if condition is None else condition[:count]
    given = None if trial.batch.given is None else trial.batch.given[:count]
    draws = Draws(0, torch.arange(count, device=x.device))
    times: list[float] = []
    try:
        while not times or (len(times) < MOST_PASSES and sum(times) < ENOUGH):
            begun = time.thread_time()  # of this thread, which does its share of each operation like the others
            call_generator(networks[0], draw_latent(networks[0], draws), condition, given)
            for judge in networks[1:]:
                judge(x, condition)
            times.append(time.thread_time() - begun)
    finally:  # networks that take whole batches only raise here, and are to be trained all the same
        for module, mode in zip(networks, training, strict=True):
            module.train(mode)
    return min(times)
