"""What the records of `gancore.testing.points` point to."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn

from gancore.components import ProgressReport
from gancore.data.report import ScanReport, Skipped
from gancore.data.spec import SampleSpec
from gancore.errors import DataError
from gancore.nets.conditioning import ClassEmbedding
from gancore.options import ArchitectureOptions, Options
from gancore.random import Draws


class CirclesOptions(Options):
    """Options of the data set `circles`."""

    count: int = Field(64, ge=2, le=1_000_000, description="How many points there are.")
    labels: bool = Field(True, description="Give each point its circle as class.")


class CsvOptions(Options):
    """Options of the data set `csv`."""

    path: Path = Field(description="A CSV file with two numbers in [-1, 1] a line.")


class MlpOptions(ArchitectureOptions):
    """Options of the architecture `mlp`."""

    width: int = Field(16, ge=1, le=4096, description="Hidden units.")
    latent: int = Field(4, ge=1, le=1024, description="Length of the latent vector.")


class Points:
    """Points `[n, 2]` float32 in [-1, 1], in memory; `labels` `[n]` int64 or None."""

    in_memory = True

    def __init__(self, points: Tensor, labels: Tensor | None, classes: tuple[str, ...], report: ScanReport) -> None:
        self.points = points
        self.labels = labels
        self.spec = SampleSpec(shape=(2,), dtype="float32", value_range=(-1.0, 1.0), classes=classes)
        self.report = report

    def __len__(self) -> int:
        return len(self.points)

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """Points `[batch, 2]` and labels `[batch]`; nothing is drawn."""
        del draws
        return self.points[indices], None if self.labels is None else self.labels[indices]


def open_circles(options: CirclesOptions, progress: ProgressReport) -> Points:
    """Points at equal distances on circles of radius 0.4 and 0.9, in turn."""
    progress("drawing circles", options.count, options.count)
    turn = torch.arange(options.count) * (2 * math.pi / options.count)
    labels = torch.arange(options.count) % 2
    radius = 0.4 + 0.5 * labels
    points = torch.stack([radius * turn.cos(), radius * turn.sin()], dim=1)
    report = ScanReport(source="circles", found=options.count, used=options.count)
    if not options.labels:
        return Points(points, None, (), report)
    return Points(points, labels, ("inner", "outer"), report)


def open_csv(options: CsvOptions, progress: ProgressReport) -> Points:
    """The points of a file; raises DataError where there is none."""
    path = options.path
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"data '{path}': it cannot be read as CSV ({error}); give a file of two numbers a line"
        ) from error
    rows: list[list[float]] = []
    skipped: list[Skipped] = []
    for number, line in enumerate(lines, 1):
        try:
            x, y = map(float, line)
        except ValueError:
            skipped.append(Skipped(f"line {number}", "not two numbers"))
            continue
        if not (abs(x) <= 1.0 and abs(y) <= 1.0):
            skipped.append(Skipped(f"line {number}", "outside of [-1, 1]"))
            continue
        rows.append([x, y])
    if not rows:
        raise DataError(f"data '{path}': none of {len(lines)} lines holds two numbers in [-1, 1]")
    progress("reading points", len(rows), len(rows))
    report = ScanReport(source=str(path), found=len(lines), used=len(rows), skipped=tuple(skipped))
    return Points(torch.tensor(rows), None, (), report)


class Generator(nn.Module):
    """Latents `[batch, latent]` to points `[batch, 2]` in [-1, 1]."""

    def __init__(self, options: MlpOptions, spec: SampleSpec) -> None:
        super().__init__()
        self.latent_shape = (options.latent,)
        self.classes = ClassEmbedding(spec.class_count, options.latent) if spec.class_count else None
        self.first = nn.Linear(options.latent, options.width)
        self.last = nn.Linear(options.width, spec.shape[0])

    def forward(self, z: Tensor, condition: Tensor | None) -> Tensor:
        if self.classes is not None and condition is not None:
            z = z + self.classes(condition)
        points: Tensor = self.last(self.first(z).relu()).tanh()
        return points


class Discriminator(nn.Module):
    """Points `[batch, 2]` to logits `[batch]`."""

    def __init__(self, options: MlpOptions, spec: SampleSpec) -> None:
        super().__init__()
        self.classes = nn.Embedding(spec.class_count, options.width) if spec.class_count else None
        self.first = nn.Linear(spec.shape[0], options.width)
        self.last = nn.Linear(options.width, 1)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        h = self.first(x)
        if self.classes is not None and condition is not None:
            h = h + self.classes(condition)
        logits: Tensor = self.last(h.tanh()).squeeze(1)
        return logits


def build(options: MlpOptions, spec: SampleSpec) -> dict[str, nn.Module]:
    """Both players, for points `[2]`."""
    return {"generator": Generator(options, spec), "discriminator": Discriminator(options, spec)}


class CsvWriter:
    """One CSV file with a line for each point."""

    def __init__(self, spec: SampleSpec) -> None:
        self.spec = spec

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write points `[n, 2]` to `folder/stem.csv`."""
        del labels
        path = folder / f"{stem}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(samples.tolist())
        return [path]
