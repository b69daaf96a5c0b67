"""Which image sizes the architectures take, and how many channels each resolution has."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gancore.errors import UsageError

if TYPE_CHECKING:
    from gancore.data.spec import SampleSpec

SMALLEST, LARGEST = 8, 1024
"""The range of an image's sides in pixels."""
BASE = range(3, 9)
"""The sides that the smallest feature map may have."""


def plan(height: int, width: int) -> tuple[int, int, int]:
    """How to get from an image to a small map: `(halvings, base_height, base_width)`.

    Both sides are halved equally often, as often as leaves each of them a whole number from 3 to 8: 64x96 becomes 4x6
    after 4 halvings. Raises `UsageError`, naming the nearest sizes that work, where that cannot be done.
    """
    if min(height, width) >= SMALLEST and max(height, width) <= LARGEST:
        for halvings in range(LARGEST.bit_length(), 0, -1):
            factor = 2**halvings
            if height % factor == 0 == width % factor and height // factor in BASE and width // factor in BASE:
                return halvings, height // factor, width // factor
    near = " or ".join(f"{h}x{w}" for h, w in nearest(height, width))
    raise UsageError(
        f"images of {height}x{width} (height x width) do not fit: both sides must be from {SMALLEST} to {LARGEST} and "
        f"come down, by equally many halvings, to whole numbers from {BASE[0]} to {BASE[-1]}. "
        f"Resize them (data.size does so for a folder or an archive), for example to {near}"
    )


def nearest(height: int, width: int) -> list[tuple[int, int]]:
    """The closest workable size that is nowhere larger and the closest that is nowhere smaller, those that exist.

    Where neither exists, the closest of all. Closeness is of ratios: 50 is as far from 25 as from 100.
    """
    sizes = sorted(
        {
            (a * 2**halvings, b * 2**halvings)
            for halvings in range(1, LARGEST.bit_length())
            for a in BASE
            for b in BASE
            if min(a, b) * 2**halvings >= SMALLEST and max(a, b) * 2**halvings <= LARGEST
        },
        key=lambda size: abs(math.log(size[0] / height)) + abs(math.log(size[1] / width)),
    )
    smaller = [s for s in sizes if s[0] <= height and s[1] <= width][:1]
    larger = [s for s in sizes if s[0] >= height and s[1] >= width][:1]
    return smaller + larger or sizes[:1]


def image_shape(spec: SampleSpec) -> tuple[int, int, int]:
    """`(channels, height, width)` of a spec's samples; a `UsageError` where they are no images."""
    if len(spec.shape) != 3:
        raise UsageError(
            f"this architecture makes images of shape (channels, height, width), and the samples are of shape "
            f"{spec.shape}: choose an architecture of the data's own plugin"
        )
    channels, height, width = spec.shape
    return channels, height, width


def channel_ladder(width: int, max_width: int, halvings: int) -> list[int]:
    """Channels from the smallest map to the largest: `width` there, doubled at each halving, at most `max_width`."""
    return [min(width * 2**n, max_width) for n in range(halvings, -1, -1)]
