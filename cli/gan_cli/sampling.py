"""`gan sample`: files from a trained run."""

from __future__ import annotations

import re
from pathlib import Path

from gancore.errors import RunFolderError, UsageError


def draw(
    run: Path, number: int, label: str | None, seed: int, out: Path | None, step: int | None, device: str
) -> tuple[Path, list[Path], list[Path]]:
    """Write `number` samples, a file each, and a sheet, as far as the run has writers: the new folder, files, sheets."""
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunFolderError(f"'{out}' exists already and nothing is overwritten; choose another --out")
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise UsageError(f"device '{device}' is unknown; choose auto, cpu, mps, cuda or cuda:N")
    import gancore

    generator = gancore.load(run, device=device, step=step)
    roles = {chosen.found.record.role for chosen in generator.settings.writers.values()}
    if not roles & {"each", "sheet"}:
        raise UsageError(f"'{run}' was trained without writers; add some to its config.toml, in the section [writers]")
    labels = generator.labels(number, label)
    samples = generator.sample(number, seed=seed, condition=labels)
    folder = out or _next(run / "generated")
    files = generator.save(samples, folder, labels) if "each" in roles else []
    sheets = generator.save(samples, folder / "sheet.any", labels) if "sheet" in roles else []
    return folder, files, sheets


def _next(root: Path) -> Path:
    """The first free of `root/001`, `root/002` ..."""
    number = 1
    while (root / f"{number:03d}").exists():
        number += 1
    return root / f"{number:03d}"
