"""DiffAugment: differentiable augmentation of what the discriminator sees, so that it cannot memorise a small data set.

Applied to real and fake samples alike, in every phase (Zhao et al. 2020). Every random choice belongs to one sample,
so the result for a sample does not depend on the rest of its batch.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from gan_image.spec import ImageSpec
from gancore.data.spec import SampleSpec, require
from gancore.losses.adversarial import at_least_float32
from gancore.nets.layout import in_layout
from gancore.options import Options, each_once
from gancore.random import Draws

Step = Literal["colour", "translation", "cutout"]


class DiffAugmentOptions(Options):
    """Options of `diffaugment`; the defaults are the paper's."""

    policy: Annotated[tuple[Step, ...], each_once("step")] = Field(
        ("colour", "translation", "cutout"), min_length=1, max_length=3, description="What to do, in this order."
    )
    translation: float = Field(0.125, ge=0.0, le=0.5, description="Largest shift, as a share of height and of width.")
    cutout: float = Field(0.5, ge=0.0, le=1.0, description="Sides of the blank box, as a share of height and of width.")


class DiffAugment:
    """Called `augment(x, draws)` on relaxed images `[batch, channels, height, width]` in [-1, 1], of any channel count.

    Returns the same shape and type. Values may leave [-1, 1] after `colour`; what `translation` and `cutout` uncover
    is 0, mid-grey. Affine in `x` for given draws, so gradient penalties pass through it. Raises `UsageError` where the
    samples are no images.
    """

    def __init__(self, options: DiffAugmentOptions, spec: SampleSpec) -> None:
        require(spec, ImageSpec, "augmentation 'diffaugment'")
        self.options = options

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        y = at_least_float32(x).contiguous()
        for step in self.options.policy:
            if step == "colour":
                y = _colour(y, draws)
            elif step == "translation":
                y = _translate(y, draws, self.options.translation)
            else:
                y = _cut_out(y, draws, self.options.cutout)
        return in_layout(y.to(x.dtype), torch.channels_last if x.stride(1) == 1 else torch.contiguous_format)


def _colour(x: Tensor, draws: Draws) -> Tensor:
    """Brightness + [-0.5, 0.5), saturation * [0, 2), contrast * [0.5, 1.5); a single channel has no saturation.

    All of it is one affine map of each image's channels, and is computed as such: in a quarter of the time, backward too.
    """
    channels = x.shape[1]
    brightness, contrast = (draws.uniform(name, 1, 1).to(x) for name in ("brightness", "contrast"))
    contrast = contrast + 0.5
    saturation = 2.0 * draws.uniform("saturation", 1, 1).to(x) if channels > 1 else torch.ones_like(contrast)
    own = torch.eye(channels, dtype=x.dtype, device=x.device)
    mixed = contrast * saturation * own + contrast * (1.0 - saturation) / channels
    shift = (1.0 - contrast) * x.mean(dim=(1, 2, 3)).view(-1, 1, 1) + (brightness - 0.5)
    return torch.baddbmm(shift, mixed, x.flatten(2)).view(x.shape)


def _translate(x: Tensor, draws: Draws, ratio: float) -> Tensor:
    """Shift each image by whole pixels, up to `ratio` of its height and of its width, and fill with 0."""
    batch, channels, height, width = x.shape
    rows, above = _shifted(draws, "translation-rows", height, ratio, x.device)
    columns, beside = _shifted(draws, "translation-columns", width, ratio, x.device)
    places = (rows[:, :, None] * width + columns[:, None, :]).view(batch, 1, -1)
    inside = (above[:, :, None] & beside[:, None, :]).view(batch, 1, -1)
    return (x.flatten(2).gather(2, places.expand(batch, channels, -1)) * inside).view(x.shape)


def _shifted(draws: Draws, name: str, size: int, ratio: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """For each place along a side, the place that moves there and whether it lies inside; both `[batch, size]`."""
    most = _pixels(size, ratio)
    shift = draws.integers(name, 2 * most + 1, 1).to(device) - most
    source = torch.arange(size, device=device) - shift
    return source.clamp(0, size - 1), (source >= 0) & (source < size)


def _cut_out(x: Tensor, draws: Draws, ratio: float) -> Tensor:
    """Blank a box in each image, `ratio` of its height by `ratio` of its width, centred anywhere in the image."""
    rows = _covered(draws, "cutout-rows", x.shape[2], ratio, x.device)
    columns = _covered(draws, "cutout-columns", x.shape[3], ratio, x.device)
    return x * ~(rows[:, None, :, None] & columns[:, None, None, :])


def _covered(draws: Draws, name: str, size: int, ratio: float, device: torch.device) -> Tensor:
    """Which places along a side the box covers, `[batch, size]`."""
    length = _pixels(size, ratio)
    # A box of even length is centred between two pixels, for which there is one more place than there are pixels.
    centre = draws.integers(name, size + 1 - length % 2, 1).to(device)
    from_start = torch.arange(size, device=device) - (centre - length // 2)
    return (from_start >= 0) & (from_start < length)


def _pixels(size: int, ratio: float) -> int:
    """The share `ratio` of `size`, to the nearest pixel."""
    return int(size * ratio + 0.5)
