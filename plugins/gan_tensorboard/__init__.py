"""TensorBoard events of every run, from lifecycle hooks alone: an example of a plugin that only listens."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancore import hookimpl
from gancore.components import PluginInfo

if TYPE_CHECKING:
    from gancore.events import RunFinished, RunStarted, Tick

_numbers = itertools.count()
_files: dict[str, EventFile] = {}


class EventFile:
    """A file of TensorBoard events that is written at once.

    torch's `SummaryWriter` writes in a thread, which loses what it has not written yet when a run is killed, and tells of a full
    disk in a traceback.
    """

    def __init__(self, folder: Path, purge_step: int) -> None:
        """Steps from `purge_step` on that other files of the folder hold are hidden."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # type: ignore[import-untyped]
        from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]

        now = time.time()
        folder.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self._event = Event
        self._file = (folder / name).open("wb")
        self._records = RecordWriter(self._file)
        self._write(Event(wall_time=now, step=purge_step, file_version="brain.Event:2"))
        start = SessionLog(status=SessionLog.START)
        self._write(Event(wall_time=now, step=purge_step, session_log=start))

    def add(self, summaries: Iterable[Any], step: int) -> None:
        """Write what functions of `torch.utils.tensorboard.summary` have made."""
        for summary in summaries:
            self._write(self._event(wall_time=time.time(), step=step, summary=summary))
        self._file.flush()

    def _write(self, event: Any) -> None:
        self._records.write(event.SerializeToString())

    def close(self) -> None:
        self._file.close()


@hookimpl
def gan_plugin_info() -> PluginInfo:
    return PluginInfo(summary="TensorBoard events beside every run's other files", api_version=1)


@hookimpl
def gan_run_started(event: RunStarted) -> None:
    # What a killed run had written after its last checkpoint is written again: hide it.
    _files[str(event.folder)] = EventFile(event.folder / "tensorboard", purge_step=event.step + 1)


@hookimpl
def gan_tick(event: Tick) -> None:
    from torch.utils.tensorboard.summary import scalar, text

    file = _files.get(str(event.folder))
    if file is None:
        return  # it could not be made, which was told
    figures = {**event.scalars, "samples_per_second": event.samples_per_second}
    summaries = [scalar(name, value) for name, value in figures.items()]
    try:
        file.add(summaries + [text("health", str(alert)) for alert in event.alerts], event.step)
    except OSError:
        _close(event.folder)  # told once, by whoever called
        raise


@hookimpl
def gan_run_finished(event: RunFinished) -> None:
    _close(event.folder)


def _close(folder: Path) -> None:
    file = _files.pop(str(folder), None)
    if file is not None:
        with suppress(OSError):  # what could not be written is there still, to be tried again
            file.close()
