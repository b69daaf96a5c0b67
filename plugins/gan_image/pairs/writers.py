"""Pairs on disk: what was given and what was made of it side by side on a sheet, and what was made as single files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from gan_image.pairs.spec import PairSpec
from gan_image.spec import ImageSpec
from gan_image.writers import GridOptions, GridWriter, PngOptions, PngWriter, displayable
from gancore.text_chunks import TextInFiles


def side_by_side(samples: Tensor, spec: PairSpec) -> Tensor:
    """Sources with their targets to the right, uint8 `[n, 3, height, 2 width]`, or 4 channels where one side has transparency."""
    sides = [
        torch.from_numpy(displayable(part)).permute(0, 3, 1, 2)
        for part in (spec.given_part(samples), spec.target_part(samples))
    ]
    channels = max(3, *(side.shape[1] for side in sides))
    opaque = [torch.full_like(side[:, :1], 255) for side in sides]
    coloured = [side.expand(-1, 3, -1, -1) if side.shape[1] == 1 else side for side in sides]
    whole = [
        torch.cat([side, alpha], dim=1) if side.shape[1] < channels else side
        for side, alpha in zip(coloured, opaque, strict=True)
    ]
    return torch.cat(whole, dim=3)


class PairGrid(TextInFiles):
    """A sheet of pairs: `<stem>.png`, on which what was given stands to the left of what was made; see `GridWriter`."""

    def __init__(self, options: GridOptions, spec: PairSpec) -> None:
        self.spec = spec
        _, height, width = spec.shape
        self.grid = GridWriter(options, ImageSpec(shape=(3, height, 2 * width), classes=spec.classes))

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write pairs uint8 `[n, channels, height, width]`, n at least 1, as one picture."""
        return self.grid.write(side_by_side(samples, self.spec), folder, stem, labels)

    def captioned(
        self, samples: Tensor, folder: Path, stem: str, captions: Sequence[str], columns: int, title: str
    ) -> list[Path]:
        """Write pairs as `write` does, in their order, each below its caption."""
        return self.grid.captioned(side_by_side(samples, self.spec), folder, stem, captions, columns, title)


class PairPng(PngWriter):
    """What was made of every pair, in its own size: `<stem>-00012.png`; see `PngWriter`."""

    def __init__(self, options: PngOptions, spec: PairSpec) -> None:
        super().__init__(options, spec.target)
        self.pair = spec

    def write(self, samples: Tensor, folder: Path, stem: str, labels: Sequence[int] | None = None) -> list[Path]:
        """Write the targets of pairs uint8 `[n, channels, height, width]`, n at least 1, numbered from 0."""
        return super().write(self.pair.target_part(samples), folder, stem, labels)
