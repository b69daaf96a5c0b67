"""TensorBoard events of every run, from lifecycle hooks alone: an example of a plugin that only listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gancore import hookimpl
from gancore.components import PluginInfo

if TYPE_CHECKING:
    from gancore.engine.events import RunFinished, RunStarted, Tick

_writers: dict[str, Any] = {}


@hookimpl
def gan_plugin_info() -> PluginInfo:
    return PluginInfo(summary="TensorBoard events beside every run's other files", api_version=1)


@hookimpl
def gan_run_started(event: RunStarted) -> None:
    from torch.utils.tensorboard import SummaryWriter

    # What a killed run had written after its last checkpoint is written again: hide it.
    _writers[str(event.folder)] = SummaryWriter(str(event.folder / "tensorboard"), purge_step=event.step + 1)


@hookimpl
def gan_tick(event: Tick) -> None:
    writer = _writers[str(event.folder)]
    for name, value in event.scalars.items():
        writer.add_scalar(name, value, event.step)
    writer.add_scalar("samples_per_second", event.samples_per_second, event.step)
    for alert in event.alerts:
        writer.add_text("health", str(alert), event.step)


@hookimpl
def gan_run_finished(event: RunFinished) -> None:
    writer = _writers.pop(str(event.folder), None)
    if writer is not None:
        writer.close()
