"""What the runs in a folder have come to: read from their files alone, without torch or any plugin."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gancore.errors import RunFolderError
from gancore.run import RunFolder
from gancore.run_lock import FILE

_STEP = re.compile(r"step-(\d+)")


@dataclass(frozen=True, slots=True)
class RunState:
    """How far a run has come: `saved` is the step of its newest checkpoint, 0 where there is none yet."""

    path: Path
    config: Mapping[str, Any]
    saved: int
    steps: int
    changed: float
    """When the newest of its files was written, in seconds since 1970."""
    training: bool
    """Whether a process trains in it now."""


def list_runs(root: Path) -> list[Path]:
    """Run folders directly under `root`, oldest first."""
    if not root.is_dir():
        return []
    found = [p for p in root.iterdir() if (p / "config.toml").is_file()]
    return sorted(found, key=lambda p: (p / "config.toml").stat().st_mtime)


def state_of(path: Path) -> RunState:
    """How far the run in the folder `path` has come.

    Raises:
        RunFolderError: it is no run, or its configuration is not one.
        UsageError: its configuration cannot be read.
    """
    folder = RunFolder.open(path)
    config = folder.read_config()
    steps = config.get("steps")
    if not isinstance(config.get("plugin"), str) or not isinstance(steps, int):
        raise RunFolderError(f"'{path}' is not a run: its config.toml belongs to another program")
    return RunState(path, config, _saved(folder), steps, _changed(path), being_trained(path))


def _saved(folder: RunFolder) -> int:
    try:
        names = os.listdir(folder.checkpoints)
    except OSError:
        return 0
    return max((int(found[1]) for name in names if (found := _STEP.fullmatch(name))), default=0)


def _changed(path: Path) -> float:
    newest = 0.0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):  # a training takes away what it has finished with
                newest = max(newest, os.stat(os.path.join(folder, name)).st_mtime)
    return newest


def being_trained(path: Path) -> bool:
    """Whether a process on this machine holds the lock of the run in the folder `path`."""
    if sys.platform == "win32":
        return False  # a lock cannot be looked at there without being taken
    import fcntl

    try:
        with (path / FILE).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
