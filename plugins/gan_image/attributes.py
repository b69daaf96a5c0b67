"""Attributes of pictures: numbers that each has, in terms of what one sees of it.

Light and colours are those of the values as they are stored, which are about even to the eye (sRGB), from 0 to 1. A transparent picture
is one on white. Pictures of other than 3 or 4 channels have no colour; their light is the mean of all channels.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor

from gan_image.features.preparing import on_white
from gan_image.spec import ImageSpec
from gancore.components import Measure
from gancore.errors import UsageError
from gancore.options import Options as BaseOptions

_COLOURLESS = 0.01
"""Mean colour below which a picture has no hue."""


def brightness(spec: ImageSpec) -> Measure:
    """The mean of the light, from 0 to 1."""
    return lambda x: _light(x).mean((1, 2))


def contrast(spec: ImageSpec) -> Measure:
    """The standard deviation of the light, from 0 to 0.5."""
    return lambda x: _light(x).flatten(1).std(1, correction=0)


def sharpness(spec: ImageSpec) -> Measure:
    """The root mean square difference of neighbours, as a share of what it is in noise of the same contrast.

    From 0 for slow gradients by 1 for noise to 1.41 for a chessboard; NaN for a picture of one colour.
    """

    def of(x: Tensor) -> Tensor:
        light = _light(x)
        steps = torch.cat([light.diff(dim=1).flatten(1), light.diff(dim=2).flatten(1)], 1)
        return _unless_flat(light, (steps.square().mean(1) / (2.0 * light.flatten(1).var(1, correction=0))).sqrt())

    return of


def symmetry(spec: ImageSpec) -> Measure:
    """The correlation of the light with that of the mirrored picture, left for right.

    From -1 by 0 for pictures whose sides have nothing in common to 1 for those that are their own mirror image; NaN for a picture
    of one colour.
    """

    def of(x: Tensor) -> Tensor:
        light = _light(x)
        apart = light - light.mean((1, 2), keepdim=True)
        return _unless_flat(light, (apart * apart.flip(2)).mean((1, 2)) / apart.square().mean((1, 2)))

    return of


class FillOptions(BaseOptions):
    """Options of the attribute `fill`."""

    tolerance: float = Field(
        0.15, gt=0.0, lt=1.0, description="Difference in some channel up to which a pixel is of the border's colour."
    )


def fill(options: FillOptions, spec: ImageSpec) -> Measure:
    """The share of pixels that differ from the colour of the border, which is the median of the outermost pixels."""

    def of(x: Tensor) -> Tensor:
        seen = on_white(x) / 255.0
        border = torch.cat([seen[:, :, 0], seen[:, :, -1], seen[..., 0], seen[..., -1]], 2).median(2).values
        apart = (seen - border[:, :, None, None]).abs().amax(1)
        return (apart > options.tolerance).float().mean((1, 2))

    return of


def saturation(spec: ImageSpec) -> Measure:
    """The mean difference between a pixel's highest and lowest channel, from 0 for grey to 1 for pure colours.

    It is what HSV multiplies its saturation with the value to: a quotient alone would be noise in what is dark.
    """
    _check_colour(spec, "saturation")
    return lambda x: ((seen := on_white(x)).amax(1) - seen.amin(1)).mean((1, 2)) / 255.0


def redness(spec: ImageSpec) -> Measure:
    """The mean of red less green, from -1 to 1."""
    _check_colour(spec, "redness")
    return lambda x: _opponents(x)[0]


def warmth(spec: ImageSpec) -> Measure:
    """The mean of yellow, which is half red and half green, less blue, from -1 to 1."""
    _check_colour(spec, "warmth")
    return lambda x: _opponents(x)[1]


class HueOptions(BaseOptions):
    """Options of the attribute `hue`."""

    begin: float = Field(
        -90.0,
        ge=-360.0,
        le=360.0,
        description="Degrees at which the circle is cut open; 0 is red, 120 green, 240 blue. Take a hue that few pictures have.",
    )


def hue(options: HueOptions, spec: ImageSpec) -> Measure:
    """The angle of the mean colour in degrees, from `begin` to `begin` + 360; NaN for pictures that are grey, or of all colours alike.

    An angle has no direction in which it grows: what is redder than violet is bluer than red. Cut open at violet, which is rare, it
    goes from magenta by red, yellow and green to blue. That serves where pictures have a part of all hues; `redness` and `warmth`,
    which together say the same, serve everywhere.
    """
    _check_colour(spec, "hue")

    def of(x: Tensor) -> Tensor:
        red, green, blue = (on_white(x) / 255.0).mean((2, 3)).unbind(1)
        along, across = red - (green + blue) / 2.0, (green - blue) * math.sqrt(0.75)
        angle = (torch.rad2deg(torch.atan2(across, along)) - options.begin) % 360.0 + options.begin
        return angle.where(torch.hypot(along, across) > _COLOURLESS, torch.nan)

    return of


def _opponents(x: Tensor) -> tuple[Tensor, Tensor]:
    """Red less green and yellow less blue of pictures, each float32 `[n]`: the axes of opponent colours."""
    red, green, blue = (on_white(x) / 255.0).mean((2, 3)).unbind(1)
    return red - green, (red + green) / 2.0 - blue


def _light(x: Tensor) -> Tensor:
    """How light hard pictures `[n, channels, height, width]` are: float32 `[n, height, width]` in [0, 1], as in ITU-R BT.601."""
    seen = on_white(x) / 255.0
    return 0.299 * seen[:, 0] + 0.587 * seen[:, 1] + 0.114 * seen[:, 2] if seen.shape[1] == 3 else seen.mean(1)


def _unless_flat(light: Tensor, values: Tensor) -> Tensor:
    """`values` `[n]`, NaN where the light `[n, height, width]` is the same everywhere."""
    return values.where(light.amax((1, 2)) > light.amin((1, 2)), torch.nan)


def _check_colour(spec: ImageSpec, name: str) -> None:
    if spec.channels not in (3, 4):
        channels = f"{spec.channels} channel" + "s" * (spec.channels != 1)
        raise UsageError(f"{name} is of colour pictures, and these have {channels}")
