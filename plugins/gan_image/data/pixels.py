"""A data set whose pixels are one array, in memory or mapped from a file: the base of most sources of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gan_image.data.intensities import to_uint8
from gan_image.spec import ImageSpec
from gancore.data.classes import Content
from gancore.data.report import ScanReport
from gancore.random import Draws

Layout = Literal["hw", "hwc", "chw"]


AT_ONCE = 256
"""Images that are scaled at once."""


def flip_half(x: Tensor, draws: Draws) -> Tensor:
    """Images `[batch, channels, height, width]`, each mirrored left to right with probability 1/2."""
    return torch.where((draws.uniform("flip") < 0.5)[:, None, None, None], x.flip(-1), x)


def open_mapped(file: Path) -> np.ndarray:
    """The array in a .npy file, read from disk only where it is looked at. Refuses pickled objects."""
    return np.load(file, mmap_mode="r", allow_pickle=False)


class PixelSource:
    """A `DataSource` over `pixels` `[n, height, width]`, `[n, height, width, channels]` or `[n, channels, height, width]` by `layout`.

    They are uint8, or with `limits` any numbers, of which these two become 0 and 255. With `rows` int64 `[len]`, only images at
    these places are used.

    With `file`, `pixels` is a mapping of that .npy file: samples are copied out of it one batch at a time, and a worker
    process that receives this object maps the file again instead of receiving the pixels.
    """

    in_memory = True
    content: Content | None = None

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
        limits: tuple[float, float] | None = None,
        rows: Tensor | None = None,
    ) -> None:
        self.pixels = pixels
        self.spec = spec
        self.report = report
        self.layout = layout
        self.labels = labels
        self.flip = flip
        self.file = file
        self.limits = limits
        self.rows = rows

    def __len__(self) -> int:
        return len(self.pixels if self.rows is None else self.rows)

    def fetch(self, indices: Tensor, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """Images uint8 `[batch, channels, height, width]` and class indices int64 `[batch]`, or None without labels."""
        # Indexing comes first: it copies the wanted rows only, where reshaping a transposed mapping would copy all.
        places = indices if self.rows is None else self.rows[indices]
        rows = np.asarray(self.pixels[places.numpy()])
        if self.limits is not None:
            rows = to_uint8(rows, self.limits)
        if self.layout == "hw":
            rows = rows[:, None]
        elif self.layout == "hwc":
            rows = rows.transpose(0, 3, 1, 2)
        x = torch.from_numpy(np.ascontiguousarray(rows))
        if self.flip:
            x = flip_half(x, draws)
        return x, None if self.labels is None else self.labels[indices]

    def as_uint8(self) -> PixelSource:
        """The same, of which only bytes are held in memory."""
        if self.limits is None:
            return self
        places = np.arange(len(self.pixels)) if self.rows is None else self.rows.numpy()
        pixels = np.empty((len(places), *self.pixels.shape[1:]), dtype=np.uint8)
        for begin in range(0, len(places), AT_ONCE):
            part = places[begin : begin + AT_ONCE]
            pixels[begin : begin + AT_ONCE] = to_uint8(self.pixels[part], self.limits)
        return PixelSource(pixels, self.spec, self.report, layout=self.layout, labels=self.labels, flip=self.flip)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | ({"pixels": None} if self.file is not None else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.file is not None:
            self.pixels = open_mapped(self.file)
