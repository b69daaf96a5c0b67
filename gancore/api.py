"""Training from Python: what `gan run` and `gan resume` do, as two functions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gancore import __version__, checkpoint
from gancore.components import ProgressReport
from gancore.engine.session import Run, Session
from gancore.errors import UsageError
from gancore.plugins import Registry
from gancore.run import RunFolder
from gancore.settings import Settings, configure, nest, read_file


def _silent(words: str, done: int, total: int) -> None:
    del words, done, total


def train(
    *,
    plugin: str | None = None,
    data: str | Path | None = None,
    preset: str | None = None,
    config: str | Path | Mapping[str, Any] | None = None,
    steps: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    listeners: Sequence[object] = (),
    progress: ProgressReport = _silent,
    registry: Registry | None = None,
) -> Run:
    """Train a new run and return where it lies.

    Args:
        plugin: Name of the plugin; may come from `config`.
        data: A file or folder that the plugin reads; its demo set without.
        preset: A named configuration of the plugin.
        config: A TOML file or nested values.
        steps: How long to train.
        seed: Decides every random number.
        out: A new folder for the run; `runs/PLUGIN-001` and so on without.
        options: Single settings, `{"loss": "hinge", "every.log": 10}`.
        listeners: Objects with lifecycle hooks (`gan_tick` and others).
        progress: Called while data are read.
        registry: Plugins to choose from; those installed without.

    Raises:
        GanError: what was asked for cannot be done; the message says why and what to do.
    """
    registry = registry or Registry()
    layers: list[Mapping[str, Any]] = []
    if config is not None:
        layers.append(nest(config) if isinstance(config, Mapping) else read_file(Path(config)))
    layers.append(nest(options or {}))
    layers.append({k: v for k, v in (("steps", steps), ("seed", seed)) if v is not None})
    settings = configure(registry, plugin=plugin, data=data, preset=preset, layers=layers)
    return start(settings, registry, None if out is None else Path(out), listeners, progress)


def start(
    settings: Settings,
    registry: Registry,
    out: Path | None,
    listeners: Sequence[object] = (),
    progress: ProgressReport = _silent,
) -> Run:
    """Train a new run from complete settings."""
    _listen(registry, settings, listeners)
    folder = _new_folder(settings, out)
    if _first_process():
        folder.write_config(settings.dump(), _header(folder))
    return Session(settings, registry, folder, False, progress).run()


def resume(
    run: str | Path,
    *,
    steps: int | None = None,
    listeners: Sequence[object] = (),
    progress: ProgressReport = _silent,
    registry: Registry | None = None,
) -> Run:
    """Go on with a run from its newest good checkpoint, to its own last step or to `steps`.

    Raises:
        RunFolderError: `run` is no run.
        UsageError: it has reached its last step already.
        CheckpointError: nothing usable was saved.
    """
    registry = registry or Registry()
    folder = RunFolder.open(Path(run))
    settings = configure(registry, layers=[read_file(folder.config)])
    found, _ = checkpoint.newest(folder.checkpoints)
    last = steps or settings.run.steps
    if last <= found.step:
        raise UsageError(
            f"'{run}' has been trained for {found.step:,} steps; to train it on, say --steps {found.step * 2}"
        )
    if last != settings.run.steps:
        settings = settings.updated(steps=last)
        if _first_process():
            folder.write_config(settings.dump(), _header(folder))
    _listen(registry, settings, listeners)
    return Session(settings, registry, folder, True, progress).run()


def _listen(registry: Registry, settings: Settings, listeners: Sequence[object]) -> None:
    for name in settings.run.listeners:
        registry.load(name)
    for number, listener in enumerate(listeners):
        registry.add_listener(listener, f"listener-{number} ({type(listener).__name__})")


def _first_process() -> bool:
    """Whether this process writes files; asked before the process group exists."""
    return os.environ.get("RANK", "0") == "0"


def _header(folder: RunFolder) -> str:
    return f"gancore {__version__}: the complete configuration of this run.\nRun it again: gan run --config {folder.config}"


def _new_folder(settings: Settings, out: Path | None) -> RunFolder:
    if not _first_process():
        return RunFolder(out or Path("runs"))  # rank 0 makes the folder and tells the others when the group exists
    return RunFolder.create(out, settings.run.plugin)


__all__ = ["Run", "resume", "start", "train"]
