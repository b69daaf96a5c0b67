"""Runs of the plugin `toy`: begun, gone on with, read and loaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gancore
from gancore.api import resume, train
from gancore.engine.session import Run
from gancore.plugins import Registry
from gancore.sampling.generator import Generator
from toys.pictures import SMALL, new_registry


def begin(
    folder: Path, steps: int = 10, listeners: Sequence[Any] = (), *, minutes: float | None = None,
    registry: Registry | None = None, **options: Any,
) -> Run:  # fmt: skip
    """A run of `SMALL` with other `options`."""
    return train(
        plugin="toy", registry=registry or new_registry(), out=folder, steps=steps, minutes=minutes,
        options={**SMALL, **options}, listeners=listeners,
    )  # fmt: skip


def go_on(folder: Path, **more: Any) -> Run:
    return resume(folder, registry=new_registry(), **more)


def load(folder: Path, **more: Any) -> Generator:
    return gancore.load(folder, registry=new_registry(), device="cpu", **more)


def rows(folder: Path) -> list[dict[str, Any]]:
    """What `metrics.jsonl` has but for the times, which differ from run to run."""
    kept = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "samples_per_second")} for row in kept]
