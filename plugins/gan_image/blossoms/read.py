"""Reading the factors of a blossom from its picture, and whether they can be read.

A first guess comes from a bank of drawn blossoms, compared by what does not change as a blossom turns; least squares between the
picture and its drawing from the factors improve it. What still differs then says whether the picture is a blossom at all.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from gan_image.blossoms.draw import EYE_COLOURS, render
from gan_image.blossoms.factors import EYE, EYE_SIZE, FACTORS, FEWEST, GROUND, HUE, PETALS, ROTATION, SIZE

READABLE = 11.0 / 255.0
"""Difference from its drawing up to which a picture is a blossom: one with a petal missing differs more, one slightly blurred less."""
_CELLS = 16
"""Rows and columns that are compared, as means of a picture's pixels: edges may be blurred, and noise is not what it shows."""
_PART = 128
_ROUNDS = 3
_FREE = torch.tensor([place for place, factor in enumerate(FACTORS) if not factor.values])
_STEPS = torch.tensor([0.0, 0.0, 0.004, 0.02, 0.01, 1.0, 1.0, 0.005])
"""By how much a factor changes for its derivative."""
_RINGS = torch.arange(0.08, 0.96, 0.08)


def read(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Factors float32 `[n, 8]` of pictures uint8 `[n, 3, size, size]`, and the difference `[n]` of each from its drawing, in [0, 1].

    That is the root mean square difference of the means of 16x16 equal parts. A picture can be read where it is at most
    `READABLE`; the factors of others mean nothing.
    """
    parts = [_read(part.float() / 255.0) for part in pictures.split(_PART)]
    if not parts:
        return torch.empty(0, len(FACTORS)), torch.empty(0)
    return torch.cat([factors for factors, _ in parts]), torch.cat([off for _, off in parts])


def _read(x: Tensor) -> tuple[Tensor, Tensor]:
    size = x.shape[-1]
    found = _guess(x)
    low, high = (torch.tensor([getattr(factor, side) for factor in FACTORS]) for side in ("low", "high"))
    bounded = torch.tensor([not (factor.values or factor.circular) for factor in FACTORS])
    slack = 0.05 * (high - low)
    for _ in range(_ROUNDS):
        drawn = render(found, size)
        columns = []
        for place in _FREE.tolist():
            moved = found.clone()
            moved[:, place] += _STEPS[place]
            columns.append((render(moved, size) - drawn).flatten(1))
        slopes = torch.stack(columns, 2)
        normal = slopes.mT @ slopes
        normal = normal + 0.02 * torch.diag_embed(normal.diagonal(dim1=1, dim2=2)) + 1e-4 * torch.eye(len(_FREE))
        step = torch.linalg.solve(normal, slopes.mT @ (x - drawn).flatten(1)[:, :, None])[:, :, 0].clamp(-12.0, 12.0)
        found[:, _FREE] += step * _STEPS[_FREE]
        found = torch.where(bounded, found.clamp(low - slack, high + slack), found)
        found[:, ROTATION] %= 1.0
    apart = functional.adaptive_avg_pool2d(x - render(found, size), _CELLS)
    return found, apart.flatten(1).square().mean(1).sqrt()


def _guess(x: Tensor) -> Tensor:
    """Factors `[n, 8]` near those of pictures in [0, 1]."""
    size = x.shape[-1]
    radius, _ = _polar(size)
    features, waves, field = _features(x)
    blossoms, known = _bank(size)
    found = blossoms[torch.cdist(features, known).argmin(1)].clone()
    harmonic = (found[:, PETALS] + FEWEST).long()
    # The eye is round and says nothing of the rotation.
    phase = waves[torch.arange(len(x)), harmonic][:, 4:].sum(1).angle()
    found[:, ROTATION] = phase / (2.0 * math.pi) % 1.0
    outer, eye = found[:, SIZE, None, None], found[:, EYE_SIZE, None, None]
    ring = (radius > eye * outer + 0.05) & (radius < 0.75 * outer)
    weight = (x - field[:, :, None, None]).square().sum(1) * ring
    weight = (weight / weight.amax((1, 2), keepdim=True).clamp(min=1e-6)) ** 3
    petals = _hue((x * weight[:, None]).sum((2, 3)) / weight.sum((1, 2)).clamp(min=1e-6)[:, None])
    # The hue goes from -145 to 55 degrees.
    found[:, HUE] = torch.where(petals > 135.0, petals - 360.0, petals)
    found[:, GROUND] = _hue(field)
    inner = radius < 0.11
    found[:, EYE] = torch.cdist((x * inner).sum((2, 3)) / inner.sum(), torch.tensor(EYE_COLOURS)).argmin(1).float()
    return found


def _features(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What no turn changes `[n, features]`, its angular waves by ring `[n, 9, rings]`, and the ground's colour `[n, 3]`."""
    radius, angle = _polar(x.shape[-1])
    corner = (radius > 1.1).float()
    field = (x * corner).sum((2, 3)) / corner.sum()
    apart = (x - field[:, :, None, None]).square().sum(1).sqrt().flatten(1)
    rings = torch.exp(-(((radius.flatten() - _RINGS[:, None]) / 0.06) ** 2))
    turns = torch.arange(9.0)[:, None, None] * angle.flatten()
    waves = torch.complex(
        torch.einsum("np,krp->nkr", apart, rings * turns.cos()), torch.einsum("np,krp->nkr", apart, rings * turns.sin())
    )
    strength = waves.abs().flatten(1)
    return strength / strength.norm(dim=1, keepdim=True).clamp(min=1e-6), waves, field


@cache
def _bank(size: int) -> tuple[Tensor, Tensor]:
    """Factors of blossoms `[bank, 8]` and their features."""
    grid = (range(6), range(3), (0.62, 0.67, 0.71, 0.76, 0.81, 0.85, 0.9), (0.64, 0.75, 0.85, 0.96), (0,))
    more = ((-100.0, 0.0), (160.0,), (0.22, 0.27, 0.32))
    blossoms = torch.cartesian_prod(*(torch.tensor([float(v) for v in values]) for values in grid + more))
    return blossoms, torch.cat([_features(render(part, size))[0] for part in blossoms.split(_PART)])


@cache
def _polar(size: int) -> tuple[Tensor, Tensor]:
    at = (torch.arange(size) + 0.5) / size * 2.0 - 1.0
    y, x = torch.meshgrid(at, at, indexing="ij")
    return torch.hypot(x, y), torch.atan2(y, x)


def _hue(colours: Tensor) -> Tensor:
    """Degrees in [-60, 300) of colours `[n, 3]`."""
    red, green, blue = colours.unbind(1)
    highest, which = colours.max(1)
    spread = (highest - colours.amin(1)).clamp(min=1e-6)
    options = torch.stack([(green - blue) / spread, (blue - red) / spread + 2.0, (red - green) / spread + 4.0], 1)
    return 60.0 * options.gather(1, which[:, None])[:, 0]
