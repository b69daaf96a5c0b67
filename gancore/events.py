"""What listeners are told in the course of a run: frozen records of plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthAlert:
    """Something that began to go wrong at `step`: which kind, in words, and what usually helps."""

    kind: Literal["non-finite", "saturated", "collapse", "recovered", "evaluation"]
    step: int
    message: str
    advice: str = ""

    def __str__(self) -> str:
        return f"step {self.step:,}: {self.message}" + (f" {self.advice}" if self.advice else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStarted:
    """A run begins at `step` (0, or where it was resumed) and will go to `steps`."""

    folder: Path
    config: Mapping[str, Any]
    step: int
    steps: int
    parameters: Mapping[str, int]
    """Trainable parameters by player."""
    data: str
    """One line on the data set."""
    device: str
    warnings: tuple[str, ...] = ()
    """What makes it doubtful to train on these data; also given to `warnings.warn`, after this."""
    notes: tuple[str, ...] = ()
    """Sentences on what was chosen for the device, what was taken from another run, and what is not trained."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated:
    """An evaluation of the moving average at `step`: the figure that decides which is the best, and the best so far."""

    step: int
    metric: str
    """The figure, such as `mind-lite0`."""
    value: float
    real: float | None
    """What real samples have in its place."""
    best_step: int
    best: float
    seconds: float
    """How long it took."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """Means over the steps since the last tick. `step` counts completed steps; `seconds` is time spent training so far."""

    folder: Path
    step: int
    steps: int
    scalars: Mapping[str, float]
    samples_per_second: float
    seconds: float
    alerts: tuple[HealthAlert, ...] = ()
    """Alerts since the last tick."""
    troubles: tuple[str, ...] = ()
    """Kinds of alert that hold now."""
    last_sheet: Path | None = None
    seconds_left: float | None = None
    """Until the last step at the pace of this session, or until its minutes are over; None where it is not known."""
    evaluated: Evaluated | None = None
    """The newest evaluation of this session; all of its figures are among the `scalars` of the tick of its step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """How long the rest of a run takes, measured on its first steps."""

    seconds: float
    """Until the last step."""
    seconds_per_step: float
    """Mean over the steps that are left: phases that are rarer than others count as often as they come."""
    measured: int
    """How many steps were measured, the first included, which is a warm-up; 0: a guess before the first."""
    first_unlike: int | None = None
    """The first step whose phases have not been measured together; those steps were taken for the mean ones so far."""
    last_step: int
    """The last step, or the one that is reached when the minutes of the session are over."""
    cheaper: str = ""
    """A setting that would take less time, where the rest is long, such as `architecture.width=16`."""
    cheaper_seconds: float = 0.0
    """How long the whole run would take with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a run is between two ticks: what is due by the clock, so never the same in two runs, and nothing to be kept.

    `scalars` are means over the steps since the last tick so far, of the first process alone.
    """

    folder: Path
    step: int
    steps: int
    scalars: Mapping[str, float]
    samples_per_second: float
    """Over the steps since the last tick."""
    seconds: float
    seconds_left: float | None = None
    troubles: tuple[str, ...] = ()
    """Kinds of alert that held at the last tick."""
    last_sheet: Path | None = None
    estimate: Estimate | None = None
    """Given once it can be made, and again after other phases have come in."""
    evaluated: Evaluated | None = None
    """The newest evaluation of this session."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointSaved:
    """A complete checkpoint of `step` lies at `path`."""

    folder: Path
    step: int
    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFinished:
    """The end: `outcome` says how, `reason` in words."""

    folder: Path
    step: int
    outcome: Literal["completed", "stopped", "interrupted", "failed"]
    reason: str = ""
    files: tuple[Path, ...] = field(default=())
    """What the end of the run wrote (the progress GIF, the report)."""
