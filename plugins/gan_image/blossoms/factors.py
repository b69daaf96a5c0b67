"""What blossoms differ in: eight factors, drawn independently of each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gancore.random import Draws


@dataclass(frozen=True, slots=True)
class Factor:
    """A factor, uniform in [low, high): `values` name what it can be if it is discrete, and it is then 0, 1, 2 ...

    Of a `circular` one, `high` is `low` again.
    """

    name: str
    low: float
    high: float
    values: tuple[str, ...] = ()
    circular: bool = False

    @property
    def range(self) -> float:
        """From the lowest to the highest value."""
        return self.high - self.low


def _discrete(name: str, *values: str) -> Factor:
    return Factor(name, 0.0, float(len(values)), values)


FEWEST = 3
"""Petals of the first class."""
EYES = ("gold", "cream", "cocoa")
FACTORS = (
    _discrete("petals", "3", "4", "5", "6", "7", "8"),
    _discrete("eye", *EYES),
    # Outer radius, as a share of half a side of the picture.
    Factor("size", 0.6, 0.92),
    # Widest place of a petal, as a share of the room that it has.
    Factor("width", 0.6, 1.0),
    # As a share of the angle from one petal to the next.
    Factor("rotation", 0.0, 1.0, circular=True),
    # Degrees: from blue by violet, red and orange to yellow.
    Factor("hue", -145.0, 55.0),
    # Degrees: from grass green to deep blue.
    Factor("ground", 100.0, 230.0),
    # Radius of the eye, as a share of the size.
    Factor("eye-size", 0.2, 0.34),
)
NAMES = tuple(factor.name for factor in FACTORS)
PETALS, EYE, SIZE, WIDTH, ROTATION, HUE, GROUND, EYE_SIZE = range(len(FACTORS))


def draw_factors(draws: Draws) -> Tensor:
    """Factors of blossoms, float32 `[batch, 8]` in the order of `FACTORS`."""
    found = torch.stack([draws.uniform(f"blossoms/{f.name}") * f.range + f.low for f in FACTORS], 1)
    for place, factor in enumerate(FACTORS):
        if factor.values:
            found[:, place] = found[:, place].floor().clamp(max=len(factor.values) - 1)
    return found
