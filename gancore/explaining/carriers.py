"""Which layers and units of a generator carry an attribute: by correlation, and by taking a unit out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from gancore.nets.stages import Stage, stages

FEWEST = 16
"""Samples that must have an attribute for its figures to mean anything."""


@dataclass(frozen=True, slots=True)
class Carriers:
    """Which unit of each stage goes with an attribute best, and what the best of all does.

    `units` are their numbers by stage, and `correlations` those of their outputs with the attribute, of samples by which they were not
    chosen. `stage` is that of the best; `effect` is by how many standard deviations the attribute is another without its unit.
    """

    units: tuple[int, ...]
    correlations: tuple[float, ...]
    stage: int
    effect: float


@dataclass(slots=True)
class _Outputs:
    """What has been seen of a stage: units `[n, units]`, the mean over places of each, and sums `[...]` over samples."""

    axis: int = 1
    units: list[Tensor] = field(default_factory=list)
    total: Tensor | None = None

    def add(self, output: Tensor) -> None:
        moved = output.movedim(self.axis, 1)
        self.units.append(moved.reshape(*moved.shape[:2], -1).double().mean(dim=2))
        total = output.double().sum(dim=0)
        self.total = total if self.total is None else self.total + total


def carriers(
    generator: nn.Module, draw: Callable[[], Tensor], measure: Callable[[Tensor], Mapping[str, Tensor]]
) -> tuple[list[Stage], dict[str, Carriers]]:
    """The stages of `generator` that give a row for each sample, and for each attribute which of their units carry it.

    `draw` makes hard samples `[n, ...]` by calling the generator, each time of the same latents, and `measure` gives their
    attributes `[n]`, NaN for samples without. A unit is a channel of a convolution, else one of the last axis, as the mean over places.

    In each stage the unit of the largest correlation with the attribute over the first half of the samples is chosen, and its
    correlation over the second half is told, so that the luckiest of many does not count. Of the best of all stages the output is then
    replaced by its mean over samples, place by place (Bau et al. 2019, "GAN Dissection", with zero). With a_i the attribute of sample i
    before and a'_i after, the effect is

        sqrt(mean_i (a'_i - a_i)^2) / std(a)

    A whole stage is not taken out, for most generators are chains: without any one link all samples are the same. Attributes that
    do not vary, or that fewer than 16 samples have, are left out.
    """
    outputs: dict[str, _Outputs] = {}
    named = {stage.name: stage for stage in stages(generator) if stage.modules}
    with _watched(generator, named, outputs):
        before = measure(draw())
    rows = len(next(iter(before.values()), ()))
    units = {name: torch.cat(one.units) for name, one in outputs.items()}
    seen = [stage for name, stage in named.items() if name in units and len(units[name]) == rows]
    activity = [units[stage.name] for stage in seen]
    made: dict[tuple[int, int], Mapping[str, Tensor]] = {}
    found = {}
    for name, values in before.items():
        known = values.isfinite().nonzero()[:, 0]
        if len(known) < FEWEST or not float(values[known].std()) > 0.0 or not seen:
            continue
        halves = known.tensor_split(2)
        chosen = [_correlation(one[halves[0]], values[halves[0]]).abs().max(dim=0) for one in activity]
        best = [int(one.indices) for one in chosen]
        stage = max(range(len(seen)), key=lambda number: float(chosen[number].values))
        place = (stage, best[stage])
        if place not in made:
            with _without(generator, seen[stage], outputs[seen[stage].name], best[stage], rows):
                made[place] = measure(draw())
        after = made[place][name]
        both = known[after[known].isfinite()]
        change = (after[both] - values[both]).double().square().mean().sqrt()
        told = [
            float(_correlation(one[halves[1]][:, [unit]], values[halves[1]]))
            for one, unit in zip(activity, best, strict=True)
        ]
        effect = float(change / values[known].double().std(unbiased=False)) if len(both) else float("nan")
        found[name] = Carriers(tuple(best), tuple(told), stage, effect)
    return seen, found


def _correlation(units: Tensor, values: Tensor) -> Tensor:
    """Pearson's, `[units]`, of `units` `[n, units]` with `values` `[n]`; 0 for what does not vary."""
    x, y = units - units.mean(dim=0), (values - values.mean()).double()
    return (x * y[:, None]).sum(dim=0) / (x.norm(dim=0) * y.norm()).clamp_min(1e-12)


@contextmanager
def _hooked(generator: nn.Module, hooks: Mapping[nn.Module, Callable[[Tensor], None]]) -> Iterator[None]:
    """Within, each of `hooks` is called with the first output of its module in each pass of the generator."""
    waiting: set[nn.Module] = set()

    def begin(*_: Any) -> None:
        waiting.update(hooks)

    def first(module: nn.Module, _given: Any, output: Any) -> None:
        if module in waiting and (tensor := _tensor(output)) is not None:
            waiting.discard(module)
            hooks[module](tensor)

    handles = [generator.register_forward_pre_hook(begin), *(m.register_forward_hook(first) for m in hooks)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _watched(generator: nn.Module, named: Mapping[str, Stage], outputs: dict[str, _Outputs]) -> Any:
    def look(stage: Stage) -> Callable[[Tensor], None]:
        axis = 1 if any(isinstance(m, _ConvNd) for part in stage.modules.values() for m in part.modules()) else -1
        return lambda output: outputs.setdefault(stage.name, _Outputs(axis)).add(output)

    return _hooked(generator, {_last(stage): look(stage) for stage in named.values()})


def _without(generator: nn.Module, stage: Stage, seen: _Outputs, unit: int, count: int) -> Any:
    """Within, a unit of a stage gives its mean over `count` samples."""
    assert seen.total is not None
    mean = (seen.total / count)[None].select(seen.axis, unit)

    def replace(output: Tensor) -> None:
        output.select(seen.axis, unit).copy_(mean)

    return _hooked(generator, {_last(stage): replace})


def _last(stage: Stage) -> nn.Module:
    return [*stage.modules.values()][-1]


def _tensor(output: Any) -> Tensor | None:
    """The first tensor of floats, `[batch, ...]`, in what a module gives."""
    if isinstance(output, tuple | list):
        return next((x for x in map(_tensor, output) if x is not None), None)
    return output if isinstance(output, Tensor) and output.is_floating_point() and output.dim() > 1 else None
