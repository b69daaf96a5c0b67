"""From a run's newest good checkpoint back to a training in progress."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from torch import nn

from gancore import checkpoint, distributed
from gancore.data.spec import SampleSpec
from gancore.engine.events import HealthAlert
from gancore.engine.loop import TrainState
from gancore.errors import CheckpointError
from gancore.run import RunFolder


@dataclass(frozen=True, slots=True)
class Restored:
    """What a session takes up beside its `TrainState`: alerts that no line of figures has told yet, and the time spent."""

    alerts: tuple[HealthAlert, ...]
    seconds: float


def restore(folder: RunFolder, networks: Mapping[str, nn.Module], state: TrainState, spec: SampleSpec) -> Restored:
    """Fill the networks and the state from the newest checkpoint in `folder` that can be used.

    Raises:
        CheckpointError: none can be used, or the data or the networks are others.
    """
    if distributed.is_main():
        checkpoint.clean(folder.checkpoints)
    distributed.barrier()
    found, problems = checkpoint.newest(folder.checkpoints)
    if distributed.is_main():
        for problem in problems:
            warnings.warn(f"{problem}; going back to step {found.step:,}", stacklevel=2)
    before, now = _as_now(found.state["spec"], spec), spec.model_dump(mode="json")
    changed = [
        f"{k} is another" if k in spec.measured else f"{k} was {before.get(k)}, now is {now.get(k)}"
        for k in before | now
        if before.get(k) != now.get(k)
    ]
    if changed:
        raise CheckpointError(f"the data have changed since '{found.path}' was saved: {'; '.join(changed)}")
    for name, module in networks.items():
        checkpoint.load_module(module, found.tensors(name), name)
    checkpoint.load_module(state.ema.module, found.tensors("ema"), "moving average")
    for name, player in state.players.items():
        try:
            player.optimizer.load_state_dict(found.optimizer(name))
        except (ValueError, KeyError) as error:
            raise CheckpointError(f"the saved optimizer of the {name} does not fit its network ({error})") from error
    state.step = found.step
    state.health.restore(found.state["health"])
    state.means.restore(found.state["means"])
    if distributed.is_main():
        folder.forget_after(found.step)
    return Restored(tuple(HealthAlert(**alert) for alert in found.state["alerts"]), float(found.state["seconds"]))


def _as_now(spec: dict[str, Any], own: SampleSpec) -> dict[str, Any]:
    """A saved spec with what has been added to specs since, as far as it is one."""
    try:
        return type(own).model_validate(spec).model_dump(mode="json")
    except ValidationError:
        return spec
