"""Samples on the way: always the same latents and classes, so that the sheets of a run show one picture growing."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from gancore.components import DataSource
from gancore.data.spec import SampleSpec
from gancore.errors import PluginError, UnknownNameError, UsageError
from gancore.games.gan import draw_latent
from gancore.random import Draws, derive
from gancore.run import RunFolder
from gancore.settings import Settings

CHUNK = 64
"""Samples generated at once: a constant, so that memory stays bounded."""


@torch.no_grad()
def generate(generator: nn.Module, spec: SampleSpec, count: int, seed: int, condition: Tensor | None) -> Tensor:
    """`count` relaxed samples `[count, *shape]` on the generator's device; the i-th depends on `seed`, i and its class only."""
    device = next(generator.parameters()).device
    parts = []
    for start in range(0, count, CHUNK):
        positions = torch.arange(start, min(start + CHUNK, count), device=device)
        classes = None if condition is None else condition[start : start + CHUNK].to(device)
        part = generator(draw_latent(generator, Draws(seed, positions)), classes).float()
        if part.shape[1:] != spec.shape:
            found, wanted = tuple(part.shape[1:]), spec.shape
            raise PluginError(
                f"the generator makes samples of shape {found}, the data have {wanted}; choose another architecture"
            )
        parts.append(part)
    return torch.cat(parts) if parts else torch.empty(0, *spec.shape, device=device)


def cycle_classes(spec: SampleSpec, count: int) -> Tensor | None:
    """Classes in turn, 0, 1, 2 ..., `[count]` int64; None without labels."""
    return torch.arange(count) % spec.class_count if spec.class_count else None


def write(
    settings: Settings, spec: SampleSpec, samples: Tensor, labels: Tensor | None, folder: Path, stem: str, role: str
) -> list[Path]:
    """Write hard `samples` with every writer of `role`; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    classes = None if labels is None else labels.tolist()
    written: list[Path] = []
    for chosen in settings.writers.values():
        if chosen.found.record.role == role:
            written += chosen.build(spec).write(samples, folder, stem, classes)
    return written


class SheetMaker:
    """Writes `samples/step-00000500.*` during training and one file of progress at the end."""

    def __init__(self, settings: Settings, spec: SampleSpec, folder: RunFolder, source: DataSource) -> None:
        self.settings = settings
        self.spec = spec
        self.folder = folder
        self.source = source
        self.last: Path | None = None

    def generate(self, generator: nn.Module, count: int, condition: Tensor | None) -> Tensor:
        """Relaxed samples from the run's fixed latents."""
        return generate(generator, self.spec, count, derive(self.settings.run.seed, "sheets"), condition)

    def make(self, generator: nn.Module, step: int) -> list[Path]:
        """Write the sheet of `step`; on the first one, a sheet of real samples beside it."""
        count, classes = self.settings.run.samples, self.spec.class_count
        if 0 < classes < count:
            count -= count % classes  # as many of each class
        labels = cycle_classes(self.spec, count)
        samples = self.spec.harden(self.generate(generator, count, labels)).cpu()
        if not (self.folder.samples / "real").exists():
            self._real(count)
        written = write(self.settings, self.spec, samples, labels, self.folder.samples, f"step-{step:08d}", "sheet")
        self.last = written[0] if written else self.last
        return written

    def _real(self, count: int) -> None:
        n = min(count, len(self.source))
        positions = torch.linspace(0, len(self.source) - 1, n).long()
        x, labels = self.source.fetch(positions, Draws(derive(self.settings.run.seed, "real"), positions))
        write(self.settings, self.spec, x, labels, self.folder.samples / "real", "real", "sheet")

    def make_progress(self) -> list[Path]:
        """One file out of all sheets so far, from every writer of role `progress`."""
        written: list[Path] = []
        for chosen in self.settings.writers.values():
            if chosen.found.record.role != "progress":
                continue
            by_suffix: dict[str, list[Path]] = {}
            for path in sorted(self.folder.samples.glob("step-*")):
                by_suffix.setdefault(path.suffix, []).append(path)
            sheets = max(by_suffix.values(), key=len, default=[])
            if len(sheets) > 1:
                written += chosen.build(self.spec).write(sheets, self.folder.samples, "progress")
        return written


def check_class(spec: SampleSpec, wanted: str | int) -> int:
    """The index of a class given by index or by name; text that is both is a name, a number always an index.

    Raises:
        UsageError: there are no classes, or none of that name.
    """
    if not spec.classes:
        raise UsageError("this generator was trained without labels; it has no classes to choose from")
    text = str(wanted)
    if isinstance(wanted, str) and text in spec.classes:
        return spec.classes.index(text)
    if text.isdecimal() and int(text) < len(spec.classes):
        return int(text)
    raise UnknownNameError("class", text, spec.classes)
