"""The report and the animation of a run, made when they are asked for: of one that was killed, interrupted or is still training."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from gancore import checkpoint
from gancore.configuration.configure import configure
from gancore.configuration.settings import Settings
from gancore.disk import cause
from gancore.errors import CheckpointError, GanError
from gancore.plugins import Registry
from gancore.report import write_report
from gancore.run import RunFolder
from gancore.runs import RunState, state_of
from gancore.sampling.writing import animations, sheets_of, write_animation
from gancore.targets import resolve
from gancore.text import check_path


def make_report(run: str | Path, *, registry: Registry | None = None) -> tuple[Path, ...]:
    """Write `report.html` of the run in folder `run` anew, and an animation of its sheets where its plugin has one; both paths.

    The report comes first. Neither the data nor a checkpoint are needed for it, nor the plugin; what the animation wants and is not
    there is told by a warning.

    Raises:
        RunFolderError: it is no run.
        UsageError: its configuration cannot be read.
    """
    check_path(run, "the run's folder")
    state = state_of(Path(run))
    folder = RunFolder(state.path)
    made: list[Path] = []
    try:
        settings = configure(registry or Registry(), layers=[state.config])
        made = _animations(settings, folder)
    except Exception as error:  # a plugin, or a sheet that is damaged, may raise anything
        warnings.warn(f"no new animation was made for '{run}': {cause(error, folder.path)}", stacklevel=2)
    return (write_report(folder, state.config, _reason(state)), *made)


def animation_left(run: Path, *, registry: Registry | None = None) -> bool:
    """Whether `make_report` would make an animation of the run in folder `run`."""
    try:
        settings = configure(registry or Registry(), layers=[state_of(run).config])
    except GanError:
        return False
    return bool(animations(settings)) and len(sheets_of(RunFolder(run))) > 1


def _animations(settings: Settings, folder: RunFolder) -> list[Path]:
    writers, sheets = animations(settings), sheets_of(folder)
    if not writers or len(sheets) < 2:
        return []
    try:
        found: Any = checkpoint.newest(folder.checkpoints)[0]
    except CheckpointError as error:
        raise CheckpointError(f"{error}; an animation needs a saved checkpoint") from error
    spec = resolve(settings.data.found.record.spec).model_validate(found.state["spec"])
    return [path for writer in writers for path in write_animation(writer, spec, sheets, folder)]


def _reason(state: RunState) -> str:
    last = max((row.get("step", 0) for row in RunFolder(state.path).read_metrics()), default=0)
    if state.training:
        return f"still training, at step {max(last, state.saved):,} of {state.steps:,}"
    if state.saved >= state.steps:
        return f"reached step {state.saved:,}"
    return f"saved at step {state.saved:,} of {state.steps:,}, and not trained further since"
