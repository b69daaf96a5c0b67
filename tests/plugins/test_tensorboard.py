"""Events of TensorBoard are on the disk at once, and a disk that takes no more is told once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.limits import no_file_above

import gan_tensorboard as listener
from gancore.events import HealthAlert, RunFinished, RunStarted, Tick


def started(folder: Path, step: int = 0) -> RunStarted:
    return RunStarted(folder=folder, config={}, step=step, steps=9, parameters={}, data="", device="cpu")


def tick(folder: Path, step: int) -> Tick:
    alerts = (HealthAlert(kind="collapse", step=step, message="samples are alike"),)
    return Tick(
        folder=folder, step=step, steps=9, scalars={"loss": 0.5}, samples_per_second=3.0, seconds=1.0, alerts=alerts
    )


def events(folder: Path) -> dict[str, list[int]]:
    """Steps by tag."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    scalars = {tag: [e.step for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
    return scalars | {tag: [e.step for e in found.Tensors(tag)] for tag in found.Tags()["tensors"]}


def test_events_are_on_the_disk_before_the_run_ends_and_later_ones_are_hidden_on_resumption(tmp_path: Path) -> None:
    listener.gan_run_started(started(tmp_path))
    for step in (1, 2, 3):
        listener.gan_tick(tick(tmp_path, step))
    assert events(tmp_path) == {tag: [1, 2, 3] for tag in ("health/text_summary", "loss", "samples_per_second")}
    time.sleep(1.1)  # TensorBoard sorts files by the second and then, as text, by how many the process has opened.
    listener.gan_run_started(started(tmp_path, 1))
    listener.gan_tick(tick(tmp_path, 2))
    assert events(tmp_path)["loss"] == [1, 2]
    listener.gan_run_finished(RunFinished(folder=tmp_path, step=2, outcome="completed"))


def test_full_disk_is_raised_once(tmp_path: Path) -> None:
    listener.gan_run_started(started(tmp_path))
    with no_file_above(100), pytest.raises(OSError, match="large"):
        listener.gan_tick(tick(tmp_path, 1))
    listener.gan_tick(tick(tmp_path, 2))
    listener.gan_run_finished(RunFinished(folder=tmp_path, step=2, outcome="completed"))
