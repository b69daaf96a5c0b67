"""What listeners are told in the course of a run: frozen records of plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthAlert:
    """Something that began to go wrong at `step`: which kind, in words, and what usually helps."""

    kind: Literal["non-finite", "saturated", "collapse", "recovered"]
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
