"""Training from Python: what `gan run` and `gan resume` do, as two functions."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from gancore import __version__, checkpoint, distributed, run_lock
from gancore.components import ProgressReport
from gancore.configuration.configure import configure
from gancore.configuration.layers import check_agreement, nest, read_file, section_of
from gancore.configuration.run_config import BY_PLAYER, BY_SETTING, MAPS, SECTIONS, RunConfig
from gancore.configuration.settings import Settings
from gancore.data.report import silent
from gancore.devices import pick_device
from gancore.engine.restore import finished, look_through
from gancore.engine.session import Run, Session
from gancore.engine.stopping import tell_on_stderr
from gancore.engine.transfer import source_settings, with_step
from gancore.errors import ConfigError, Mistake, UsageError
from gancore.evaluation.live import LiveEvaluations, check_evaluation, check_often
from gancore.plugins import DISABLE_VARIABLE, Registry
from gancore.preflight import load_listeners
from gancore.run import RunFolder, check_free, check_place
from gancore.sampling.sheets import SheetMaker
from gancore.text import check_path

RESUMABLE = frozenset(
    {"best", "device", "evaluate", "every", "keep", "listeners", "steps", "stop", "workers", "writers"}
)
"""Settings that a run may be resumed with others of: its length, and those that change nothing in what is learned."""
_REFUSAL = (
    "cannot be changed on resumption, because the training would be a different one; what can be changed: "
    + ", ".join(sorted(RESUMABLE))
)
_SETTINGS = {*RunConfig.model_fields, *SECTIONS, *MAPS, *BY_PLAYER, *BY_SETTING}


def train(
    *,
    plugin: str | None = None,
    data: str | Path | None = None,
    preset: str | None = None,
    config: str | Path | Mapping[str, Any] | None = None,
    start: str | Path | None = None,
    steps: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    listeners: Sequence[object] = (),
    progress: ProgressReport = silent,
    registry: Registry | None = None,
    minutes: float | None = None,
    stopping: Callable[[str], None] = tell_on_stderr,
) -> Run:
    """Train a new run and return where it lies.

    Args:
        plugin: Name of the plugin; may come from `config`.
        data: A file or folder that the plugin reads; its demo set without.
        preset: A named configuration of the plugin.
        config: A TOML file or nested values.
        start: Folder of a run to begin with: with its networks, as far as they fit, and without `preset` and `config` also with its
            settings. The option `start.step` chooses its checkpoint: `"newest"`, `"best"` or a step.
        steps: How long to train.
        seed: Determines every random number.
        out: A new folder for the run; `runs/PLUGIN-001` and so on without.
        options: Single settings, `{"loss": "hinge", "every.log": 10}`.
        listeners: Objects with lifecycle hooks (`gan_tick` and others).
        progress: Called while data are read.
        registry: Plugins to choose from; those installed without.
        minutes: End after this much training, if `steps` is not reached before; everything is saved, and the outcome is
            `stopped`. Reading the data and finishing are not counted.
        stopping: Called with a line of words when Ctrl-C or another signal asks for the end, inside its handler.

    Raises:
        GanError: what was asked for cannot be done; the message says why and what to do.
    """
    check_minutes(minutes)
    registry = registry or Registry()
    settings = plan(
        plugin=plugin,
        data=data,
        preset=preset,
        config=config,
        start=start,
        steps=steps,
        seed=seed,
        options=options,
        registry=registry,
    )
    check_evaluation(settings, registry)
    if out is not None:
        check_path(out, "the run's folder")
    path = None if out is None else Path(out)
    if _first_process():
        if path is not None:
            check_free(path, hint=f", or go on with it: gan resume {path}")
        check_place(path or Path("runs"))

    with ExitStack() as stack:
        stack.enter_context(_listening(registry, settings, listeners))

        def open_folder() -> RunFolder:
            folder = stack.enter_context(RunFolder.begun(path, settings.run.plugin))
            folder.write_config(settings.dump(), _header(folder))
            return folder

        figures = partial(LiveEvaluations, registry)
        return Session(settings, registry, open_folder, progress, SheetMaker, figures, minutes, stopping).run()


def plan(
    *,
    plugin: str | None = None,
    data: str | Path | None = None,
    preset: str | None = None,
    config: str | Path | Mapping[str, Any] | None = None,
    start: str | Path | None = None,
    steps: int | None = None,
    seed: int | None = None,
    options: Mapping[str, Any] | None = None,
    registry: Registry | None = None,
) -> Settings:
    """The complete configuration that `train` with the same arguments would use; nothing is trained or written.

    Raises:
        UsageError: something in it cannot be understood.
        RunFolderError: `start` is no run; CheckpointError where nothing usable was saved there.
    """
    chosen = nest(options or {})
    named = {"plugin": plugin, "preset": preset, "steps": steps, "seed": seed, "data.path": data, "start.run": start}
    check_agreement(named, chosen)
    layers: list[Mapping[str, Any]] = []
    if config is not None:
        if not isinstance(config, Mapping):
            check_path(config, "configuration file")
        base = nest(config) if isinstance(config, Mapping) else read_file(Path(config))
        _check_base(base, plugin or chosen.get("plugin"), preset or chosen.get("preset"))
        layers.append(base)
    begun = (section_of(chosen.get("start")).get("run") or None) if start is None else start
    if begun is not None:
        theirs = source_settings(begun, plugin or chosen.get("plugin"))
        whole = config is None and not preset and not chosen.get("preset")
        layers.insert(0, theirs if whole else {"plugin": theirs["plugin"]})
        layers.append({"start": {"step": "newest"}})  # that in a file is of another run
    layers.append(chosen)
    layers.append({k: v for k, v in (("steps", steps), ("seed", seed)) if v is not None})
    layers.append({} if start is None else {"start": {"run": str(start)}})
    settings = with_step(configure(registry or Registry(), plugin=plugin, data=data, preset=preset, layers=layers))
    check_often(settings, layers)
    return settings


def _check_base(base: Mapping[str, Any], plugin: Any, preset: Any) -> None:
    """Refuse a configuration for another plugin, or one that leaves nothing to a preset, beside one that is asked for."""
    if plugin and base.get("plugin") not in (None, plugin):
        raise UsageError(f"the configuration is for plugin '{base['plugin']}', not '{plugin}'; leave one of them out")
    if preset and base.get("complete") is True and base.get("preset") != preset:
        raise UsageError(
            f"the configuration is complete and leaves nothing to preset '{preset}'; leave one of them out, or remove "
            "the line 'complete = true' and what the preset is to say"
        )


def resume(
    run: str | Path,
    *,
    steps: int | None = None,
    options: Mapping[str, Any] | None = None,
    listeners: Sequence[object] = (),
    progress: ProgressReport = silent,
    registry: Registry | None = None,
    minutes: float | None = None,
    stopping: Callable[[str], None] = tell_on_stderr,
    changed_data: bool = False,
) -> Run:
    """Go on with a run from its newest good checkpoint, to its own last step or to `steps`, for at most `minutes` more.

    A run that was killed before its first checkpoint begins anew, which comes to the same. `options` are other values of `steps`
    and of what does not change the training, `{"writers.grid.columns": 8, "every.checkpoint": 100}`: of writers, listeners,
    `every`, `keep`, `device` and `workers`. They are written to the run's `config.toml` once the run goes on with them. Data that
    have changed since are refused, unless `changed_data` asks to go on with them as they now are; their samples must still be of
    the same form.

    Raises:
        RunFolderError: `run` is no run, or another process is training it.
        UsageError: it has reached its last step already.
        ConfigError: a mistake in `options`, or something that would make another training.
        CheckpointError: all that was saved is damaged, or the data, the seed or the networks are no longer those of the run.
    """
    check_minutes(minutes)
    registry = registry or Registry()
    check_path(run, "the run's folder")
    folder = RunFolder.open(Path(run))
    device = _resumed(registry, folder, steps, options).run.device  # mistakes are told before anything is waited for
    with ExitStack() as stack:
        stack.enter_context(distributed.process_group(pick_device(device)))
        distributed.on_main(lambda: stack.enter_context(run_lock.held(folder.path)))
        settings = _resumed(registry, folder, steps, options)  # another process may have changed it meanwhile

        def check() -> None:
            if (reached := _reached(folder, settings.run.steps)) >= settings.run.steps:
                raise finished(folder, reached)

        def keep() -> None:
            if settings.dump() != configure(registry, layers=[folder.read_config()]).dump():
                folder.write_config(settings.dump(), _header(folder))

        distributed.on_main(check)
        stack.enter_context(_listening(registry, settings, listeners))
        return Session(
            settings, registry, lambda: folder, progress, SheetMaker, partial(LiveEvaluations, registry), minutes, stopping,
            changed_data, keep,
        ).run()  # fmt: skip


def _resumed(registry: Registry, folder: RunFolder, steps: int | None, options: Mapping[str, Any] | None) -> Settings:
    """The run's own settings, with what may be changed on resumption."""
    layer = nest(options or {})
    mistakes = [Mistake(key, _REFUSAL) for key in layer if key not in RESUMABLE and key in _SETTINGS]
    changes = {key: value for key, value in layer.items() if key in RESUMABLE or key not in _SETTINGS}
    if steps is not None:
        if "steps" in layer and layer["steps"] != steps:
            words = f"is given as --steps N too (from Python, steps=N), and there as {steps}; leave one of them out"
            mistakes.append(Mistake("steps", words))
        changes["steps"] = steps
    try:
        settings = configure(registry, layers=[folder.read_config(), changes])
    except ConfigError as error:
        raise ConfigError([*mistakes, *error.mistakes]) from error
    if mistakes:
        raise ConfigError(mistakes)
    check_often(settings, [changes])
    check_evaluation(settings, registry)
    return settings


def _reached(folder: RunFolder, last: int) -> int:
    """The step of the newest checkpoint that can be used; if that is before `last`, of the newest that verifies, which is quicker."""
    if not checkpoint.any_in(folder.checkpoints):
        return 0
    found, _ = checkpoint.newest(folder.checkpoints)
    if found.step < last:
        return found.step
    return checkpoint.newest_usable(folder.checkpoints, look_through)[0]


@contextmanager
def _listening(registry: Registry, settings: Settings, listeners: Sequence[object]) -> Iterator[None]:
    """Within, the run's listeners are called, and not after it: the registry may serve another run."""
    if isinstance(listeners, str) or not isinstance(listeners, Iterable):
        raise UsageError(f"listeners={listeners!r}: give a list of objects, listeners=[...]")
    before = registry.registered()
    with ExitStack() as stack:
        for name in load_listeners(registry, settings.run.listeners):
            warnings.warn(
                f"listener '{name}' is disabled by {DISABLE_VARIABLE} and hears nothing of this run", stacklevel=5
            )
        for name in set(registry.registered()) - set(before):
            stack.callback(registry.remove_listener, name)
        for number, listener in enumerate(listeners):
            name = f"listener-{number} ({type(listener).__name__})"
            registry.add_listener(listener, name)
            stack.callback(registry.remove_listener, name)
        yield


def check_minutes(minutes: float | None) -> None:
    """Refuse minutes in which nothing can be trained."""
    if minutes is not None and not 0.0 < minutes < float("inf"):
        raise UsageError(f"minutes={minutes:g}: must be positive and finite, for example 30")


def _first_process() -> bool:
    """Whether this process writes files; asked before the process group exists."""
    return os.environ.get("RANK", "0") == "0"


def _header(folder: RunFolder) -> str:
    return f"gancore {__version__}: the complete configuration of this run.\nRun it again: gan run --config {folder.config}"


__all__ = ["Run", "plan", "resume", "train"]
