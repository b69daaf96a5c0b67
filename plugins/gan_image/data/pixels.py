"""A data set whose pixels are one uint8 array, in memory or mapped from a file: the base of most sources of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gan_image.spec import ImageSpec
from gancore.data.report import ScanReport
from gancore.random import Draws

Layout = Literal["hw", "hwc", "chw"]


def flip_half(x: Tensor, draws: Draws) -> Tensor:
    """Images `[batch, channels, height, width]`, each mirrored left to right with probability 1/2."""
    return torch.where((draws.uniform("flip") < 0.5)[:, None, None, None], x.flip(-1), x)


def open_mapped(file: Path) -> np.ndarray:
    """The array in a .npy file, read from disk only where it is looked at. Refuses pickled objects."""
    return np.load(file, mmap_mode="r", allow_pickle=False)


class PixelSource:
    """A `DataSource` over `pixels`, uint8 `[n, height, width]`, `[n, height, width, channels]` or
    `[n, channels, height, width]` by `layout`.

    With `file`, `pixels` is a mapping of that .npy file: samples are copied out of it one batch at a time, and a worker
    process that receives this object maps the file again instead of receiving the pixels.
    """

    in_memory = True

    def __init__(
        self,
        pixels: np.ndarray,
        spec: ImageSpec,
        report: ScanReport,
        *,
        layout: Layout = "chw",
        labels: Tensor | None = None,
        flip: bool = False,
        file: Path | None = None,
    ) -> None:
        self.pixels = pixels
        self.spec = spec
        self.report = report
        self.layout = layout
        self.labels = labels
        self.flip = flip
        self.file = file

    def __len__(self) -> int:
        return len(self.pixels)

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """Images uint8 `[batch, channels, height, width]` and class indices int64 `[batch]`, or None without labels."""
        # Indexing comes first: it copies the wanted rows only, where reshaping a transposed mapping would copy all.
        rows = np.asarray(self.pixels[indices.numpy()])
        if self.layout == "hw":
            rows = rows[:, None]
        elif self.layout == "hwc":
            rows = rows.transpose(0, 3, 1, 2)
        x = torch.from_numpy(np.ascontiguousarray(rows))
        if self.flip:
            x = flip_half(x, draws)
        return x, None if self.labels is None else self.labels[indices]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | ({"pixels": None} if self.file is not None else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.file is not None:
            self.pixels = open_mapped(self.file)
