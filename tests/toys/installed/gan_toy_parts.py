"""What the records of `gan_toy` point to, beside circles and networks of the points that the kit has."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor

from gancore.components import ProgressReport
from gancore.data.report import ScanReport
from gancore.data.spec import SampleSpec
from gancore.errors import DataError
from gancore.evaluation.records import Figure, Material
from gancore.options import Options
from gancore.testing.points_parts import Points


class PointsOptions(Options):
    path: Path = Field(description="A text file.")


class ReachOptions(Options):
    radius: float = Field(0.5, ge=0.0, le=2.0, description="Beyond which points are counted.")


def height(spec: SampleSpec) -> Callable[[Tensor], Tensor]:
    return lambda x: x[:, 1].clone()


def points(options: PointsOptions, progress: ProgressReport) -> Points:
    try:
        lines = options.path.read_text(encoding="utf-8").splitlines()
        rows = [[float(x), float(y)] for x, y in (line.split()[:2] for line in lines)]
    except (OSError, ValueError) as error:
        raise DataError(f"data '{options.path}': it cannot be read as two numbers a line ({error})") from error
    if not rows:
        raise DataError(f"data '{options.path}': no points in it")
    progress("reading points", len(rows), len(rows))
    return Points(torch.tensor(rows), None, (), ScanReport(str(options.path), found=len(rows), used=len(rows)))


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
