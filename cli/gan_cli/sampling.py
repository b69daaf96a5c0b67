"""`gan sample`: files from a trained run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from gan_cli.waiting import loading, waiting
from gancore.errors import RunFolderError, UsageError
from gancore.storage import occupied, whole_folder

SAMPLES = 64
"""How many are drawn unless somebody says how many, or gives something for them."""


def draw(
    run: Path,
    number: int | None,
    label: str | None,
    seed: int,
    out: Path | None,
    step: int | Literal["best"] | None,
    device: str,
    given: Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[Path, list[Path], list[Path], int]:
    """Write `number` samples, a file each, and a sheet, as far as the run has writers.

    With `given`, samples are made around what that file gives: without a `number` one for each part of it, and the parts are
    also put together where they are those of a whole. `options` are other options of the writers.

    Returns:
        The new folder, the files, the sheets, and how many samples there are.
    """
    if out is not None and occupied(out):
        raise RunFolderError(f"'{out}' exists already and nothing is overwritten; choose another --out")
    if out is not None and out.suffix and not out.is_dir():
        raise UsageError(
            f"--out '{out}' names a folder to make, for a file a sample and the sheet; leave '{out.suffix}' out"
        )
    check_device(device)
    with loading():
        from gancore.data.runs import check_apart
        from gancore.engine.build import check_writers
        from gancore.sampling.generator import ANY
        from gancore.sampling.loading import load

    generator = load(run, device=device, step=step, options=options)
    if out is not None:
        check_apart(out, generator.settings.data_path)
    roles = {chosen.found.record.role for chosen in generator.settings.writers.values()}
    if not roles & {"each", "sheet"}:
        raise UsageError(f"'{run}' was trained without writers; add some to its config.toml, in the section [writers]")
    check_writers(generator.settings, generator.spec)
    known = None if given is None else generator.read_given(given)
    number = number or (SAMPLES if known is None else len(known))
    labels = generator.labels(number, label, known)
    with waiting(f"generating {number:,} samples"):
        samples = generator.sample(number, seed=seed, condition=labels, given=known)
    folder = out or _next(run / "generated")
    with whole_folder(folder), waiting(f"writing {number:,} samples"):
        files = generator.save(samples, folder, labels, given=known) if "each" in roles else []
        sheets = generator.save(samples, folder / f"sheet{ANY}", labels, given=known) if "sheet" in roles else []
    return folder, files, sheets, number


def check_device(device: str) -> None:
    """Refuse a device that cannot be, before anything is imported or read."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise UsageError(f"device '{device}' is unknown; choose auto, cpu, mps, cuda or cuda:N")


def _next(root: Path) -> Path:
    """The first free of `root/001`, `root/002` ..."""
    number = 1
    while (root / f"{number:03d}").exists():
        number += 1
    return root / f"{number:03d}"
