"""Blossoms from their factors: petals with a soft shade on a dark ground, lit from the upper left."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gan_image.blossoms.factors import EYE, EYE_SIZE, FEWEST, GROUND, HUE, PETALS, ROTATION, SIZE, WIDTH

EYE_COLOURS = ((1.0, 0.8, 0.16), (0.98, 0.95, 0.88), (0.36, 0.18, 0.1))
PART = 256
"""Pictures that are drawn at once, to stay in the processor's cache."""


def draw(factors: Tensor, size: int = 32) -> Tensor:
    """Pictures of blossoms with these factors `[n, 8]`: uint8 `[n, 3, size, size]`."""
    parts = [render(part, size).mul_(255.0).round_().clamp_(0, 255).to(torch.uint8) for part in factors.split(PART)]
    return torch.cat(parts) if parts else torch.empty(0, 3, size, size, dtype=torch.uint8)


def rgb(hue: Tensor, saturation: float, value: float) -> Tensor:
    """Colours in [0, 1], `[n, 3]`, of hues in degrees `[n]`."""
    place = (hue[:, None] / 60.0 + torch.tensor([5.0, 3.0, 1.0])) % 6.0
    return value - value * saturation * torch.minimum(place, 4.0 - place).clamp(0.0, 1.0)


def render(factors: Tensor, size: int = 32) -> Tensor:
    """The same in float32, in [0, 1]."""
    at = (torch.arange(size) + 0.5) / size * 2.0 - 1.0
    y, x = (one.reshape(1, -1) for one in torch.meshgrid(at, at, indexing="ij"))
    pixel = 2.0 / size
    radius, angle = torch.hypot(x, y), torch.atan2(y, x)
    column = factors.float()[:, :, None]
    outer, width, eye = column[:, SIZE], column[:, WIDTH], column[:, EYE_SIZE] * column[:, SIZE]
    step = 2.0 * math.pi / (column[:, PETALS] + FEWEST)

    # All petals are folded onto one, which lies along an axis.
    turn = angle / step - column[:, ROTATION]
    local = (turn - turn.round()) * step
    along = radius * torch.cos(local) / outer
    across = (radius * torch.sin(local) / outer).abs()
    room = 0.66 * torch.tan(0.5 * step).clamp(max=0.9)
    t = along.clamp(0.0, 1.0)
    # 1 at its highest, where t = 2/3.
    profile = (2.598 * t * (1.0 - t).sqrt()) ** 0.8
    half = width * room * profile
    # An edge is as soft as a pixel is wide; toward the tip the outline runs across the axis, so its distance there is radial.
    side = (half - across) * outer / pixel
    tip = (1.0 - along) * outer / pixel
    petal = (torch.minimum(side * 0.8, tip) + 0.5).clamp(0.0, 1.0)
    disc = ((eye - radius) / pixel + 0.5).clamp(0.0, 1.0)

    light = 1.0 - 0.12 * (x + y)
    ridge = (across / (half + 0.05)).clamp(max=1.0).square()
    shade = (0.62 + 0.42 * t) * (1.0 - 0.22 * ridge) * light
    pale = 0.30 * (1.0 - ridge) * t
    shadow = 1.0 - 0.45 * torch.exp(-(((radius / outer).clamp(min=0.0)) ** 4))
    ground = (1.05 - 0.22 * radius) * shadow
    dome = (1.06 - 0.42 * (radius / eye).clamp(max=1.0) ** 3) * light

    petals, field = rgb(column[:, HUE, 0], 0.78, 0.96), rgb(column[:, GROUND, 0], 0.62, 0.42)
    middle = torch.tensor(EYE_COLOURS)[column[:, EYE, 0].long()]
    colour = petals[:, :, None] * (1.0 - pale[:, None]) + pale[:, None]
    picture = field[:, :, None] * ground[:, None]
    picture = picture + petal[:, None] * (colour * shade[:, None] - picture)
    picture = picture + disc[:, None] * (middle[:, :, None] * dome[:, None] - picture)
    return picture.clamp(0.0, 1.0).reshape(-1, 3, size, size)
