"""What the records of `gan_toy` point to."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn

from gancore.components import ProgressReport
from gancore.data.report import ScanReport
from gancore.data.spec import SampleSpec
from gancore.errors import DataError
from gancore.evaluation import Figure, Material
from gancore.options import ArchitectureOptions, Options
from gancore.random import Draws


class CirclesOptions(Options):
    count: int = Field(64, ge=2, le=4096, description="Points.")
    labels: bool = Field(True, description="Give each point its circle as class.")


class PointsOptions(Options):
    path: Path = Field(description="A text file.")


class MlpOptions(ArchitectureOptions):
    width: int = Field(8, ge=1, le=256, description="Hidden units.")
    latent: int = Field(4, ge=1, le=64, description="Latent dimensions.")


class ReachOptions(Options):
    radius: float = Field(0.5, ge=0.0, le=2.0, description="Beyond which points are counted.")


class Points:
    """Points `[n, 2]` float32 in [-1, 1], in memory."""

    in_memory = True

    def __init__(self, points: Tensor, labels: Tensor | None, classes: tuple[str, ...], source: str) -> None:
        self.points = points
        self.labels = labels
        self.spec = SampleSpec(shape=(2,), dtype="float32", value_range=(-1.0, 1.0), classes=classes)
        self.report = ScanReport(source=source, found=len(points), used=len(points))

    def __len__(self) -> int:
        return len(self.points)

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        del draws
        return self.points[indices], None if self.labels is None else self.labels[indices]


def circles(options: CirclesOptions, progress: ProgressReport) -> Points:
    progress("drawing circles", options.count, options.count)
    turn = torch.arange(options.count) * (2 * math.pi / options.count)
    labels = torch.arange(options.count) % 2
    radius = 0.4 + 0.5 * labels
    points = torch.stack([radius * turn.cos(), radius * turn.sin()], dim=1)
    return Points(points, *((labels, ("inner", "outer")) if options.labels else (None, ())), "circles")


def points(options: PointsOptions, progress: ProgressReport) -> Points:
    try:
        lines = options.path.read_text(encoding="utf-8").splitlines()
        rows = [[float(x), float(y)] for x, y in (line.split()[:2] for line in lines)]
    except (OSError, ValueError) as error:
        raise DataError(f"data '{options.path}': it cannot be read as two numbers a line ({error})") from error
    if not rows:
        raise DataError(f"data '{options.path}': no points in it")
    progress("reading points", len(rows), len(rows))
    return Points(torch.tensor(rows), None, (), str(options.path))


class Generator(nn.Module):
    def __init__(self, options: MlpOptions, spec: SampleSpec) -> None:
        super().__init__()
        self.latent_shape = (options.latent,)
        self.classes = nn.Embedding(max(1, spec.class_count), options.latent)
        self.body = nn.Sequential(
            nn.Linear(options.latent, options.width), nn.ReLU(), nn.Linear(options.width, spec.shape[0]), nn.Tanh()
        )

    def forward(self, z: Tensor, condition: Tensor | None) -> Tensor:
        out: Tensor = self.body(z if condition is None else z + self.classes(condition))
        return out


class Discriminator(nn.Module):
    def __init__(self, options: MlpOptions, spec: SampleSpec) -> None:
        super().__init__()
        self.classes = nn.Embedding(max(1, spec.class_count), options.width)
        self.first = nn.Linear(spec.shape[0], options.width)
        self.last = nn.Linear(options.width, 1)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        h = self.first(x)
        out: Tensor = self.last(torch.tanh(h if condition is None else h + self.classes(condition)))
        return out.squeeze(1)


def build(options: MlpOptions, spec: SampleSpec) -> dict[str, nn.Module]:
    return {"generator": Generator(options, spec), "discriminator": Discriminator(options, spec)}


class JsonWriter:
    def __init__(self, spec: SampleSpec) -> None:
        self.spec = spec

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        path = folder / f"{stem}.json"
        path.write_text(json.dumps({"points": samples.tolist(), "labels": labels}), encoding="utf-8")
        return [path]


class TextWriter:
    def __init__(self, spec: SampleSpec) -> None:
        self.spec = spec

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        paths = [folder / f"{stem}-{n:05d}.txt" for n in range(len(samples))]
        for path, sample, label in zip(paths, samples.tolist(), labels or [None] * len(paths), strict=True):
            name = "" if label is None else f" {self.spec.classes[label]}"
            path.write_text(f"{sample[0]} {sample[1]}{name}\n", encoding="utf-8")
        return paths


def gap(spec: SampleSpec) -> Callable[[Material], dict[str, float]]:
    def measure(material: Material) -> dict[str, float]:
        return {"gap": float((material.generated.x.mean(0) - material.real.x.mean(0)).norm())}

    return measure


def reach(options: ReachOptions, spec: SampleSpec) -> Callable[[Material], dict[str, Figure]]:
    def share(points: Tensor) -> float:
        return float((points.norm(dim=1) > options.radius).float().mean())

    def measure(material: Material) -> dict[str, Figure]:
        generated, real = share(material.generated.x), share(material.real.x)
        return {"share": Figure(value=generated, real=real, overlap=1.0 - abs(generated - real))}

    return measure
