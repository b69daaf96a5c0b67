"""Network arithmetic: one generator out of those of two runs, as artists make between a run and one that was fine-tuned from it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.parametrize import is_parametrized

from gancore import checkpoint
from gancore.errors import UsageError
from gancore.losses.spectral import settle
from gancore.nets.stages import Stage, stage_of, stages
from gancore.plugins import Registry
from gancore.run import RunFolder, check_place
from gancore.sampling.loading import Saved, Step, open_run

Merge = Callable[[str, Tensor, Tensor], Tensor]
"""From the name of a tensor and those of both generators to the new one."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The checkpoints of two runs whose generators can take each other's place."""

    paths: tuple[Path, Path]
    one: Saved
    other: Saved

    @property
    def stages(self) -> list[Stage]:
        """What `layers` of `blend_layers` counts."""
        return stages(self.one.game.networks["generator"])


def open_pair(one: str | Path, other: str | Path, *, step: Step = None, registry: Registry | None = None) -> Pair:
    """The newest checkpoints of both runs, or the best with `step="best"`.

    Raises:
        UsageError: they are of other architectures or other samples; the message says in what they differ.
        RunFolderError: one is no run; CheckpointError where nothing usable was saved.
    """
    registry = registry or Registry()
    first, second = (open_run(run, registry=registry, step=step) for run in (one, other))
    if told := _differences(first, second):
        raise UsageError(
            f"the generators of '{one}' and '{other}' cannot be blended: {'; '.join(told)}. Take two runs of one architecture and of "
            "samples of one form, such as a run and one that began with it (gan run --from)"
        )
    return Pair((Path(one), Path(other)), first, second)


def blend_layers(pair: Pair, first: int, last: int, out: Path | None = None) -> RunFolder:
    """A new run whose generator has stages `first` to `last` of the other one, and the rest of the one (Pinkney & Adler 2020).

    Raises:
        UsageError: there are no such stages, or they are all there are.
    """
    found = pair.stages
    if last >= len(found):
        raise UsageError(
            f"layers {first}-{last} cannot be taken: this generator has {len(found)}, numbered 0 to {len(found) - 1} (--list)"
        )
    if last - first + 1 == len(found):
        raise UsageError(f"layers {first}-{last} are all there are, and give '{pair.paths[1]}' itself; take fewer")

    def merge(name: str, ours: Tensor, theirs: Tensor) -> Tensor:
        return theirs if first <= stage_of(found, name) <= last else ours

    names = "; ".join(stage.name for stage in found[first : last + 1])
    taken = f"layers {first}-{last} ({names}) are those" if last > first else f"layer {first} ({names}) is that"
    return _write(pair, merge, f"{taken} of {_named(pair, 1)}, the others of {_named(pair, 0)}", out)


def blend_weights(pair: Pair, share: float, out: Path | None = None) -> RunFolder:
    """A new run with the mean of both generators, `(1 - share) * one + share * other`, number by number.

    Weights and buffers, as averages of networks that began alike are taken (Wortsman et al. 2022, "Model soups"); integers are those
    of the one.

    Raises:
        UsageError: `share` is not in [0, 1].
    """
    if not 0.0 <= share <= 1.0:
        raise UsageError(f"the share of the other run is {share:g}; it must be between 0 and 1")

    def merge(name: str, ours: Tensor, theirs: Tensor) -> Tensor:
        return torch.lerp(ours, theirs, share) if ours.is_floating_point() else ours

    words = f"weights are {1 - share:.3g} of those of {_named(pair, 0)} and {share:.3g} of those of {_named(pair, 1)}"
    return _write(pair, merge, words, out, unsettled=0.0 < share < 1.0)


def _named(pair: Pair, which: int) -> str:
    return f"'{pair.paths[which]}', step {(pair.one, pair.other)[which].step:,}"


def _differences(one: Saved, other: Saved) -> list[str]:
    """In what two generators, or what they make, differ, in words."""
    ours, theirs = one.settings, other.settings
    names = [s.architecture.found.qualified for s in (ours, theirs)]
    if names[0] != names[1]:
        return [f"the architecture is {names[0]} in the first and {names[1]} in the second"]
    told = _unlike("architecture.", ours.architecture.dump(), theirs.architecture.dump())
    # What was measured on the data, such as a mean, may be another: a run that was fine-tuned has other data.
    specs = [
        {k: v for k, v in s.spec.model_dump(mode="json").items() if k not in s.spec.measured} for s in (one, other)
    ]
    told += _unlike("the samples' ", *specs)
    shapes = [
        {k: list(v.shape) for k, v in saved.tensors["ema"].items()} for saved in (one, other)
    ]  # a game may add to a network
    return told or _unlike("the shape of ", *shapes)


def _unlike(prefix: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    both = [(name, *(side.get(name, "not set") for side in (ours, theirs))) for name in {**ours, **theirs}]
    return [f"{prefix}{name} is {a} in the first and {b} in the second" for name, a, b in both if a != b]


def _write(pair: Pair, merge: Merge, words: str, out: Path | None, *, unsettled: bool = False) -> RunFolder:
    """The first run's configuration and checkpoint in a new folder, with another generator.

    `unsettled` says that its weights are new ones, of which nobody knows the norm yet.
    """
    one = pair.one
    modules = {name: one.restored(name, name) for name in one.game.networks if name != "generator"}
    for name in ("generator", "ema"):
        module = copy.deepcopy(one.game.networks["generator"])
        ours, theirs = one.tensors[name], pair.other.tensors[name]
        module.load_state_dict({key: merge(key, tensor, theirs[key]) for key, tensor in ours.items()})
        for layer in module.modules() if unsettled else ():
            if is_parametrized(layer):
                settle(layer)
        modules[name] = module
    source = RunFolder.open(pair.paths[0])
    state = {**one.found.state, "alerts": [], "means": {}, "unwritten": None, "best": None}
    state.pop("step")
    optimizers = {name: one.found.optimizer(name) for name in one.found.players}
    if out is not None:
        check_place(out)
    with RunFolder.begun(out, one.settings.run.plugin) as folder:
        folder.write_config(source.read_config(), f"A blend: {words}.\nSamples of it: gan sample {folder.path}")
        folder.write_start({"run": str(pair.paths[0]), "step": one.step, "summary": [f"a blend: {words}"]})
        checkpoint.save(folder.checkpoints, one.step, modules, optimizers, state, keep=1)
    return folder
