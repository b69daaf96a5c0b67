"""A built-in set of blossoms, drawn in colour when it is opened.

Since every factor of a picture is known, whether a network learnt it can be measured.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from gan_image.blossoms.draw import draw
from gan_image.blossoms.factors import EYE, FACTORS, HUE, PETALS, draw_factors
from gan_image.blossoms.spec import BlossomSpec
from gan_image.data.pixels import PixelSource
from gancore.components import ProgressReport
from gancore.data.report import ScanReport
from gancore.options import Options as BaseOptions
from gancore.random import Draws, derive

_AT_ONCE = 1024
_CLASSES = {"petals": PETALS, "eye": EYE}
_WARMTH: tuple[str, ...] = ("cold", "warm")
_WARM = -60.0
"""Petals of hues above this, in degrees, are warm."""


class Options(BaseOptions):
    """Options of the data set `blossoms`."""

    samples: int = Field(10_000, ge=1, le=1_000_000, description="How many pictures are drawn.")
    size: Literal[16, 32, 64] = Field(32, description="Height and width in pixels.")
    labels: bool = Field(True, description="Give each picture a class, for conditional networks ...")
    classes: Literal["petals", "eye", "warmth"] = Field(
        "petals",
        description="... which is its number of petals, the colour of its eye, or whether its petals are cold (blue, violet) or warm"
        " (red, yellow).",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Decides the pictures; another gives pictures to hold out.")


def open_blossoms(options: Options, progress: ProgressReport) -> PixelSource:
    """Pictures that are a function of the seed and their number: with more `samples` the first stay the same."""
    factors = draw_factors(Draws(derive(options.seed, "blossoms"), torch.arange(options.samples)))
    pixels = torch.empty(options.samples, 3, options.size, options.size, dtype=torch.uint8)
    for begin in range(0, options.samples, _AT_ONCE):
        progress("drawing blossoms", begin, options.samples)
        pixels[begin : begin + _AT_ONCE] = draw(factors[begin : begin + _AT_ONCE], options.size)
    progress("drawing blossoms", options.samples, options.samples)
    if options.classes == "warmth":
        names, labels = _WARMTH, (factors[:, HUE] > _WARM).long()
    else:
        place = _CLASSES[options.classes]
        names, labels = FACTORS[place].values, factors[:, place].long()
    return PixelSource(
        pixels.numpy(),
        BlossomSpec(shape=(3, options.size, options.size), classes=names if options.labels else ()),
        ScanReport(source="blossoms", found=options.samples, used=options.samples),
        labels=labels if options.labels else None,
    )
