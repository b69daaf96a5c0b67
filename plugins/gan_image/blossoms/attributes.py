"""Attributes of blossoms: the factors that they are drawn from, as far as these are numbers that grow.

Not so are the colour of the eye, which is one of three, and the rotation, which comes back after a petal.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gan_image.blossoms.factors import EYE_SIZE, FEWEST, GROUND, HUE, PETALS, SIZE, WIDTH
from gan_image.blossoms.read import read
from gan_image.blossoms.spec import BlossomSpec
from gancore.components import Measure
from gancore.evaluation.attributes import remembered

_RECOGNISED = 40.0 / 255.0
"""Difference from its drawing up to which a picture has factors: much that is no perfect blossom still has a size."""


@remembered
def _factors(x: Tensor) -> Tensor:
    """Factors `[n, 8]`, NaN for pictures that have nothing of a blossom."""
    factors, off = read(x)
    factors[:, PETALS] += FEWEST
    return factors.where((off <= _RECOGNISED)[:, None], torch.nan)


def _factor(place: int) -> Callable[[BlossomSpec], Measure]:
    return lambda spec: lambda x: _factors(x)[:, place]


petals = _factor(PETALS)
blossom_size = _factor(SIZE)
petal_width = _factor(WIDTH)
petal_hue = _factor(HUE)
ground_hue = _factor(GROUND)
eye_size = _factor(EYE_SIZE)
