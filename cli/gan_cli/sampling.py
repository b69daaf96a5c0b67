"""`gan sample`: files from a trained run."""

from __future__ import annotations

import re
from pathlib import Path

from gancore.errors import RunFolderError, UsageError


def draw(
    run: Path, number: int, label: str | None, seed: int, out: Path | None, step: int | None, device: str
) -> tuple[Path, list[Path]]:
    """Write `number` samples, a file each and then a sheet, into a new folder: the folder and the files, sheets last."""
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunFolderError(f"'{out}' exists already and nothing is overwritten; choose another --out")
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise UsageError(f"device '{device}' is unknown; choose auto, cpu, mps, cuda or cuda:N")
    import gancore

    generator = gancore.load(run, device=device, step=step)
    labels = generator.labels(number, label)
    samples = generator.sample(number, seed=seed, condition=labels)
    folder = out or _next(run / "generated")
    files = generator.save(samples, folder, labels)
    files += generator.save(samples, folder / "sheet.any", labels)
    return folder, files


def _next(root: Path) -> Path:
    """The first free of `root/001`, `root/002` ..."""
    number = 1
    while (root / f"{number:03d}").exists():
        number += 1
    return root / f"{number:03d}"
